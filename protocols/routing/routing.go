// Package routing is the Endpoint Routing Protocol: it carries a message to a
// peer by whatever way there is, a link, an address to dial, peers in between,
// or a way that others know when asked.
//
// JXTA v2 specification, "Endpoint Routing Protocol", as JXSE 2.5 speaks it.
package routing

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/core/xmldoc"
	"github.com/juxta-p2p/juxta/protocols/resolver/budget"
)

const (
	service    = "EndpointRouter"
	elemHeader = "EndpointRouterMsg"
)

// Config configures a [Router].
type Config struct {
	// Scope is the endpoint in the net group. Required.
	Scope endpoint.Scope
	// Self returns the own route as others should know it. Required; it must
	// return a value that is not changed afterwards.
	Self func() *advertisements.Route
	// NoForward says that this peer passes on nothing for others.
	NoForward bool
	// ForwardRate bounds what is passed on of each link that brings it, in octets a
	// second, with bursts of four seconds' worth; what is beyond is dropped. Zero
	// means 1 MiB/s; less than zero that there is no bound. Relays need more.
	ForwardRate int64
	// ForwardAll bounds likewise what is passed on in all. Zero means 16 MiB/s.
	ForwardAll int64
	// Logger may be nil.
	Logger *slog.Logger
}

// Router finds ways to peers and carries messages along them. Its methods are
// safe for concurrent use. Close it when done.
type Router struct {
	cfg    Config
	ep     *endpoint.Endpoint
	self   id.Peer
	log    *slog.Logger
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup
	undo   []func()
	asker  atomic.Pointer[asker]
	stats  counters

	start time.Time // see moment
	iRes  string    // the parameter under which answers of the resolver come

	own     atomic.Pointer[ownRoute]
	keep    atomic.Pointer[func(id.Peer, endpoint.Address, *message.Message) bool]
	holds   atomic.Pointer[func(id.Peer) bool]
	upgrade atomic.Pointer[func(context.Context, id.Peer, []id.Peer) error]

	newcomers budget.Budget // of destinations that neighbours make known
	all       *rate.Limiter // of what is passed on; nil without bound
	loops     loops

	mu        sync.Mutex
	table     table
	failed    small[endpoint.Address, failure] // addresses that did not answer
	strangers strangers
	lost      small[id.Peer, moment]    // peers that nobody knew
	failures  small[id.Peer, []Failure] // the last messages that could not be sent
	told      small[id.Peer, time.Time] // gateways that know our route, since
	sends     small[endpoint.Address, *prepared]
	last      small[endpoint.Link, *parsed]
	flows     small[endpoint.Link, *flow]
	queues    map[id.Peer]*queue      // messages to be passed on that wait, by destination
	forwards  int                     // how many
	nacked    small[nackPair, moment] // who was told about whom
	nacks     int                     // being sent
	climbs    int                     // running
	closed    bool
}

// prepared is what sending to the same address takes again and again. Router.mu
// guards what is not written once.
type prepared struct {
	peer id.Peer   // written once
	flow uint8     // written once
	hops []id.Peer // on the way for which doc was printed
	used bool      // a document was printed before; whoever sends twice sends more
	doc  []byte    // the router document, or nil
}

// parsed remembers the last router document of a link and what it says.
type parsed struct {
	onward atomic.Pointer[onward] // what it became when a message went on

	text            []byte
	hdr             header
	src, dest, last id.Peer
}

