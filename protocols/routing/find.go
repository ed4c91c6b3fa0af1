package routing

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
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
// link, one dialled now, one to a peer in between; or it asks and waits.
func (r *Router) find(ctx context.Context, p id.Peer) (endpoint.Link, []id.Peer, error) {
	if l := r.ep.LinkTo(p); l != nil {
		return l, nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, searchTimeout)
	defer cancel()
	nr := &NoRouteError{Peer: p}
	for {
		news := r.watchEntry(p)
		nr.Attempts = nil
		if l := r.dialKnown(ctx, p, nr); l != nil {
			return l, nil, nil
		}
		if l, hops := r.throughHops(ctx, p, nr); l != nil {
			return l, hops, nil
		}
		a := r.asker.Load()
		if a == nil || !a.ask(ctx, p) {
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

// watchEntry returns a channel that is closed when something about the peer is
// learned or a link to it comes up.
func (r *Router) watchEntry(p id.Peer) <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.table[p]
	if e == nil {
		r.evict()
		e = &entry{used: time.Now(), learned: time.Now()}
		r.table[p] = e
	}
	e.used = time.Now()
	if e.changed == nil {
		e.changed = make(chan struct{})
	}
	return e.changed
}

func (r *Router) dialKnown(ctx context.Context, p id.Peer, nr *NoRouteError) endpoint.Link {
	r.mu.Lock()
	var try []endpoint.Address
	if e := r.table[p]; e != nil {
		for _, a := range e.addresses {
			until, bad := r.failed[a]
			if bad && time.Now().Before(until) {
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
			if len(r.failed) >= maxRoutes {
				clear(r.failed)
			}
			r.failed[a] = time.Now().Add(attemptPause)
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
	if e := r.table[p]; e != nil {
		hops = e.hops
	}
	r.mu.Unlock()
	if len(hops) == 0 {
		return nil, nil
	}
	last := hops[len(hops)-1]
	if l := r.ep.LinkTo(last); l != nil {
		return l, []id.Peer{last}
	}
	if l := r.ep.LinkTo(hops[0]); l != nil {
		return l, hops
	}
	if l := r.dialKnown(ctx, hops[0], nr); l != nil {
		return l, hops
	}
	nr.Attempts = append(nr.Attempts, fmt.Errorf("the way through peer %s: it cannot be reached", hops[0].Short()))
	r.mu.Lock()
	if e := r.table[p]; e != nil {
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
