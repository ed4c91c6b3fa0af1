// Package resolver is the Peer Resolver Protocol: questions to named handlers,
// at one peer or at all peers of a group, and their answers.
//
// Whoever writes a protocol describes its two documents, binds them to a name
// with [Define], and uses the methods of the result. Services that need more of
// the protocol, such as discovery, register a [Handler].
//
// JXTA v2 specification, "Peer Resolver Protocol", as JXSE 2.5 speaks it.
package resolver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/core/xmldoc"
	"github.com/juxta-p2p/juxta/protocols/rendezvous"
)

// Errors of this package.
var (
	// ErrNoAnswer is returned by handlers that do not want to answer; another
	// peer may.
	ErrNoAnswer = errors.New("no answer")
	// ErrTaken: another handler has the name.
	ErrTaken = errors.New("handler name is taken")
	// ErrNobody: the query reached nobody, for there is no rendezvous and no
	// neighbour.
	ErrNobody = rendezvous.ErrNobody
	// ErrBusy: too many questions wait for answers.
	ErrBusy = errors.New("too many questions wait for answers")

	errID   = errors.New("the query ID is no 32-bit number")
	errBomb = errors.New("the index message is too large")
)

// Config configures a [Service]. It is copied.
type Config struct {
	// Scope is the endpoint in the group. Required.
	Scope endpoint.Scope

	// Rendezvous spreads queries in the group. Required.
	Rendezvous *rendezvous.Service

	// Route returns the own route, which queries carry so that answers come
	// straight back; nil leaves it out.
	Route func() *advertisements.Route

	// Learn is called with the route to the asker that a query carries, when the
	// asker itself sent it; nil ignores routes.
	Learn func(*advertisements.Route)

	// Hear is called with it when another peer passed the query on, who may have
	// written anything into it; nil means Learn.
	Hear func(*advertisements.Route)

	// Hears, if not nil, says whether questions of a peer are heard: of the one who
	// asked, whoever passed the question on. route is the way to it that came with
	// the question, nil if none did. It must not wait.
	Hears func(source id.Peer, route *advertisements.Route) error

	// Credential goes along with what this peer sends, unless it is zero; nil
	// sends none.
	Credential func() xmldoc.Node

	// Permit, if not nil, is asked before this peer sends anything; its error is
	// returned, and nothing is sent.
	Permit func() error

	// Admit, if not nil, decides about each message that arrives, with what its sender
	// shows: those with an error are dropped and counted.
	Admit func(Shown) error

	// Rand makes query IDs repeatable, which others can then guess: for tests and
	// simulations. nil draws them from the system.
	Rand *rand.Rand

	// Logger may be nil.
	Logger *slog.Logger
}

// Outcome is what a handler says about a query.
type Outcome uint8

// The outcomes of a query.
const (
	Done     Outcome = iota // answered, or nothing to say
	PassItOn                // others may know; a rendezvous spreads it further, to its edges too
	WalkOn                  // like PassItOn, but a rendezvous does not bother the edges that lease from it
)

// Handler takes what comes under a name. Its functions may be nil. Query and
// Response are called concurrently, each on a goroutine on which it may wait.
// Index is called once at a time, in the order in which pushes arrive, since a
// later one may withdraw what an earlier one said; it should not wait.
type Handler struct {
	Query    func(ctx context.Context, q *RawQuery) Outcome
	Response func(ctx context.Context, r *RawResponse)
	Index    func(ctx context.Context, x *Index)
}

// Service is the resolver of one group. Its methods are safe for concurrent
// use. Close it when done.
type Service struct {
	cfg    Config
	scope  endpoint.Scope
	self   id.Peer
	param  string
	log    *slog.Logger
	ctx    context.Context
	cancel context.CancelFunc
	undo   []func()
	pool   pool // queries and responses
	pushes pool // index messages
	stats  counters
	memory memory // of queries that came

	chance   sync.Mutex // guards Config.Rand
	mu       sync.Mutex
	handlers map[string]*Handler
	asking   map[askKey]*answers
}

type askKey struct {
	handler string
	id      int32
}

type counters struct {
	queries, responses, indexes, malformed, overHops, noHandler, unasked, busy, unread, repeated, forgotten, fanOut, denied atomic.Uint64
}

// Stats counts what a service did since it was made.
type Stats struct {
	Queries, Responses, Indexes uint64 // received
	DroppedMalformed            uint64
	DroppedOverHops             uint64 // queries forwarded too often
	DroppedNoHandler            uint64
	DroppedUnasked              uint64 // answers to nothing we asked, or of another peer than the one we did
	DroppedBusy                 uint64 // messages beyond what may wait, by number or octets
	DroppedUnread               uint64 // answers the asker did not take in time
	Repeated                    uint64 // of Queries: those that had come before, by another way
	Forgotten                   uint64 // queries that were not remembered as long as they should, for want of room
	DroppedFanOut               uint64 // times that a query was not forwarded since it had been to too many peers
	DroppedDenied               uint64 // messages of those who may not: no members of the group, or shut out of it
}

