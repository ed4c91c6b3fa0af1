package advertisements_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	adv "github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/xmldoc"
)

func TestPeerRoute(t *testing.T) {
	p := &adv.Peer{ID: peerID(t, 1), Group: id.NetGroup}
	if r, ok := p.Route(); ok {
		t.Errorf("route %v of a peer that says nothing", r)
	}
	r := &adv.Route{
		Dest:      peerID(t, 9), // does not matter
		Addresses: []endpoint.Address{address(t, "tcp://192.0.2.1:9701")},
		Hops:      []adv.AccessPoint{{Peer: peerID(t, 2)}},
	}
	if err := p.SetRoute(r); err != nil {
		t.Fatal(err)
	}
	if r.Dest != peerID(t, 9) {
		t.Error("SetRoute changed its argument")
	}
	got, ok := p.Route()
	want := r.Clone()
	want.Dest = p.ID
	if d := cmp.Diff(want, got, equal); d != "" || !ok {
		t.Errorf("route (-want +got):\n%s", d)
	}
	for _, loop := range [][]adv.AccessPoint{{{}}, {{Peer: peerID(t, 2)}, {Peer: peerID(t, 2)}}} {
		if err := p.SetRoute(&adv.Route{Hops: loop}); err == nil {
			t.Errorf("a route by %v was set", loop)
		}
	}
	if again, _ := p.Route(); !again.Passes(peerID(t, 2)) || again.Passes(p.ID) {
		t.Error("a refused route changed something")
	}

	// A route to somebody else, as a stranger may write it, is none.
	n, err := xmldoc.NodeOf(r)
	if err != nil {
		t.Fatal(err)
	}
	p.SetService(id.ClassEndpoint, xmldoc.NewNode("Parm", "", n))
	if r, ok := p.Route(); ok {
		t.Errorf("route %v leads to another peer", r)
	}
	if err := p.SetRoute(nil); err != nil || len(p.Services) != 0 {
		t.Errorf("after removal: %v, error %v", p.Services, err)
	}
}

func TestPeerServices(t *testing.T) {
	p := &adv.Peer{ID: peerID(t, 1), Group: id.NetGroup}
	if p.IsRendezvous() {
		t.Error("a peer that says nothing is a rendezvous")
	}
	p.SetRendezvous(true)
	p.SetRendezvous(true)
	c := p.Clone()
	if !p.IsRendezvous() || len(p.Services) != 1 {
		t.Errorf("services %v", p.Services)
	}
	p.SetService(id.ClassDiscovery, xmldoc.NewNode("Parm", "x"))
	p.SetRendezvous(false)
	if p.IsRendezvous() || len(p.Services) != 1 {
		t.Errorf("services %v", p.Services)
	}
	if !c.IsRendezvous() {
		t.Error("the clone changed")
	}
	if n, ok := p.Service(id.ClassDiscovery); !ok || n.Text() != "x" {
		t.Errorf("parameters %v", n)
	}
	p.Services = append(p.Services, adv.Service{Class: id.ClassRelay}) // without parameters
	if doc := marshal(t, p); !strings.Contains(doc, "0F05</MCID><Parm/></Svc>") {
		t.Error("no empty Parm in", doc)
	}
}

func TestGroupServiceOfNoClass(t *testing.T) {
	doc := strings.Replace(marshal(t, &adv.Group{ID: id.NetGroup, Spec: id.SpecNetGroup,
		Services: []adv.Service{{Class: id.ClassRelay}, {Class: id.ClassPipe}}}),
		id.ClassRelay.String(), id.SpecPipe.String(), 1)
	a, err := adv.Standard().Parse([]byte(doc))
	if err != nil {
		t.Fatal(err)
	}
	if s := a.(*adv.Group).Services; len(s) != 1 || s[0].Class != id.ClassPipe {
		t.Errorf("services %v, want the good one", s)
	}
	doc = strings.ReplaceAll(doc, "PGA", "PA")
	doc = strings.Replace(doc, "<GID>", "<PID>"+peerID(t, 1).String()+"</PID><GID>", 1)
	if _, err := adv.Standard().Parse([]byte(doc)); !errors.Is(err, id.ErrKind) {
		t.Errorf("in a peer advertisement: %v", err)
	}
}

func TestDescription(t *testing.T) {
	const doc = `<jxta:MCA><MCID>urn:jxta:uuid-4142434445464748494A4B4C4D4E4F5005</MCID><Desc>see <b>this</b></Desc></jxta:MCA>`
	a, err := adv.Standard().Parse([]byte(doc))
	if err != nil {
		t.Fatal(err)
	}
	c := a.(*adv.ModuleClass)
	if c.Desc != "see" || c.DescTree.IsZero() {
		t.Errorf("%q %v", c.Desc, c.DescTree)
	}
	if out := marshal(t, c); !strings.Contains(out, "<Desc>see<b>this</b></Desc>") {
		t.Error("elements were lost:", out)
	}
	c.Desc = "changed"
	if out := marshal(t, c); !strings.Contains(out, "<Desc>changed</Desc>") {
		t.Error("the old description stayed:", out)
	}
}
