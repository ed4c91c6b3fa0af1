// Package discovery is the Peer Discovery Protocol: it publishes advertisements
// in a group and finds those of others.
//
// What a peer publishes stays in its own cache. It is found because its
// rendezvous is told by what it can be found (the shared resource distributed
// index, SRDI), within milliseconds; because neighbours hear a question
// directly; or because others hold a copy. Queries are answered by whoever holds
// something, straight to the asker, so [Service.Find] is a sequence that goes on
// until its context ends.
//
// JXTA v2 specification, "Peer Discovery Protocol", as JXSE 2.5 speaks it. These
// differences are on purpose: index entries are pushed at once and not every
// 30 s; a rendezvous that has fewer results than were asked for also asks the
// peers in its index, and the rendezvous that keeps the copies of the index; a
// question for one value walks past few rendezvous, one with a pattern past all;
// and edges that announced nothing are asked rather than passed over, since those
// of JXSE 2.7 never announce.
package discovery

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/advertisements/credential"
	"github.com/juxta-p2p/juxta/advertisements/store"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/protocols/rendezvous"
	"github.com/juxta-p2p/juxta/protocols/resolver"
	"github.com/juxta-p2p/juxta/protocols/resolver/budget"
	"github.com/juxta-p2p/juxta/protocols/resolver/srdi"
)

// Errors of this package.
var (
	// ErrNobody: nobody could be asked or told, for there is no rendezvous and
	// no neighbour.
	ErrNobody = resolver.ErrNobody
	// ErrNotFound: there is no such advertisement, or none came in time.
	ErrNotFound = errors.New("no such advertisement")
	// ErrQuery: a query that makes no sense, such as a value without attribute.
	ErrQuery = errors.New("invalid query")
	// ErrLifetime: a negative lifetime.
	ErrLifetime = errors.New("invalid lifetime")
	// ErrClosed: the service is closed.
	ErrClosed = errors.New("discovery is closed")
)

// handler is the name of the protocol in the resolver.
var handler = id.ClassDiscovery.String()

// Config configures a [Service]. It is copied.
type Config struct {
	// Resolver carries questions and answers in the group. Required.
	Resolver *resolver.Service

	// Store holds the advertisements of the group. Required; it may outlive the
	// service.
	Store *store.Scope

	// Registry reads advertisements; nil means [advertisements.Standard].
	Registry *advertisements.Registry

	// Self returns the peer's own advertisement in the group; it must not be
	// changed afterwards. It is the answer to the question who this peer is.
	// Required. Whoever changes it publishes it.
	Self func() *advertisements.Peer

	// Learn is called with the routes in advertisements of peers that were
	// asked for or that come from the peer itself, and on a rendezvous with the way
	// to a holder through the rendezvous that copied its entries here; nil ignores
	// them. It must not block.
	Learn func(*advertisements.Route)

	// Accept tells whether a peer may publish here what nobody asked for; nil
	// lets everybody, within the limits of this package and of the store.
	Accept func(from id.Peer) bool

	// Permit, if not nil, is asked before this peer publishes anything; its error is
	// returned. What goes to others the resolver asks about.
	Permit func(advertisements.Advertisement) error

	// Judge decides about advertisements that are found or come from others; its
	// error drops them. Nil takes unsigned ones, and signed ones that are signed well;
	// see [advertisements.Policy]. What a peer says about itself over its own link is
	// taken even if an error wraps [advertisements.ErrUnsigned].
	Judge func(advertisements.Advertisement) (advertisements.Verdict, error)

	// Coalesce is how long changes wait for others after an index message was
	// sent, so as to travel together. It doubles with each message of a series, up
	// to 2 s; the first change after a second of quiet does not wait. Zero means
	// 2 ms.
	Coalesce time.Duration

	// Announce is how long copies of others' advertisements wait to be
	// announced. Zero means 30 s, as in JXSE.
	Announce time.Duration

	// Rand makes choices repeatable; nil draws from the system.
	Rand *rand.Rand

	// Logger may be nil.
	Logger *slog.Logger
}

