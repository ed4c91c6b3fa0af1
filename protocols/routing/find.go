package routing

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
)

// NoRouteError tells why no way to a peer was found. It unwraps to
// [endpoint.ErrNoRoute] and to the errors of the attempts.
type NoRouteError struct {
	Peer     id.Peer
	Attempts []error // one for each address or hop tried
	Asked    bool    // others were asked
}

// Error implements error.
func (e *NoRouteError) Error() string {
	s := "no route to peer " + e.Peer.Short()
	switch {
	case len(e.Attempts) > 0:
		return s + ": " + errors.Join(e.Attempts...).Error()
	case e.Asked:
		return s + ": no address is known, and nobody who was asked knows one"
	}
	return s + ": no address is known, and there is nobody to ask"
}

// Unwrap returns [endpoint.ErrNoRoute] and the causes.
func (e *NoRouteError) Unwrap() []error { return append([]error{endpoint.ErrNoRoute}, e.Attempts...) }

// Connect returns a link to the peer itself, opening one if its address is
// known. It does not ask others. The error is a *[NoRouteError].
func (r *Router) Connect(ctx context.Context, p id.Peer) (endpoint.Link, error) {
	if l := r.ep.LinkTo(p); l != nil {
		return l, nil
	}
	nr := &NoRouteError{Peer: p}
	if l := r.dialKnown(ctx, p, forSelf, nr); l != nil {
		return l, nil
	}
	return nil, nr
}

// at returns the way to a peer that can be taken at once: its own link, or one to
// a peer in between with the hops from there.
func (r *Router) at(ctx context.Context, p id.Peer) (endpoint.Link, []id.Peer) {
	if l := r.ep.LinkTo(p); l != nil {
		return l, nil
	}
	return r.ready(p, nil, forSelf, !endpoint.OnlyKnownWays(ctx))
}

// ready returns the best way through other peers that can be taken at once, to
// none of avoid. What was hearsay is one only if no address of the peer itself is
// to be tried before. When a way is taken, a link to the peer itself is tried
// beside it now and then; see [Router.SetUpgrade].
func (r *Router) ready(p id.Peer, avoid []id.Peer, who forWhom, punch bool) (endpoint.Link, []id.Peer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.table.get(p)
	if e == nil || len(e.ways) == 0 {
		return nil, nil
	}
	now := r.now()
	e.expire(now)
	for i := range e.ways {
		w := &e.ways[i]
		if w.hearsay && r.canDial(e, now) {
			continue
		}
		l, hops := r.linkOn(w.hops, avoid)
		if l == nil {
			continue
		}
		w.used, w.expires = now, now+routeLife
		r.table.use(e)
		r.mayClimb(e, hops, now, who, punch)
		return l, hops
	}
	return nil, nil
}

// linkOn returns a link to the hop that is nearest to the end of the way, with the
// hops from there on.
func (r *Router) linkOn(hops, avoid []id.Peer) (endpoint.Link, []id.Peer) {
	for i, h := range slices.Backward(hops) {
		if l := r.ep.LinkTo(h); l != nil && !slices.Contains(avoid, h) {
			return l, hops[i:]
		}
	}
	return nil, nil
}

// errKept is no error, but the end of a search.
var errKept = errors.New("the message is kept")

// search looks for a way that must be opened first: to the peer itself, to a peer
// in between; or, if ask is set, it asks the group and waits. keep, if not nil, is
// called before that; the search ends with errKept if it returns true.
func (r *Router) search(ctx context.Context, p id.Peer, ask bool, keep func() bool) (endpoint.Link, []id.Peer, error) {
	outer := ctx
	ctx, cancel := context.WithTimeout(ctx, searchTimeout)
	defer cancel()
	nr := &NoRouteError{Peer: p}
	e, lost := r.await(p)
	defer r.found(e)
	for {
		news := r.news(e)
		nr.Attempts = nil
		if l, hops := r.at(ctx, p); l != nil {
			return l, hops, nil
		}
		if l, hops := r.dialAsking(ctx, p, e, ask, nr); l != nil {
			return l, hops, nil
		}
		if l, hops := r.throughHops(ctx, p, nil, forSelf, nr); l != nil {
			return l, hops, nil
		}
		if keep != nil && keep() {
			return nil, nil, errKept
		}
		a := r.asker.Load()
		if !ask || a == nil || !a.ask(ctx, p) {
			return nil, nil, nr
		}
		nr.Asked = true
		timer := time.NewTimer(askAgain)
		select {
		case <-news:
			timer.Stop()
		case <-timer.C:
			if lost { // nobody knew a moment ago
				return nil, nil, nr
			}
		case <-r.ctx.Done():
			timer.Stop()
			return nil, nil, fmt.Errorf("routing: %w", endpoint.ErrClosed)
		case <-ctx.Done():
			timer.Stop()
			if len(nr.Attempts) == 0 {
				nr.Attempts = []error{context.Cause(ctx)}
			}
			if outer.Err() == nil {
				r.lose(p)
			}
			return nil, nil, nr
		}
	}
}

