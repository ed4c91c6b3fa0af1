// Package pipe is the Pipe Binding Protocol: channels that are named by an
// advertisement and bound to peers at run time.
//
// Whoever listens on a pipe gets an [Input]; whoever dials it gets an [Output].
// A unicast pipe leads to one peer that listens, and moves to another one when
// that peer goes away; a secure one is encrypted from end to end besides. A propagate pipe leads to every peer of the group that
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
	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/protocols/rendezvous"
	"github.com/juxta-p2p/juxta/protocols/resolver"
	"github.com/juxta-p2p/juxta/protocols/resolver/srdi"
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
	// encryption, which this service was not given; see [Config].Secure.
	ErrSecure = errors.New("secure pipes are not served here")
	// ErrType: the advertisement names a type of pipe that nobody knows, or one
	// for which the call makes no sense.
	ErrType = errors.New("type of pipe not usable")

	errNoHeader = errors.New("message of a propagate pipe without header")
	errCompact  = errors.New("the short form of a header is broken")
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

	// Learn is called with the routes in answers to own questions, each of the
	// peer that answered, and on a rendezvous with the way to a peer that listens
	// through the rendezvous that copied its entries here. nil ignores them. It
	// must not block.
	Learn func(*advertisements.Route)

	// Queue bounds the messages that wait in an input pipe. Zero means 1024.
	Queue int

	// QueueBytes bounds their size in octets; a single larger message is still
	// taken. Zero means 16 MiB.
	QueueBytes int64

	// Secure says that the endpoint has a way that is encrypted from end to end,
	// so that pipes of type [advertisements.UnicastSecure] can be used. Without it
	// they are refused with [ErrSecure]; nothing ever falls back to a plain way.
	Secure bool

	// Guard says who may use pipes; the zero value lets everybody.
	Guard Guard

	// Logger may be nil.
	Logger *slog.Logger
}

// Service is the pipe service of one group. Its methods are safe for concurrent
// use. Close it when done, before the resolver.
type Service struct {
	cfg     Config
	scope   endpoint.Scope
	ep      *endpoint.Endpoint
	res     *resolver.Service
	rdv     *rendezvous.Service
	self    id.Peer
	param   string // unique value of the group
	log     *slog.Logger
	ctx     context.Context
	cancel  context.CancelCauseFunc
	wg      sync.WaitGroup
	undo    []func()
	index   *srdi.Keeper
	stats   counters
	seed    maphash.Seed
	lanes   [lanes]lane // relay, each its share of the propagate pipes
	notices [lanes]lane // tell senders, each its share of them
	headers headers     // reads those of propagate pipes

	mu       sync.Mutex
	closed   bool
	minding  bool // upkeep runs
	inputs   map[id.Pipe]*Input
	outputs  map[id.Pipe]map[*Output]struct{}
	searches map[int32]*search
	windows  map[windowKey]*window

	wmu     sync.Mutex // guards the rest
	wires   map[id.Pipe]*wire
	relayed list.List // of *wire without a listener, latest first
	slow    map[id.Peer]time.Time
}

type counters struct {
	inputFull, inputRefused, inputPlain                                                                      atomic.Uint64
	queries, answers, refusals, malformed, hostile, unannounced, unanswered, wiresForgotten, askersForgotten atomic.Uint64
	relayed, relayFull, relaySlow, wireReceived, duplicate, noListener                                       atomic.Uint64
	flowsForgotten, unsentNotices, noInput                                                                   atomic.Uint64
	denied                                                                                                   atomic.Uint64
	moves, searches, unsent                                                                                  atomic.Uint64
}

// Stats counts what a service did since it was made.
type Stats struct {
	Queries, Answers  uint64 // received
	Refusals          uint64 // answers sent that a pipe is not open here
	Searches          uint64 // for a peer that listens, dialling included
	Moves             uint64 // output pipes that went over to another peer
	DroppedMalformed  uint64 // queries, answers, pushes and headers that cannot be read
	DroppedHostile    uint64 // answers and pushes in the name of another peer
	DroppedOverBudget uint64 // pushes beyond what one peer may send
	UnsentAnswers     uint64 // answers that could not be sent
	UnsentPushes      uint64 // pushes to the rendezvous that could not be sent

	IndexEntries   int    // entries that peers have pushed here, or that were learned, and are kept
	Indexed        uint64 // entries pushed and kept
	Copied         uint64 // of these, copies that another rendezvous keeps here
	Pushed         uint64 // pushes sent to other rendezvous
	Replaced       uint64 // entries copied anew to other rendezvous, since the view changed or a day is over
	Waited         uint64 // queries that found nobody and were remembered for a moment
	Came           uint64 // peers that began to listen meanwhile
	Queued         int    // entries that wait to be copied to other rendezvous
	IndexRefused   uint64 // entries that were not kept: no sense, or no room
	DroppedWaiting uint64 // queries that were not remembered, or not forwarded, for want of room
	UnsentEntries  uint64 // entries that could not be copied to another rendezvous
	Outdated       uint64 // entries not copied since this peer is no rendezvous any more

	WireReceived        uint64 // messages of propagate pipes that came in
	WireDuplicates      uint64 // of these, those seen before
	WireNoListener      uint64 // of these, those for a pipe that is not open here, on a peer that does not relay
	Relayed             uint64 // copies given to listeners and rendezvous on behalf of others
	RelayDroppedFull    uint64 // messages not relayed because too many were waiting
	RelayDroppedSlow    uint64 // copies not given because the listener took too long, or had a moment ago
	Unsent              uint64 // copies of own messages that one listener did not get
	RelayedPipesKnown   int    // propagate pipes without a listener here of which something is remembered
	InputDroppedFull    uint64 // messages dropped because the queue of an input was full, in all inputs that ever were
	InputDroppedRefused uint64 // messages that ListenConfig.Accept refused
	InputDroppedPlain   uint64 // messages for secure pipes that did not come encrypted from end to end
	PipesForgotten      uint64 // of these, those forgotten for want of room: their messages may come twice
	FlowsForgotten      uint64 // senders to an input pipe that must ask anew how much they may send, for want of room
	NoInput             uint64 // messages of unicast pipes that are not open here
	UnsentNotices       uint64 // times that a sender could not be told how much it may send
	DroppedDenied       uint64 // messages from those who may not send, as no members of the group
	AskersForgotten     uint64 // peers bound to an input pipe that will not be told when it closes, for want of room
}

