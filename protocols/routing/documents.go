package routing

import (
	"fmt"
	"slices"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/xmldoc"
)

// header is the router document that every routed message carries, jxta:ERM.
// JXTA v2 specification, "Endpoint Routing Protocol"; names and addresses as
// JXSE writes them.
type header struct {
	Src  endpoint.Address // originator
	Dest endpoint.Address // final peer, with service and parameter
	Last endpoint.Address // who put the message on its present hop
	Fwd  []id.Peer        // suggested way, nearest first
	Rvs  []id.Peer        // forwarders so far, latest first

	Route *advertisements.Route // of whoever wrote it, if it may be news
}

// Map implements [xmldoc.Document].
func (h *header) Map(m *xmldoc.Mapper) {
	m.Root("jxta:ERM")
	m.Value("Src", &h.Src)
	m.Value("Dest", &h.Dest)
	m.Value("Last", &h.Last)
	m.Element("Fwd", func(m *xmldoc.Mapper) { mapHops(m, &h.Fwd) })
	m.Element("Rvs", func(m *xmldoc.Mapper) { mapHops(m, &h.Rvs) })
	has := h.Route != nil
	if m.Reading() {
		h.Route = new(advertisements.Route)
	}
	if m.OptionalEmbed(&has, h.Route); !has {
		h.Route = nil
	}
}

func mapHops(m *xmldoc.Mapper, hops *[]id.Peer) {
	points := make([]advertisements.AccessPoint, 0, len(*hops))
	for _, p := range *hops {
		points = append(points, advertisements.AccessPoint{Peer: p})
	}
	xmldoc.EachEmbed(m, maxHops, &points)
	if !m.Reading() {
		return
	}
	*hops = nil
	for _, p := range points {
		switch {
		case p.Peer.IsZero():
			m.Fail(fmt.Errorf("a hop without peer ID"))
		case slices.Contains(*hops, p.Peer):
			m.Fail(fmt.Errorf("peer %s is named twice", p.Peer.Short()))
		}
		*hops = append(*hops, p.Peer)
	}
}

// query asks for a route, jxta:ERQ.
type query struct {
	Dest id.Peer
	Src  *advertisements.Route // of the asker
	Bad  []id.Peer             // hops that do not work for the asker
}

// Map implements [xmldoc.Document].
func (q *query) Map(m *xmldoc.Mapper) {
	m.Root("jxta:ERQ")
	m.Value("Dst", &q.Dest)
	if q.Src == nil {
		q.Src = new(advertisements.Route)
	}
	m.Element("Src", func(m *xmldoc.Mapper) { m.Embed(q.Src) })
	xmldoc.Each(m, "Bad", maxHops, &q.Bad, func(m *xmldoc.Mapper, p *id.Peer) { m.SelfValue(p) })
}

// response tells a route, jxta:ERR.
type response struct {
	Dest *advertisements.Route // to the wanted peer
	Src  *advertisements.Route // of the responder
}

// Map implements [xmldoc.Document].
func (r *response) Map(m *xmldoc.Mapper) {
	m.Root("jxta:ERR")
	if r.Dest == nil {
		r.Dest = new(advertisements.Route)
	}
	if r.Src == nil {
		r.Src = new(advertisements.Route)
	}
	m.Element("Dst", func(m *xmldoc.Mapper) { m.Embed(r.Dest) })
	m.Element("Src", func(m *xmldoc.Mapper) { m.Embed(r.Src) })
}
