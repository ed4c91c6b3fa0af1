package advertisements

import (
	"slices"

	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/xmldoc"
)

// Group describes a peer group: which specification implements it, and the
// settings that every member takes over. JXTA v2, peer group advertisement.
type Group struct {
	ID       id.Group
	Spec     id.ModuleSpec // the key to implementations, see [ModuleImpl]
	Name     string        // searchable, not unique
	Desc     string        // searchable
	DescTree xmldoc.Node   // the description, if it has elements; see Desc
	Services []Service
}

// DocType returns "jxta:PGA".
func (*Group) DocType() string { return "jxta:PGA" }

// Map describes the document.
func (g *Group) Map(m *xmldoc.Mapper) {
	m.Root("jxta:PGA")
	m.Value("GID", &g.ID)
	m.Value("MSID", &g.Spec)
	mapName(m, &g.Name)
	mapDesc(m, &g.Desc, &g.DescTree)
	mapServices(m, &g.Services, true)
}

// Indexed returns the names of the searchable children.
func (*Group) Indexed() []string { return []string{"Name", "GID", "Desc", "MSID"} }

// Key returns the unique value of the group ID.
func (g *Group) Key() string { return g.ID.Unique() }

// Kind returns [Groups].
func (*Group) Kind() Kind { return Groups }

// Clone returns a copy that can be changed without touching g.
func (g *Group) Clone() *Group {
	c := *g
	c.Services = slices.Clone(g.Services)
	return &c
}

// Service returns the parameters of a service and whether there are any.
func (g *Group) Service(c id.ModuleClass) (xmldoc.Node, bool) { return param(g.Services, c) }

// SetService sets the parameters of a service, an element of which the content
// counts; the zero Node removes them.
func (g *Group) SetService(c id.ModuleClass, n xmldoc.Node) {
	g.Services = setParam(g.Services, c, n)
}
