package advertisements

import (
	"errors"
	"slices"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/xmldoc"
)

// Errors in a route.
var (
	ErrLoop        = errors.New("route passes the same peer twice")
	ErrHop         = errors.New("hop without peer ID")
	ErrDestination = errors.New("route with two destinations")
)

// Route tells how to reach a peer: by its own addresses, or through the hops in
// turn. JXTA v2, route advertisement.
type Route struct {
	Dest      id.Peer            // zero in lists of seeds, where only the place is known
	Addresses []endpoint.Address // of the destination; empty: reachable, but no telling how
	Hops      []AccessPoint      // nearest to the asker first; none for a direct route
}

// DocType returns "jxta:RA".
func (*Route) DocType() string { return "jxta:RA" }

// Map describes the document. A route with a loop, with a hop that has no peer
// ID or with two destinations is refused in both directions.
func (r *Route) Map(m *xmldoc.Mapper) {
	m.Root("jxta:RA")
	m.OptionalValue("DstPID", &r.Dest)
	dst, embedded, element := AccessPoint{Addresses: r.Addresses}, true, true
	m.OptionalElement("Dst", &element, func(m *xmldoc.Mapper) {
		m.OptionalEmbed(&embedded, &dst)
	})
	if m.Reading() {
		r.Addresses = dst.Addresses
		switch {
		case r.Dest.IsZero():
			r.Dest = dst.Peer
		case !dst.Peer.IsZero() && dst.Peer != r.Dest:
			m.Fail(ErrDestination)
		}
	}
	hops := len(r.Hops) > 0
	m.OptionalElement("Hops", &hops, func(m *xmldoc.Mapper) {
		xmldoc.EachEmbed(m, MaxHops, &r.Hops)
	})
	for i := range r.Hops {
		switch {
		case r.Hops[i].Peer.IsZero():
			m.Fail(ErrHop)
		case slices.ContainsFunc(r.Hops[:i], func(h AccessPoint) bool { return h.Peer == r.Hops[i].Peer }):
			m.Fail(ErrLoop)
		}
	}
}

// Indexed returns the names of the searchable children.
func (*Route) Indexed() []string { return []string{"DstPID"} }

// Key identifies the destination, or is empty if there is none.
func (r *Route) Key() string {
	if r.Dest.IsZero() {
		return ""
	}
	return "route/" + r.Dest.Unique()
}

// Clone returns a copy that can be changed without touching r.
func (r *Route) Clone() *Route {
	c := *r
	c.Addresses = slices.Clone(r.Addresses)
	c.Hops = slices.Clone(r.Hops)
	for i := range c.Hops {
		c.Hops[i].Addresses = slices.Clone(c.Hops[i].Addresses)
	}
	return &c
}

// Equal reports whether both say the same, in the same order, or both are nil.
func (r *Route) Equal(o *Route) bool {
	if r == nil || o == nil {
		return r == o
	}
	return r.Dest == o.Dest && slices.Equal(r.Addresses, o.Addresses) && slices.EqualFunc(r.Hops, o.Hops, func(a, b AccessPoint) bool {
		return a.Peer == b.Peer && slices.Equal(a.Addresses, b.Addresses)
	})
}

// Passes reports whether a peer is one of the hops.
func (r *Route) Passes(p id.Peer) bool {
	return slices.ContainsFunc(r.Hops, func(h AccessPoint) bool { return h.Peer == p })
}

// AccessPoint is a peer with the addresses of its transports. JXTA v2, access
// point advertisement.
type AccessPoint struct {
	Peer      id.Peer // zero where the surroundings tell
	Addresses []endpoint.Address
}

// DocType returns "jxta:APA".
func (*AccessPoint) DocType() string { return "jxta:APA" }

// Map describes the document. Addresses that cannot be used are left out in
// reading, and equal ones are read once.
func (a *AccessPoint) Map(m *xmldoc.Mapper) {
	m.Root("jxta:APA")
	m.OptionalValue("PID", &a.Peer)
	xmldoc.Each(m, "EA", MaxAddresses, &a.Addresses, func(m *xmldoc.Mapper, v *endpoint.Address) {
		if !m.Reading() {
			if v.IsZero() {
				m.Fail(xmldoc.ErrMissing)
			}
			m.SelfValue(v)
			return
		}
		var text string
		m.Self(&text)
		addr, err := endpoint.ParseAddress(text)
		if err != nil || len(text) > MaxAddress {
			m.Skip()
			return
		}
		*v = addr
	})
	if m.Reading() {
		a.Addresses = firstOfEach(a.Addresses)
	}
}

// firstOfEach drops repeated addresses in place.
func firstOfEach(list []endpoint.Address) []endpoint.Address {
	kept := list[:0]
	for _, a := range list {
		if !slices.Contains(kept, a) {
			kept = append(kept, a)
		}
	}
	return kept
}

// Indexed returns the names of the searchable children.
func (*AccessPoint) Indexed() []string { return []string{"PID"} }

// Key identifies the peer, or is empty if there is none.
func (a *AccessPoint) Key() string {
	if a.Peer.IsZero() {
		return ""
	}
	return "access/" + a.Peer.Unique()
}
