package advertisements

import (
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/xmldoc"
)

// ModuleClass says that there is such a thing as a module, by what it does.
// JXTA v2, module class advertisement.
type ModuleClass struct {
	ID       id.ModuleClass
	Name     string // searchable
	Desc     string
	DescTree xmldoc.Node // the description, if it has elements; see Desc
}

// DocType returns "jxta:MCA".
func (*ModuleClass) DocType() string { return "jxta:MCA" }

// Map describes the document.
func (c *ModuleClass) Map(m *xmldoc.Mapper) {
	m.Root("jxta:MCA")
	m.Value("MCID", &c.ID)
	mapName(m, &c.Name)
	mapDesc(m, &c.Desc, &c.DescTree)
}

// Indexed returns the names of the searchable children.
func (*ModuleClass) Indexed() []string { return []string{"Name", "MCID"} }

// Key returns the unique value of the class ID.
func (c *ModuleClass) Key() string { return c.ID.Unique() }

// ModuleSpec says how a module class is provided: one specification, that is one
// protocol. JXTA v2, module specification advertisement.
type ModuleSpec struct {
	ID       id.ModuleSpec
	Name     string // searchable
	Desc     string
	DescTree xmldoc.Node // the description, if it has elements; see Desc

	Creator string // who wrote the specification
	URI     string // where its text is
	Version string

	Pipe  *Pipe         // to reach a running instance, or nil
	Proxy id.ModuleSpec // zero if there is no proxy module
	Auth  id.ModuleSpec // zero if there is no authenticator module
	Param xmldoc.Node   // anything
}

// DocType returns "jxta:MSA".
func (*ModuleSpec) DocType() string { return "jxta:MSA" }

// Map describes the document. Creator, URI and Version are written even if
// empty, and may be missing, as JXSE has it.
func (s *ModuleSpec) Map(m *xmldoc.Mapper) {
	m.Root("jxta:MSA")
	m.Value("MSID", &s.ID)
	mapName(m, &s.Name)
	mapDesc(m, &s.Desc, &s.DescTree)
	m.Always("Crtr", &s.Creator)
	m.Always("SURI", &s.URI)
	m.Always("Vers", &s.Version)
	mapPipe(m, &s.Pipe)
	m.OptionalValue("Proxy", &s.Proxy)
	m.OptionalValue("Auth", &s.Auth)
	mapParam(m, &s.Param, MaxParam)
}

// mapPipe describes an embedded pipe advertisement that may be absent.
func mapPipe(m *xmldoc.Mapper, pipe **Pipe) {
	p, present := *pipe, *pipe != nil
	if p == nil {
		p = new(Pipe)
	}
	m.OptionalEmbed(&present, p)
	if m.Reading() && present {
		*pipe = p
	}
}

// Indexed returns the names of the searchable children.
func (*ModuleSpec) Indexed() []string { return []string{"Name", "MSID"} }

// Key returns the unique value of the specification ID.
func (s *ModuleSpec) Key() string { return s.ID.Unique() }