// Stats returns the counters.
func (s *Service) Stats() Stats {
	c := &s.stats
	return Stats{
		c.queries.Load(), c.responses.Load(), c.indexes.Load(), c.malformed.Load(), c.overHops.Load(),
		c.noHandler.Load(), c.unasked.Load(), c.busy.Load(), c.unread.Load(), c.repeated.Load(), c.forgotten.Load(), c.fanOut.Load(),
		c.denied.Load(),
	}
}

// New starts the service.
func New(cfg Config) (*Service, error) {
	if cfg.Rendezvous == nil {
		return nil, errors.New("resolver: Config.Rendezvous is not set")
	}
	if cfg.Route == nil {
		cfg.Route = func() *advertisements.Route { return nil }
	}
	if cfg.Learn == nil {
		cfg.Learn = func(*advertisements.Route) {}
	}
	if cfg.Hear == nil {
		cfg.Hear = cfg.Learn
	}
	if cfg.Credential == nil {
		cfg.Credential = func() xmldoc.Node { return xmldoc.Node{} }
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Service{
		cfg: cfg, scope: cfg.Scope, self: cfg.Scope.Peer(), param: cfg.Scope.Group().Unique(), log: cfg.Logger,
		handlers: map[string]*Handler{},
		pool:     pool{workers: workers}, pushes: pool{workers: 1},
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	for suffix, h := range map[string]endpoint.Handler{"ORes": s.receiveQuery, "IRes": s.receiveResponse, "Srdi": s.receiveIndex} {
		remove, err := s.scope.Handle(id.ClassResolver.String(), s.param+suffix, h)
		if err != nil {
			s.Close()
			return nil, err
		}
		s.undo = append(s.undo, remove)
	}
	return s, nil
}

// Close ends every handler's context and waits for the handlers.
func (s *Service) Close() {
	for _, f := range s.undo {
		f()
	}
	s.cancel()
	s.pool.close()
	s.pushes.close()
}

// Rendezvous returns the service that spreads the queries of this one.
func (s *Service) Rendezvous() *rendezvous.Service { return s.cfg.Rendezvous }

// Peer returns the local peer's ID.
func (s *Service) Peer() id.Peer { return s.self }

// Register installs the handler of a name until ctx ends or remove is called.
// The error wraps [ErrTaken].
func (s *Service) Register(ctx context.Context, name string, h Handler) (remove func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.handlers[name]; ok {
		return nil, fmt.Errorf("resolver: %w: %s", ErrTaken, name)
	}
	s.handlers[name] = &h
	drop := func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.handlers[name] == &h { // else somebody else has the name by now
			delete(s.handlers, name)
		}
	}
	stop := context.AfterFunc(ctx, drop)
	return func() { stop(); drop() }, nil
}

// NewID returns a query ID that nobody can guess, of nine or ten digits.
func NewID() int32 { return leastID + rand.Int32N(math.MaxInt32-leastID) }

// NewID is the function of this name, but for what [Config.Rand] says.
func (s *Service) NewID() int32 {
	if s.cfg.Rand == nil {
		return NewID()
	}
	s.chance.Lock()
	defer s.chance.Unlock()
	return leastID + s.cfg.Rand.Int32N(math.MaxInt32-leastID)
}

// fill completes a query of this peer.
func (s *Service) fill(q *RawQuery) error {
	if err := s.permitted(); err != nil {
		return err
	}
	q.Source = s.self
	q.Route = s.cfg.Route()
	q.Credential = s.cfg.Credential()
	if q.ID == 0 {
		q.ID = s.NewID()
	}
	return nil
}

// SendQuery asks one peer. A zero q.ID is replaced by a new one; answers come
// to the Response function of the handler of that name.
func (s *Service) SendQuery(ctx context.Context, to id.Peer, q *RawQuery) error {
	if err := s.fill(q); err != nil {
		return err
	}
	return s.send(ctx, to, "ORes", q)
}

// SpreadQuery asks the whole group: the neighbourhood, and the rest through the
// rendezvous; q.Range says how far. It returns to how many peers or networks the
// query went, and [ErrNobody] if to none.
func (s *Service) SpreadQuery(ctx context.Context, q *RawQuery) (int, error) {
	if err := s.fill(q); err != nil {
		return 0, err
	}
	msg, err := s.message("ORes", q)
	if err != nil {
		return 0, err
	}
	if n := s.spread(ctx, msg, "ORes", q.Range, true, true); n > 0 {
		return n, nil
	}
	return 0, fmt.Errorf("resolver: %w", ErrNobody)
}

// WalkQuery is [Service.SpreadQuery] without the edges that hold a lease here: a
// service that keeps an index of what they have asks those of them that it names.
func (s *Service) WalkQuery(ctx context.Context, q *RawQuery) (int, error) {
	if err := s.fill(q); err != nil {
		return 0, err
	}
	msg, err := s.message("ORes", q)
	if err != nil {
		return 0, err
	}
	if n := s.spread(ctx, msg, "ORes", q.Range, true, false); n > 0 {
		return n, nil
	}
	return 0, fmt.Errorf("resolver: %w", ErrNobody)
}

// ForwardQuery passes a query, received or of this peer, to named peers, which
// will answer the asker. The asker and this peer are left out, and so are peers
// to which a query that was received went before. It does nothing when the query
// was forwarded too often. It returns to how many peers it went and those to
// whom no way leads.
func (s *Service) ForwardQuery(ctx context.Context, q *RawQuery, to []id.Peer) (sent int, lost []id.Peer) {
	f := *q
	f.HC++
	if f.HC > maxHC {
		return 0, nil
	}
	msg, err := s.message("ORes", &f)
	if err != nil {
		s.log.Debug("a query to be forwarded cannot be printed", "error", err)
		return 0, nil
	}
	errs := make([]error, len(to))
	var sending sync.WaitGroup
	for i, p := range to {
		if p == s.self || p == q.Source {
			errs[i] = ErrNobody
			continue
		}
		first, room := q.memo.tell(p)
		if !room {
			s.stats.fanOut.Add(1)
		}
		if !first {
			errs[i] = ErrNobody
			continue
		}
		sending.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, answerTimeout)
			defer cancel()
			if errs[i] = s.scope.Send(endpoint.KnownWays(ctx), p, id.ClassResolver.String(), s.param+"ORes", msg); errs[i] != nil {
				q.memo.untell(p)
			}
		})
	}
	sending.Wait()
	for i, err := range errs {
		switch {
		case err == nil:
			sent++
		case errors.Is(err, endpoint.ErrNoRoute):
			lost = append(lost, to[i])
			fallthrough
		case err != ErrNobody:
			s.log.Debug("forwarding a query failed", "peer", to[i].Short(), "error", err)
		}
	}
	return sent, lost
}

