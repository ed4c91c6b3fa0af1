// Package rendezvous is the Rendezvous Protocol: it spreads messages through a
// group. Edges hold a lease at a rendezvous and send through it; rendezvous
// grant leases; ad hoc peers reach only their neighbourhood.
//
// JXTA v2 specification, "Rendezvous Protocol", as JXSE 2.5 speaks it.
package rendezvous

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/event"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/protocols/rendezvous/peerview"
)

// Role is what a peer is in its group.
type Role uint8

// The roles. The zero value is an edge.
const (
	Edge       Role = iota // leases at a rendezvous
	Rendezvous             // grants leases
	AdHoc                  // reaches the neighbourhood only
)

// String returns the name of the role as the shell shows it.
func (r Role) String() string {
	switch r {
	case Rendezvous:
		return "rendezvous"
	case AdHoc:
		return "adhoc"
	}
	return "edge"
}

// Names of the services and elements of the protocol.
const (
	propagateService = "JxtaPropagate"
	elemPropagate    = "RendezVousPropagate" // + unique value of the group
	elemConnect      = "Connect"
	elemDisconnect   = "Disconnect"
	elemReply        = "RdvAdvReply"
	elemPeer         = "ConnectedPeer"
	elemLease        = "ConnectedLease"
)

// Config configures a [Service]. It is copied.
type Config struct {
	// Scope is the endpoint in the group. Required.
	Scope endpoint.Scope

	// Role is what this peer is in the group at first; see [Service.SetRole].
	Role Role

	// Advertisement returns the peer's advertisement in the group; it must not
	// be changed afterwards. Required.
	Advertisement func() *advertisements.Peer

	// Seeds returns the addresses of rendezvous to try, in any order: of a
	// transport, or jxta:// ones that are routed. Nil or empty means none. It is
	// called often and must not wait.
	Seeds func() []endpoint.Address

	// Auto is for how long, give or take a half, an edge may be without a lease
	// before it becomes a rendezvous, and how often a rendezvous looks whether it
	// is needed; one that is not becomes an edge. Zero means that the role
	// changes by [Service.SetRole] alone, as with JXSE unless it is told to.
	Auto time.Duration

	// Near returns neighbours to reach by link in addition to broadcast
	// transports; nil means none.
	Near func() []id.Peer

	// Met is called with each advertisement that came with a lease, to be kept
	// for life and not to be given to others; nil ignores them. It must not block.
	Met func(adv *advertisements.Peer, life time.Duration)

	// MetRendezvous is called with the advertisement of each rendezvous that comes
	// into the view or is heard of again, if this is one; nil ignores them. It must
	// not block.
	MetRendezvous func(*advertisements.Rendezvous)

	// Connect opens a link to a peer of which an address is known, and asks nobody
	// for it; see routing.Router. nil means that messages are sent through the
	// router and no spare rendezvous is kept.
	Connect func(ctx context.Context, p id.Peer) (endpoint.Link, error)

	// Learn and Hear are called with the routes to rendezvous: those that told
	// them themselves, and those that others told of. nil ignores them.
	Learn, Hear func(*advertisements.Route)

	// Shout gives a message to the propagate pipe of the view, see
	// [peerview.PipeID]; nil means that there is none.
	Shout func(ctx context.Context, msg *message.Message)

	// Accept tells whether a peer may be a rendezvous of this group: in the view,
	// or to lease from. nil accepts all. It must not wait.
	Accept func(id.Peer) bool

	// Lease is granted to edges. Zero means 20 minutes, the most is a day.
	Lease time.Duration

	// MaxClients bounds the leases granted. Zero means [DefaultMaxClients].
	MaxClients int

	// Rand makes jitter and choices repeatable; nil draws from the system.
	Rand *rand.Rand

	// Logger may be nil.
	Logger *slog.Logger
}

// Event tells a change of this peer's relations in the group.
type Event struct {
	Kind EventKind
	Peer id.Peer // the rendezvous, the client or the neighbour
}

