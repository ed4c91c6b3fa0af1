package routing

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/xmldoc"
	"github.com/juxta-p2p/juxta/protocols/resolver"
	"github.com/juxta-p2p/juxta/protocols/resolver/budget"
)

// asker is the part of the router that asks others for routes, and tells them.
type asker struct {
	r   *Router
	res *resolver.Service

	bySource, byNeighbour budget.Budget // of questions

	mu      sync.Mutex
	pending map[id.Peer]*asked
	swept   time.Time // when pending was last freed of what is over
}

// ownRoute is the answer to those who ask for this peer, printed.
type ownRoute struct {
	route *advertisements.Route
	doc   string
}

type asked struct {
	id   int32
	when time.Time
}

// Ask makes the router ask the group of the resolver, which must be the net
// group, for routes it does not know, and answer such questions. It lasts until
// ctx ends.
func (r *Router) Ask(ctx context.Context, res *resolver.Service) error {
	a := &asker{
		r: r, res: res,
		bySource:    budget.Budget{Rate: askerRate, Burst: askerRate},
		byNeighbour: budget.Budget{Rate: neighbourRate, Burst: neighbourRate},
	}
	_, err := res.Register(ctx, service, resolver.Handler{Query: a.query, Response: a.response})
	if err != nil {
		return err
	}
	r.asker.Store(a)
	context.AfterFunc(ctx, func() { r.asker.CompareAndSwap(a, nil) })
	return nil
}

// ask sends a route query, unless one was sent a moment ago. It reports whether
// an answer may come.
func (a *asker) ask(ctx context.Context, p id.Peer) bool {
	now := time.Now()
	a.mu.Lock()
	if now.Sub(a.swept) > askAgain {
		a.swept = now
		for q, s := range a.pending {
			if now.Sub(s.when) > searchTimeout {
				delete(a.pending, q)
			}
		}
	}
	s := a.pending[p]
	if s != nil && now.Sub(s.when) < askAgain-askAgain/4 {
		a.mu.Unlock()
		return true
	}
	if s == nil && len(a.pending) >= maxPendingQueries {
		a.mu.Unlock()
		a.r.stats.unsentAsk.Add(1)
		return false
	}
	s = &asked{id: resolver.NewID(), when: now}
	if a.pending == nil {
		a.pending = map[id.Peer]*asked{}
	}
	a.pending[p] = s
	a.mu.Unlock()

	doc, err := xmldoc.Marshal(&query{Dest: p, Src: a.r.cfg.Self(), Bad: a.r.badHops(p)})
	if err != nil {
		a.r.log.Error("route query cannot be printed", "error", err)
		return false
	}
	n, err := a.res.SpreadQuery(ctx, &resolver.RawQuery{Handler: service, ID: s.id, Body: string(doc)})
	if err != nil {
		a.mu.Lock()
		delete(a.pending, p)
		a.mu.Unlock()
	}
	if n == 0 {
		a.r.stats.unsentAsk.Add(1)
		return false
	}
	a.r.stats.asked.Add(1)
	return true
}

