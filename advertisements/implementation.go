package advertisements

import (
	"iter"

	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/xmldoc"
)

// ModuleImpl says that somebody implements a module specification, and for which
// platform. Juxta takes the specification and the parameters from it, never
// code. JXTA v2, module implementation advertisement.
type ModuleImpl struct {
	Spec     id.ModuleSpec
	Desc     string
	DescTree xmldoc.Node // the description, if it has elements; see Desc
	Comp     xmldoc.Node // the platform: see [Compatibility]; zero is written as an empty one
	Code     string      // names the implementation, must not be empty; JXSE: a Java class
	URI      string      // where JXSE would load the code from; Juxta leaves it empty
	Provider string
	Param    xmldoc.Node // for groups: the list of services, see Modules
}

// DocType returns "jxta:MIA".
func (*ModuleImpl) DocType() string { return "jxta:MIA" }

// Map describes the document.
func (i *ModuleImpl) Map(m *xmldoc.Mapper) {
	m.Root("jxta:MIA")
	m.Value("MSID", &i.Spec)
	mapDesc(m, &i.Desc, &i.DescTree)
	switch {
	case m.Reading() && !m.Has("Comp"):
		m.Element("Comp", func(*xmldoc.Mapper) {})
	case !m.Reading() && i.Comp.IsZero():
		m.Always("Comp", new(string))
	default:
		m.Node("Comp", &i.Comp)
		bound(m, "Comp", i.Comp.Size(), MaxParam)
	}
	m.Filled("Code", &i.Code)
	m.Optional("PURI", &i.URI)
	m.Optional("Prov", &i.Provider)
	mapParam(m, &i.Param, MaxImplParam)
}

// Indexed returns the names of the searchable children.
func (*ModuleImpl) Indexed() []string { return []string{"MSID"} }

// Compatibility names the platform that an implementation needs.
type Compatibility struct {
	Format  string // Efmt: the format of the code
	Binding string // Bind: the platform, which alone JXSE 2.7 looks at
}

// Bindings of the implementations known, see [Compatibility].
const (
	JuxtaBinding = "Juxta Go 1"
	JavaBinding  = "V2.0 Ref Impl"
)

// juxtaFormat is the format of code for Juxta: source for that Go version.
const juxtaFormat = "go1.26"

// JuxtaCompatibility is the statement of implementations for Juxta. JXSE 2.5 and
// 2.7 pass over implementations that make it.
func JuxtaCompatibility() Compatibility { return Compatibility{juxtaFormat, JuxtaBinding} }

// JavaCompatibility is the statement of JXSE 2.5, which 2.7 accepts too.
func JavaCompatibility() Compatibility { return Compatibility{"JDK1.4.1", JavaBinding} }

// Node returns the statement as the element that stands in an implementation.
func (c Compatibility) Node() xmldoc.Node {
	return xmldoc.NewNode("Comp", "", xmldoc.NewNode("Efmt", c.Format), xmldoc.NewNode("Bind", c.Binding))
}

// Compatibility returns the platform of the implementation. It reports false if
// the statement is not one format and one binding, both with text, which is the
// only form that JXSE accepts.
func (i *ModuleImpl) Compatibility() (Compatibility, bool) {
	var c Compatibility
	n := 0
	for e := range i.Comp.Children() {
		n++
		switch e.Name() {
		case "Efmt":
			c.Format = e.Text()
		case "Bind":
			c.Binding = e.Text()
		default:
			return Compatibility{}, false
		}
	}
	if n != 2 || c.Format == "" || c.Binding == "" {
		return Compatibility{}, false
	}
	return c, true
}

// Module is an entry of the service list of a group implementation.
type Module struct {
	Role  string         // "Svc" a service, "Proto" a transport, "App" an application
	Class id.ModuleClass // the role it plays; the class of Spec if nothing is said
	Spec  id.ModuleSpec
}

// Modules yields the service list that a group implementation has as parameters,
// in the order written, at most [MaxServices]. Entries that cannot be read are
// left out, as JXSE does; where a class repeats, the last one counts, which is
// left to the caller. Implementations that stand in the list are looked at only
// for their specification.
func (i *ModuleImpl) Modules() iter.Seq[Module] {
	return func(yield func(Module) bool) {
		n := 0
		for e := range i.Param.Children() {
			m := Module{Role: e.Name()}
			if m.Role != "Svc" && m.Role != "Proto" && m.Role != "App" {
				continue
			}
			if n++; n > MaxServices {
				return
			}
			if m.read(e) && !yield(m) {
				return
			}
		}
	}
}

// read takes class and specification from any of the three forms of an entry.
func (m *Module) read(e xmldoc.Node) bool {
	spec := e.Text()
	if inline, ok := e.Child("jxta:MIA"); ok {
		e, _ := inline.Child("MSID")
		spec = e.Text()
	} else if named, ok := e.Child("MSID"); ok {
		spec = named.Text()
	}
	var err error
	if m.Spec, err = id.ParseModuleSpec(spec); err != nil {
		return false
	}
	m.Class = m.Spec.Class()
	if role, ok := e.Child("MCID"); ok {
		if m.Class, err = id.ParseModuleClass(role.Text()); err != nil {
			return false
		}
	}
	return true
}

// SetModules makes a list the parameters of the implementation, in the form that
// every JXSE reads: specification IDs, with the class where it is another than
// that of the specification.
func (i *ModuleImpl) SetModules(list []Module) {
	entries := make([]xmldoc.Node, len(list))
	for k, m := range list {
		if m.Class.IsZero() || m.Class == m.Spec.Class() {
			entries[k] = xmldoc.NewNode(m.Role, m.Spec.String())
			continue
		}
		entries[k] = xmldoc.NewNode(m.Role, "",
			xmldoc.NewNode("MCID", m.Class.String()), xmldoc.NewNode("MSID", m.Spec.String()))
	}
	i.Param = xmldoc.NewNode("Parm", "", entries...)
}