// EventKind says what happened.
type EventKind uint8

// What can happen.
const (
	Leased       EventKind = iota + 1 // a rendezvous granted a lease
	Renewed                           // and prolonged it
	Lost                              // it ended, or the rendezvous said goodbye or vanished
	ClientJoined                      // an edge took a lease here
	ClientStayed                      // and renewed it
	ClientLeft                        // it said goodbye, vanished or let the lease run out
	NeighbourUp                       // there is a link to one more neighbour, see Config.Near
	RoleChanged                       // this peer is an edge or a rendezvous from now on, see Service.Role
	ViewJoined                        // one more rendezvous is in the view of this one
	ViewLeft                          // one less
)

// String returns the name of the kind.
func (k EventKind) String() string {
	names := [...]string{"", "leased", "renewed", "lost", "client joined", "client stayed", "client left", "neighbour up", "role changed", "view joined", "view left"}
	if int(k) < len(names) {
		return names[k]
	}
	return fmt.Sprintf("event %d", uint8(k))
}

// ErrNobody is the cause when a message could not be given to any other peer:
// there is no lease, no client and no neighbourhood.
var ErrNobody = errors.New("no rendezvous and no neighbour to send through")

// Service spreads messages in one group. Its methods are safe for concurrent
// use. Close it when done.
type Service struct {
	cfg    Config
	scope  endpoint.Scope
	ep     *endpoint.Endpoint
	self   id.Peer
	group  id.Group
	param  string // unique value of the group
	elem   string // name of the element with the propagation header
	log    *slog.Logger
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup
	undo   []func()
	events event.Hub[Event]
	stats  counters
	kick   chan struct{} // wakes the run loop
	auto   atomic.Int64  // Config.Auto

	role    atomic.Uint32
	view    atomic.Pointer[peerview.View] // of a rendezvous
	turn    sync.Mutex                    // held while the role changes; taken before mu
	unserve func()                        // ends being a rendezvous; guarded by turn

	mu      sync.Mutex
	closed  bool
	tasks   int
	rng     *rand.Rand
	asked   map[id.Peer]time.Time
	lease   *lease
	added   []endpoint.Address           // seeds
	others  []*advertisements.Rendezvous // that an edge was told of
	warm    id.Peer                      // the spare one, to which there is a link
	warmed  time.Time                    // when one was looked for
	warming bool
	named   int                                    // others known after the last grant
	topped  time.Time                              // when further ones were asked for
	moving  id.Peer                                // asked because the present one is crowded
	queue   []endpoint.Address                     // to be asked in this round
	round   time.Time                              // when the next round may begin
	failed  int                                    // rounds of asking in a row that brought nothing
	clients map[id.Peer]*client                    // of a rendezvous
	members map[id.Peer]*advertisements.Rendezvous // of the view
	told    map[id.Peer]time.Time                  // peers that were told that they have no lease
	chosen  bool                                   // the role was set, and is not to change by itself
	alone   time.Time                              // when to decide about the role
	idle    int                                    // decisions in a row without clients

	last    atomic.Pointer[lastHeader] // of what was propagated here
	pmu     sync.Mutex
	paths   map[id.Peer]*endpoint.Path // of what is given to single peers; pmu guards it
	seen    seen                       // propagated messages
	walked  seen                       // walking messages
	sources sources
}

type counters struct {
	sent, unsent, received, malformed, duplicate, expired, overRate, noListener, refused, turnedAway, badLease, busy, noHop, unsentLease atomic.Uint64
}