// Service publishes and finds advertisements in one group. Its methods are safe
// for concurrent use. Close it when done, before the resolver.
type Service struct {
	cfg    Config
	res    *resolver.Service
	rdv    *rendezvous.Service
	store  *store.Scope
	self   id.Peer
	log    *slog.Logger
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup
	remove func() // the handler
	stats  counters

	index   *srdi.Keeper // what clients and others hold, for a rendezvous
	teller  teller       // of what is here
	unwatch func()

	askers, victims, publishers budget.Budget

	mu      sync.Mutex
	closed  bool
	delayed int
	rng     *rand.Rand
}

// New starts the service.
func New(cfg Config) (*Service, error) {
	switch {
	case cfg.Resolver == nil:
		return nil, errors.New("discovery: Config.Resolver is not set")
	case cfg.Store == nil:
		return nil, errors.New("discovery: Config.Store is not set")
	case cfg.Self == nil:
		return nil, errors.New("discovery: Config.Self is not set")
	}
	if cfg.Registry == nil {
		cfg.Registry = advertisements.Standard()
	}
	if cfg.Learn == nil {
		cfg.Learn = func(*advertisements.Route) {}
	}
	if cfg.Accept == nil {
		cfg.Accept = func(id.Peer) bool { return true }
	}
	if cfg.Judge == nil {
		cfg.Judge = func(adv advertisements.Advertisement) (advertisements.Verdict, error) {
			return advertisements.AcceptUnsigned.Judge(adv, credential.Rules{})
		}
	}
	if cfg.Coalesce <= 0 {
		cfg.Coalesce = pushAfter
	}
	if cfg.Announce <= 0 {
		cfg.Announce = lazyPush
	}
	if cfg.Rand == nil {
		cfg.Rand = rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Service{
		cfg: cfg, res: cfg.Resolver, rdv: cfg.Resolver.Rendezvous(), store: cfg.Store, self: cfg.Resolver.Peer(),
		log: cfg.Logger, rng: cfg.Rand,
		askers: budget.Budget{Rate: askerRate, Burst: askerBurst}, victims: budget.Budget{Rate: victimRate, Burst: victimBurst},
		publishers: budget.Budget{Rate: publishRate, Burst: publishBurst},
	}
	s.teller.s, s.teller.pace.first = s, cfg.Coalesce
	s.ctx, s.cancel = context.WithCancel(context.Background())
	var err error
	s.index, err = srdi.New(srdi.Config{
		Resolver: s.res, Handler: handler, Knows: isStore, Own: s.own, Came: s.came, Learn: cfg.Learn, Logger: cfg.Logger,
	})
	if err != nil {
		s.cancel()
		return nil, fmt.Errorf("discovery: %w", err)
	}
	s.remove, err = s.res.Register(s.ctx, handler, resolver.Handler{
		Query: s.receiveQuery, Response: s.receiveResponse, Index: s.index.Receive,
	})
	if err != nil {
		s.index.Close()
		s.cancel()
		return nil, fmt.Errorf("discovery: %w", err)
	}
	s.unwatch = s.rdv.Watch(s.changed)
	if _, ok := s.rdv.Lease(); ok || s.rdv.Role() == rendezvous.Rendezvous {
		s.announceAll()
	}
	return s, nil
}

// changed has everything announced where it is not known yet. It is called by
// whoever changes the lease or the role and does not wait.
func (s *Service) changed(ev rendezvous.Event) {
	if ev.Kind == rendezvous.Leased || ev.Kind == rendezvous.RoleChanged {
		s.announceAll()
	}
}

// Close ends what is under way, and returns when no goroutine of the service is
// left. A running Find ends with [ErrClosed]. The store stays open. It returns
// nil, also when called again.
func (s *Service) Close() error {
	s.remove()
	s.unwatch()
	s.teller.stop()
	s.quit()
	s.index.Close()
	return nil
}

// quit lets nothing begin, ends what is under way and waits for it.
func (s *Service) quit() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.cancel()
	s.wg.Wait()
}

// begin keeps the service from closing until end is called. It reports false
// if it is closed.
func (s *Service) begin() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.wg.Add(1)
	return true
}

func (s *Service) end() { s.wg.Done() }

// Index returns what the peers that lease here have announced, as a rendezvous
// knows it.
func (s *Service) Index() store.IndexStats { return s.index.Stats().Clients }

