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
}

type asked struct {
	id   int32
	when time.Time
}

// Ask makes the router ask the group of the resolver, which must be the net
// group, for routes it does not know, and answer such questions. It lasts until
// ctx ends.
func (r *Router) Ask(ctx context.Context, res *resolver.Service) error {
	a := &asker{r: r, res: res, pending: map[id.Peer]*asked{}}
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
	for q, s := range a.pending {
		if now.Sub(s.when) > searchTimeout {
			delete(a.pending, q)
		}
	}
	s := a.pending[p]
	if s != nil && now.Sub(s.when) < askAgain-askAgain/4 {
		a.mu.Unlock()
		return true
	}
	if s == nil && len(a.pending) >= maxPendingQueries {
		a.mu.Unlock()
		return false
	}
	s = &asked{id: resolver.NewID(), when: now}
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
	return n > 0
}

// query answers for this peer itself, for its neighbours, and for those to whom
// it knows a way.
func (a *asker) query(ctx context.Context, raw *resolver.RawQuery) resolver.Outcome {
	var q query
	if err := xmldoc.Unmarshal([]byte(raw.Body), &q); err != nil {
		a.r.log.Debug("route query dropped", "from", raw.From.Short(), "error", err)
		return resolver.Done
	}
	if q.Src.Dest == raw.Source {
		a.r.Learn(q.Src)
	}
	route := a.known(q.Dest, q.Bad)
	if route == nil {
		return resolver.PassItOn
	}
	doc, err := xmldoc.Marshal(&response{Dest: route, Src: a.r.cfg.Self()})
	if err != nil {
		a.r.log.Error("route response cannot be printed", "error", err)
		return resolver.Done
	}
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout*2)
	defer cancel()
	if err := a.res.SendResponse(ctx, raw.Source, &resolver.RawResponse{Handler: service, ID: raw.ID, Body: string(doc)}); err != nil {
		a.r.log.Debug("route response could not be sent", "to", raw.Source.Short(), "error", err)
	}
	return resolver.Done
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
	e := a.r.table[p]
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
		a.r.log.Debug("route response dropped", "from", raw.From.Short(), "error", err)
		return
	}
	dest, responder := resp.Dest.Dest, resp.Src.Dest
	a.mu.Lock()
	s := a.pending[dest]
	ok := s != nil && s.id == raw.ID
	a.mu.Unlock()
	if !ok || responder != raw.From {
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