// Stats returns the counters.
func (s *Service) Stats() Stats {
	c := &s.stats
	s.wmu.Lock()
	known := s.relayed.Len()
	s.wmu.Unlock()
	x := s.index.Stats()
	return Stats{
		Queries: c.queries.Load(), Answers: c.answers.Load(), Refusals: c.refusals.Load(), Searches: c.searches.Load(),
		Moves: c.moves.Load(), DroppedMalformed: c.malformed.Load() + x.DroppedMalformed,
		DroppedHostile: c.hostile.Load() + x.DroppedForeign, DroppedOverBudget: x.DroppedOverBudget,
		UnsentAnswers: c.unanswered.Load(), UnsentPushes: c.unannounced.Load(),
		IndexEntries: s.index.Count(), Indexed: x.Indexed, Copied: x.Copied, Pushed: x.Sent, Replaced: x.Replaced,
		Waited: x.Waited, Came: x.Came, Queued: x.Queued, IndexRefused: x.DroppedRefused,
		DroppedWaiting: x.DroppedWaiting, UnsentEntries: x.Unsent, Outdated: x.Outdated,
		WireReceived: c.wireReceived.Load(), WireDuplicates: c.duplicate.Load(), WireNoListener: c.noListener.Load(),
		Relayed: c.relayed.Load(), RelayDroppedFull: c.relayFull.Load(), RelayDroppedSlow: c.relaySlow.Load(),
		Unsent: c.unsent.Load(), RelayedPipesKnown: known,
		InputDroppedFull: c.inputFull.Load(), InputDroppedRefused: c.inputRefused.Load(),
		InputDroppedPlain: c.inputPlain.Load(),
		PipesForgotten:    c.wiresForgotten.Load(), AskersForgotten: c.askersForgotten.Load(),
		FlowsForgotten: c.flowsForgotten.Load(), UnsentNotices: c.unsentNotices.Load(), NoInput: c.noInput.Load(),
		DroppedDenied: c.denied.Load(),
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
		seed: maphash.MakeSeed(),
	}
	s.ctx, s.cancel = context.WithCancelCause(context.Background())
	var err error
	s.index, err = srdi.New(srdi.Config{
		Resolver: s.res, Handler: handlerName, Knows: isType, Accept: accept, Spread: isCopied,
		Own: s.own, Came: s.came, Learn: cfg.Learn, Logger: cfg.Logger,
	})
	if err != nil {
		s.cancel(ErrClosed)
		return nil, err
	}
	fail := func(err error) (*Service, error) {
		for _, f := range s.undo {
			f()
		}
		s.index.Close()
		s.cancel(ErrClosed)
		return nil, err
	}
	remove, err := s.scope.Handle(wireService, "", s.receiveWire)
	if err != nil {
		return fail(err)
	}
	s.undo = append(s.undo, remove)
	for service, h := range map[string]endpoint.Handler{noticeService: s.receiveNotice, pipeService: s.receiveClosed} {
		if remove, err = s.scope.Handle(service, "", h); err != nil {
			return fail(err)
		}
		s.undo = append(s.undo, remove)
	}
	remove, err = s.res.Register(s.ctx, handlerName, resolver.Handler{Query: s.query, Response: s.answer, Index: s.index.Receive})
	if err != nil {
		return fail(err)
	}
	s.undo = append(s.undo, remove, s.ep.Watch(s.linkChanged), s.rdv.Watch(s.changed))
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
		if len(ins) > 0 {
			s.index.Flush(ctx)
		}
		cancel()
		for _, f := range s.undo {
			f()
		}
		s.cancel(ErrClosed)
	}
	s.wg.Wait()
	s.index.Close()
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
func (s *Service) check(what string, adv *advertisements.Pipe) error {
	switch {
	case adv == nil || adv.ID.IsZero():
		return fmt.Errorf("pipe: %s: the advertisement names no pipe: %w", what, ErrType)
	case adv.Type == advertisements.UnicastSecure && !s.cfg.Secure:
		return fmt.Errorf("pipe: %s %s: %w", what, label(adv), ErrSecure)
	case !isType(string(adv.Type)):
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
