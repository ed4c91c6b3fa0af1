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

	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/identity"
	"github.com/juxta-p2p/juxta/core/xmldoc"
)

// ExchangeConfig configures an [Exchange]. It is copied.
type ExchangeConfig struct {
	// Lobby carries the questions. Required.
	Lobby *Lobby

	// Keyring is filled. Required.
	Keyring *Keyring

	// Identity is the peer's key, of which its ID is made. Required.
	Identity *identity.Identity

	// Policy returns the group's policy, once there is one: it needs the group's endpoint,
	// and that the secret. It tells who is a moderator and who is excluded. nil, or a nil
	// service, means that there is neither.
	Policy func() *Service

	// Moderators are those of the charter, until there is a policy.
	Moderators []Moderator

	// Admit reports, as an error, why a peer is no member: key is its public key, of
	// which its ID is made, and credential what it shows, which may be zero; it must be
	// verified that the credential is the peer's. Moderators are not asked. It is called
	// concurrently. nil admits moderators alone.
	Admit func(p id.Peer, key []byte, credential xmldoc.Node) error

	// Credential is what this peer shows; nil shows nothing.
	Credential func() xmldoc.Node

	// Members returns members to ask; in addition to moderators. nil means none.
	// It is called often and must not wait.
	Members func() []id.Peer

	// Rendezvous returns the rendezvous of the group that this peer knows, itself
	// included, and Heard takes those that another member knows: members find each
	// other so, without a word to outsiders. Both may be nil and must not wait.
	Rendezvous func() []id.Peer
	Heard      func([]id.Peer)

	// First says that this peer founds the group: it makes the first secret at
	// once. Others wait for a minute, and moderators for ten seconds, whether somebody has one.
	First bool

	// Every is how often a member asks another one whether there is a new secret,
	// give or take a third. Zero means 5 s.
	Every time.Duration

	// Rand makes choices repeatable; nil draws from the system. Secrets do not
	// come from it.
	Rand *rand.Rand

	// Logger may be nil.
	Logger *slog.Logger
}

// Exchange gets the secrets of one closed group from other members, gives them to
// those who are admitted, and makes a new one when somebody is excluded. Its
// methods are safe for concurrent use. Close it when done.
//
// Who makes the new one follows from a hash of its number and the peer ID,
// moderators first: each one waits its turn of three seconds after the one before,
// half a minute at most, and makes it if nobody has. If two do, see
// [Epoch.Before]. Members need peer IDs made of keys.
type Exchange struct {
	cfg    ExchangeConfig
	group  id.Group
	desk   *desk
	self   id.Peer
	log    *slog.Logger
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup
	once   sync.Once
	wake   chan struct{}
	stats  exchangeCounters

	mu       sync.Mutex
	chance   *rand.Rand
	wanted   []id.Peer // who has a later secret
	fetching map[id.Peer]bool
	renewing bool // a new secret is needed for a reason of the program's
	renewed  uint64
	stale    time.Time // since when a new secret is needed; zero if not
	began    time.Time
	watched  *Service
	unwatch  func()
	closed   bool
}

// ExchangeStats counts what an exchange did since it was made.
type ExchangeStats struct {
	Asked, Unanswered uint64 // questions for the present epoch; those without an answer
	Got, Given        uint64 // secrets received and installed; given to others
	Made              uint64 // secrets made
	RefusedExcluded   uint64 // questions of excluded peers
	RefusedMembers    uint64 // requests of those who are not admitted
	RefusedCards      uint64 // questions and answers of those whose card does not belong to their ID
	RefusedEpochs     uint64 // secrets that were not in order, or of makers who are no members
}

type exchangeCounters struct {
	asked, unanswered, got, given, made, excluded, members, cards, epochs atomic.Uint64
}

// Stats returns the counters.
func (x *Exchange) Stats() ExchangeStats {
	c := &x.stats
	return ExchangeStats{
		Asked: c.asked.Load(), Unanswered: c.unanswered.Load(), Got: c.got.Load(), Given: c.given.Load(), Made: c.made.Load(),
		RefusedExcluded: c.excluded.Load(), RefusedMembers: c.members.Load(), RefusedCards: c.cards.Load(), RefusedEpochs: c.epochs.Load(),
	}
}

// NewExchange starts the exchange.
func NewExchange(cfg ExchangeConfig) (*Exchange, error) {
	if cfg.Lobby == nil || cfg.Keyring == nil || cfg.Identity == nil {
		return nil, errors.New("governance: Lobby, Keyring or Identity of ExchangeConfig is not set")
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Every <= 0 {
		cfg.Every = pollEvery
	}
	x := &Exchange{
		cfg: cfg, group: cfg.Keyring.cfg.Group, self: cfg.Lobby.resolver.Peer(), log: cfg.Logger, chance: cfg.Rand,
		wake: make(chan struct{}, 1), fetching: map[id.Peer]bool{}, began: time.Now(),
	}
	if !x.self.Proves(cfg.Identity.SPKI()) {
		return nil, fmt.Errorf("governance: a closed group: %w", identity.ErrOtherKey)
	}
	if x.chance == nil {
		x.chance = rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))
	}
	var err error
	if x.desk, err = newDesk(x.group, cfg.Identity); err != nil {
		return nil, err
	}
	x.ctx, x.cancel = context.WithCancel(context.Background())
	if _, ok := cfg.Keyring.Epoch(); !ok && cfg.First {
		if err := x.make(1, time.Now()); err != nil {
			x.cancel()
			return nil, err
		}
	}
	cfg.Lobby.add(x)
	x.wg.Go(x.run)
	return x, nil
}

