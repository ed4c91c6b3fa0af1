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

	mu       sync.Mutex
	table    map[id.Peer]*entry
	failed   map[endpoint.Address]time.Time // addresses not to be dialled before
	told     map[id.Peer]time.Time          // gateways that know our route, since
	headers  map[headerKey][]byte
	peers    map[string]id.Peer // by host part of a jxta:// address
	last     map[endpoint.Link]*parsed
	forwards int
	closed   bool
}

// entry is what is known about the way to a peer.
type entry struct {
	addresses []endpoint.Address
	hops      []id.Peer // empty for a peer to dial or linked
	learned   time.Time
	used      time.Time
	changed   chan struct{} // closed when something new is learned; nil if nobody waits
}

type headerKey struct {
	dst  endpoint.Address
	hops string
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
	r := &Router{
		cfg: cfg, ep: cfg.Scope.Endpoint(), self: cfg.Scope.Peer(), log: cfg.Logger,
		table: map[id.Peer]*entry{}, failed: map[endpoint.Address]time.Time{}, told: map[id.Peer]time.Time{},
		headers: map[headerKey][]byte{}, peers: map[string]id.Peer{}, last: map[endpoint.Link]*parsed{},
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

// Stats counts what a router did since it was made.
type Stats struct {
	Sent, Delivered, Forwarded uint64
	DroppedMalformed           uint64 // no router document, or one that cannot be read
	DroppedLoop                uint64 // our own message came back, or passed here before
	DroppedNoRoute             uint64 // to be forwarded, but nobody knows where to
	DroppedBusy                uint64 // to be forwarded, but too many are waiting
}

type counters struct{ sent, delivered, forwarded, malformed, loop, noRoute, busy atomic.Uint64 }

// Stats returns the counters.
func (r *Router) Stats() Stats {
	c := &r.stats
	return Stats{c.sent.Load(), c.delivered.Load(), c.forwarded.Load(), c.malformed.Load(), c.loop.Load(), c.noRoute.Load(), c.busy.Load()}
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
	for p, e := range r.table {
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
	e := r.table[p]
	if e == nil {
		if len(addresses) == 0 && len(hops) == 0 {
			return
		}
		r.evict()
		e = &entry{used: time.Now()}
		r.table[p] = e
	}
	e.learned = time.Now()
	if len(addresses) > 0 {
		e.addresses = addresses
	}
	e.hops = hops
	if e.changed != nil {
		close(e.changed)
		e.changed = nil
	}
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
	e := r.table[p]
	if e == nil || len(e.addresses)+len(e.hops) == 0 {
		return false
	}
	if len(e.addresses) == 0 {
		return true // the way through others works, or it would be forgotten
	}
	for _, a := range addresses {
		if len(e.addresses) < maxHeard && !slices.Contains(e.addresses, a) {
			e.addresses = append(slices.Clip(e.addresses), a)
		}
	}
	return true
}

// evict makes room for one more entry. r.mu is held.
func (r *Router) evict() {
	if len(r.table) < maxRoutes {
		return
	}
	var oldest id.Peer
	var when time.Time
	for p, e := range r.table {
		if time.Since(e.learned) > routeLife && time.Since(e.used) > routeLife && e.changed == nil {
			delete(r.table, p)
			continue
		}
		if e.changed == nil && (when.IsZero() || e.used.Before(when)) {
			oldest, when = p, e.used
		}
	}
	if len(r.table) >= maxRoutes {
		delete(r.table, oldest)
	}
}

// usable keeps the addresses that a transport here can dial and that are not
// our own, those of a loopback interface only if we are reached there too.
func (r *Router) usable(in []endpoint.Address) []endpoint.Address {
	own := r.ep.Addresses()
	local := slices.ContainsFunc(own, isLoopback)
	if !local {
		local = slices.ContainsFunc(r.ep.Links(), func(l endpoint.Link) bool { return loopbackIP(l.Origin()) })
	}
	var out []endpoint.Address
	for _, a := range in {
		a = a.Base()
		switch {
		case !r.ep.Serves(a.Protocol), slices.Contains(own, a), slices.Contains(out, a):
		case unspecified(a), isLoopback(a) && !local:
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
	if e := r.table[p]; e != nil && e.changed == nil {
		delete(r.table, p)
	}
}

func (r *Router) linkChanged(ev endpoint.LinkEvent) {
	p := ev.Link.Peer()
	r.mu.Lock()
	defer r.mu.Unlock()
	if !ev.Up {
		delete(r.last, ev.Link)
		if ev.Last {
			delete(r.told, p)
		}
		return
	}
	delete(r.failed, ev.Link.Remote().Base())
	if e := r.table[p]; e != nil && e.changed != nil {
		close(e.changed)
		e.changed = nil
	}
}

// Send carries a message to a jxta:// address; it is the [endpoint.Router]. It
// returns when the message is on its first hop, or says why it cannot be. ctx
// bounds the search for a way, which also ends after a minute.
func (r *Router) Send(ctx context.Context, dst endpoint.Address, msg *message.Message) error {
	peer, ok := r.peerOf(dst)
	if !ok {
		return fmt.Errorf("routing: %s: %w", dst, endpoint.ErrAddress)
	}
	for attempt := 0; ; attempt++ {
		l, hops, err := r.find(ctx, peer)
		if err != nil {
			return err
		}
		err = r.sendVia(ctx, l, hops, dst, msg)
		if err == nil {
			r.stats.sent.Add(1)
			return nil
		}
		if !errors.Is(err, endpoint.ErrLinkClosed) || attempt >= 2 || ctx.Err() != nil {
			return fmt.Errorf("routing: %s: %w", peer.Short(), err)
		}
		// The link broke under us and nothing of the message arrived: try the
		// next way.
	}
}

// peerOf is dst.Peer, remembered: a conversation names the same peer in every
// message.
func (r *Router) peerOf(dst endpoint.Address) (id.Peer, bool) {
	r.mu.Lock()
	p, ok := r.peers[dst.Host]
	r.mu.Unlock()
	if ok {
		return p, true
	}
	if p, ok = dst.Peer(); !ok {
		return p, false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.peers) >= maxHeaders {
		clear(r.peers)
	}
	r.peers[dst.Host] = p
	return p, true
}

func (r *Router) sendVia(ctx context.Context, l endpoint.Link, hops []id.Peer, dst endpoint.Address, msg *message.Message) error {
	doc, err := r.headerFor(l.Peer(), hops, dst)
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
func (r *Router) headerFor(gateway id.Peer, hops []id.Peer, dst endpoint.Address) ([]byte, error) {
	k := headerKey{dst: dst}
	for _, h := range hops {
		k.hops += h.Unique()
	}
	r.mu.Lock()
	tell := time.Since(r.told[gateway]) > announceAgain
	if tell {
		r.told[gateway] = time.Now()
	}
	doc := r.headers[k]
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
	if err != nil || tell {
		return doc, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.headers) >= maxHeaders {
		clear(r.headers)
	}
	r.headers[k] = doc
	return doc, nil
}
