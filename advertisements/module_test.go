package advertisements_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	adv "github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/xmldoc"
)

func TestModules(t *testing.T) {
	const doc = `<jxta:MIA><MSID>urn:jxta:uuid-DEADBEEFDEAFBABAFEEDBABE000000010306</MSID><Comp/><Code>x</Code><Parm>
		<Svc>urn:jxta:uuid-DEADBEEFDEAFBABAFEEDBABE000000030106</Svc>
		<Svc><MCID>urn:jxta:uuid-DEADBEEFDEAFBABAFEEDBABE0000000205</MCID><MSID>urn:jxta:uuid-DEADBEEFDEAFBABAFEEDBABE000000040106</MSID></Svc>
		<Svc><jxta:MIA><MSID>urn:jxta:uuid-DEADBEEFDEAFBABAFEEDBABE000000060106</MSID></jxta:MIA></Svc>
		<Svc>nonsense</Svc><Svc/><Other>urn:jxta:uuid-DEADBEEFDEAFBABAFEEDBABE000000030106</Other>
		<Svc><MCID>bad</MCID><MSID>urn:jxta:uuid-DEADBEEFDEAFBABAFEEDBABE000000040106</MSID></Svc>
		<Proto>urn:jxta:uuid-DEADBEEFDEAFBABAFEEDBABE000000080106</Proto></Parm></jxta:MIA>`
	a, err := adv.Standard().Parse([]byte(doc))
	if err != nil {
		t.Fatal(err)
	}
	impl := a.(*adv.ModuleImpl)
	want := []adv.Module{
		{"Svc", id.ClassDiscovery, id.SpecDiscovery},
		{"Svc", id.ClassResolver, id.SpecPipe},
		{"Svc", id.ClassRendezvous, id.SpecRendezvous},
		{"Proto", id.ClassEndpoint, id.SpecEndpoint},
	}
	if d := cmp.Diff(want, slices.Collect(impl.Modules()), equal); d != "" {
		t.Errorf("modules (-want +got):\n%s", d)
	}
	for range impl.Modules() {
		break
	}
	impl.SetModules(want)
	if d := cmp.Diff(want, slices.Collect(impl.Modules()), equal); d != "" {
		t.Errorf("modules set (-want +got):\n%s", d)
	}
	survives(t, adv.Standard(), "implementation", impl)
}

func TestCompatibility(t *testing.T) {
	for _, c := range []adv.Compatibility{adv.JuxtaCompatibility(), adv.JavaCompatibility()} {
		impl := &adv.ModuleImpl{Spec: id.SpecPipe, Code: "x", Comp: c.Node()}
		if got, ok := impl.Compatibility(); !ok || got != c {
			t.Errorf("%v became %v", c, got)
		}
	}
	if adv.JuxtaCompatibility().Binding == adv.JavaCompatibility().Binding {
		t.Error("JXSE 2.7 would take our implementations for its own")
	}
	for _, comp := range []string{
		"", "<Efmt>a</Efmt>", "<Bind>a</Bind>", "<Efmt/><Bind>b</Bind>", "<Efmt>a</Efmt><Bind>b</Bind><More/>",
		"<Efmt>a</Efmt><Efmt>b</Efmt>", "text",
	} {
		n, err := xmldoc.ParseNode([]byte("<Comp>" + comp + "</Comp>"))
		if err != nil {
			t.Fatal(err)
		}
		if c, ok := (&adv.ModuleImpl{Comp: n}).Compatibility(); ok {
			t.Errorf("%s is %v", comp, c)
		}
	}
}