// query answers for this peer itself, for its neighbours, and for those to whom
// it knows a way. Like a message that is forwarded, the answer takes a way that is
// known, or none.
func (a *asker) query(ctx context.Context, raw *resolver.RawQuery) resolver.Outcome {
	if !a.bySource.Spend(raw.Source, 1) || !a.byNeighbour.Spend(raw.From, 1) {
		a.r.stats.overAsked.Add(1)
		return resolver.Done
	}
	var q query
	if err := xmldoc.Unmarshal([]byte(raw.Body), &q); err != nil {
		a.r.stats.malformed.Add(1)
		a.r.log.Debug("route query dropped", "from", raw.From.Short(), "error", err)
		return resolver.Done
	}
	switch {
	case q.Src.Dest != raw.Source:
	case raw.From == raw.Source && !raw.Broadcast:
		a.r.learnRoute(q.Src, raw.From)
	default: // whoever passed it on, or shouted it, may have written anything
		a.r.hearRoute(q.Src, raw.From)
	}
	doc, ok, err := a.answer(&q)
	if !ok {
		a.noteBack(raw, true)  // who knows more will answer this way
		return resolver.WalkOn // a rendezvous knows the ways to its edges
	}
	if err != nil {
		a.r.stats.unsentAnswer.Add(1)
		a.r.log.Error("route response cannot be printed", "error", err)
		return resolver.Done
	}
	ctx, cancel := context.WithTimeout(endpoint.KnownWays(ctx), attemptTimeout*2)
	defer cancel()
	if a.back(ctx, raw) {
		err = a.res.SendResponse(ctx, raw.Source, &resolver.RawResponse{Handler: service, ID: raw.ID, Body: doc})
	} else {
		err = &NoRouteError{Peer: raw.Source}
	}
	if err != nil {
		a.r.stats.unsentAnswer.Add(1)
		a.r.log.Debug("route response could not be sent", "to", raw.Source.Short(), "error", err)
		return resolver.Done
	}
	a.r.stats.answered.Add(1)
	return resolver.Done
}

