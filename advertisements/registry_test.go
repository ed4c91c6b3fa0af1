package advertisements_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	adv "github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/xmldoc"
)

type shared struct{ Type, Value string }

func (*shared) DocType() string { return "jxta:CP" }

func (s *shared) Map(m *xmldoc.Mapper) {
	m.Root("jxta:CP")
	m.Type(s.Type)
	m.Optional("Value", &s.Value)
}

func TestTypeAttribute(t *testing.T) {
	reg := adv.Standard()
	for _, name := range []string{"x:One", "x:Two"} {
		reg.Add(name, func() adv.Advertisement { return &shared{Type: name} })
	}
	pipe := strings.TrimPrefix(marshal(t, adv.NewPipe(id.NetGroup, "a", adv.Unicast)), "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!DOCTYPE jxta:PipeAdvertisement>\n")
	parm := strings.ReplaceAll(pipe, "jxta:PipeAdvertisement", "Parm")
	for doc, want := range map[string]string{
		pipe: "*advertisements.Pipe",
		strings.Replace(pipe, "xml:space", `type="jxta:PipeAdvertisement" xml:space`, 1): "*advertisements.Pipe",
		strings.Replace(pipe, "xml:space", `type="other" xml:space`, 1):                  "*advertisements.Pipe",
		strings.Replace(pipe, "xml:space", `type="jxta:PA" xml:space`, 1):                "<nil>",
		parm: "*advertisements.Unknown",
		strings.Replace(parm, "xml:space", `type="jxta:PipeAdvertisement" xml:space`, 1): "*advertisements.Pipe",
		strings.Replace(parm, "xml:space", `type="jxta:PA" xml:space`, 1):                "<nil>",
		`<jxta:CP type="x:One"/>`:   "*advertisements_test.shared",
		`<jxta:CP type="x:Two"/>`:   "*advertisements_test.shared",
		`<Parm type="x:Two"/>`:      "*advertisements_test.shared",
		`<jxta:CP type="x:Three"/>`: "*advertisements.Unknown",
		`<jxta:CP/>`:                "*advertisements.Unknown",
		`<jxta:CP type="jxta:PA"/>`: "<nil>",
		`<other type="jxta:PA"/>`:   "<nil>",
		`<x:One/>`:                  "<nil>",
	} {
		a, err := reg.Parse([]byte(doc))
		if got := fmt.Sprintf("%T", a); got != want || (err != nil) != (a == nil) {
			t.Errorf("%s is %s, error %v, want %s", doc, got, err, want)
		}
	}
	if _, err := reg.Decode(xmldoc.Node{}); !errors.Is(err, xmldoc.ErrMissing) {
		t.Errorf("nothing is read as %v", err)
	}
	if a, err := new(adv.Registry).Parse([]byte(pipe)); err != nil || fmt.Sprintf("%T", a) != "*advertisements.Unknown" {
		t.Errorf("the zero registry reads %T, error %v", a, err)
	}
}

func TestUnknownKeepsItsBytes(t *testing.T) {
	const doc = "<?xml version='1.0'?>\n<!-- note --><x:Y  a = '1' ><b/>t</x:Y >"
	in := []byte(doc)
	a, err := adv.Standard().Parse(in)
	if err != nil {
		t.Fatal(err)
	}
	in[0] = 'X' // the buffer of a message is used again
	for _, marshal := range []func(adv.Advertisement) ([]byte, error){adv.Marshal, adv.MarshalIndent} {
		if b, err := marshal(a); err != nil || string(b) != doc {
			t.Errorf("%s, error %v", b, err)
		} else {
			b[0] = 'Y' // ours to change
		}
	}
	if key, err := adv.KeyOf(a); err != nil || !strings.HasPrefix(key, "cm") {
		t.Errorf("key %q, error %v", key, err)
	}
	u := &adv.Unknown{Node: a.(*adv.Unknown).Node}
	if got := marshal(t, u); !strings.Contains(got, "<x:Y a=\"1\">\nt<b/>") && !strings.Contains(got, "<x:Y a=\"1\">\n\tt\n\t<b/>\n</x:Y>\n") {
		t.Errorf("without bytes: %q", got)
	}
	nested, err := adv.Standard().Parse([]byte(strings.Repeat("<x>", 20) + strings.Repeat("</x>", 20)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := adv.Marshal(nested); !errors.Is(err, xmldoc.ErrLimit) {
		t.Errorf("what hangs a JXSE peer would be passed on: %v", err)
	}
}

func TestRegistryIsSafeForConcurrentUse(t *testing.T) {
	reg := adv.Standard()
	doc := []byte(marshal(t, adv.NewPipe(id.NetGroup, "a", adv.Unicast)))
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 50 {
				if _, err := reg.Parse(doc); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}
