package advertisements

import (
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/xmldoc"
)

// PipeType tells how messages travel through a pipe. Types beyond the three of
// JXTA v2 are kept as they are.
type PipeType string

// The types of pipes of JXTA v2.
const (
	Unicast       PipeType = "JxtaUnicast"       // to one peer, unreliable
	UnicastSecure PipeType = "JxtaUnicastSecure" // to one peer, over TLS
	Propagate     PipeType = "JxtaPropagate"     // to every peer that listens
)

// Pipe advertises a channel that peers bind to at run time. Two advertisements
// with the same ID and Type mean the same pipe. JXTA v2, pipe advertisement.
type Pipe struct {
	ID       id.Pipe
	Type     PipeType
	Name     string // searchable, may be empty
	Desc     string
	DescTree xmldoc.Node // the description, if it has elements; see Desc
}

// NewPipe returns the advertisement of a new pipe in a group.
func NewPipe(g id.Group, name string, t PipeType) *Pipe {
	return &Pipe{ID: id.NewPipe(g), Type: t, Name: name}
}

// DocType returns "jxta:PipeAdvertisement".
func (*Pipe) DocType() string { return "jxta:PipeAdvertisement" }

// Map describes the document. Unlike JXSE it insists on a pipe ID.
func (p *Pipe) Map(m *xmldoc.Mapper) {
	m.Root("jxta:PipeAdvertisement")
	m.Value("Id", &p.ID)
	m.Filled("Type", (*string)(&p.Type))
	mapName(m, &p.Name)
	mapDesc(m, &p.Desc, &p.DescTree)
}

// Indexed returns the names of the searchable children.
func (*Pipe) Indexed() []string { return []string{"Name", "Id"} }

// Key returns the unique value of the pipe ID.
func (p *Pipe) Key() string { return p.ID.Unique() }