// back makes sure that there is a way to the asker, and reports whether there is.
// Its addresses are tried for a moment only; then, or if there are none, the way
// is over the neighbour from whom the question came: whoever passed it on has one,
// or did the same.
func (a *asker) back(ctx context.Context, raw *resolver.RawQuery) bool {
	r := a.r
	if raw.Source == r.self || r.ep.LinkTo(raw.Source) != nil {
		return true
	}
	if l, _ := r.ready(raw.Source, nil, forOthers, false); l != nil {
		return true
	}
	nr := &NoRouteError{Peer: raw.Source}
	wait := attemptTimeout
	if a.viaNeighbour(raw) {
		wait = backTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	if r.dialKnown(ctx, raw.Source, forOthers, nr) != nil || a.noteBack(raw, false) {
		return true
	}
	l, _ := r.throughHops(ctx, raw.Source, nil, forOthers, nr)
	return l != nil
}

// viaNeighbour reports whether a neighbour passed the question on.
func (a *asker) viaNeighbour(raw *resolver.RawQuery) bool {
	return raw.From != raw.Source && raw.From != a.r.self && !raw.Broadcast && a.r.ep.LinkTo(raw.From) != nil
}

// noteBack remembers that a question came over a neighbour, who is a way to the
// asker. It reports whether it is so.
func (a *asker) noteBack(raw *resolver.RawQuery, hearsay bool) bool {
	if raw.Source == a.r.self || !a.viaNeighbour(raw) {
		return false
	}
	a.r.mu.Lock()
	defer a.r.mu.Unlock()
	e := a.r.entryBy(raw.Source, raw.From)
	if e == nil {
		return false
	}
	now := a.r.now()
	e.absolve(raw.From)
	e.addWay(way{hops: []id.Peer{raw.From}, from: raw.From, hearsay: hearsay}, now)
	e.wake()
	return true
}

// answer prints the answer to a query, if there is one. The own route is asked for
// by everybody and printed once.
func (a *asker) answer(q *query) (doc string, ok bool, err error) {
	self := a.r.cfg.Self()
	if q.Dest == a.r.self {
		if own := a.r.own.Load(); own != nil && own.route == self {
			return own.doc, true, nil
		}
	}
	bad := q.Bad
	if q.Src != nil && !q.Src.Dest.IsZero() {
		bad = append(slices.Clip(bad), q.Src.Dest) // it does not want a way over itself
	}
	route := a.known(q.Dest, bad)
	if route == nil {
		return "", false, nil
	}
	b, err := xmldoc.Marshal(&response{Dest: route, Src: self})
	if err == nil && route == self {
		a.r.own.Store(&ownRoute{self, string(b)})
	}
	return string(b), true, err
}

// known returns the route to a peer as told to others: the own one in full; for
// a neighbour its addresses as far as known; else the hops.
func (a *asker) known(p id.Peer, bad []id.Peer) *advertisements.Route {
	if p == a.r.self {
		return a.r.cfg.Self()
	}
	linked, now := a.r.ep.LinkTo(p) != nil, a.r.now()
	if holds := a.r.holds.Load(); holds != nil && !linked {
		linked = (*holds)(p)
	}
	a.r.mu.Lock()
	defer a.r.mu.Unlock()
	e := a.r.table.get(p)
	switch {
	case linked:
		route := &advertisements.Route{Dest: p}
		if e != nil {
			route.Addresses = slices.Clone(e.addresses)
		}
		return route
	case e == nil:
		return nil
	}
	e.expire(now)
	for _, w := range e.ways {
		if slices.ContainsFunc(w.hops, func(h id.Peer) bool { return slices.Contains(bad, h) }) {
			continue
		}
		route := &advertisements.Route{Dest: p}
		for _, h := range w.hops {
			route.Hops = append(route.Hops, advertisements.AccessPoint{Peer: h})
		}
		return route
	}
	return nil
}

// response takes a route that was asked for: the responder's own addresses, and
// the way it names, with the responder in front.
func (a *asker) response(_ context.Context, raw *resolver.RawResponse) {
	var resp response
	if err := xmldoc.Unmarshal([]byte(raw.Body), &resp); err != nil {
		a.r.stats.malformed.Add(1)
		a.r.log.Debug("route response dropped", "from", raw.From.Short(), "error", err)
		return
	}
	dest, responder := resp.Dest.Dest, resp.Src.Dest
	a.mu.Lock()
	s := a.pending[dest]
	ok := s != nil && s.id == raw.ID
	a.mu.Unlock()
	if !ok || responder != raw.From {
		a.r.stats.unasked.Add(1)
		return
	}
	a.r.learnRoute(resp.Src, responder)
	if dest == responder {
		return
	}
	a.r.vouch(dest, responder)
	route := &advertisements.Route{Dest: dest, Addresses: resp.Dest.Addresses}
	if hops := resp.Dest.Hops; len(hops) == 0 || hops[0].Peer != responder {
		route.Hops = append(route.Hops, advertisements.AccessPoint{Peer: responder})
	}
	route.Hops = append(route.Hops, resp.Dest.Hops...)
	a.r.learnRoute(route, responder)
	if l := a.r.ep.LinkTo(responder); l != nil {
		return
	}
	for _, before := range a.r.hopsTo(responder) { // how it is reached itself
		longer := &advertisements.Route{Dest: dest}
		for _, h := range before {
			longer.Hops = append(longer.Hops, advertisements.AccessPoint{Peer: h})
		}
		for _, h := range route.Hops {
			if h.Peer != dest && !longer.Passes(h.Peer) {
				longer.Hops = append(longer.Hops, advertisements.AccessPoint{Peer: h.Peer})
			}
		}
		a.r.learnRoute(longer, responder)
	}
}

// vouch takes a peer's own word that it leads to another.
func (r *Router) vouch(p, by id.Peer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e := r.table.get(p); e != nil {
		e.absolve(by)
	}
}

// hopsTo returns the known ways to a peer.
func (r *Router) hopsTo(p id.Peer) (all [][]id.Peer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e := r.table.get(p); e != nil {
		e.expire(r.now())
		for _, w := range e.ways {
			all = append(all, w.hops)
		}
	}
	return all
}

// badHops returns the peers that did not lead to another a moment ago.
func (r *Router) badHops(p id.Peer) (bad []id.Peer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e, now := r.table.get(p), r.now()
	if e == nil {
		return nil
	}
	for _, b := range e.bad {
		if now-b.since < badHopLife {
			bad = append(bad, b.peer)
		}
	}
	return bad
}
