package routing

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
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
	if l := r.dialKnown(ctx, p, nr); l != nil {
		return l, nil
	}
	return nil, nr
}

// find returns a link that leads to the peer, with the hops behind it: its own
// link, one dialled now, one to a peer in between; or, if ask is set, it asks the
// group and waits.
func (r *Router) find(ctx context.Context, p id.Peer, ask bool) (endpoint.Link, []id.Peer, error) {
	if l := r.ep.LinkTo(p); l != nil {
		return l, nil, nil
	}
	if l, hops := r.ready(p); l != nil {
		return l, hops, nil
	}
	ctx, cancel := context.WithTimeout(ctx, searchTimeout)
	defer cancel()
	nr := &NoRouteError{Peer: p}
	e := r.await(p)
	defer r.found(e)
	for {
		news := r.news(e)
		nr.Attempts = nil
		if l := r.dialKnown(ctx, p, nr); l != nil {
			return l, nil, nil
		}
		if l, hops := r.throughHops(ctx, p, nr); l != nil {
			return l, hops, nil
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
		case <-r.ctx.Done():
			timer.Stop()
			return nil, nil, fmt.Errorf("routing: %w", endpoint.ErrClosed)
		case <-ctx.Done():
			timer.Stop()
			if len(nr.Attempts) == 0 {
				nr.Attempts = []error{context.Cause(ctx)}
			}
			return nil, nil, nr
		}
	}
}

// ready returns the way through other peers if it can be taken at once and no
// address of the peer itself is to be tried before.
func (r *Router) ready(p id.Peer) (endpoint.Link, []id.Peer) {
	r.mu.Lock()
	e := r.table.get(p)
	if e == nil || len(e.hops) == 0 || slices.ContainsFunc(e.addresses, func(a endpoint.Address) bool { return !r.rests(a) }) {
		r.mu.Unlock()
		return nil, nil
	}
	r.table.use(e)
	hops := e.hops
	r.mu.Unlock()
	return r.linkOn(hops)
}

// rests reports whether an address failed a moment ago. r.mu is held.
func (r *Router) rests(a endpoint.Address) bool {
	until, bad := r.failed.get(a)
	return bad && time.Now().Before(until)
}

// linkOn returns a link to the last hop, for which no other is needed, or to the
// first.
func (r *Router) linkOn(hops []id.Peer) (endpoint.Link, []id.Peer) {
	last := len(hops) - 1
	if l := r.ep.LinkTo(hops[last]); l != nil {
		return l, hops[last:]
	}
	if l := r.ep.LinkTo(hops[0]); l != nil {
		return l, hops
	}
	return nil, nil
}

// await keeps the entry of a peer in the table until found is called.
func (r *Router) await(p id.Peer) *entry {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.entry(p)
	e.waiting++
	r.table.use(e)
	return e
}

// found ends what await began; an entry that says nothing is forgotten.
func (r *Router) found(e *entry) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e.waiting--; e.waiting > 0 {
		return
	}
	e.changed = nil
	if e.empty() {
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

// dialKnown returns a link that is opened under a known address of the peer.
func (r *Router) dialKnown(ctx context.Context, p id.Peer, nr *NoRouteError) endpoint.Link {
	r.mu.Lock()
	var try []endpoint.Address
	if e := r.table.get(p); e != nil {
		for _, a := range e.addresses {
			if r.rests(a) {
				nr.Attempts = append(nr.Attempts, fmt.Errorf("%s failed less than %v ago", a, attemptPause))
				continue
			}
			if len(try) < maxDialsPerRoute {
				try = append(try, a)
			}
		}
	}
	r.mu.Unlock()
	for _, a := range try {
		l, err := r.attempt(ctx, a)
		if l := r.ep.LinkTo(p); l != nil {
			return l // dialled just now, or the peer dialled us meanwhile
		}
		if err == nil {
			err = &endpoint.DialError{Addr: a, Phase: endpoint.PhaseIdentity, Err: fmt.Errorf("peer %s answers there", l.Peer().Short())}
		}
		nr.Attempts = append(nr.Attempts, err)
		if ctx.Err() == nil {
			r.mu.Lock()
			if r.failed.len() >= maxRoutes {
				r.failed.clear()
			}
			r.failed.set(a, time.Now().Add(attemptPause))
			r.mu.Unlock()
		}
	}
	return nil
}

func (r *Router) attempt(ctx context.Context, a endpoint.Address) (endpoint.Link, error) {
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	return r.ep.Dial(ctx, a)
}

// throughHops uses the last hop of a known route if there is a link to it, else
// the first that can be reached.
func (r *Router) throughHops(ctx context.Context, p id.Peer, nr *NoRouteError) (endpoint.Link, []id.Peer) {
	r.mu.Lock()
	var hops []id.Peer
	if e := r.table.get(p); e != nil {
		hops = e.hops
		r.table.use(e)
	}
	r.mu.Unlock()
	if len(hops) == 0 {
		return nil, nil
	}
	if l, hops := r.linkOn(hops); l != nil {
		return l, hops
	}
	if l := r.dialKnown(ctx, hops[0], nr); l != nil {
		return l, hops
	}
	nr.Attempts = append(nr.Attempts, fmt.Errorf("the way through peer %s: it cannot be reached", hops[0].Short()))
	r.mu.Lock()
	if e := r.table.get(p); e != nil && slices.Equal(e.hops, hops) { // and nothing new was learned
		e.hops = nil
	}
	r.mu.Unlock()
	return nil, nil
}

func isLoopback(a endpoint.Address) bool {
	host, _, err := a.HostPort()
	return err == nil && loopbackIP(host)
}

func loopbackIP(s string) bool {
	ip, err := netip.ParseAddr(s)
	return s == "localhost" || err == nil && ip.IsLoopback()
}

func unspecified(a endpoint.Address) bool {
	host, port, err := a.HostPort()
	if err != nil {
		return false // not of the host:port kind; its transport knows
	}
	ip, err := netip.ParseAddr(host)
	return port == "0" || err == nil && (ip.IsUnspecified() || ip.IsMulticast())
}
