package routing

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
)

// failure tells that an address did not lead to the peer it was said to.
type failure struct {
	until    moment // when it may be tried again
	identity bool   // it led to another peer
}

// forWhom says on whose account an address is dialled.
type forWhom bool

const (
	forSelf   forWhom = false // this peer wants to reach the other
	forOthers forWhom = true  // what a stranger sent makes it dial
)

// strangers bounds the dials that others cause. Router.mu guards it.
type strangers struct {
	dialled small[endpoint.Address, moment]
	window  moment // when the present one began
	count   int    // in it
}

// allow reports whether an address may be dialled on account of others, and counts
// it if so.
func (s *strangers) allow(a endpoint.Address, now moment) bool {
	if now-s.window >= strangerWindow || s.window == 0 {
		s.window, s.count = now, 0
		s.dialled.sweep(func(_ endpoint.Address, when moment) bool { return now-when < strangerAgain })
	}
	if when, ok := s.dialled.get(a); s.count >= strangerDials || ok && now-when < strangerAgain {
		return false
	}
	s.count++
	s.dialled.set(a, now)
	return true
}

// rests reports whether an address failed a moment ago. r.mu is held.
func (r *Router) rests(a endpoint.Address, now moment) bool {
	f, bad := r.failed.get(a)
	return bad && now < f.until
}

// rested returns what is to be dialled of the places of a peer, and how many are
// left alone since they failed a moment ago: of a place where another peer was
// found nothing. r.mu is held.
func (r *Router) rested(all [][]endpoint.Address, now moment) (try [][]endpoint.Address, resting []endpoint.Address) {
	for _, place := range all {
		rest := place
		for len(rest) > 0 && r.rests(rest[0], now) {
			resting = append(resting, rest[0])
			if f, _ := r.failed.get(rest[0]); f.identity {
				rest = nil
				break
			}
			rest = rest[1:]
		}
		if len(rest) > 0 {
			try = append(try, rest)
		}
	}
	return try, resting
}

// canDial reports whether an address of a peer is known that did not fail a moment
// ago. r.mu is held.
func (r *Router) canDial(e *entry, now moment) bool {
	if e == nil {
		return false
	}
	for _, a := range e.addresses {
		if r.rests(a, now) {
			continue
		}
		if f, bad := r.failed.get(twin(a, protocolTLS)); a.Protocol == protocolTCP && bad && now < f.until && f.identity {
			continue
		}
		return true
	}
	return false
}

// dialKnown returns a link that is opened under a known address of the peer, or
// nil, and adds to nr why not. All addresses are dialled side by side, each with a
// head start before the next.
func (r *Router) dialKnown(ctx context.Context, p id.Peer, who forWhom, nr *NoRouteError) endpoint.Link {
	own := r.cfg.Self().Addresses
	r.mu.Lock()
	var try [][]endpoint.Address
	if e := r.table.get(p); e != nil && len(e.addresses) > 0 {
		now := r.now()
		var resting []endpoint.Address
		try, resting = r.rested(places(e.addresses, own), now)
		for _, a := range resting {
			nr.Attempts = append(nr.Attempts, fmt.Errorf("%s failed less than %v ago", a, attemptPause))
		}
		try = r.permitted(try, who, now)
	}
	r.mu.Unlock()
	return r.race(ctx, p, try, nr)
}

// permitted cuts what is to be dialled to what may be. r.mu is held.
func (r *Router) permitted(try [][]endpoint.Address, who forWhom, now moment) [][]endpoint.Address {
	if who == forSelf {
		return try[:min(len(try), maxDials)]
	}
	kept := try[:0]
	for _, place := range try {
		if len(kept) == maxDialsForOthers {
			break
		}
		if !r.strangers.allow(place[0], now) {
			r.stats.deniedDials.Add(1)
			continue
		}
		kept = append(kept, place)
	}
	return kept
}

// race dials places until there is a link to the peer: the next one as soon as all
// before it have failed, or a moment after the one before was begun.
func (r *Router) race(ctx context.Context, p id.Peer, try [][]endpoint.Address, nr *NoRouteError) endpoint.Link {
	switch len(try) {
	case 0:
		return nil
	case 1:
		l, errs := r.visit(ctx, p, try[0])
		nr.Attempts = append(nr.Attempts, errs...)
		return l
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var running sync.WaitGroup
	defer running.Wait() // they end at once, as ctx does
	defer cancel()
	type result struct {
		link endpoint.Link
		errs []error
	}
	results := make([]result, len(try))
	done := make(chan int, len(try))
	begun, ended := 0, 0
	begin := func() {
		i := begun
		begun++
		running.Go(func() {
			results[i].link, results[i].errs = r.visit(ctx, p, try[i])
			done <- i
		})
	}
	timer := time.NewTimer(stagger)
	defer timer.Stop()
	for begin(); ended < len(try); {
		select {
		case i := <-done:
			if l := results[i].link; l != nil {
				return l
			}
			if ended++; ended == begun && begun < len(try) {
				begin()
				timer.Reset(stagger)
			}
		case <-timer.C:
			if begun < len(try) {
				begin()
				timer.Reset(stagger)
			}
		}
	}
	for _, x := range results {
		nr.Attempts = append(nr.Attempts, x.errs...)
	}
	return nil
}

// visit dials the addresses of one place in turn.
func (r *Router) visit(ctx context.Context, p id.Peer, place []endpoint.Address) (endpoint.Link, []error) {
	var errs []error
	for _, a := range place {
		l, err := r.attempt(ctx, a)
		if l := r.ep.LinkTo(p); l != nil {
			return l, nil // dialled just now, or the peer dialled us meanwhile
		}
		if err == nil {
			err = notThatPeer(a, l.Peer())
		}
		errs = append(errs, err)
		if ctx.Err() != nil {
			return nil, errs
		}
		var de *endpoint.DialError
		identity, otherwise := false, true
		if errors.As(err, &de) {
			identity = de.Phase == endpoint.PhaseIdentity
			// Only what failed in talking may go well in another language.
			otherwise = de.Phase == endpoint.PhaseHandshake || de.Phase == endpoint.PhaseAddress
		}
		r.mu.Lock()
		if r.failed.len() >= maxRoutes {
			r.failed.clear()
		}
		until := r.now() + attemptPause
		r.failed.set(a, failure{until, identity})
		if !otherwise && !identity && len(place) > 1 {
			for _, b := range place {
				r.failed.set(b, failure{until: until}) // the same port does not answer
			}
		}
		r.mu.Unlock()
		if !otherwise {
			break
		}
	}
	return nil, errs
}

func notThatPeer(a endpoint.Address, answers id.Peer) error {
	return &endpoint.DialError{Addr: a, Phase: endpoint.PhaseIdentity, Err: fmt.Errorf("peer %s answers there", answers.Short())}
}

func (r *Router) attempt(ctx context.Context, a endpoint.Address) (endpoint.Link, error) {
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	return r.ep.Dial(ctx, a)
}
