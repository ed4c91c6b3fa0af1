package routing

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/xmldoc"
	"github.com/juxta-p2p/juxta/protocols/resolver"
)

// asker is the part of the router that asks others for routes, and tells them.
type asker struct {
	r   *Router
	res *resolver.Service

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
	a := &asker{r: r, res: res}
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

	doc, err := xmldoc.Marshal(&query{Dest: p, Src: a.r.cfg.Self()})
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
	var q query
	if err := xmldoc.Unmarshal([]byte(raw.Body), &q); err != nil {
		a.r.stats.malformed.Add(1)
		a.r.log.Debug("route query dropped", "from", raw.From.Short(), "error", err)
		return resolver.Done
	}
	switch {
	case q.Src.Dest != raw.Source:
	case raw.From == raw.Source && !raw.Broadcast:
		a.r.Learn(q.Src)
	default: // whoever passed it on, or shouted it, may have written anything
		a.r.Hear(q.Src)
	}
	doc, ok, err := a.answer(&q)
	if !ok {
		return resolver.WalkOn // a rendezvous knows the ways to its edges
	}
	if err != nil {
		a.r.stats.unsentAnswer.Add(1)
		a.r.log.Error("route response cannot be printed", "error", err)
		return resolver.Done
	}
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout*2)
	defer cancel()
	if err = a.back(ctx, raw); err == nil {
		err = a.res.SendResponse(ctx, raw.Source, &resolver.RawResponse{Handler: service, ID: raw.ID, Body: doc})
	}
	if err != nil {
		a.r.stats.unsentAnswer.Add(1)
		a.r.log.Debug("route response could not be sent", "to", raw.Source.Short(), "error", err)
		return resolver.Done
	}
	a.r.stats.answered.Add(1)
	return resolver.Done
}

// back makes sure that there is a way to the asker. If there is none it takes the
// neighbour from whom the question came: whoever passed it on has one, or did the
// same.
func (a *asker) back(ctx context.Context, raw *resolver.RawQuery) error {
	if raw.Source == a.r.self {
		return nil
	}
	_, _, err := a.r.find(ctx, raw.Source, false)
	if err == nil || raw.From == raw.Source || raw.From == a.r.self || a.r.ep.LinkTo(raw.From) == nil {
		return err
	}
	a.r.mu.Lock()
	defer a.r.mu.Unlock()
	if e := a.r.entry(raw.Source); len(e.hops) == 0 {
		e.hops = []id.Peer{raw.From}
		e.news()
	}
	return nil
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
	route := a.known(q.Dest, q.Bad)
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
	linked := a.r.ep.LinkTo(p) != nil
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
	case e == nil, len(e.hops) == 0, slices.ContainsFunc(e.hops, func(h id.Peer) bool { return slices.Contains(bad, h) }):
		return nil
	}
	route := &advertisements.Route{Dest: p}
	for _, h := range e.hops {
		route.Hops = append(route.Hops, advertisements.AccessPoint{Peer: h})
	}
	return route
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
	a.r.Learn(resp.Src)
	if dest == responder {
		return
	}
	route := &advertisements.Route{Dest: dest, Addresses: resp.Dest.Addresses}
	if hops := resp.Dest.Hops; len(hops) == 0 || hops[0].Peer != responder {
		route.Hops = append(route.Hops, advertisements.AccessPoint{Peer: responder})
	}
	route.Hops = append(route.Hops, resp.Dest.Hops...)
	a.r.Learn(route)
}
