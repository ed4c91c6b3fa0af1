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
	if in.Link != nil && (last != in.Link.Peer() || len(h.Rvs) > 0 && h.Rvs[0] != last) {
		r.stats.forged.Add(1)
		return
	}
	if src == r.self || last == r.self {
		r.stats.loop.Add(1)
		return
	}
	r.learnFrom(h, src, last)
	isNack := h.Dest.Param == r.iRes && in.Link != nil && r.takeNack(in, src)
	if dest != r.self {
		r.forward(in, p)
		return
	}
	if isNack {
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
// the originator or of the neighbour, never of a third peer. Only the neighbour
// itself is believed about itself; what it says of the originator replaces nothing.
func (r *Router) learnFrom(h *header, src, last id.Peer) {
	switch rt := h.Route; {
	case rt == nil:
	case rt.Dest == last:
		r.learnRoute(rt, last)
	case rt.Dest == src:
		r.hearRoute(rt, last)
	}
	if src == last || h.cut || len(h.Rvs) == 0 || h.Rvs[0] != last || r.ep.LinkTo(src) != nil || slices.Contains(h.Rvs, r.self) {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.entryBy(src, last)
	if e == nil {
		return
	}
	now := r.now()
	for i := range e.ways { // the same in every message
		if w := &e.ways[i]; slices.Equal(w.hops, h.Rvs) && !w.hearsay {
			w.learned, w.expires = now, now+routeLife
			e.wake()
			return
		}
	}
	for _, p := range h.Rvs {
		e.absolve(p) // what came this way shows that it is one
	}
	e.addWay(way{hops: slices.Clone(h.Rvs), from: last}, now)
	e.wake()
}