// SendResponse answers one peer.
func (s *Service) SendResponse(ctx context.Context, to id.Peer, r *RawResponse) error {
	if err := s.permitted(); err != nil {
		return err
	}
	r.Credential = s.cfg.Credential()
	return s.send(ctx, to, "IRes", r)
}

// SpreadResponse tells the group something that nobody asked for, such as a
// publication: through the rendezvous as JXSE does, and to the neighbourhood.
// It returns to how many peers or networks it went, and [ErrNobody] if to none.
func (s *Service) SpreadResponse(ctx context.Context, r *RawResponse) (int, error) {
	if err := s.permitted(); err != nil {
		return 0, err
	}
	r.Credential = s.cfg.Credential()
	msg, err := s.message("IRes", r)
	if err != nil {
		return 0, err
	}
	if n := s.spread(ctx, msg, "IRes", 0, true, true); n > 0 {
		return n, nil
	}
	return 0, fmt.Errorf("resolver: %w", ErrNobody)
}

// SendIndex pushes index entries to one peer, compressed.
func (s *Service) SendIndex(ctx context.Context, to id.Peer, x *Index) error {
	if err := s.permitted(); err != nil {
		return err
	}
	x.Credential = s.cfg.Credential()
	msg, err := s.indexMessage(x)
	if err != nil {
		return err
	}
	return s.scope.Send(ctx, to, id.ClassResolver.String(), s.param+"Srdi", msg)
}

// SpreadIndex pushes index entries to the rendezvous, compressed. It returns
// [ErrNobody] if there is none.
func (s *Service) SpreadIndex(ctx context.Context, x *Index) error {
	if err := s.permitted(); err != nil {
		return err
	}
	x.Credential = s.cfg.Credential()
	msg, err := s.indexMessage(x)
	if err != nil {
		return err
	}
	if s.spread(ctx, msg, "Srdi", 0, false, false) == 0 {
		return fmt.Errorf("resolver: %w", ErrNobody)
	}
	return nil
}

// spread gives a message to the group: hops rendezvous far in each direction if
// it is not 0, and not to the neighbourhood or the clients unless that is said.
// An edge does not count hops: those of its header are for the whole way.
func (s *Service) spread(ctx context.Context, msg *message.Message, suffix string, hops int, near, clients bool) int {
	service, param := id.ClassResolver.String(), s.param+suffix
	rdv := s.cfg.Rendezvous
	if msg = rdv.Stamp(msg, service, param, spreadTTL); msg == nil {
		return 0
	}
	n := 0
	if hops == 0 || hops > 0 && rdv.Role() != rendezvous.Rendezvous {
		hops = spreadTTL
	}
	if hops > 0 {
		n += rdv.Walk(ctx, msg, service, param, hops)
	}
	if near {
		n += rdv.Near(ctx, msg, service, param)
	}
	if clients {
		n += rdv.ToClients(ctx, msg, service, param, spreadTTL)
	}
	return n
}

func (s *Service) send(ctx context.Context, to id.Peer, suffix string, d xmldoc.Document) error {
	msg, err := s.message(suffix, d)
	if err != nil {
		return err
	}
	return s.scope.Send(ctx, to, id.ClassResolver.String(), s.param+suffix, msg)
}

func (s *Service) message(suffix string, d xmldoc.Document) (*message.Message, error) {
	doc, err := xmldoc.Marshal(d)
	if err != nil {
		return nil, err
	}
	return message.New(message.XML(message.Platform, s.param+suffix, doc)), nil
}
