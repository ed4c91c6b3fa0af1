package commands_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/xmldoc"
	"github.com/juxta-p2p/juxta/peergroup"
)

// weight is question and answer of a service that bob offers.
type weight struct{ Number, Unit string }

func (w *weight) Map(m *xmldoc.Mapper) {
	m.Root("weigh")
	m.Text("number", &w.Number)
	m.Text("unit", &w.Unit)
}

// TestCall asks a service whose types the shell does not know.
func TestCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &player{t: t, shells: map[string]*shell{}, ids: map[string]string{}, kinds: map[id.Kind]int{}}
		p.start([]string{"rdv/rendezvous", "ann/+key", "bob/+key"})
		scale := peergroup.DefineService[*weight, *weight](id.NewModuleSpec(id.NewModuleClass()), "scale")
		err := scale.Serve(t.Context(), p.shells["bob"].peer.Net(), func(_ context.Context, r peergroup.Request[*weight]) (*weight, error) {
			if r.Body.Unit == "stone" {
				return nil, &peergroup.Fault{Code: "unit", Words: "kg or lb?"}
			}
			return &weight{Number: "2" + r.Body.Number, Unit: r.Body.Unit}, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		for _, tt := range []struct {
			line   string
			status int
			want   string
		}{
			{"call | select name", 0, "scale\n"},
			{"call scale weigh number=5 unit=kg", 0, "\nnumber: 25\nunit: kg\n"},
			{"call -p bob scale weigh number=5 unit=kg --json", 0, `,"number":"25","unit":"kg"}` + "\n"},
			{"call scale '<weigh><number>1</number><unit>lb</unit></weigh>' | grep number", 0, "number: 21\n"},
			{"call -x scale weigh number=5 unit=kg", 0, "<number>"},
			{"call " + scale.Spec().String() + " weigh number=7 unit=kg | grep number", 0, "number: 27\n"},
			{"call scale weigh number=5 unit=stone", 1, "# call - scale says no: unit: kg or lb?\n"},
			{"call scale", 2, "ask scale what?"},
			{"call scale '<weigh>' x=1", 2, "no XML document"},
			{"call scale weigh number", 2, "no field"},
			{"call scale 'a b' x=1", 2, "no question"},
			{"call nothing x y=1", 3, "nobody in the group offers nothing"},
			{"call -p rdv -w 2s scale weigh number=1 unit=kg", 3, ""},
		} {
			status := p.shells["ann"].session.Run(t.Context(), tt.line)
			got := p.tidy(p.shells["ann"].take())
			if status != tt.status || !strings.Contains(got, tt.want) {
				t.Errorf("%s: status %d, want %d:\n%s", tt.line, status, tt.status, got)
			}
		}
	})
}
