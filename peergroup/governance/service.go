package governance

import (
	"context"
	crand "crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/juxta-p2p/juxta/core/event"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/identity"
	"github.com/juxta-p2p/juxta/protocols/rendezvous"
	"github.com/juxta-p2p/juxta/protocols/resolver"
)

// Store keeps the motions of a group while the peer is down. Both functions may
// be nil. They are called by one goroutine at a time, and may wait.
type Store struct {
	// Load returns what Save was given last; nothing is no error.
	Load func() ([][]byte, error)

	// Save keeps the motions in their printed form, instead of those before.
	Save func([][]byte) error
}

// Config configures a [Service]. It is copied.
type Config struct {
	// Charter is that of the group. Required.
	Charter *Charter

	// Resolver carries questions in the group. Required.
	Resolver *resolver.Service

	// Rendezvous tells of the neighbours in the group; nil means that of the
	// resolver.
	Rendezvous *rendezvous.Service

	// Identity signs what this peer proposes and approves; nil if it never will.
	Identity *identity.Identity

	// Store keeps the motions; the zero value forgets them.
	Store Store

	// Members returns members of the group to compare motions with, in addition to
	// the rendezvous; nil means none. It is called often and must not wait.
	Members func() []id.Peer

	// Every is the mean time between comparisons. Zero means 3 s.
	Every time.Duration

	// Rand makes choices repeatable; nil draws from the system.
	Rand *rand.Rand

	// Logger may be nil.
	Logger *slog.Logger

	lose func() bool // tests lose messages with it; nil loses none
}

// Service keeps a group's motions the same as those of the other members, and
// judges by them. Its methods are safe for concurrent use. Close it when done.
type Service struct {
	cfg    Config
	log    *slog.Logger
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup
	once   sync.Once
	undo   func()
	wake   chan struct{}
	hub    event.Hub[Event]
	limits limiters
	stats  counters
	now    atomic.Pointer[view]

	mu        sync.Mutex
	book      *book
	news      []Event   // not yet published
	unsaved   bool      // the book differs from what was saved
	met       []id.Peer // to compare motions with soon
	comparing int
	ended     time.Time // exclusions that ended before were told
	chance    *rand.Rand
	closed    bool
}

// view is what follows from the book; it never changes.
type view struct {
	state    *State
	verdicts *verdicts
}

// New starts the service with the motions that the store has.
func New(cfg Config) (*Service, error) {
	if cfg.Charter == nil || cfg.Charter.sig == nil || cfg.Resolver == nil {
		return nil, errors.New("governance: Config.Charter is not set or not signed, or Config.Resolver is not set")
	}
	if cfg.Rendezvous == nil {
		cfg.Rendezvous = cfg.Resolver.Rendezvous()
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Every <= 0 {
		cfg.Every = compareEvery
	}
	s := &Service{cfg: cfg, log: cfg.Logger, wake: make(chan struct{}, 1), book: newBook(cfg.Charter), chance: cfg.Rand, limits: newLimiters()}
	if s.chance == nil {
		s.chance = rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))
	}
	if err := s.load(); err != nil {
		return nil, err
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	if err := protocol.Handle(s.ctx, cfg.Resolver, s.answer); err != nil {
		s.cancel()
		return nil, fmt.Errorf("governance: %w", err)
	}
	s.undo = cfg.Rendezvous.Watch(s.follow)
	s.wg.Go(s.run)
	return s, nil
}

// Close ends the service and saves what was not saved. It is idempotent and
// returns when no goroutine is left. Judge goes on to judge by what was known.
func (s *Service) Close() {
	s.once.Do(func() {
		s.undo()
		s.mu.Lock()
		s.closed = true
		s.mu.Unlock()
		s.cancel()
		s.wg.Wait()
		s.save()
	})
}

