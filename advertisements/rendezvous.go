package advertisements

import (
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/xmldoc"
)

// Rendezvous announces a peer that serves others in a group: rendezvous and
// relays are found by it. JXTA v2, rendezvous advertisement.
type Rendezvous struct {
	Group   id.Group
	Peer    id.Peer
	Service string // the service that the peer provides, see RendezvousService and RelayService
	Name    string // of the peer
	Route   *Route // how to reach it, or nil
}

// RendezvousService is the service name under which rendezvous of a group
// announce themselves.
func RendezvousService(g id.Group) string { return id.ClassRendezvous.String() + g.Unique() }

// RelayService is the service name under which relays announce themselves.
func RelayService() string { return id.ClassRelay.Unique() }

// DocType returns "jxta:RdvAdvertisement".
func (*Rendezvous) DocType() string { return "jxta:RdvAdvertisement" }

// Map describes the document.
func (r *Rendezvous) Map(m *xmldoc.Mapper) {
	m.Root("jxta:RdvAdvertisement")
	m.Value("RdvGroupId", &r.Group)
	m.Value("RdvPeerId", &r.Peer)
	m.Filled("RdvServiceName", &r.Service)
	mapName(m, &r.Name)
	route, element, embedded := r.Route, r.Route != nil, r.Route != nil
	if route == nil {
		route = new(Route)
	}
	m.OptionalElement("RdvRoute", &element, func(m *xmldoc.Mapper) {
		m.OptionalEmbed(&embedded, route)
	})
	if m.Reading() && embedded {
		r.Route = route
	}
}

// Indexed returns the names of the searchable children. Unlike those of other
// types, the name of the peer is not among them.
func (*Rendezvous) Indexed() []string {
	return []string{"RdvPeerId", "RdvServiceName", "RdvGroupId"}
}

// Key identifies the service of the peer in the group.
func (r *Rendezvous) Key() string {
	if r.Peer.IsZero() {
		return ""
	}
	return "rdv/" + r.Group.Unique() + "/" + r.Service + "/" + r.Peer.Unique()
}