// dialAsking returns a link to the peer that is opened under a known address. When
// that takes long, as it does if nothing answers there at all, it asks the group
// meanwhile, if it may, and takes what comes first: then the dialling goes on for
// itself, and its link will be used when it comes up.
func (r *Router) dialAsking(ctx context.Context, p id.Peer, e *entry, ask bool, nr *NoRouteError) (endpoint.Link, []id.Peer) {
	a := r.asker.Load()
	r.mu.Lock()
	beside := ask && a != nil && !r.closed && r.canDial(e, r.now())
	if beside {
		r.wg.Add(1)
	}
	r.mu.Unlock()
	if !beside {
		return r.dialKnown(ctx, p, forSelf, nr), nil
	}
	type outcome struct {
		link endpoint.Link
		nr   NoRouteError
	}
	done := make(chan outcome, 1)
	own := context.WithoutCancel(ctx) // whoever asked may be content with another way
	go func() {
		defer r.wg.Done()
		own, cancel := context.WithTimeout(own, 2*attemptTimeout)
		defer cancel()
		defer context.AfterFunc(r.ctx, cancel)()
		o := outcome{nr: NoRouteError{Peer: p}}
		o.link = r.dialKnown(own, p, forSelf, &o.nr)
		done <- o
	}()
	timer := time.NewTimer(dialAlone)
	defer timer.Stop()
	var news <-chan struct{}
	for {
		select {
		case o := <-done:
			nr.Attempts = append(nr.Attempts, o.nr.Attempts...)
			return o.link, nil
		case <-timer.C:
			news = r.news(e)
			if a.ask(ctx, p) {
				nr.Asked = true
			}
		case <-news:
			news = r.news(e)
			if l, hops := r.at(ctx, p); l != nil {
				return l, hops
			}
		case <-ctx.Done():
			return nil, nil
		}
	}
}

// await keeps the entry of a peer in the table until found is called. It reports
// whether the peer was looked for in vain a moment ago.
func (r *Router) await(p id.Peer) (e *entry, lost bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e = r.entry(p)
	e.waiting++
	r.table.use(e)
	when, ok := r.lost.get(p)
	return e, ok && r.now()-when < lostFor
}

// lose remembers that nobody knows a peer.
func (r *Router) lose(p id.Peer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.lost.len() >= maxPendingQueries {
		r.lost.clear()
	}
	r.lost.set(p, r.now())
}

// found ends what await began; an entry that says nothing is forgotten.
func (r *Router) found(e *entry) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e.waiting--; e.waiting > 0 {
		return
	}
	e.changed = nil
	if e.empty() && r.table.get(e.peer) == e {
		r.table.remove(e)
	}
}

// news returns a channel that is closed when something about the peer is learned
// or a link to it comes up.
func (r *Router) news(e *entry) <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e.changed == nil {
		e.changed = make(chan struct{})
	}
	return e.changed
}

// throughHops opens a way through others: each known one in turn whose first peer
// can be reached. Ways of which it cannot be are forgotten.
func (r *Router) throughHops(ctx context.Context, p id.Peer, avoid []id.Peer, who forWhom, nr *NoRouteError) (endpoint.Link, []id.Peer) {
	for {
		r.mu.Lock()
		var hops []id.Peer
		if e := r.table.get(p); e != nil {
			e.expire(r.now())
			r.table.use(e)
			for i := range e.ways {
				if !slices.Contains(avoid, e.ways[i].hops[0]) {
					hops = e.ways[i].hops
					break
				}
			}
		}
		r.mu.Unlock()
		if hops == nil {
			return nil, nil
		}
		l, rest := r.linkOn(hops, avoid)
		if l == nil {
			if l = r.dialKnown(ctx, hops[0], who, nr); l != nil {
				rest = hops
			}
		}
		if l != nil {
			r.took(p, hops)
			return l, rest
		}
		nr.Attempts = append(nr.Attempts, fmt.Errorf("the way through peer %s: it cannot be reached", hops[0].Short()))
		r.mu.Lock()
		dropped := false
		if e := r.table.get(p); e != nil {
			dropped = e.dropWays(func(x []id.Peer) bool { return slices.Equal(x, hops) })
		}
		r.mu.Unlock()
		if !dropped && ctx.Err() != nil {
			return nil, nil
		}
	}
}

// took notes that a way is in use.
func (r *Router) took(p id.Peer, hops []id.Peer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.table.get(p)
	if e == nil {
		return
	}
	for i := range e.ways {
		if w := &e.ways[i]; slices.Equal(w.hops, hops) {
			w.used = r.now()
			w.expires = w.used + routeLife
		}
	}
}
