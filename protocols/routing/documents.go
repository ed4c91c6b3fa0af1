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

	cut bool // a part of Rvs that was read makes no sense; what came before it counts
}

// Map implements [xmldoc.Document]. Parts that make no sense are passed over, as
// JXSE does, except for what a message cannot do without: Src, Dest and Last, and
// a list of hops within bounds.
func (h *header) Map(m *xmldoc.Mapper) {
	m.Root("jxta:ERM")
	m.Value("Src", &h.Src)
	m.Value("Dest", &h.Dest)
	m.Value("Last", &h.Last)
	mapHops(m, "Fwd", &h.Fwd)
	whole := mapHops(m, "Rvs", &h.Rvs)
	if m.Reading() {
		h.cut = !whole
		h.Route = nil
		var n xmldoc.Node
		m.Node(routeDoc, &n)
		if rt := new(advertisements.Route); !n.IsZero() && n.Decode(rt) == nil {
			h.Route = rt
		}
		return
	}
	if has := h.Route != nil; has {
		m.OptionalEmbed(&has, h.Route)
	}
}

// Names of documents that stand in others.
var (
	routeDoc = (*advertisements.Route)(nil).DocType()
	hopDoc   = (*advertisements.AccessPoint)(nil).DocType()
)

// mapHops is a list of peers. In reading, an element that is no access point with
// a peer ID ends it; the result then is false. Too many peers, or one twice, are an
// error: that is no accident.
func mapHops(m *xmldoc.Mapper, name string, hops *[]id.Peer) (whole bool) {
	if !m.Reading() {
		m.Element(name, func(m *xmldoc.Mapper) {
			points := make([]advertisements.AccessPoint, 0, len(*hops))
			for _, p := range *hops {
				points = append(points, advertisements.AccessPoint{Peer: p})
			}
			xmldoc.EachEmbed(m, maxHops, &points)
		})
		return true
	}
	*hops, whole = nil, true
	var list xmldoc.Node
	if m.Node(name, &list); list.IsZero() {
		return true
	}
	n := 0
	for c := range list.Children() {
		if !c.Holds(hopDoc) {
			continue
		}
		var point advertisements.AccessPoint
		if n++; n > maxHops {
			m.Fail(fmt.Errorf("more than %d hops: %w", maxHops, xmldoc.ErrLimit))
			return false
		}
		if err := c.Decode(&point); err != nil || point.Peer.IsZero() {
			whole = false
		}
		if !whole {
			continue // it still counts
		}
		if slices.Contains(*hops, point.Peer) {
			m.Fail(fmt.Errorf("peer %s is named twice", point.Peer.Short()))
			return false
		}
		*hops = append(*hops, point.Peer)
	}
	return whole
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
