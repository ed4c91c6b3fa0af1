package rendezvous

import (
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/xmldoc"
)

// header travels with every propagated message, jxta:RendezVousPropagateMessage.
type header struct {
	ID      string    // a UUID; other text is legal
	Service string    // who shall get the message at each peer
	Param   string    // may be empty
	TTL     int64     // hops left
	Path    []id.Peer // visited, oldest first
}

// Map implements [xmldoc.Document].
func (h *header) Map(m *xmldoc.Mapper) {
	m.Root("jxta:RendezVousPropagateMessage")
	m.Text("MessageId", &h.ID)
	m.Text("DestSName", &h.Service)
	m.Optional("DestSParam", &h.Param)
	m.Int("TTL", &h.TTL)
	xmldoc.Each(m, "Path", maxPath, &h.Path, func(m *xmldoc.Mapper, p *id.Peer) { m.SelfValue(p) })
}