// Close ends the exchange and returns when no goroutine of it is left. The
// keyring goes on to open and seal. It is idempotent.
func (x *Exchange) Close() {
	x.once.Do(func() {
		x.cfg.Lobby.remove(x)
		x.mu.Lock()
		x.closed = true
		unwatch := x.unwatch
		x.mu.Unlock()
		if unwatch != nil {
			unwatch()
		}
		x.cancel()
		x.wg.Wait()
	})
}

// Want asks a member for the present secret soon, or some members if there is
// none: for when [Keyring.Open] tells of an unknown epoch. It does not wait.
func (x *Exchange) Want() {
	n := 1
	if _, ok := x.cfg.Keyring.Epoch(); !ok {
		n = askAtFirst
	}
	for _, p := range x.some(n) {
		x.Meet(p)
	}
}

// Meet asks a member for the present secret soon, and shows it which one this
// peer has. It does not wait.
func (x *Exchange) Meet(p id.Peer) {
	if p.IsZero() || p == x.self {
		return
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if len(x.wanted) < maxMet && !slices.Contains(x.wanted, p) {
		x.wanted = append(x.wanted, p)
		rouse(x.wake)
	}
}

// Renew has a new secret made, by this member or another one whose turn is
// earlier and who is told the same: when a certificate was revoked. All members have
// to be told.
func (x *Exchange) Renew() {
	var number uint64
	if e, ok := x.cfg.Keyring.Epoch(); ok {
		number = e.number
	}
	x.mu.Lock()
	x.renewing, x.renewed = true, number
	x.mu.Unlock()
	rouse(x.wake)
}

// run asks, and makes secrets when it is this member's turn.
func (x *Exchange) run() {
	poll, look := time.NewTimer(0), time.NewTicker(lookEvery)
	defer poll.Stop()
	defer look.Stop()
	for {
		select {
		case <-x.ctx.Done():
			return
		case <-x.wake:
		case <-look.C:
		case <-poll.C:
			x.Want()
			poll.Reset(x.pause())
		}
		x.follow()
		x.turn(time.Now())
		for _, p := range x.takeWanted() {
			x.begin(p)
		}
	}
}

// pause is the time to the next question: shorter while there is no secret.
func (x *Exchange) pause() time.Duration {
	every := x.cfg.Every
	if _, ok := x.cfg.Keyring.Epoch(); !ok {
		every = min(every, time.Second)
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	return time.Duration(float64(every) * (2 + 2*x.chance.Float64()) / 3)
}

func (x *Exchange) policy() *Service {
	if x.cfg.Policy == nil {
		return nil
	}
	return x.cfg.Policy()
}

// follow listens to the policy, as soon as there is one.
func (x *Exchange) follow() {
	p := x.policy()
	x.mu.Lock()
	known := x.watched
	x.mu.Unlock()
	if p == nil || p == known {
		return
	}
	stop := p.Watch(func(ev Event) {
		if ev.Kind == Excluded {
			rouse(x.wake)
		}
	})
	x.mu.Lock()
	was, closed := x.unwatch, x.closed
	x.watched, x.unwatch = p, stop
	x.mu.Unlock()
	if was != nil {
		was()
	}
	if closed {
		stop()
	}
}

// turn makes a secret if one is needed and nobody else has made one before it is
// this member's turn. One who is excluded makes none, which nobody would take.
func (x *Exchange) turn(now time.Time) {
	if p := x.policy(); p != nil && p.now.Load().verdicts.of(Subject{Peer: x.self, Key: x.desk.card.key}) != nil {
		return
	}
	e, have := x.cfg.Keyring.Epoch()
	x.mu.Lock()
	if have && e.number > x.renewed {
		x.renewing = false
	}
	needed := !have || x.renewing
	x.mu.Unlock()
	if !needed {
		needed = !x.covered(e, now)
	}
	next := uint64(1)
	if have {
		next = e.number + 1
	}
	x.mu.Lock()
	if !needed {
		x.stale = time.Time{}
	} else if x.stale.IsZero() {
		x.stale = now
	}
	since := x.stale
	x.mu.Unlock()
	if !needed || now.Sub(since) < x.wait(next, have) {
		return
	}
	if err := x.make(next, now); err != nil {
		x.log.Error("a secret of the group could not be made", "error", err)
		return
	}
	x.mu.Lock()
	x.stale = time.Time{}
	x.mu.Unlock()
	for _, p := range x.some(maxTell) {
		x.Meet(p)
	}
}

// covered reports whether the maker of the epoch knew all exclusions of peers and
// keys that are in force.
func (x *Exchange) covered(e *Epoch, now time.Time) bool {
	p := x.policy()
	if p == nil {
		return true
	}
	ids := excludedAt(p.state(), now)
	if len(ids) > maxCovered {
		ids = ids[len(ids)-maxCovered:]
	}
	known := make(map[Brief]bool, len(e.covers))
	for _, k := range e.covers {
		known[k] = true
	}
	return !slices.ContainsFunc(ids, func(k Brief) bool { return !known[k] })
}

// excludedAt lists the exclusions of peers and keys in force at a time.
func excludedAt(s *State, now time.Time) (list []Brief) {
	for i := range s.Exclusions {
		if e := &s.Exclusions[i]; e.At(now) && (!e.Act.Peer.IsZero() || e.Act.Key != nil) {
			list = append(list, e.ID.Brief())
		}
	}
	return list
}

// wait is how long this member leaves making a secret to others.
func (x *Exchange) wait(number uint64, have bool) time.Duration {
	rank, moderator := x.rank(number)
	d := min(time.Duration(rank)*turnTime, maxTurn)
	switch {
	case have:
	case moderator:
		d += aloneModerator
	default:
		d += aloneMember
	}
	return d
}

// rank returns how many come before this member in making an epoch.
func (x *Exchange) rank(number uint64) (rank int, moderator bool) {
	policy, moderators := x.policy(), x.cfg.Moderators
	if policy != nil {
		moderators = policy.state().Moderators
	}
	type maker struct {
		moderator bool
		hash      Hash
	}
	all := map[Hash]maker{}
	put := func(p id.Peer, moderator bool) {
		h := rankOf(number, p)
		if _, ok := all[h]; !ok && (policy == nil || policy.now.Load().verdicts.of(Subject{Peer: p}) == nil) {
			all[h] = maker{moderator, h}
		}
	}
	for _, m := range moderators {
		put(m.Peer, true)
	}
	if x.cfg.Members != nil {
		for _, p := range x.cfg.Members() {
			put(p, false)
		}
	}
	put(x.self, false)
	self, ok := all[rankOf(number, x.self)]
	if !ok {
		return len(all), false // excluded
	}
	for _, m := range all {
		if m.moderator != self.moderator {
			if m.moderator {
				rank++
			}
		} else if slices.Compare(m.hash[:], self.hash[:]) < 0 {
			rank++
		}
	}
	return rank, self.moderator
}

// make makes a secret and puts it on the ring.
func (x *Exchange) make(number uint64, now time.Time) error {
	var covers []Brief
	if p := x.policy(); p != nil {
		covers = excludedAt(p.state(), now)
	}
	e, err := NewEpoch(x.group, number, x.cfg.Identity, x.credential(), covers, now)
	if err != nil {
		return err
	}
	if _, err := x.cfg.Keyring.Install(e, now); err != nil {
		return err
	}
	x.stats.made.Add(1)
	x.log.Info("a secret of the group was made", "epoch", number)
	return nil
}

func (x *Exchange) credential() xmldoc.Node {
	if x.cfg.Credential == nil {
		return xmldoc.Node{}
	}
	return x.cfg.Credential()
}

// some returns up to n other members, by chance.
func (x *Exchange) some(n int) []id.Peer {
	var list []id.Peer
	if x.cfg.Members != nil {
		list = slices.Clone(x.cfg.Members())
	}
	policy, moderators := x.policy(), x.cfg.Moderators
	if policy != nil {
		moderators = policy.state().Moderators
	}
	for _, m := range moderators {
		list = append(list, m.Peer)
	}
	list = slices.DeleteFunc(list, func(p id.Peer) bool {
		return p == x.self || policy != nil && policy.now.Load().verdicts.of(Subject{Peer: p}) != nil
	})
	x.mu.Lock()
	defer x.mu.Unlock()
	x.chance.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	return list[:min(n, len(list))]
}

func (x *Exchange) takeWanted() []id.Peer {
	x.mu.Lock()
	defer x.mu.Unlock()
	n := min(len(x.wanted), max(maxFetching-len(x.fetching), 0))
	list := slices.Clone(x.wanted[:n])
	x.wanted = slices.Delete(x.wanted, 0, n)
	return list
}

// begin asks a member on a goroutine of its own.
func (x *Exchange) begin(p id.Peer) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.closed || x.fetching[p] || len(x.fetching) >= maxFetching {
		return
	}
	x.fetching[p] = true
	x.wg.Go(func() {
		x.fetch(p)
		x.mu.Lock()
		delete(x.fetching, p)
		x.mu.Unlock()
		rouse(x.wake)
	})
}

func rouse(wake chan struct{}) {
	select {
	case wake <- struct{}{}:
	default:
	}
}

// question makes a question about the present epoch.
func (x *Exchange) question() *keyQuery {
	q := &keyQuery{Card: x.desk.card}
	_, _ = crand.Read(q.Nonce[:])
	q.Hint = hintOf(x.group, q.Nonce[:])
	if e, ok := x.cfg.Keyring.Epoch(); ok {
		q.Number, q.Same = e.number, e.sameness(q.Nonce[:])
	}
	return q
}
