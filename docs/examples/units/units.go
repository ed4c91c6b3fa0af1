// Package units is a service that any member of a group may run for the others: it
// converts lengths. Whoever asks does not care who answers.
package units

import (
	"context"
	"strconv"

	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/xmldoc"
	"github.com/juxta-p2p/juxta/peergroup"
)

// Spec is what the service is known by, made once and for all by id.NewModuleSpec.
var Spec = must(id.ParseModuleSpec("urn:jxta:uuid-6E2AA35C3F0B4D0F8D2E0B3C9A6C41D75B1FDE0A4C1E4B7C9E0D3A2F6B8C7E1006"))

func must(s id.ModuleSpec, err error) id.ModuleSpec {
	if err != nil {
		panic(err)
	}
	return s
}

// Length is a number of some unit. Its number travels as text.
type Length struct{ Number, Unit string }

// Map implements [xmldoc.Document].
func (l *Length) Map(m *xmldoc.Mapper) {
	m.Root("Length")
	m.Text("Number", &l.Number)
	m.Text("Unit", &l.Unit)
}

// Metres is the service: a length goes in, the same in metres comes out.
var Metres = peergroup.DefineService[*Length, *Length](Spec, "lengths in metres")

// Module serves it. Units are metres by name; its parameters may name more.
type Module struct{ Units map[string]float64 }

// Start implements [peergroup.Module].
func (mod Module) Start(ctx context.Context, g *peergroup.Group) error {
	return Metres.Serve(ctx, g, func(_ context.Context, r peergroup.Request[*Length]) (*Length, error) {
		n, err := strconv.ParseFloat(r.Body.Number, 64)
		if err != nil {
			return nil, &peergroup.Fault{Code: "number", Words: "that is no number"}
		}
		metres, ok := mod.Units[r.Body.Unit]
		if !ok {
			return nil, &peergroup.Fault{Code: "unit", Words: "nobody measures in that"}
		}
		return &Length{strconv.FormatFloat(n*metres, 'f', -1, 64), "metre"}, nil
	})
}

// Implementation is how a program that can run the service says so: groups whose makers
// list Spec then have it at every member, with the units of the group's advertisement.
func Implementation() peergroup.Implementation {
	return peergroup.Implementation{Name: "example/units", Description: "converts lengths", New: func(params xmldoc.Node) (peergroup.Module, error) {
		units := map[string]float64{}
		for u := range params.Children() {
			metres, err := strconv.ParseFloat(u.Text(), 64)
			if err != nil {
				return nil, err
			}
			units[u.Name()] = metres
		}
		return Module{Units: units}, nil
	}}
}
