package routing

import (
	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/core/xmldoc"
)

// SetKeep installs what keeps messages for peers that are away, as a relay does
// for its clients; nil removes it. It is called with a message to which no link
// leads and no other way is known, complete for its next hop, which is dest
// itself: whoever has a link to dest later writes the message to it for the
// service that hop names, as it is. If keep returns true, the message counts as
// passed on; it then belongs to keep. Messages of this peer are offered as well as
// those that others sent here to be passed on, before anybody is asked for a way.
// keep must not wait, and may be called from several goroutines at a time.
func (r *Router) SetKeep(keep func(dest id.Peer, hop endpoint.Address, msg *message.Message) bool) {
	if keep == nil {
		r.keep.Store(nil)
		return
	}
	r.keep.Store(&keep)
}

// SetHolds installs what tells for which peers messages are kept while they are
// away, so that others who ask for a way to such a peer are told that it leads
// through this one; nil removes it. holds must not wait.
func (r *Router) SetHolds(holds func(id.Peer) bool) {
	if holds == nil {
		r.holds.Store(nil)
		return
	}
	r.holds.Store(&holds)
}

// keepOwn offers a message of this peer to who keeps messages.
func (r *Router) keepOwn(p id.Peer, dst endpoint.Address, msg *message.Message) bool {
	keep := r.keep.Load()
	if keep == nil {
		return false
	}
	me := endpoint.PeerAddress(r.self, "", "")
	doc, err := xmldoc.Marshal(&header{Src: me, Dest: dst, Last: me, Route: r.cfg.Self()})
	if err != nil {
		return false
	}
	return (*keep)(p, r.hop(), msg.Clone().Add(message.XML(message.Platform, elemHeader, doc)))
}

// keepForeign offers a message to be passed on, of which h says how it stands with
// it here.
func (r *Router) keepForeign(dest id.Peer, msg *message.Message, h header) bool {
	keep := r.keep.Load()
	if keep == nil {
		return false
	}
	h.Last, h.Fwd = endpoint.PeerAddress(r.self, "", ""), nil
	doc, err := xmldoc.Marshal(&h)
	if err != nil {
		return false
	}
	out := msg.Clone()
	out.Replace(message.XML(message.Platform, elemHeader, doc))
	return (*keep)(dest, r.hop(), out)
}
