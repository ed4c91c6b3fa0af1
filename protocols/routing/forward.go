package routing

import (
	"context"
	"errors"
	"slices"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/core/xmldoc"
)

// transit is a message to be passed on.
type transit struct {
	msg       *message.Message
	link      endpoint.Link // on which it came; nil for a datagram
	h         header        // this peer stands in Rvs already
	asked     []id.Peer     // Fwd as it came
	src, dest id.Peer
	flow      *flow   // of the link
	from      *parsed // its document as it came
}

// queue holds messages to be passed on to one peer, in order, while a way is being
// opened. Router.mu guards it.
type queue struct{ waiting []*transit }

// forward passes a message on, over a link that is open, or one to a known address
// or hop. It never asks the group for a way: that would be a walk through all
// rendezvous for each message that anybody sends here. What cannot be passed on is
// dropped, and its originator told.
func (r *Router) forward(in endpoint.Incoming, p *parsed) {
	h, src, dest := p.hdr, p.src, p.dest
	t := &transit{msg: in.Message, link: in.Link, h: h, asked: h.Fwd, src: src, dest: dest, from: p}
	var by id.Peer
	if t.link != nil {
		by = t.link.Peer()
	}
	r.mu.Lock()
	t.flow = r.flowOf(t.link)
	r.mu.Unlock()
	switch {
	case r.cfg.NoForward:
		r.stats.off.Add(1)
		r.nack(t)
		return
	case slices.Contains(h.Rvs, r.self):
		r.stats.loop.Add(1)
		return
	case len(h.Rvs) >= maxHops:
		r.stats.tooFar.Add(1)
		return
	case !r.mayPass(t.flow, in.Message.Size()):
		r.stats.overRate.Add(1)
		if t.link != nil {
			r.ep.Offend(t.link.Origin(), by, "octets to be passed on")
		}
		return
	case r.loops.again(by, src, dest, in.Message, r.now()):
		r.stats.loop.Add(1)
		return
	}
	t.h.Rvs = append([]id.Peer{r.self}, h.Rvs...)
	if i := slices.Index(h.Fwd, r.self); i >= 0 {
		t.h.Fwd = h.Fwd[i+1:]
	}
	if r.line(t, false) || r.passNow(r.ctx, t) {
		return
	}
	// Dialling takes time that the link it came on must not wait for.
	if !r.canOpen(t) || !r.line(t, true) {
		r.keepOr(t, nil)
	}
}

// cameFrom are the peers to which a message is not to be passed back.
func (t *transit) cameFrom() []id.Peer {
	avoid := append([]id.Peer{t.src}, t.h.Rvs...)
	if t.link != nil && !slices.Contains(avoid, t.link.Peer()) {
		avoid = append(avoid, t.link.Peer())
	}
	return avoid
}

// next is where the message goes if it goes on as its originator suggests.
func (t *transit) next() id.Peer {
	if len(t.h.Fwd) > 0 {
		return t.h.Fwd[0]
	}
	return t.dest
}

// passNow passes a message on if there is a link that leads on. It reports whether
// the message is settled.
func (r *Router) passNow(ctx context.Context, t *transit) bool {
	for range maxWays {
		h := t.h
		var l endpoint.Link
		if l = r.ep.LinkTo(t.dest); l != nil {
			h.Fwd = nil
		} else if next := t.next(); t.link == nil || next != t.link.Peer() {
			l = r.ep.LinkTo(next)
		}
		if l == nil {
			if l, h.Fwd = r.ready(t.dest, t.cameFrom(), forOthers, false); l == nil {
				return false
			}
		}
		err := r.pass(ctx, l, t, h)
		if err == nil {
			return true
		}
		if !errors.Is(err, endpoint.ErrLinkClosed) {
			r.giveUp(t, err)
			return true
		}
	}
	return false
}

// canOpen reports whether something is known that may lead on when it is dialled.
func (r *Router) canOpen(t *transit) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	e := r.table.get(t.dest)
	if r.canDial(e, now) || r.canDial(r.table.get(t.next()), now) {
		return true
	}
	return e != nil && slices.ContainsFunc(e.ways, func(w way) bool {
		return r.ep.LinkTo(w.hops[0]) != nil || r.canDial(r.table.get(w.hops[0]), now)
	})
}

