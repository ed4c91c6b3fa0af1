// Package direct turns a way through other peers into a link: two peers behind
// address translators or firewalls tell each other, through whatever way there
// is, where they can be seen, and dial at the same moment (hole punching). It also
// finds out how a peer is connected to the world: see [Observer] and
// [Service.Probe].
//
// The messages are Juxta's own. Original JXTA peers drop them, and are not asked
// again for a while.
package direct

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/core/xmldoc"
)

const (
	service = "juxta.direct"
	element = "Direct"
)

// Errors of [Service.Upgrade] and [Service.Probe].
var (
	// ErrNoAnswer: the other peer says nothing; original JXTA peers never do.
	ErrNoAnswer = errors.New("the other peer does not answer")
	// ErrTooSoon: it was tried in vain a moment ago.
	ErrTooSoon = errors.New("it was tried in vain a moment ago")
	// ErrNoCandidates: the two peers have no addresses of a common protocol that
	// could be tried.
	ErrNoCandidates = errors.New("no addresses that could be tried")
	// ErrClosed: the service is closed.
	ErrClosed = errors.New("closed")
)

// Config configures a [Service]. It is copied.
type Config struct {
	// Scope is the endpoint in the net group. Required.
	Scope endpoint.Scope

	// Addresses are those at which this peer may be seen: those it listens on,
	// those that others see, those its router maps. Required.
	Addresses func() []endpoint.Address

	// Logger may be nil.
	Logger *slog.Logger
}

// Service opens direct links. Its methods are safe for concurrent use. Close it
// when done.
type Service struct {
	cfg    Config
	ep     *endpoint.Endpoint
	self   id.Peer
	log    *slog.Logger
	ctx    context.Context
	cancel context.CancelCauseFunc
	wg     sync.WaitGroup
	remove func()
	limit  *rate.Limiter // of what others begin
	loose  *rate.Limiter // the same, of those that have not proven who they are
	stats  counters

	mu      sync.Mutex
	closed  bool
	asked   map[string]*attempt   // by nonce, begun here
	pending map[string]*attempt   // by nonce, begun by others
	again   map[id.Peer]pause     // not to be tried before
	served  map[id.Peer]time.Time // when a peer began an attempt last
}

// attempt is one attempt with one peer.
type attempt struct {
	peer   id.Peer
	nonce  string
	token  string // of pending ones: what shows that the answer has arrived
	theirs []endpoint.Address
	answer chan *document // of asked ones; holds one
	until  time.Time
}

// pause is how long a peer is left alone.
type pause struct {
	until time.Time
	last  time.Duration
}

// New makes a service and begins to answer.
func New(cfg Config) (*Service, error) {
	if cfg.Addresses == nil {
		return nil, errors.New("direct: Config.Addresses is not set")
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Service{
		cfg: cfg, ep: cfg.Scope.Endpoint(), self: cfg.Scope.Peer(), log: cfg.Logger, limit: rate.NewLimiter(servedRate, servedBurst),
		loose: rate.NewLimiter(looseRate, looseBurst),
		asked: map[string]*attempt{}, pending: map[string]*attempt{}, again: map[id.Peer]pause{}, served: map[id.Peer]time.Time{},
	}
	s.ctx, s.cancel = context.WithCancelCause(context.Background())
	remove, err := cfg.Scope.Handle(service, "", s.receive)
	if err != nil {
		return nil, fmt.Errorf("direct: %w", err)
	}
	s.remove = remove
	return s, nil
}

// Close ends every attempt and waits for them. It is idempotent.
func (s *Service) Close() {
	s.remove()
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.cancel(ErrClosed)
	s.wg.Wait()
}

// Stats counts what a service did since it was made.
type Stats struct {
	Tried, Opened uint64 // attempts begun here; those that opened a link
	Served        uint64 // attempts of others that were taken part in
	Probed        uint64 // probes answered

	RefusedRate      uint64 // attempts and probes of others beyond the limits
	DroppedMalformed uint64 // messages that could not be read, or that belong to nothing
	FailedTries      uint64 // attempts begun here that opened no link
}

type counters struct{ tried, opened, served, probed, refused, malformed, failed atomic.Uint64 }

// Stats returns the counters.
func (s *Service) Stats() Stats {
	c := &s.stats
	return Stats{
		Tried: c.tried.Load(), Opened: c.opened.Load(), Served: c.served.Load(), Probed: c.probed.Load(),
		RefusedRate: c.refused.Load(), DroppedMalformed: c.malformed.Load(), FailedTries: c.failed.Load(),
	}
}

// Upgrade opens a link to a peer that is reached through others. It returns nil
// when there is one, whoever opened it. ctx bounds it; it takes 12 s at most. A
// failure is remembered, and for a while, which doubles with each, it is not tried
// again. The error wraps one of this package or is that of the attempts.
func (s *Service) Upgrade(ctx context.Context, p id.Peer) error {
	if s.ep.LinkTo(p) != nil {
		return nil
	}
	mine := candidates(s.cfg.Addresses(), s.ep)
	if len(mine) == 0 {
		return fmt.Errorf("direct: %w", ErrNoCandidates)
	}
	a := &attempt{peer: p, nonce: newNonce(), answer: make(chan *document, 1)}
	if err := s.begin(a); err != nil {
		return err
	}
	defer s.end(a)
	s.stats.tried.Add(1)
	ctx, cancel := context.WithTimeout(ctx, upgradeTimeout)
	defer cancel()
	defer context.AfterFunc(s.ctx, cancel)()
	err := s.upgrade(ctx, a, mine)
	if s.ep.LinkTo(p) != nil {
		err = nil
	}
	s.outcome(p, err)
	return err
}

func (s *Service) upgrade(ctx context.Context, a *attempt, mine []endpoint.Address) error {
	began := time.Now()
	if err := s.send(ctx, a.peer, &document{Kind: kindAsk, Nonce: a.nonce, Addresses: mine}); err != nil {
		return fmt.Errorf("direct: %w", err)
	}
	var d *document
	wait, stop := context.WithTimeout(ctx, answerTimeout)
	defer stop()
	select {
	case d = <-a.answer:
	case <-wait.Done():
		if ctx.Err() != nil {
			return fmt.Errorf("direct: %w", context.Cause(ctx))
		}
		return fmt.Errorf("direct: peer %s: %w", a.peer.Short(), ErrNoAnswer)
	}
	trip := time.Since(began)
	if err := s.send(ctx, a.peer, &document{Kind: kindGo, Nonce: a.nonce, Token: d.Token}); err != nil {
		return fmt.Errorf("direct: %w", err)
	}
	timer := time.NewTimer(trip / 2)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
	return s.punch(ctx, a.peer, candidates(d.Addresses, s.ep))
}

// begin registers an attempt, unless one with the same peer is on the way or
// failed a moment ago.
func (s *Service) begin(a *attempt) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return fmt.Errorf("direct: %w", ErrClosed)
	case time.Now().Before(s.again[a.peer].until):
		return fmt.Errorf("direct: peer %s: %w", a.peer.Short(), ErrTooSoon)
	case len(s.asked) >= maxAttempts:
		return fmt.Errorf("direct: %w", ErrTooSoon)
	}
	for _, x := range s.asked {
		if x.peer == a.peer {
			return fmt.Errorf("direct: peer %s: %w", a.peer.Short(), ErrTooSoon)
		}
	}
	s.asked[a.nonce] = a
	s.wg.Add(1)
	return nil
}

