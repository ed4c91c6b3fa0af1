package advertisements

import (
	"slices"
	"strings"

	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/xmldoc"
)

// Peer describes a peer as a member of one group: a peer has one in each of its
// groups. Whoever receives it has only hearsay until the peer has proven its ID.
// JXTA v2, peer advertisement.
type Peer struct {
	ID       id.Peer
	Group    id.Group
	Name     string // searchable, not unique
	Desc     string
	DescTree xmldoc.Node // the description, if it has elements; see Desc
	Services []Service
}

// DocType returns "jxta:PA".
func (*Peer) DocType() string { return "jxta:PA" }

// Map describes the document.
func (p *Peer) Map(m *xmldoc.Mapper) {
	m.Root("jxta:PA")
	m.Value("PID", &p.ID)
	m.Value("GID", &p.Group)
	mapName(m, &p.Name)
	mapDesc(m, &p.Desc, &p.DescTree)
	mapServices(m, &p.Services, false)
}

// Indexed returns the names of the searchable children.
func (*Peer) Indexed() []string { return []string{"Name", "PID"} }

// Key identifies the peer in its group.
func (p *Peer) Key() string {
	if p.ID.IsZero() {
		return ""
	}
	return p.Group.Unique() + "/" + p.ID.Unique()
}

// Kind returns [Peers].
func (*Peer) Kind() Kind { return Peers }

// Clone returns a copy that can be changed without touching p.
func (p *Peer) Clone() *Peer {
	c := *p
	c.Services = slices.Clone(p.Services)
	return &c
}

// Service returns the parameters of a service and whether there are any.
func (p *Peer) Service(c id.ModuleClass) (xmldoc.Node, bool) { return param(p.Services, c) }

// SetService sets the parameters of a service, an element of which the content
// counts; the zero Node removes them.
func (p *Peer) SetService(c id.ModuleClass, n xmldoc.Node) {
	p.Services = setParam(p.Services, c, n)
}

// Route returns how the peer says it can be reached. Its destination is the
// peer, whatever the document leaves out; a route that names another
// destination, or is broken, is none.
func (p *Peer) Route() (*Route, bool) {
	n, _ := p.Service(id.ClassEndpoint)
	ra, ok := n.Child("jxta:RA")
	if !ok {
		return nil, false
	}
	r := new(Route)
	if err := ra.Decode(r); err != nil {
		return nil, false
	}
	if !r.Dest.IsZero() && r.Dest != p.ID {
		return nil, false
	}
	r.Dest = p.ID
	return r, true
}

// SetRoute says how the peer can be reached; nil removes what was said. The
// destination of r does not matter. The error is that of a route that cannot be
// written, and changes nothing.
func (p *Peer) SetRoute(r *Route) error {
	if r == nil {
		p.SetService(id.ClassEndpoint, xmldoc.Node{})
		return nil
	}
	own := *r
	own.Dest = p.ID
	n, err := xmldoc.NodeOf(&own)
	if err != nil {
		return err
	}
	p.SetService(id.ClassEndpoint, xmldoc.NewNode("Parm", "", n))
	return nil
}

// IsRendezvous reports whether the peer is a rendezvous of the group at hand.
func (p *Peer) IsRendezvous() bool {
	n, _ := p.Service(id.ClassRendezvous)
	flag, _ := n.Child("Rdv")
	return strings.EqualFold(flag.Text(), "true")
}

// SetRendezvous says whether the peer is a rendezvous of the group at hand.
func (p *Peer) SetRendezvous(on bool) {
	if !on {
		p.SetService(id.ClassRendezvous, xmldoc.Node{})
		return
	}
	p.SetService(id.ClassRendezvous, xmldoc.NewNode("Parm", "", xmldoc.NewNode("Rdv", "true")))
}

// IsRelay reports whether the peer says that it is a relay. Original relays do not
// say so.
func (p *Peer) IsRelay() bool {
	n, _ := p.Service(id.ClassRelay)
	flag, _ := n.Child("Relay")
	return strings.EqualFold(flag.Text(), "true")
}

// SetRelay says whether the peer is a relay.
func (p *Peer) SetRelay(on bool) {
	if !on {
		p.SetService(id.ClassRelay, xmldoc.Node{})
		return
	}
	p.SetService(id.ClassRelay, xmldoc.NewNode("Parm", "", xmldoc.NewNode("Relay", "true")))
}