// New makes a router and installs it in the endpoint.
func New(cfg Config) (*Router, error) {
	if cfg.Self == nil {
		return nil, errors.New("routing: Config.Self is not set")
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	r := &Router{
		cfg: cfg, ep: cfg.Scope.Endpoint(), self: cfg.Scope.Peer(), log: cfg.Logger, start: time.Now(),
		iRes: cfg.Scope.Group().Unique() + "IRes", newcomers: budget.Budget{Rate: newRoutes / 60., Burst: newRoutes},
		all: limiter(cfg.ForwardAll, defaultForwardAll), loops: loops{seed: maphash.MakeSeed()},
	}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	remove, err := cfg.Scope.Handle(service, "", r.receive)
	if err != nil {
		r.cancel()
		return nil, err
	}
	r.undo = append(r.undo, remove, r.ep.Watch(r.linkChanged))
	r.ep.SetRouter(r.Send)
	return r, nil
}

// now is the time by the router's clock, which nobody sets; it is never 0.
func (r *Router) now() moment { return time.Since(r.start) + 1 }

// Close removes the router from the endpoint and waits for its goroutines.
func (r *Router) Close() {
	r.ep.SetRouter(nil)
	for _, f := range r.undo {
		f()
	}
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.cancel()
	r.wg.Wait()
}

// Send carries a message to a jxta:// address; it is the [endpoint.Router]. It
// returns when the message is on its first hop, or says why it cannot be. ctx
// bounds the search for a way, which also ends after a minute.
//
// The way is, in this order: a link to the peer; peers in between to which there
// is a link, while a link to the peer itself is looked for beside that (see
// [Router.SetUpgrade]); the addresses of the peer, all of them within a few
// seconds; peers in between that can be dialled; the function of
// [Router.SetKeep]; and what others say when they are asked.
//
// Messages of one sender go in order as long as they take the same way. When the
// way changes, as when a link comes up in place of a way through others, none is
// lost, but those on the new way may overtake those still on the old one. Whoever
// needs the order then numbers the messages.
func (r *Router) Send(ctx context.Context, dst endpoint.Address, msg *message.Message) error {
	to, err := r.prepare(dst)
	if err != nil {
		r.stats.unsentNoRoute.Add(1)
		return err
	}
	for attempt := 0; ; attempt++ {
		l, hops := r.at(ctx, to.peer)
		if l == nil {
			if l, hops, err = r.searchFor(ctx, dst, to, msg); err != nil {
				if err == errKept {
					r.stats.kept.Add(1)
					return nil
				}
				r.stats.unsentNoRoute.Add(1)
				r.fail(to.peer, err)
				return err
			}
		}
		if err = r.sendVia(ctx, l, hops, dst, to, msg); err == nil {
			r.stats.sent.Add(1)
			return nil
		}
		if !errors.Is(err, endpoint.ErrLinkClosed) || attempt >= maxWays || ctx.Err() != nil {
			r.stats.unsentLink.Add(1)
			err = fmt.Errorf("routing: %s: %w", to.peer.Short(), err)
			r.fail(to.peer, err)
			return err
		}
		// The link broke under us and nothing of the message arrived: try the
		// next way.
	}
}

// searchFor is search for the way of a message.
func (r *Router) searchFor(
	ctx context.Context, dst endpoint.Address, to *prepared, msg *message.Message,
) (endpoint.Link, []id.Peer, error) {
	var keep func() bool
	if r.keep.Load() != nil {
		keep = func() bool { return r.keepOwn(to.peer, dst, msg) }
	}
	return r.search(ctx, to.peer, !endpoint.OnlyKnownWays(ctx), keep)
}

// fail remembers that a message could not be sent.
func (r *Router) fail(p id.Peer, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	list, ok := r.failures.get(p)
	if !ok && r.failures.len() >= maxFailing {
		r.failures.clear()
	}
	if len(list) >= maxFailures {
		list = slices.Delete(list, 0, 1)
	}
	r.failures.set(p, append(list, Failure{When: time.Now(), Err: err}))
}

// prepare returns what is prepared for sending to an address.
func (r *Router) prepare(dst endpoint.Address) (*prepared, error) {
	r.mu.Lock()
	to, ok := r.sends.get(dst)
	r.mu.Unlock()
	if ok {
		return to, nil
	}
	p, ok := dst.Peer()
	if !ok {
		return nil, fmt.Errorf("routing: %s: %w", dst, endpoint.ErrAddress)
	}
	to = &prepared{peer: p, flow: r.ep.FlowOf(dst)}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.sends.len() >= maxPrepared {
		r.sends.clear()
	}
	r.sends.set(dst, to)
	return to, nil
}

func (r *Router) sendVia(
	ctx context.Context, l endpoint.Link, hops []id.Peer, dst endpoint.Address, to *prepared, msg *message.Message,
) error {
	doc, err := r.headerFor(l.Peer(), hops, dst, to)
	if err != nil {
		return err
	}
	out := msg.Clone().Add(message.XML(message.Platform, elemHeader, doc))
	return r.ep.SendFlow(ctx, l, r.hop(), out, to.flow)
}

// hop is the destination of a routed message at each hop.
func (r *Router) hop() endpoint.Address {
	return endpoint.Address{Service: "EndpointService:" + r.cfg.Scope.Group().Unique(), Param: service}
}

// headerFor prints the router document, or takes one printed before. The own
// route goes along when the gateway may not know it.
func (r *Router) headerFor(gateway id.Peer, hops []id.Peer, dst endpoint.Address, to *prepared) ([]byte, error) {
	r.mu.Lock()
	tell := r.tell(gateway)
	doc, keep := to.doc, to.used
	if !slices.Equal(to.hops, hops) {
		doc, keep = nil, false
		to.hops, to.doc = hops, nil
	}
	to.used = true
	r.mu.Unlock()
	if doc != nil && !tell {
		return doc, nil
	}
	me := endpoint.PeerAddress(r.self, "", "")
	h := header{Src: me, Dest: dst, Last: me, Fwd: hops}
	if tell {
		h.Route = r.cfg.Self()
	}
	doc, err := xmldoc.Marshal(&h)
	if err != nil || tell || !keep {
		return doc, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if slices.Equal(to.hops, hops) {
		to.doc = doc
	}
	return doc, nil
}

// tell reports whether a gateway is to be told the own route now. r.mu is held.
func (r *Router) tell(gateway id.Peer) bool {
	now := time.Now()
	if when, ok := r.told.get(gateway); ok && now.Sub(when) <= announceAgain {
		return false
	}
	if r.told.len() >= maxRoutes {
		r.told.clear()
	}
	r.told.set(gateway, now)
	return true
}
