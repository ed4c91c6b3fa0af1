// Package pipe is the Pipe Binding Protocol: channels that are named by an
// advertisement and bound to peers at run time.
//
// Whoever listens on a pipe gets an [Input]; whoever dials it gets an [Output].
// A unicast pipe leads to one peer that listens, and moves to another one when
// that peer goes away. A propagate pipe leads to every peer of the group that
// listens. Neither acknowledges anything: a message may be lost with a peer or
// a link, but the messages of one sender come in the order sent.
//
// JXTA v2 specification, "Pipe Binding Protocol", as JXSE 2.5 speaks it.
package pipe

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/advertisements/store"
	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/protocols/rendezvous"
	"github.com/juxta-p2p/juxta/protocols/resolver"
)

// Errors of this package.
var (
	// ErrTaken: this peer has an input pipe of that ID already.
	ErrTaken = errors.New("this peer listens on the pipe already")
	// ErrNoListener: no peer was found that listens on the pipe. Dialling
	// returns a *[ResolveError] that wraps it.
	ErrNoListener = errors.New("no peer was found that listens on the pipe")
	// ErrNobody: there is nobody to ask or to send to: no rendezvous, no client
	// and no neighbourhood.
	ErrNobody = rendezvous.ErrNobody
	// ErrClosed: the pipe or the service is closed.
	ErrClosed = errors.New("pipe is closed")
	// ErrSecure: pipes of type [advertisements.UnicastSecure] need end-to-end
	// encryption, which this service does not do.
	ErrSecure = errors.New("secure pipes are not served here")
	// ErrType: the advertisement names a type of pipe that nobody knows, or one
	// for which the call makes no sense.
	ErrType = errors.New("type of pipe not usable")

	errNoHeader = errors.New("message of a propagate pipe without header")
)

const (
	handlerName = "JxtaPipeResolver"
	pipeService = "PipeService"
	wireService = "jxta.service.wirepipe"
	fieldID     = "Id"
)

// Config configures a [Service]. It is copied.
type Config struct {
	// Scope is the endpoint in the group. Required.
	Scope endpoint.Scope

	// Resolver carries the questions who listens. Its rendezvous service
	// carries the messages of propagate pipes. Required.
	Resolver *resolver.Service

	// Self returns the own peer advertisement, which goes along with answers so
	// that whoever asked can reach this peer; it must not be changed
	// afterwards. nil leaves it out.
	Self func() *advertisements.Peer

	// Learn is called with the routes in answers to own questions; each is of
	// the peer that answered. nil ignores them. It must not block.
	Learn func(*advertisements.Route)

	// Replica returns the rendezvous that keeps the index entries of a key: the
	// type of a pipe, "Id" and the pipe ID in one. ok is false if none other
	// than this peer does. nil keeps everything here.
	Replica func(key string) (p id.Peer, ok bool)

	// Trusted reports whether a peer may push index entries of others, as the
	// rendezvous of the group do for replication. nil trusts nobody.
	Trusted func(p id.Peer) bool

	// Queue bounds the messages that wait in an input pipe. Zero means 1024.
	Queue int

	// QueueBytes bounds their size in octets; a single larger message is still
	// taken. Zero means 16 MiB.
	QueueBytes int64

	// Logger may be nil.
	Logger *slog.Logger
}

// Service is the pipe service of one group. Its methods are safe for concurrent
// use. Close it when done, before the resolver.
type Service struct {
	cfg    Config
	scope  endpoint.Scope
	ep     *endpoint.Endpoint
	res    *resolver.Service
	rdv    *rendezvous.Service
	self   id.Peer
	param  string // unique value of the group
	log    *slog.Logger
	ctx    context.Context
	cancel context.CancelCauseFunc
	wg     sync.WaitGroup
	undo   []func()
	index  *store.Index
	stats  counters
	seed   maphash.Seed
	lanes  [lanes]lane            // relay, each its share of the propagate pipes
	copies lane                   // replicates index entries
	last   atomic.Pointer[header] // the header that came last

	mu       sync.Mutex
	closed   bool
	minding  bool // upkeep runs
	inputs   map[id.Pipe]*Input
	outputs  map[id.Pipe]map[*Output]struct{}
	searches map[int32]*search

	wmu     sync.Mutex // guards the rest
	wires   map[id.Pipe]*wire
	relayed *list.List // of *wire without a listener, latest first
	slow    map[id.Peer]time.Time
}

type counters struct {
	queries, answers, refusals, malformed, hostile, indexed, notIndexed atomic.Uint64
	relayed, relayFull, relaySlow, wireReceived, duplicate, noListener  atomic.Uint64
	moves, searches, unsent                                             atomic.Uint64
}

// Stats counts what a service did since it was made.
type Stats struct {
	Queries, Answers  uint64 // received
	Refusals          uint64 // answers sent that a pipe is not open here
	Searches          uint64 // for a peer that listens, dialling included
	Moves             uint64 // output pipes that went over to another peer
	DroppedMalformed  uint64 // queries, answers, pushes and headers that cannot be read
	DroppedHostile    uint64 // answers and pushes in the name of another peer
	IndexEntries      int    // entries that peers have pushed here and are kept
	Indexed           uint64 // entries pushed
	IndexRefused      uint64 // of these, those that were not kept
	WireReceived      uint64 // messages of propagate pipes that came in
	WireDuplicates    uint64 // of these, those seen before
	WireNoListener    uint64 // of these, those for a pipe that is not open here, on a peer that does not relay
	Relayed           uint64 // copies given to listeners and rendezvous on behalf of others
	RelayDroppedFull  uint64 // messages not relayed because too many were waiting
	RelayDroppedSlow  uint64 // copies not given because the listener took too long, or had a moment ago
	Unsent            uint64 // copies of own messages that one listener did not get
	RelayedPipesKnown int    // propagate pipes without a listener here of which something is remembered
}

