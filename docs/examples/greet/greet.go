// Package greet is a JXTA resolver protocol: peers of a group introduce
// themselves to whoever says hello.
package greet

import (
	"context"
	"iter"

	"github.com/juxta-p2p/juxta/core/xmldoc"
	"github.com/juxta-p2p/juxta/peergroup"
	"github.com/juxta-p2p/juxta/protocols/resolver"
)

// Hello is the query. From is the asker's display name and may not be empty.
type Hello struct{ From string }

// Map implements [xmldoc.Document].
func (h *Hello) Map(m *xmldoc.Mapper) {
	m.Root("Hello")
	m.Text("From", &h.From)
}

// Intro is a peer's answer to [Hello].
type Intro struct{ Name, Motto string }

// Map implements [xmldoc.Document].
func (i *Intro) Map(m *xmldoc.Mapper) {
	m.Root("Intro")
	m.Text("Name", &i.Name)
	m.Optional("Motto", &i.Motto)
}

// Protocol is the pair of them under their resolver handler name.
var Protocol = resolver.Define[*Hello, *Intro]("urn:example:greet")

// Module answers greetings for as long as its group lives.
type Module struct{ Motto string }

// Start implements [peergroup.Module].
func (mod Module) Start(ctx context.Context, g *peergroup.Group) error {
	return Protocol.Handle(ctx, g.Resolver(), func(_ context.Context, q resolver.Query[*Hello]) (*Intro, error) {
		if q.Body.From == "" {
			return nil, resolver.ErrNoAnswer // stay silent; another peer may answer
		}
		return &Intro{Name: g.PeerName(), Motto: mod.Motto}, nil
	})
}

// Meet says hello to the group and yields introductions as they arrive, until
// ctx ends or the caller breaks off. The sequence is single-use.
func Meet(ctx context.Context, g *peergroup.Group, me string) iter.Seq2[resolver.Response[*Intro], error] {
	return Protocol.Ask(ctx, g.Resolver(), &Hello{From: me})
}