// Stats counts what a service did since it was made.
type Stats struct {
	Sent, Unsent      uint64 // copies given to other peers; copies that could not be given
	Received          uint64 // propagated and walking messages that came in
	DroppedMalformed  uint64 // of these: without readable header
	DroppedDuplicate  uint64 // seen before
	DroppedExpired    uint64 // no hop left, or too long a way
	DroppedOverRate   uint64 // from a neighbour that sends too much
	DroppedNoListener uint64 // for a service that is not here
	LeasesRefused     uint64 // requests beyond the limit of clients
	LeasesDenied      uint64 // own requests that a rendezvous refused
	LeasesIgnored     uint64 // grants, requests and referrals that were not in order
	UnsentLease       uint64 // grants, refusals, renewals and goodbyes that could not be sent
	DroppedNoHop      uint64 // messages not passed on since they had no hop left
	DroppedEvents     uint64 // events that readers of [Service.Events] were too slow for
	DroppedBusy       uint64 // requests not made because too many were under way
}

// Stats returns the counters.
func (s *Service) Stats() Stats {
	c := &s.stats
	return Stats{
		Sent: c.sent.Load(), Unsent: c.unsent.Load(), Received: c.received.Load(), DroppedMalformed: c.malformed.Load(),
		DroppedDuplicate: c.duplicate.Load(), DroppedExpired: c.expired.Load(), DroppedOverRate: c.overRate.Load(),
		DroppedNoListener: c.noListener.Load(), LeasesRefused: c.refused.Load(), LeasesIgnored: c.badLease.Load(),
		LeasesDenied: c.turnedAway.Load(), UnsentLease: c.unsentLease.Load(), DroppedNoHop: c.noHop.Load(),
		DroppedEvents: s.events.Lost(), DroppedBusy: c.busy.Load(),
	}
}

// New starts the service. An edge asks for its first lease at once.
func New(cfg Config) (*Service, error) {
	if cfg.Advertisement == nil {
		return nil, errors.New("rendezvous: Config.Advertisement is not set")
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Seeds == nil {
		cfg.Seeds = func() []endpoint.Address { return nil }
	}
	if cfg.Near == nil {
		cfg.Near = func() []id.Peer { return nil }
	}
	if cfg.Learn == nil {
		cfg.Learn = func(*advertisements.Route) {}
	}
	if cfg.Hear == nil {
		cfg.Hear = func(*advertisements.Route) {}
	}
	if cfg.MetRendezvous == nil {
		cfg.MetRendezvous = func(*advertisements.Rendezvous) {}
	}
	if cfg.Accept == nil {
		cfg.Accept = func(id.Peer) bool { return true }
	}
	if cfg.Met == nil {
		cfg.Met = func(*advertisements.Peer, time.Duration) {}
	}
	if cfg.Lease <= 0 {
		cfg.Lease = defaultLease
	}
	cfg.Lease = min(cfg.Lease, 24*time.Hour)
	if cfg.MaxClients <= 0 {
		cfg.MaxClients = DefaultMaxClients
	}
	if cfg.Rand == nil {
		cfg.Rand = rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))
	}
	s := &Service{
		cfg: cfg, scope: cfg.Scope, ep: cfg.Scope.Endpoint(), self: cfg.Scope.Peer(), group: cfg.Scope.Group(),
		param: cfg.Scope.Group().Unique(), elem: elemPropagate + cfg.Scope.Group().Unique(), log: cfg.Logger, kick: make(chan struct{}, 1),
		clients: map[id.Peer]*client{}, rng: cfg.Rand,
	}
	s.auto.Store(int64(cfg.Auto))
	s.seen.init(seenEdge)
	s.walked.init(0)
	s.ctx, s.cancel = context.WithCancel(context.Background())
	first := cfg.Role
	if first == Rendezvous {
		first = Edge // until everything is ready
	}
	s.role.Store(uint32(first))
	if err := s.listen(propagateService, s.param, s.receive); err != nil {
		return nil, err
	}
	if cfg.Role == AdHoc {
		return s, nil
	}
	if err := s.listen(id.ClassRendezvous.String(), "", s.receiveLease); err != nil {
		return nil, err
	}
	s.undo = append(s.undo, s.ep.Watch(s.linkChanged))
	if cfg.Role == Rendezvous {
		if err := s.change(Rendezvous, false); err != nil {
			s.Close()
			return nil, err
		}
	}
	s.wg.Go(s.run)
	return s, nil
}

