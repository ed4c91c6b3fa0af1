package routing

import (
	"slices"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
)

// Learn takes a route to a peer that the caller has reason to believe: from an
// answer it asked for, a peer advertisement it got from its owner, or
// configuration. Its addresses replace those known; its hops are a way beside
// those known through others. Routes through this peer, and unusable addresses,
// are cut.
//
// What was learned is used for 20 minutes after it was learned or used last, as
// by JXSE. Addresses are then not told to others any more, but still tried before
// others are asked for a way.
func (r *Router) Learn(route *advertisements.Route) { r.learnRoute(route, id.Peer{}) }

// learnRoute is Learn for what a peer said.
func (r *Router) learnRoute(route *advertisements.Route, from id.Peer) {
	if route == nil || route.Dest.IsZero() || route.Dest == r.self {
		return
	}
	hops, ok := r.hopsOf(route)
	if !ok {
		return
	}
	for _, h := range route.Hops {
		if h.Peer != r.self && len(h.Addresses) > 0 && !r.hear(h.Peer, h.Addresses, nil, from) {
			r.learn(h.Peer, h.Addresses, nil, from)
		}
	}
	r.learn(route.Dest, route.Addresses, hops, from)
}

// hopsOf returns the peers on the way from here. It reports false if they are too
// many.
func (r *Router) hopsOf(route *advertisements.Route) (hops []id.Peer, ok bool) {
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
		return nil, false
	}
	return hops, true
}

func (r *Router) learn(p id.Peer, addresses []endpoint.Address, hops []id.Peer, from id.Peer) {
	addresses = r.usable(addresses)
	r.mu.Lock()
	defer r.mu.Unlock()
	if e := r.table.get(p); e == nil && len(addresses)+len(hops) == 0 {
		return
	}
	e, now := r.entry(p), r.now()
	if len(addresses) > 0 {
		r.locate(e, addresses, from, now)
	}
	if len(hops) > 0 {
		r.addWay(e, way{hops: hops, from: from}, now)
	}
	e.learned = now
	e.wake()
}

// locate takes the addresses of a peer in place of those known. r.mu is held.
func (r *Router) locate(e *entry, addresses []endpoint.Address, from id.Peer, now moment) {
	if e.climb != nil && slices.ContainsFunc(addresses, func(a endpoint.Address) bool { return !slices.Contains(e.addresses, a) }) {
		e.climb.again = min(e.climb.again, e.climb.last+climbPause)
	}
	e.addresses, e.from, e.expires = addresses, from, now+routeLife
}

// addWay takes a way through others, unless a peer on it did not lead there a
// moment ago. r.mu is held.
func (r *Router) addWay(e *entry, w way, now moment) {
	if slices.ContainsFunc(w.hops, func(h id.Peer) bool { return e.blamed(h, now) }) {
		r.stats.refused.Add(1)
		return
	}
	e.addWay(w, now)
}

// entry returns the entry of a peer, a new one if there was none. r.mu is held.
func (r *Router) entry(p id.Peer) *entry {
	e := r.table.get(p)
	if e == nil {
		var evicted uint64
		e, evicted = r.table.add(p)
		e.learned = r.now()
		r.stats.evicted.Add(evicted)
	}
	return e
}

// entryBy is entry for what a neighbour's messages make known. It returns nil when
// the table is filling up and the neighbour has named too many. r.mu is held.
func (r *Router) entryBy(p, neighbour id.Peer) *entry {
	if r.table.get(p) == nil && r.table.of.len() >= maxRoutes/2 && !r.newcomers.Spend(neighbour, 1) {
		r.stats.refused.Add(1)
		return nil
	}
	return r.entry(p)
}

// Hear takes a route to a peer from somebody who may not know or not say the
// truth. It is learned where nothing is known; else its addresses are tried after
// those that are, its hops when nothing else leads there, and nothing is replaced.
func (r *Router) Hear(route *advertisements.Route) { r.hearRoute(route, id.Peer{}) }

// hearRoute is Hear for what a peer said.
func (r *Router) hearRoute(route *advertisements.Route, from id.Peer) {
	if route == nil || route.Dest.IsZero() || route.Dest == r.self {
		return
	}
	if hops, ok := r.hopsOf(route); ok && !r.hear(route.Dest, route.Addresses, hops, from) {
		r.learnRoute(route, from)
	}
}

// hear adds to what is known of a peer. It reports false if nothing is.
func (r *Router) hear(p id.Peer, addresses []endpoint.Address, hops []id.Peer, from id.Peer) bool {
	addresses = r.usable(addresses)
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.table.get(p)
	if e == nil || e.empty() {
		return false
	}
	now := r.now()
	if len(e.addresses) == 0 && len(addresses) > 0 {
		e.from, e.expires = from, now+routeLife
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
	if len(hops) > 0 {
		r.addWay(e, way{hops: hops, from: from, hearsay: true}, now)
	}
	return true
}

// Forget drops what is known about the way to a peer; links stay open.
func (r *Router) Forget(p id.Peer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lost.delete(p)
	e := r.table.get(p)
	switch {
	case e == nil:
	case e.waiting > 0:
		e.addresses, e.ways, e.bad = nil, nil, nil
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
		r.flows.delete(ev.Link)
		if ev.Last {
			r.told.delete(p)
			if e := r.table.get(p); e != nil {
				r.table.use(e) // the peer was, as long as there was a link
				now := r.now()
				e.expires = max(e.expires, now+routeLife)
				for i := range e.ways { // something to fall back on
					e.ways[i].expires = max(e.ways[i].expires, now+wayInUse)
				}
			}
		}
		return
	}
	r.failed.delete(ev.Link.Remote().Base())
	r.lost.delete(p)
	if e := r.table.get(p); e != nil {
		e.bad = nil
		if e.climb != nil {
			e.climb.pause, e.climb.again = 0, 0
		}
		e.wake()
	}
}
