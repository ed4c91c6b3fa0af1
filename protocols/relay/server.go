package relay

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/event"
	"github.com/juxta-p2p/juxta/core/id"
)

// ServerConfig configures a [Server]. It is copied.
type ServerConfig struct {
	// Scope is the endpoint in the net group. Required.
	Scope endpoint.Scope

	// Advertisement returns the relay's own advertisement in the net group, of
	// which clients get the name and the route; it must not be changed afterwards.
	// Required.
	Advertisement func() *advertisements.Peer

	// Others returns other relays, to be named to clients that are refused or ask
	// for them; nil means that none are known. It must not wait.
	Others func() []*advertisements.Rendezvous

	// MaxClients bounds the leases granted. Zero means [DefaultMaxClients].
	MaxClients int

	// MaxPerHost bounds those granted to one IP address, except to this machine.
	// Zero means [DefaultMaxPerHost].
	MaxPerHost int

	// MaxLease is the longest lease granted. Zero means [DefaultMaxLease], the
	// most is a day.
	MaxLease time.Duration

	// Queue and QueueBytes bound what is kept for one client, in messages and in
	// octets. Zero means [DefaultQueue] and [DefaultQueueBytes]; the most messages
	// are [MaxQueue].
	Queue      int
	QueueBytes int

	// TotalBytes bounds the octets kept for all clients. Zero means
	// [DefaultTotalBytes]. When it is reached, those for whom most is kept lose
	// their newest messages to the others.
	TotalBytes int

	// MaxAge is how long a message is kept. Zero means as long as the lease lasts.
	MaxAge time.Duration

	// Stall is how long a client may be away while messages wait for it. Then it
	// loses its lease and the messages, as with JXSE after 15 s. Zero means that
	// the lease and the messages stay, so that peers which sleep between polls get
	// what came meanwhile.
	Stall time.Duration

	// Rand makes choices repeatable; nil draws from the system.
	Rand *rand.Rand

	// Logger may be nil.
	Logger *slog.Logger
}

// Server grants leases to peers that nobody can dial, and keeps for them what comes
// while there is no link to them: see [Server.Keep]. While there is one, messages
// take it and do not come here. A server has a goroutine for each client to which
// something is being sent, and no others. Its methods are safe for concurrent use.
// Close it when done.
//
// Who asks must be who he says: a request counts only over a link of the peer
// itself, whatever ID it names, which JXSE does not check. On links that prove
// nothing, a lease changes hands only if its holder comes from the same network
// origin, or has been silent for 30 s.
type Server struct {
	cfg    ServerConfig
	scope  endpoint.Scope
	ep     *endpoint.Endpoint
	self   id.Peer
	log    *slog.Logger
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup
	undo   []func()
	events event.Hub[ServerEvent]
	stats  serverCounters

	mu       sync.Mutex
	rng      *rand.Rand
	clients  map[id.Peer]*client
	bytes    int // kept for all
	messages int
	refusing int         // goroutines that do
	sweeper  *time.Timer // nil without clients
	closed   bool
}

// ServerEvent tells a change of the clients of a relay.
type ServerEvent struct {
	Kind ServerEventKind
	Peer id.Peer
}

// ServerEventKind says what happened.
type ServerEventKind uint8

// What can happen.
const (
	ClientJoined  ServerEventKind = iota + 1 // a peer took a lease
	ClientRenewed                            // and prolonged it, or came back
	ClientLeft                               // it gave the lease back, or let it run out
)