func (s *Service) end(a *attempt) {
	s.mu.Lock()
	delete(s.asked, a.nonce)
	s.mu.Unlock()
	s.wg.Done()
}

// outcome remembers how an attempt ended.
func (s *Service) outcome(p id.Peer, err error) {
	if err == nil {
		s.stats.opened.Add(1)
		s.log.Info("a direct link was opened", "peer", p.Short())
	} else {
		s.stats.failed.Add(1)
		s.log.Debug("no direct link could be opened", "peer", p.Short(), "error", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil {
		delete(s.again, p)
		return
	}
	rest := min(max(pauseAfter, 2*s.again[p].last), pauseSilent)
	if errors.Is(err, ErrNoAnswer) && !p.Provable() {
		rest = pauseSilent // an original peer, in all likelihood
	}
	if len(s.again) >= maxRemembered {
		clear(s.again)
	}
	s.again[p] = pause{time.Now().Add(rest), rest}
}

// Reconsider forgets which peers it was in vain to try: the network is another one
// now.
func (s *Service) Reconsider() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.again)
}

// punch tries the addresses all at once, until a link to the peer is there.
func (s *Service) punch(ctx context.Context, p id.Peer, theirs []endpoint.Address) error {
	if len(theirs) == 0 {
		return fmt.Errorf("direct: peer %s: %w", p.Short(), ErrNoCandidates)
	}
	ctx, cancel := context.WithTimeout(ctx, punchTimeout)
	defer cancel()
	up := make(chan struct{}, 1)
	stop := s.ep.Watch(func(ev endpoint.LinkEvent) {
		if ev.Up && ev.Link.Peer() == p {
			select {
			case up <- struct{}{}:
			default:
			}
		}
	})
	defer stop()
	if s.ep.LinkTo(p) != nil {
		return nil
	}
	lead := s.self.String() < p.String()
	errs := make([]error, len(theirs))
	var trying sync.WaitGroup
	for i, a := range theirs {
		trying.Go(func() {
			l, err := s.ep.Punch(ctx, a, lead)
			if err == nil && l.Peer() != p {
				err = &endpoint.DialError{Addr: a, Phase: endpoint.PhaseIdentity, Err: fmt.Errorf("peer %s answers there", l.Peer().Short())}
				_ = l.Close()
			}
			errs[i] = err
		})
	}
	done := make(chan struct{})
	go func() { trying.Wait(); close(done) }() // waited for below
	select {
	case <-up:
	case <-done:
	case <-ctx.Done():
	}
	cancel()
	<-done
	if s.ep.LinkTo(p) != nil {
		return nil
	}
	return fmt.Errorf("direct: peer %s: %w", p.Short(), errors.Join(errs...))
}

// send sends a document by whatever way there is.
func (s *Service) send(ctx context.Context, p id.Peer, d *document) error {
	b, err := xmldoc.Marshal(d)
	if err != nil {
		return err
	}
	return s.cfg.Scope.Send(endpoint.KnownWays(ctx), p, service, "", message.New(message.XML(message.Platform, element, b)))
}

func newNonce() string {
	var b [nonceOctets]byte
	_, _ = rand.Read(b[:]) // it never fails
	return hex.EncodeToString(b[:])
}
