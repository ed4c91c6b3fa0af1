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
// JXTA v2 specification, "Peer Discovery Protocol", as JXSE 2.5 speaks it. Three
// differences are on purpose: index entries are pushed at once and not every
// 30 s; a rendezvous whose own cache has fewer results than were asked for also
// asks the peers in its index; and edges that announced nothing are asked rather
// than passed over, since those of JXSE 2.7 never announce.
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
	"github.com/juxta-p2p/juxta/advertisements/store"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/protocols/rendezvous"
	"github.com/juxta-p2p/juxta/protocols/resolver"
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
	// asked for or that come from the peer itself; nil ignores them.
	Learn func(*advertisements.Route)

	// Accept tells whether a peer may publish here what nobody asked for; nil
	// lets everybody, within the limits of this package and of the store.
	Accept func(from id.Peer) bool

	// View returns the other rendezvous that this one knows, among which index
	// entries are replicated if they are at least two; nil means none.
	View func() []id.Peer

	// Coalesce is how long changes wait for others after an index message was
	// sent, so as to travel together; the first after a pause does not wait.
	// Zero means 2 ms.
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

	index    *store.Index // what clients hold, for a rendezvous
	replicas *store.Index // what others' clients hold, for a rendezvous among several

	kick chan struct{} // something is to be announced
	lazy chan struct{} // something may be announced some time
	full atomic.Bool   // everything is to be announced

	copies outbox // replicas on their way

	askers, victims, pushers, publishers budget

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
	if cfg.View == nil {
		cfg.View = func() []id.Peer { return nil }
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
		index: store.NewIndex(store.IndexConfig{}), replicas: store.NewIndex(store.IndexConfig{}),
		kick: make(chan struct{}, 1), lazy: make(chan struct{}, 1),
		askers: budget{rate: askerRate, burst: askerBurst}, victims: budget{rate: victimRate, burst: victimBurst},
		pushers: budget{rate: pushRate, burst: pushBurst}, publishers: budget{rate: publishRate, burst: publishBurst},
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	events := s.rdv.Events(s.ctx)
	var err error
	s.remove, err = s.res.Register(s.ctx, handler, resolver.Handler{
		Query: s.receiveQuery, Response: s.receiveResponse, Index: s.receiveIndex,
	})
	if err != nil {
		s.cancel()
		return nil, fmt.Errorf("discovery: %w", err)
	}
	if _, ok := s.rdv.Lease(); ok {
		s.announceAll()
	}
	s.wg.Go(func() {
		for ev := range events {
			s.changed(ev)
		}
	})
	s.wg.Go(s.run)
	return s, nil
}

// changed adapts the index, here or at the rendezvous, to a change of leases.
func (s *Service) changed(ev rendezvous.Event) {
	switch ev.Kind {
	case rendezvous.Leased:
		s.announceAll()
	case rendezvous.ClientLeft:
		s.index.RemoveHolder(ev.Peer)
	case rendezvous.ClientStayed:
		s.index.Renew(ev.Peer)
	}
}

// Close ends what is under way, and returns when no goroutine of the service is
// left. A running Find ends with [ErrClosed]. The store stays open. It returns
// nil, also when called again.
func (s *Service) Close() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.remove()
	s.cancel()
	s.wg.Wait()
	return nil
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
func (s *Service) Index() store.IndexStats { return s.index.Stats() }

type counters struct {
	queries, answered, forwarded, results, published, pushed, indexed       atomic.Uint64
	malformed, unasked, overBudget, foreignIndex, mismatch, refused, unsent atomic.Uint64
}

// Stats counts what a service did since it was made.
type Stats struct {
	Queries, Answered, Forwarded uint64 // queries that came in; answered from the cache; given to holders
	Results                      uint64 // advertisements that came as answers and were taken
	Published                    uint64 // advertisements that came unasked and were taken
	Pushed                       uint64 // index messages sent
	Indexed                      uint64 // index entries taken from others

	DroppedMalformed    uint64 // documents that cannot be read
	DroppedUnasked      uint64 // answers to nothing we ask now, or publications not accepted
	DroppedOverBudget   uint64 // beyond what one peer may have us do
	DroppedForeignIndex uint64 // index entries from somebody who may not speak for the holder
	DroppedMismatch     uint64 // advertisements that do not fit the question
	DroppedRefused      uint64 // advertisements or index entries for which there is no room
	Unsent              uint64 // answers and index messages that could not be sent
}

// Stats returns the counters.
func (s *Service) Stats() Stats {
	c := &s.stats
	return Stats{
		Queries: c.queries.Load(), Answered: c.answered.Load(), Forwarded: c.forwarded.Load(),
		Results: c.results.Load(), Published: c.published.Load(), Pushed: c.pushed.Load(), Indexed: c.indexed.Load(),
		DroppedMalformed: c.malformed.Load(), DroppedUnasked: c.unasked.Load(), DroppedOverBudget: c.overBudget.Load(),
		DroppedForeignIndex: c.foreignIndex.Load(), DroppedMismatch: c.mismatch.Load(), DroppedRefused: c.refused.Load(),
		Unsent: c.unsent.Load(),
	}
}

// dropped counts a message of another peer that cannot be read.
func (s *Service) dropped(what string, from id.Peer, err error) {
	s.stats.malformed.Add(1)
	s.log.Debug(what+" dropped", "from", from.Short(), "error", err)
}