// Keeper returns what happened to the index that this peer keeps, as a
// rendezvous, for the group.
func (s *Service) Keeper() srdi.Stats { return s.index.Stats() }

// Copies returns what other rendezvous have copied here, see package srdi.
func (s *Service) Copies() store.IndexStats { return s.index.Stats().Copies }

type counters struct {
	queries, answered, forwarded, results, published, pushed, again, excess, shortened atomic.Uint64
	signed, unsigned, badlySigned                                                      atomic.Uint64
	malformed, unasked, overBudget, mismatch, refused, unsent                          atomic.Uint64
}

// Stats counts what a service did since it was made.
type Stats struct {
	Queries, Answered, Forwarded uint64 // queries that came in; answered from the cache; given to holders
	Results                      uint64 // advertisements that came as answers and were taken
	Published                    uint64 // advertisements that came unasked and were taken
	Signed                       uint64 // of these taken, the signed ones
	Pushed                       uint64 // index messages sent
	AskedAgain                   uint64 // own questions put a second time, see Service.Find

	Indexed  uint64 // index entries taken from others
	Copied   uint64 // of these, copies that another rendezvous keeps here
	Replaced uint64 // entries copied anew to other rendezvous, since the view changed or a day is over
	Waited   uint64 // queries that found nothing and were remembered for a moment
	Came     uint64 // holders that turned up for them
	Queued   int    // index entries that wait to be copied to other rendezvous

	DroppedMalformed    uint64 // documents that cannot be read
	DroppedUnasked      uint64 // answers to nothing we ask now, or publications not accepted
	DroppedOverBudget   uint64 // beyond what one peer may have us do
	DroppedForeignIndex uint64 // index messages from somebody who may not speak for the holder
	DroppedMismatch     uint64 // advertisements that do not fit the question
	DroppedRefused      uint64 // advertisements or index entries for which there is no room
	DroppedUnsigned     uint64 // advertisements that nobody signed, where the group refuses them
	DroppedBadlySigned  uint64 // advertisements with a wrong signature or credential, or by another peer than they describe
	DroppedExcess       uint64 // results of own questions beyond what one Find remembers
	DroppedLarge        uint64 // results left out of answers since the message would be too large
	DroppedWaiting      uint64 // queries that were not remembered, or holders not asked, for want of room
	Unsent              uint64 // answers and index messages that could not be sent
	UnsentEntries       uint64 // index entries that could not be copied to another rendezvous
	Outdated            uint64 // index entries not copied since this peer is no rendezvous any more
}

// Stats returns the counters.
func (s *Service) Stats() Stats {
	c, x := &s.stats, s.index.Stats()
	return Stats{
		Queries: c.queries.Load(), Answered: c.answered.Load(), Forwarded: c.forwarded.Load(),
		Results: c.results.Load(), Published: c.published.Load(), Pushed: c.pushed.Load() + x.Sent,
		AskedAgain: c.again.Load(),
		Indexed:    x.Indexed, Copied: x.Copied, Replaced: x.Replaced, Waited: x.Waited, Came: x.Came, Queued: x.Queued,
		DroppedMalformed: c.malformed.Load() + x.DroppedMalformed, DroppedUnasked: c.unasked.Load(),
		DroppedOverBudget: c.overBudget.Load() + x.DroppedOverBudget, DroppedForeignIndex: x.DroppedForeign,
		Signed: c.signed.Load(), DroppedUnsigned: c.unsigned.Load(), DroppedBadlySigned: c.badlySigned.Load(),
		DroppedMismatch: c.mismatch.Load(), DroppedRefused: c.refused.Load() + x.DroppedRefused,
		DroppedExcess: c.excess.Load(), DroppedLarge: c.shortened.Load(),
		DroppedWaiting: x.DroppedWaiting, Unsent: c.unsent.Load(), UnsentEntries: x.Unsent, Outdated: x.Outdated,
	}
}

// dropped counts a message of another peer that cannot be read.
func (s *Service) dropped(what string, from id.Peer, err error) {
	s.stats.malformed.Add(1)
	s.log.Debug(what+" dropped", "from", from.Short(), "error", err)
}
