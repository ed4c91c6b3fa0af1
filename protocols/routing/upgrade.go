package routing

import (
	"context"
	"slices"
	"time"

	"github.com/juxta-p2p/juxta/core/id"
)

// climb is the search for a link in place of a way through others. Router.mu
// guards it.
type climb struct {
	running bool
	punched bool   // the last attempt went as far as the function of SetUpgrade
	last    moment // when it ended
	again   moment // when the next may begin
	pause   moment // that was made after the last
}

// SetUpgrade installs what opens a link to a peer that is reached through others
// and cannot simply be dialled, as by opening a hole in the address translators of
// both sides; nil removes it. It is called when messages go that way and no address
// of the peer answered, with the hops in use, nearest first; for one peer once at a
// time, after failures at growing intervals of 30 s up to 30 min, and for few peers
// at a time. It returns when a link is up, or an error; ctx ends after 30 s and with
// the router, and it must then return at once. Meanwhile messages go on through the
// hops, and take the link as soon as it is up.
func (r *Router) SetUpgrade(upgrade func(ctx context.Context, p id.Peer, hops []id.Peer) error) {
	if upgrade == nil {
		r.upgrade.Store(nil)
		return
	}
	r.upgrade.Store(&upgrade)
}

// mayClimb begins to look for a link to a peer that is reached through others,
// unless that was tried a moment ago. punch allows the function of SetUpgrade.
// r.mu is held.
func (r *Router) mayClimb(e *entry, hops []id.Peer, now moment, who forWhom, punch bool) {
	punch = punch && r.upgrade.Load() != nil
	c := e.climb
	if c != nil && (c.running || now < c.again && (c.punched || !punch)) {
		return
	}
	if !punch && !r.canDial(e, now) || r.climbs >= maxClimbs || r.closed {
		return
	}
	if c == nil {
		c = &climb{}
		e.climb = c
	}
	c.running, c.punched = true, punch
	e.waiting++ // found counts it down
	r.climbs++
	r.wg.Go(func() { r.climb(e, c, hops, who, punch) })
}

func (r *Router) climb(e *entry, c *climb, hops []id.Peer, who forWhom, punch bool) {
	ctx, cancel := context.WithTimeout(r.ctx, climbTimeout)
	defer cancel()
	nr := &NoRouteError{Peer: e.peer}
	dialled := make(chan struct{})
	go func() { // waited for below
		defer close(dialled)
		r.dialKnown(ctx, e.peer, who, nr)
	}()
	var err error
	if upgrade := r.upgrade.Load(); punch && upgrade != nil {
		// Addresses at which nothing answers take long; those that are near do not.
		timer := time.NewTimer(dialAlone)
		select {
		case <-dialled:
		case <-timer.C:
		}
		timer.Stop()
		if r.ep.LinkTo(e.peer) == nil && ctx.Err() == nil {
			err = (*upgrade)(ctx, e.peer, slices.Clone(hops))
		}
	}
	up := r.ep.LinkTo(e.peer) != nil
	if up {
		cancel() // whatever is still being dialled
	}
	<-dialled
	if up = up || r.ep.LinkTo(e.peer) != nil; !up {
		r.log.Debug("messages go on through others", "to", e.peer.Short(), "dialling", nr, "error", err)
	}
	if up {
		r.stats.upgraded.Add(1)
	}
	r.mu.Lock()
	r.climbs--
	c.running, c.last = false, r.now()
	if up {
		c.pause = 0
	} else {
		c.pause = min(max(2*c.pause, climbPause), climbPauseMost)
	}
	c.again = c.last + max(c.pause, climbPause)
	r.mu.Unlock()
	r.found(e)
}