// NewServer begins to serve.
func NewServer(cfg ServerConfig) (*Server, error) {
	if cfg.Advertisement == nil {
		return nil, errors.New("relay: ServerConfig.Advertisement is not set")
	}
	set := func(v *int, normal, most int) {
		if *v <= 0 {
			*v = normal
		}
		if most > 0 {
			*v = min(*v, most)
		}
	}
	set(&cfg.MaxClients, DefaultMaxClients, 0)
	set(&cfg.MaxPerHost, DefaultMaxPerHost, 0)
	set(&cfg.Queue, DefaultQueue, MaxQueue)
	set(&cfg.QueueBytes, DefaultQueueBytes, 0)
	set(&cfg.TotalBytes, DefaultTotalBytes, 0)
	if cfg.MaxLease <= 0 {
		cfg.MaxLease = DefaultMaxLease
	}
	cfg.MaxLease = min(cfg.MaxLease, maxGranted)
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Server{
		cfg: cfg, scope: cfg.Scope, ep: cfg.Scope.Endpoint(), self: cfg.Scope.Peer(), log: cfg.Logger,
		rng: cfg.Rand, clients: map[id.Peer]*client{},
	}
	if s.rng == nil {
		s.rng = rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	remove, err := s.scope.Handle(service, "", s.receive)
	if err != nil {
		s.cancel()
		return nil, err
	}
	s.undo = append(s.undo, remove, s.ep.Watch(s.linkChanged))
	return s, nil
}

// Close ends all leases, tells the clients to which there is a link, and returns
// when no goroutine of the server is left. What was kept is lost. It is idempotent.
func (s *Server) Close() {
	s.mu.Lock()
	first := !s.closed
	s.closed = true
	var tell []endpoint.Link
	for p, c := range s.clients {
		if l := s.linkOf(c); l != nil {
			tell = append(tell, l)
		}
		s.forget(p, c)
	}
	s.mu.Unlock()
	if first {
		for _, f := range s.undo {
			f()
		}
		s.goodbye(tell)
	}
	s.cancel()
	s.wg.Wait()
}

// goodbyeAtOnce bounds the links to which goodbye is said at a time.
const goodbyeAtOnce = 32

// goodbye tells clients that there are no leases any more, and where to go.
func (s *Server) goodbye(to []endpoint.Link) {
	ctx, cancel := context.WithTimeout(context.Background(), goodbyeTimeout)
	defer cancel()
	if len(to) == 0 {
		return
	}
	msg := answer{relay: s.other()}.message()
	for part := range slices.Chunk(to, goodbyeAtOnce) {
		var wg sync.WaitGroup
		for _, l := range part {
			wg.Go(func() {
				if err := s.scope.SendOn(ctx, l, service, s.self.Unique(), msg); err != nil {
					s.log.Debug("goodbye failed", "peer", l.Peer().Short(), "error", err)
				}
			})
		}
		wg.Wait()
	}
}

// Watch has f called with each event from now on, until stop is called. f must not
// wait, nor call the server.
func (s *Server) Watch(f func(ServerEvent)) (stop func()) { return s.events.Watch(f) }

// linkChanged takes the request in the address under which a link was dialled, and
// notices clients that come and go.
func (s *Server) linkChanged(ev endpoint.LinkEvent) {
	p := ev.Link.Peer()
	if ev.Up {
		if dialled, ok := endpoint.Dialled(ev.Link); ok {
			if text, ok := asked(dialled, s.scope.Group()); ok {
				s.take(ev.Link, text, true)
				return
			}
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.clients[p]
	switch {
	case c == nil:
	case ev.Up:
		if s.owns(c, ev.Link) {
			c.away = time.Time{}
		}
		s.kick(c)
	default:
		if c.own == ev.Link {
			c.own = nil
		}
		if c.link == ev.Link {
			c.link = nil
		}
		if ev.Last {
			c.away, c.seen = time.Now(), time.Now()
		} else {
			s.kick(c) // by another link
		}
	}
}

// receive takes the messages to the relay service.
func (s *Server) receive(_ context.Context, in endpoint.Incoming) {
	e, ok := in.Message.Get(space, elemRequest)
	switch {
	case !ok:
		s.stats.malformed.Add(1)
	case in.Link == nil || in.From != in.Link.Peer():
		// Whoever sends through others may say that he is anybody.
		s.stats.forged.Add(1)
		s.log.Debug("request for a lease over the link of another peer", "from", in.From.Short())
	default:
		if named, err := id.ParsePeerUnique(in.Dest.Param); in.Dest.Param != "" && (err != nil || named != in.From) {
			s.stats.forged.Add(1)
			s.log.Debug("request for the lease of another peer", "from", in.From.Short())
			return
		}
		s.take(in.Link, string(e.Body), false)
	}
}

// take does what a request wants. own says that the link was opened for it.
func (s *Server) take(l endpoint.Link, text string, own bool) {
	r, err := parseRequest(text)
	if err != nil {
		s.stats.malformed.Add(1)
		s.log.Debug("unreadable request for a lease", "from", l.Peer().Short())
		return
	}
	switch r.verb {
	case connect:
		s.connect(l, r, own)
	case disconnect:
		s.disconnect(l)
	default:
		s.stats.ids.Add(1) // everybody makes its own
	}
}

// own returns the relay's advertisement.
func (s *Server) own() *advertisements.Rendezvous {
	adv := s.cfg.Advertisement()
	if adv == nil {
		return nil
	}
	r := &advertisements.Rendezvous{Group: s.scope.Group(), Peer: s.self, Service: service, Name: adv.Name}
	if route, ok := adv.Route(); ok {
		r.Route = route.Clone()
		r.Route.Dest = s.self
	}
	return r
}

// other returns the advertisement of some other relay, or nil.
func (s *Server) other() *advertisements.Rendezvous {
	if s.cfg.Others == nil {
		return nil
	}
	all := slices.DeleteFunc(slices.Clone(s.cfg.Others()), func(a *advertisements.Rendezvous) bool { return a == nil || a.Peer == s.self })
	if len(all) == 0 {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return all[s.rng.IntN(len(all))]
}

// refuse tells a peer that it gets no lease.
func (s *Server) refuse(l endpoint.Link, why error) {
	s.stats.refused.Add(1)
	s.log.Debug("no lease", "peer", l.Peer().Short(), "reason", why)
	s.mu.Lock()
	if s.closed || s.refusing >= maxRefusing {
		s.mu.Unlock()
		return
	}
	s.refusing++
	s.wg.Add(1)
	s.mu.Unlock()
	go func() {
		defer s.wg.Done()
		if !endpoint.IsJuxta(l) {
			s.wait(settle)
		}
		ctx, cancel := context.WithTimeout(s.ctx, sendTimeout)
		defer cancel()
		if err := s.scope.SendOn(ctx, l, service, s.self.Unique(), answer{relay: s.other(), reason: why}.message()); err != nil {
			s.log.Debug("a refusal could not be sent", "peer", l.Peer().Short(), "error", err)
		}
		s.mu.Lock()
		s.refusing--
		s.mu.Unlock()
	}()
}