func (s *Service) listen(service, param string, h endpoint.Handler) error {
	remove, err := s.scope.Handle(service, param, h)
	if err != nil {
		for _, f := range s.undo {
			f()
		}
		s.cancel()
		return err
	}
	s.undo = append(s.undo, remove)
	return nil
}

// Close says goodbye to the rendezvous, the clients and the view, and returns
// when no goroutine is left. It takes two seconds at most.
func (s *Service) Close() {
	s.turn.Lock()
	defer s.turn.Unlock()
	if s.ctx.Err() != nil {
		s.wg.Wait()
		return
	}
	s.goodbye()
	if s.unserve != nil {
		s.unserve()
	}
	for _, f := range s.undo {
		f()
	}
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.cancel()
	s.wg.Wait()
}

// task runs f on a goroutine of its own, unless too many do; it is waited for by
// Close. It reports whether it does.
func (s *Service) task(f func(ctx context.Context)) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.taskLocked(f)
}

// taskLocked is task for callers that hold s.mu.
func (s *Service) taskLocked(f func(ctx context.Context)) bool {
	if s.closed {
		return false
	}
	if s.tasks >= maxTasks {
		s.stats.busy.Add(1)
		return false
	}
	s.tasks++
	s.wg.Go(func() {
		f(s.ctx)
		s.mu.Lock()
		s.tasks--
		s.mu.Unlock()
	})
	return true
}

// fork makes a source of chance that is used by another goroutine.
func (s *Service) fork() *rand.Rand {
	s.mu.Lock()
	defer s.mu.Unlock()
	return rand.New(rand.NewPCG(s.rng.Uint64(), s.rng.Uint64()))
}

func now() time.Time { return time.Now() }

// Events yields what happens from now on, until ctx ends; see [event.Hub] for
// what a reader that lags loses. The sequence is single-use.
func (s *Service) Events(ctx context.Context) iter.Seq[Event] { return s.events.Subscribe(ctx) }

// Watch has f called with what happens from now on, until stop is called: in
// order, by whoever made it happen, so f must not wait. Unlike a reader of
// [Service.Events] it costs no goroutine and loses nothing.
func (s *Service) Watch(f func(Event)) (stop func()) { return s.events.Watch(f) }

// Neighbour says that Config.Near has a peer more. Whoever waits for answers of
// the group may want to ask it, too.
func (s *Service) Neighbour(p id.Peer) { s.tell(NeighbourUp, p) }

// Connected reports whether the peer has a way to the rest of the group: an
// edge its lease, a rendezvous itself, an ad hoc peer a neighbourhood.
func (s *Service) Connected() bool {
	switch s.Role() {
	case Rendezvous:
		return true
	case AdHoc:
		return len(s.cfg.Near()) > 0 || s.broadcasts()
	}
	_, ok := s.Lease()
	return ok
}

func (s *Service) broadcasts() bool {
	return slices.ContainsFunc(s.ep.Transports(), func(t endpoint.Transport) bool {
		_, ok := t.(endpoint.Broadcaster)
		return ok
	})
}

func (s *Service) wake() {
	select {
	case s.kick <- struct{}{}:
	default:
	}
}

// run is the owner of what happens by the clock.
func (s *Service) run() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-timer.C:
		case <-s.kick:
		}
		again := s.look()
		var next time.Duration
		if s.Role() == Rendezvous {
			next = s.sweepClients()
		} else {
			next = s.upkeep()
		}
		if again > 0 {
			next = min(next, again)
		}
		timer.Reset(next)
	}
}

// WaitConnected returns when the peer has a way to the rest of the group, see
// [Service.Connected], or with ctx's cause.
func (s *Service) WaitConnected(ctx context.Context) error {
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	events := s.Events(inner)
	if s.Connected() {
		return nil
	}
	for range events {
		if s.Connected() {
			return nil
		}
	}
	return fmt.Errorf("rendezvous: not connected: %w", context.Cause(ctx))
}