// line puts a message behind others that wait for a way to the same peer; if there
// are none, and begin is set, it begins to look for one. It reports whether the
// message is settled, which it also is when too many wait.
func (r *Router) line(t *transit, begin bool) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	q := r.queues[t.dest]
	if q == nil && !begin {
		return false
	}
	if r.forwards >= maxForwards || t.flow.waiting >= maxForwardsPerLink || r.closed {
		r.stats.busy.Add(1)
		return true
	}
	if q == nil {
		q = &queue{}
		if r.queues == nil {
			r.queues = map[id.Peer]*queue{}
		}
		r.queues[t.dest] = q
		r.wg.Go(func() { r.drain(t.dest, q) })
	}
	r.forwards++
	t.flow.waiting++
	q.waiting = append(q.waiting, t)
	return true
}

// drain passes on what waits for one peer, in order.
func (r *Router) drain(dest id.Peer, q *queue) {
	for {
		r.mu.Lock()
		if len(q.waiting) == 0 {
			delete(r.queues, dest)
			if len(r.queues) == 0 {
				r.queues = nil // a map keeps its memory
			}
			r.mu.Unlock()
			return
		}
		t := q.waiting[0]
		q.waiting[0] = nil // not to be kept alive by the array
		q.waiting = q.waiting[1:]
		r.mu.Unlock()
		r.passFar(t)
		r.mu.Lock()
		r.forwards--
		t.flow.waiting--
		r.mu.Unlock()
	}
}

// passFar passes a message on over a link that must be opened first.
func (r *Router) passFar(t *transit) {
	if r.passNow(r.ctx, t) {
		return
	}
	ctx, cancel := context.WithTimeout(r.ctx, forwardTimeout)
	defer cancel()
	nr := &NoRouteError{Peer: t.dest}
	h := t.h
	l := r.dialKnown(ctx, t.next(), forOthers, nr)
	if l == nil {
		h.Fwd = nil
		if t.next() != t.dest {
			l = r.dialKnown(ctx, t.dest, forOthers, nr)
		}
	}
	if l == nil {
		l, h.Fwd = r.throughHops(ctx, t.dest, t.cameFrom(), forOthers, nr)
	}
	if l == nil {
		r.keepOr(t, nr)
		return
	}
	if err := r.pass(r.ctx, l, t, h); err != nil {
		r.giveUp(t, err)
	}
}

// keepOr has a message kept that nothing leads on, or gives it up.
func (r *Router) keepOr(t *transit, nr *NoRouteError) {
	if r.keepForeign(t.dest, t.msg, t.h) {
		r.stats.kept.Add(1)
		return
	}
	r.stats.noRoute.Add(1)
	r.log.Debug("nothing leads on", "to", t.dest.Short(), "tried", nr)
	r.nack(t)
}

// giveUp drops a message that a link did not take.
func (r *Router) giveUp(t *transit, err error) {
	r.stats.link.Add(1)
	r.log.Debug("passing on failed", "to", t.dest.Short(), "error", err)
	r.nack(t)
}

// onward is a router document as it was printed for a message that went on, which
// mostly is the same for the next one.
type onward struct {
	link endpoint.Link
	fwd  []id.Peer
	doc  []byte
}

// pass writes a message to its next hop. The first forwarder that is new to the
// hop tells its route, unless the originator's is in the document. If it succeeds the
// message is released.
func (r *Router) pass(ctx context.Context, l endpoint.Link, t *transit, h header) error {
	doc, err := r.passedDoc(l, t, h)
	if err != nil {
		return err
	}
	t.msg.Replace(message.XML(message.Platform, elemHeader, doc))
	if err := r.ep.PassOn(ctx, l, r.hop(), t.msg, r.ep.FlowOf(h.Src)^r.ep.FlowOf(h.Dest)); err != nil {
		return err
	}
	t.msg.Release()
	r.stats.forwarded.Add(1)
	return nil
}

// passedDoc prints the router document for the next hop, or takes the last one.
func (r *Router) passedDoc(l endpoint.Link, t *transit, h header) ([]byte, error) {
	h.Last = endpoint.PeerAddress(r.self, "", "")
	if h.Route == nil {
		r.mu.Lock()
		if r.tell(l.Peer()) {
			h.Route = r.cfg.Self()
		}
		r.mu.Unlock()
	}
	usual := h.Route == nil && t.from != nil
	if usual {
		if last := t.from.onward.Load(); last != nil && last.link == l && slices.Equal(last.fwd, h.Fwd) {
			return last.doc, nil
		}
	}
	doc, err := xmldoc.Marshal(&h)
	if err == nil && usual {
		t.from.onward.Store(&onward{l, h.Fwd, doc})
	}
	return doc, err
}
