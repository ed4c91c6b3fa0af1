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
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/core/xmldoc"
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

	own atomic.Pointer[ownRoute]

	mu       sync.Mutex
	table    table
	failed   small[endpoint.Address, time.Time] // addresses not to be dialled before
	told     small[id.Peer, time.Time]          // gateways that know our route, since
	sends    small[endpoint.Address, *prepared]
	last     small[endpoint.Link, *parsed]
	forwards int
	closed   bool
}

// prepared is what sending to the same address takes again and again. Router.mu
// guards what is not written once.
type prepared struct {
	peer id.Peer   // written once
	hops []id.Peer // on the way for which doc was printed
	used bool      // a document was printed before; whoever sends twice sends more
	doc  []byte    // the router document, or nil
}

// parsed remembers the last router document of a link and what it says.
type parsed struct {
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
	r := &Router{cfg: cfg, ep: cfg.Scope.Endpoint(), self: cfg.Scope.Peer(), log: cfg.Logger}
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

// Info describes the way to one peer.
type Info struct {
	Peer      id.Peer
	Linked    bool               // a link is open
	Link      endpoint.Address   // the other side of the link
	Addresses []endpoint.Address // known addresses to dial
	Hops      []id.Peer          // peers in between, nearest first
	Age       time.Duration      // since it was learned
}

// Routes returns what is known about the ways to peers, in order of peer ID.
func (r *Router) Routes() []Info {
	all := map[id.Peer]*Info{}
	r.mu.Lock()
	for e := r.table.newest; e != nil; e = e.older {
		p := e.peer
		all[p] = &Info{Peer: p, Addresses: slices.Clone(e.addresses), Hops: slices.Clone(e.hops), Age: time.Since(e.learned)}
	}
	r.mu.Unlock()
	for _, l := range r.ep.Links() {
		i := all[l.Peer()]
		if i == nil {
			i = &Info{Peer: l.Peer()}
			all[l.Peer()] = i
		}
		i.Linked, i.Link = true, l.Remote()
	}
	list := make([]Info, 0, len(all))
	for _, i := range all {
		list = append(list, *i)
	}
	slices.SortFunc(list, func(a, b Info) int {
		if a.Peer.String() < b.Peer.String() {
			return -1
		}
		return 1
	})
	return list
}

// Learn takes a route to a peer that the caller has reason to believe: from an
// answer it asked for, a peer advertisement it got from its owner, or
// configuration. Routes through this peer, and unusable addresses, are cut.
func (r *Router) Learn(route *advertisements.Route) {
	if route == nil || route.Dest.IsZero() || route.Dest == r.self {
		return
	}
	var hops []id.Peer
	for _, h := range route.Hops {
		if h.Peer == r.self {
			hops = hops[:0]
			continue
		}
		if h.Peer != route.Dest {
			hops = append(hops, h.Peer)
		}
	}
	if len(hops) > maxHops {
		r.stats.refused.Add(1)
		return
	}
	for _, h := range route.Hops {
		if h.Peer != r.self && len(h.Addresses) > 0 && !r.hear(h.Peer, h.Addresses) {
			r.learn(h.Peer, h.Addresses, nil)
		}
	}
	r.learn(route.Dest, route.Addresses, hops)
}

func (r *Router) learn(p id.Peer, addresses []endpoint.Address, hops []id.Peer) {
	addresses = r.usable(addresses)
	r.mu.Lock()
	defer r.mu.Unlock()
	if e := r.table.get(p); e == nil && len(addresses)+len(hops) == 0 {
		return
	}
	e := r.entry(p)
	if len(addresses) > 0 {
		e.addresses = addresses
	}
	e.hops = hops
	e.news()
}

// entry returns the entry of a peer, a new one if there was none. r.mu is held.
func (r *Router) entry(p id.Peer) *entry {
	e := r.table.get(p)
	if e == nil {
		var evicted uint64
		e, evicted = r.table.add(p)
		r.stats.evicted.Add(evicted)
	}
	return e
}

// Hear takes a route to a peer from somebody who may not know or not say the
// truth. It is learned where nothing is known; else its addresses are tried after
// those that are, and nothing is replaced.
func (r *Router) Hear(route *advertisements.Route) {
	if route == nil || route.Dest == r.self {
		return
	}
	if !r.hear(route.Dest, route.Addresses) {
		r.Learn(route)
	}
}

// hear adds addresses to those known of a peer. It reports false if nothing is
// known about it.
func (r *Router) hear(p id.Peer, addresses []endpoint.Address) bool {
	addresses = r.usable(addresses)
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.table.get(p)
	if e == nil || e.empty() {
		return false
	}
	if len(e.addresses) == 0 {
		return true // the way through others works, or it would be forgotten
	}
	for _, a := range addresses {
		switch {
		case slices.Contains(e.addresses, a):
		case len(e.addresses) < maxHeard:
			e.addresses = append(slices.Clip(e.addresses), a)
		default:
			r.stats.clipped.Add(1)
		}
	}
	return true
}

// usable keeps the addresses that a transport here can dial and that are not
// our own, those of a loopback interface only if we are reached there too.
func (r *Router) usable(in []endpoint.Address) []endpoint.Address {
	if len(in) == 0 {
		return nil
	}
	own := r.cfg.Self().Addresses
	local := func() bool {
		return slices.ContainsFunc(own, isLoopback) ||
			slices.ContainsFunc(r.ep.Links(), func(l endpoint.Link) bool { return loopbackIP(l.Origin()) })
	}
	var out []endpoint.Address
	for _, a := range in {
		a = a.Base()
		switch {
		case !r.ep.Serves(a.Protocol), slices.Contains(own, a), slices.Contains(out, a):
		case unspecified(a), isLoopback(a) && !local():
		default:
			out = append(out, a)
		}
	}
	return out
}

// Forget drops what is known about the way to a peer; links stay open.
func (r *Router) Forget(p id.Peer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.table.get(p)
	switch {
	case e == nil:
	case e.waiting > 0:
		e.addresses, e.hops = nil, nil
	default:
		r.table.remove(e)
	}
}

func (r *Router) linkChanged(ev endpoint.LinkEvent) {
	p := ev.Link.Peer()
	r.mu.Lock()
	defer r.mu.Unlock()
	if !ev.Up {
		r.last.delete(ev.Link)
		if ev.Last {
			r.told.delete(p)
			if e := r.table.get(p); e != nil {
				r.table.use(e) // the peer was, as long as there was a link
			}
		}
		return
	}
	r.failed.delete(ev.Link.Remote().Base())
	if e := r.table.get(p); e != nil {
		e.wake()
	}
}

// Send carries a message to a jxta:// address; it is the [endpoint.Router]. It
// returns when the message is on its first hop, or says why it cannot be. ctx
// bounds the search for a way, which also ends after a minute.
func (r *Router) Send(ctx context.Context, dst endpoint.Address, msg *message.Message) error {
	to, err := r.prepare(dst)
	if err != nil {
		r.stats.unsentNoRoute.Add(1)
		return err
	}
	for attempt := 0; ; attempt++ {
		l, hops, err := r.find(ctx, to.peer, !endpoint.OnlyKnownWays(ctx))
		if err != nil {
			r.stats.unsentNoRoute.Add(1)
			return err
		}
		err = r.sendVia(ctx, l, hops, dst, to, msg)
		if err == nil {
			r.stats.sent.Add(1)
			return nil
		}
		if !errors.Is(err, endpoint.ErrLinkClosed) || attempt >= 2 || ctx.Err() != nil {
			r.stats.unsentLink.Add(1)
			return fmt.Errorf("routing: %s: %w", to.peer.Short(), err)
		}
		// The link broke under us and nothing of the message arrived: try the
		// next way.
	}
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
	to = &prepared{peer: p}
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
	return r.ep.SendOn(ctx, l, r.hop(), msg.Clone().Add(message.XML(message.Platform, elemHeader, doc)))
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