// load takes what the store has.
func (s *Service) load() error {
	var list []Motion
	if s.cfg.Store.Load != nil {
		docs, err := s.cfg.Store.Load()
		if err != nil {
			return fmt.Errorf("governance: loading: %w", err)
		}
		for _, doc := range docs {
			m, err := ReadMotion(doc)
			if err != nil {
				s.log.Warn("a stored act cannot be read", "error", err)
				continue
			}
			list = append(list, *m)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for progress := true; progress; {
		progress = false
		for i := range list {
			changed, _ := s.book.add(&list[i], time.Now())
			progress = progress || changed
		}
	}
	state := Fold(s.cfg.Charter, s.book.list())
	s.now.Store(&view{state, newVerdicts(state)})
	return nil
}

// Charter returns the charter; it must not be changed.
func (s *Service) Charter() *Charter { return s.cfg.Charter }

// State returns what the motions come to; it must not be changed.
func (s *Service) State() *State { return s.state() }

func (s *Service) state() *State { return s.now.Load().state }

// List returns the exclusions that have not ended, in order of the acts.
func (s *Service) List() []Exclusion {
	now := time.Now()
	return slices.DeleteFunc(slices.Clone(s.state().Exclusions), func(e Exclusion) bool {
		return !e.Until.IsZero() && !now.Before(e.Until)
	})
}

// Motion returns a motion by its ID, or by the first hex digits of it, if they
// are those of one only. The error wraps [ErrUnknown].
func (s *Service) Motion(name string) (*Motion, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var found *Motion
	for _, m := range s.book.motions {
		if text := m.id.String(); name != "" && len(name) <= len(text) && text[:len(name)] == name {
			if found != nil {
				return nil, fmt.Errorf("governance: %q is not enough: %w", name, ErrUnknown)
			}
			found = m
		}
	}
	if found == nil {
		return nil, fmt.Errorf("governance: %q: %w", name, ErrUnknown)
	}
	return found, nil
}

// Propose signs an act and tells the group, which ctx bounds. It is in effect
// on return if one signature is enough, see [State.InEffect]; else others approve
// it. It is no error if nobody can be told at present. It fails if this peer is no
// moderator ([ErrNotModerator]), the act is not in order, or the exclusion to be
// ended is unknown ([ErrUnknown]).
//
// Time and Kept are filled in: the time is later than that of the acts in effect,
// and a dismissal keeps what the dismissed has signed and is in effect.
func (s *Service) Propose(ctx context.Context, act Act) (ID, error) {
	if err := s.maySign(); err != nil {
		return ID{}, err
	}
	m, err := s.propose(act)
	if err != nil {
		return ID{}, err
	}
	s.push(ctx, m)
	return m.id, nil
}

func (s *Service) propose(act Act) (*Motion, error) {
	var random [16]byte
	_, _ = crand.Read(random[:])
	act.Random = random
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, fmt.Errorf("governance: %w", context.Canceled)
	}
	now := time.Now()
	act.Time = s.after(now)
	switch act.Kind {
	case Readmit:
		target := s.book.motions[act.Target]
		if target == nil || target.act.Kind != Exclude {
			return nil, fmt.Errorf("governance: exclusion %s: %w", act.Target.Short(), ErrUnknown)
		}
		if act.Term = target.act.Term; act.Term != 0 {
			act.From = target.act.begin() // it is forgotten together with the exclusion
		}
	case Dismiss:
		if err := s.keep(&act); err != nil {
			return nil, err
		}
	}
	m, err := NewMotion(s.cfg.Charter.Group, s.cfg.Identity, act, random, now)
	if err != nil {
		return nil, err
	}
	if _, err := s.book.add(m, now); err != nil {
		return nil, fmt.Errorf("governance: %w", err)
	}
	s.update()
	return m, nil
}

// after returns the time of a new act: now, or later than all acts in effect, in
// order that it comes after them though clocks differ. Acts dated far ahead do not
// count, since the new one would be refused, too.
func (s *Service) after(now time.Time) time.Time {
	t, state := now.Truncate(time.Millisecond), s.state()
	for _, m := range slices.Backward(s.book.list()) {
		last := m.act.Time
		if state.effective[m.id] && last.Before(now.Add(Tolerance/2)) {
			if !t.After(last) {
				t = last.Add(time.Millisecond)
			}
			break
		}
	}
	return t
}

// keep lists the acts in effect that a moderator to be dismissed has signed.
func (s *Service) keep(act *Act) error {
	if act.Kept != nil {
		return nil
	}
	key, state := HashOf(act.Key), s.state()
	for _, m := range s.book.list() {
		if m.hasSigner(key) && state.effective[m.id] {
			act.Kept = append(act.Kept, m.id.Brief())
		}
	}
	if len(act.Kept) > MaxKept {
		return fmt.Errorf("governance: %d acts to be kept, more than %d: %w", len(act.Kept), MaxKept, ErrTooLarge)
	}
	return nil
}

// Approve signs a motion of another moderator and tells the group, which ctx
// bounds. Signing twice does nothing. The error wraps [ErrNotModerator] or
// [ErrUnknown].
func (s *Service) Approve(ctx context.Context, i ID) error {
	if err := s.maySign(); err != nil {
		return err
	}
	m, err := s.approve(i)
	if err == nil && m != nil {
		s.push(ctx, m)
	}
	return err
}

func (s *Service) approve(i ID) (*Motion, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.book.motions[i]
	if m == nil || s.closed {
		return nil, fmt.Errorf("governance: act %s: %w", i.Short(), ErrUnknown)
	}
	if m.hasSigner(HashOf(s.cfg.Identity.SPKI())) {
		return nil, nil
	}
	m, err := m.Sign(s.cfg.Identity)
	if err != nil {
		return nil, err
	}
	if _, err := s.book.add(m, time.Now()); err != nil {
		return nil, fmt.Errorf("governance: %w", err)
	}
	s.update()
	return s.book.motions[i], nil
}

func (s *Service) maySign() error {
	if s.cfg.Identity == nil || !s.state().IsModerator(HashOf(s.cfg.Identity.SPKI())) {
		return fmt.Errorf("governance: this peer is %w", ErrNotModerator)
	}
	return nil
}

// update makes the view anew after the book has changed. The caller holds mu.
func (s *Service) update() {
	was := s.now.Load()
	state := Fold(s.cfg.Charter, s.book.list())
	s.now.Store(&view{state, newVerdicts(state)})
	s.news = append(s.news, changes(was.state, state, time.Now())...)
	s.unsaved = true
	s.rouse()
}

func (s *Service) rouse() { rouse(s.wake) }

// goLocked runs f on a goroutine that Close waits for. The caller holds mu.
func (s *Service) goLocked(f func()) {
	if !s.closed {
		s.wg.Go(f)
	}
}

// save hands the motions to the store.
func (s *Service) save() {
	s.mu.Lock()
	due := s.unsaved && s.cfg.Store.Save != nil
	s.unsaved = false
	var list []*Motion
	if due {
		list = s.book.list()
	}
	s.mu.Unlock()
	if !due {
		return
	}
	docs := make([][]byte, 0, len(list))
	for _, m := range list {
		doc, err := m.Marshal()
		if err != nil {
			s.log.Error("an act cannot be printed", "act", m.id.Short(), "error", err)
			continue
		}
		docs = append(docs, doc)
	}
	if err := s.cfg.Store.Save(docs); err != nil {
		s.stats.failedSaves.Add(1)
		s.log.Error("the acts of the group were not saved", "error", err)
		s.mu.Lock()
		s.unsaved = true
		s.mu.Unlock()
	}
}