// Stats returns the counters.
func (s *Service) Stats() Stats {
	c := &s.stats
	s.wmu.Lock()
	known := s.relayed.Len()
	s.wmu.Unlock()
	return Stats{
		Queries: c.queries.Load(), Answers: c.answers.Load(), Refusals: c.refusals.Load(), Searches: c.searches.Load(),
		Moves: c.moves.Load(), DroppedMalformed: c.malformed.Load(), DroppedHostile: c.hostile.Load(),
		IndexEntries: s.index.Count(), Indexed: c.indexed.Load(), IndexRefused: c.notIndexed.Load(),
		WireReceived: c.wireReceived.Load(), WireDuplicates: c.duplicate.Load(), WireNoListener: c.noListener.Load(),
		Relayed: c.relayed.Load(), RelayDroppedFull: c.relayFull.Load(), RelayDroppedSlow: c.relaySlow.Load(),
		Unsent: c.unsent.Load(), RelayedPipesKnown: known,
	}
}

// New starts the service.
func New(cfg Config) (*Service, error) {
	if cfg.Resolver == nil {
		return nil, errors.New("pipe: Config.Resolver is not set")
	}
	if cfg.Learn == nil {
		cfg.Learn = func(*advertisements.Route) {}
	}
	if cfg.Replica == nil {
		cfg.Replica = func(string) (id.Peer, bool) { return id.Peer{}, false }
	}
	if cfg.Trusted == nil {
		cfg.Trusted = func(id.Peer) bool { return false }
	}
	if cfg.Queue <= 0 {
		cfg.Queue = defaultQueue
	}
	if cfg.QueueBytes <= 0 {
		cfg.QueueBytes = defaultQueueBytes
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Service{
		cfg: cfg, scope: cfg.Scope, ep: cfg.Scope.Endpoint(), res: cfg.Resolver, rdv: cfg.Resolver.Rendezvous(),
		self: cfg.Scope.Peer(), param: cfg.Scope.Group().Unique(), log: cfg.Logger,
		index: store.NewIndex(store.IndexConfig{}), seed: maphash.MakeSeed(),
		inputs: map[id.Pipe]*Input{}, outputs: map[id.Pipe]map[*Output]struct{}{}, searches: map[int32]*search{},
		wires: map[id.Pipe]*wire{}, relayed: list.New(), slow: map[id.Peer]time.Time{},
	}
	s.ctx, s.cancel = context.WithCancelCause(context.Background())
	remove, err := s.scope.Handle(wireService, "", s.receiveWire)
	if err != nil {
		s.cancel(ErrClosed)
		return nil, err
	}
	s.undo = append(s.undo, remove)
	remove, err = s.res.Register(s.ctx, handlerName, resolver.Handler{Query: s.query, Response: s.answer, Index: s.pushed})
	if err != nil {
		s.undo[0]()
		s.cancel(ErrClosed)
		return nil, err
	}
	s.undo = append(s.undo, remove, s.ep.Watch(s.linkChanged))
	events := s.rdv.Events(s.ctx)
	s.wg.Go(func() { s.follow(events) })
	return s, nil
}

// Close withdraws and closes every pipe, ends what waits with [ErrClosed] and
// returns when no goroutine of the service is left. It takes a second at most,
// and is idempotent.
func (s *Service) Close() {
	s.mu.Lock()
	first := !s.closed
	s.closed = true
	var ins []*Input
	for _, in := range s.inputs {
		ins = append(ins, in)
	}
	clear(s.inputs)
	clear(s.outputs)
	s.mu.Unlock()
	if first {
		ctx, cancel := context.WithTimeout(s.ctx, goodbyeWait)
		for _, in := range ins {
			in.end(fmt.Errorf("pipe: service: %w", ErrClosed))
		}
		s.announce(ctx, ins, 0)
		for _, in := range ins {
			in.dismiss(ctx)
		}
		cancel()
		for _, f := range s.undo {
			f()
		}
		s.cancel(ErrClosed)
	}
	s.wg.Wait()
}

// goTask runs f on a goroutine that Close waits for. It reports false when the
// service is closed.
func (s *Service) goTask(f func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.wg.Go(f)
	return true
}

// local returns the input pipe of this peer, if it is open and of that type.
func (s *Service) local(p id.Pipe, t advertisements.PipeType) *Input {
	s.mu.Lock()
	defer s.mu.Unlock()
	if in := s.inputs[p]; in != nil && in.adv.Type == t {
		return in
	}
	return nil
}

// check refuses advertisements that this service cannot serve.
func check(what string, adv *advertisements.Pipe) error {
	switch {
	case adv == nil || adv.ID.IsZero():
		return fmt.Errorf("pipe: %s: the advertisement names no pipe: %w", what, ErrType)
	case adv.Type == advertisements.UnicastSecure:
		return fmt.Errorf("pipe: %s %s: %w", what, label(adv), ErrSecure)
	case adv.Type != advertisements.Unicast && adv.Type != advertisements.Propagate:
		return fmt.Errorf("pipe: %s %s: %w: %q", what, label(adv), ErrType, adv.Type)
	}
	return nil
}

// label names a pipe for people.
func label(adv *advertisements.Pipe) string {
	if adv.Name == "" {
		return adv.ID.Short()
	}
	return fmt.Sprintf("%q", adv.Name)
}
