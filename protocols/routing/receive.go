package routing

import (
	"bytes"
	"context"
	"slices"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/core/xmldoc"
)

// receive takes a routed message from a link: for this peer, or to pass on.
func (r *Router) receive(_ context.Context, in endpoint.Incoming) {
	p, ok := r.parse(in)
	if !ok {
		r.stats.malformed.Add(1)
		r.log.Debug("routed message without readable router document dropped", "from", in.From.Short())
		return
	}
	h, src, dest, last := &p.hdr, p.src, p.dest, p.last
	if in.Link != nil && last != in.Link.Peer() {
		r.stats.forged.Add(1)
		return
	}
	if src == r.self || last == r.self {
		r.stats.loop.Add(1)
		return
	}
	r.learnFrom(h, src, last)
	if dest != r.self {
		r.forward(in, *h, src, dest)
		return
	}
	in.Message.Remove(message.Platform, elemHeader)
	in.From = src
	in.Source = h.Src.Base()
	in.Dest = h.Dest
	r.stats.delivered.Add(1)
	r.ep.Deliver(in, true)
}

// parse reads the router document, or recognises the last one of the link: all
// messages of a conversation carry the same.
func (r *Router) parse(in endpoint.Incoming) (*parsed, bool) {
	e, ok := in.Message.Get(message.Platform, elemHeader)
	if !ok {
		return nil, false
	}
	r.mu.Lock()
	p, _ := r.last.get(in.Link)
	r.mu.Unlock()
	if p != nil && bytes.Equal(p.text, e.Body) {
		return p, true
	}
	p = &parsed{}
	if err := xmldoc.Unmarshal(e.Body, &p.hdr); err != nil {
		r.log.Debug("router document", "error", err)
		return nil, false
	}
	var ok1, ok2, ok3 bool
	p.src, ok1 = p.hdr.Src.Peer()
	p.dest, ok2 = p.hdr.Dest.Peer()
	if p.last, ok3 = p.hdr.Last.Peer(); !ok1 || !ok2 || !ok3 {
		return nil, false
	}
	if in.Link != nil && p.hdr.Route == nil {
		p.text = bytes.Clone(e.Body)
		r.mu.Lock()
		r.last.set(in.Link, p)
		r.mu.Unlock()
	}
	return p, true
}

// learnFrom takes what a router document tells about the way back: the route of
// the originator or of the neighbour, never of a third peer.
func (r *Router) learnFrom(h *header, src, last id.Peer) {
	if rt := h.Route; rt != nil && (rt.Dest == src || rt.Dest == last) {
		r.Learn(rt)
	}
	if src == last || len(h.Rvs) == 0 || h.Rvs[0] != last || r.ep.LinkTo(src) != nil || slices.Contains(h.Rvs, r.self) {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.entry(src)
	if !slices.Equal(e.hops, h.Rvs) {
		e.hops = slices.Clone(h.Rvs)
	}
	e.news()
}

// forward passes a message on, over a link that is open, or one to a known address
// or hop. It never asks the group for a way: that would be a walk through all
// rendezvous for each message that anybody sends here.
func (r *Router) forward(in endpoint.Incoming, h header, src, dest id.Peer) {
	switch {
	case slices.Contains(h.Rvs, r.self):
		r.stats.loop.Add(1)
		return
	case len(h.Rvs) >= maxHops:
		r.stats.tooFar.Add(1)
		return
	}
	h.Rvs = append([]id.Peer{r.self}, h.Rvs...)
	next := dest
	if l := r.ep.LinkTo(dest); l != nil {
		h.Fwd = nil
		r.pass(r.ctx, l, in.Message, h)
		return
	}
	if i := slices.Index(h.Fwd, r.self); i >= 0 {
		h.Fwd = h.Fwd[i+1:]
	}
	if len(h.Fwd) > 0 {
		next = h.Fwd[0]
	}
	if l := r.ep.LinkTo(next); l != nil {
		r.pass(r.ctx, l, in.Message, h)
		return
	}
	// Dialling takes time that the link it came on must not wait for.
	r.mu.Lock()
	if r.forwards >= maxForwards || r.closed {
		r.mu.Unlock()
		r.stats.busy.Add(1)
		return
	}
	r.forwards++
	r.wg.Add(1)
	r.mu.Unlock()
	go func() {
		defer r.wg.Done()
		defer func() { r.mu.Lock(); r.forwards--; r.mu.Unlock() }()
		r.forwardFar(in, h, next, dest)
	}()
}

func (r *Router) forwardFar(in endpoint.Incoming, h header, next, dest id.Peer) {
	ctx, cancel := context.WithTimeout(r.ctx, 2*attemptTimeout)
	defer cancel()
	nr := &NoRouteError{Peer: dest}
	if l := r.dialKnown(ctx, next, nr); l != nil {
		r.pass(ctx, l, in.Message, h)
		return
	}
	l := r.dialKnown(ctx, dest, nr)
	h.Fwd = nil
	if l == nil {
		l, h.Fwd = r.throughHops(ctx, dest, nr)
	}
	if l == nil || l == in.Link {
		r.stats.noRoute.Add(1)
		r.log.Debug("nothing leads on", "error", nr)
		return
	}
	r.pass(ctx, l, in.Message, h)
}

// pass writes a message to its next hop. The first forwarder that is new to the
// hop tells its route, unless the originator's is in the document.
func (r *Router) pass(ctx context.Context, l endpoint.Link, msg *message.Message, h header) {
	h.Last = endpoint.PeerAddress(r.self, "", "")
	if h.Route == nil {
		r.mu.Lock()
		if r.tell(l.Peer()) {
			h.Route = r.cfg.Self()
		}
		r.mu.Unlock()
	}
	doc, err := xmldoc.Marshal(&h)
	if err != nil {
		r.stats.malformed.Add(1)
		return
	}
	out := msg.Clone()
	out.Replace(message.XML(message.Platform, elemHeader, doc))
	if err := r.ep.SendOn(ctx, l, r.hop(), out); err != nil {
		r.stats.link.Add(1)
		r.log.Debug("passing on failed", "to", l.Peer().Short(), "error", err)
		return
	}
	r.stats.forwarded.Add(1)
}
