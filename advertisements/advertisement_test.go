package advertisements_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	adv "github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/xmldoc"
	"pgregory.net/rapid"
)

func peerID(t testing.TB, n byte) id.Peer {
	t.Helper()
	return id.PeerFromSeed(id.NetGroup, []byte{n})
}

func address(t testing.TB, s string) endpoint.Address {
	t.Helper()
	a, err := endpoint.ParseAddress(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func marshal(t testing.TB, a adv.Advertisement) string {
	t.Helper()
	b, err := adv.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestKeys(t *testing.T) {
	p := peerID(t, 1)
	pipe := adv.NewPipe(id.NetGroup, "a", adv.Unicast)
	for name, c := range map[string]struct {
		a    adv.Advertisement
		want string
		kind adv.Kind
	}{
		"peer":       {&adv.Peer{ID: p, Group: id.NetGroup}, "jxta-NetGroup/" + p.Unique(), adv.Peers},
		"group":      {&adv.Group{ID: id.NetGroup, Spec: id.SpecNetGroup}, "jxta-NetGroup", adv.Groups},
		"pipe":       {pipe, pipe.ID.Unique(), adv.Advs},
		"class":      {&adv.ModuleClass{ID: id.ClassPipe}, id.ClassPipe.Unique(), adv.Advs},
		"spec":       {&adv.ModuleSpec{ID: id.SpecPipe}, id.SpecPipe.Unique(), adv.Advs},
		"route":      {&adv.Route{Dest: p}, "route/" + p.Unique(), adv.Advs},
		"point":      {&adv.AccessPoint{Peer: p}, "access/" + p.Unique(), adv.Advs},
		"rendezvous": {&adv.Rendezvous{Group: id.NetGroup, Peer: p, Service: "s"}, "rdv/jxta-NetGroup/s/" + p.Unique(), adv.Advs},
		"seed":       {&adv.Route{}, "cm09a9ec3ec18f5ea2b9d5f0ee2f1ba2fba5c7d5a7", adv.Advs},
		"impl":       {&adv.ModuleImpl{Spec: id.SpecPipe, Code: "x"}, "cm", adv.Advs},
	} {
		key, err := adv.KeyOf(c.a)
		if want := c.want; strings.HasPrefix(want, "cm") {
			if len(key) != len("cm")+40 || !strings.HasPrefix(key, "cm") {
				t.Errorf("%s: key %q is no hash", name, key)
			}
		} else if key != want || err != nil {
			t.Errorf("%s: key %q, error %v, want %q", name, key, err, want)
		}
		if k := adv.KindOf(c.a); k != c.kind {
			t.Errorf("%s: kind %v, want %v", name, k, c.kind)
		}
	}
	a, _ := adv.KeyOf(&adv.ModuleImpl{Spec: id.SpecPipe, Code: "a"})
	b, _ := adv.KeyOf(&adv.ModuleImpl{Spec: id.SpecPipe, Code: "b"})
	if a == b {
		t.Error("two implementations have the same key")
	}
	if _, err := adv.KeyOf(&adv.ModuleImpl{}); !errors.Is(err, xmldoc.ErrMissing) {
		t.Errorf("key of what cannot be written: %v", err)
	}
}

func TestFields(t *testing.T) {
	got, err := adv.Fields(&adv.Group{ID: id.NetGroup, Spec: id.SpecNetGroup, Name: " a & b ", Desc: " "})
	want := []adv.Field{{Name: "Name", Value: "a & b"}, {Name: "GID", Value: "urn:jxta:jxta-NetGroup"}, {Name: "MSID", Value: id.SpecNetGroup.String()}}
	if d := cmp.Diff(want, got); d != "" || err != nil {
		t.Errorf("error %v (-want +got):\n%s", err, d)
	}
	if _, err := adv.Fields(&adv.Group{}); !errors.Is(err, xmldoc.ErrMissing) {
		t.Errorf("fields of what cannot be written: %v", err)
	}
}

func TestLimits(t *testing.T) {
	class := func(n byte) id.ModuleClass {
		c, err := id.ParseModuleClass(fmt.Sprintf("urn:jxta:uuid-000000000000400080000000000000%02X05", n))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	services := make([]adv.Service, adv.MaxServices+1)
	for i := range services {
		services[i].Class = class(byte(i + 1))
	}
	p := func() *adv.Peer { return &adv.Peer{ID: peerID(t, 1), Group: id.NetGroup} }
	text := func(n int) string { return strings.Repeat("x", n) }
	for name, c := range map[string]struct {
		change func(p *adv.Peer)
		want   error
	}{
		"name":               {func(p *adv.Peer) { p.Name = text(adv.MaxName) }, nil},
		"name too long":      {func(p *adv.Peer) { p.Name = text(adv.MaxName + 1) }, xmldoc.ErrLimit},
		"description":        {func(p *adv.Peer) { p.Desc = text(adv.MaxDesc - 20) }, nil},
		"description long":   {func(p *adv.Peer) { p.Desc = text(adv.MaxDesc + 1) }, xmldoc.ErrLimit},
		"services":           {func(p *adv.Peer) { p.Services = services[1:] }, nil},
		"services too many":  {func(p *adv.Peer) { p.Services = services }, xmldoc.ErrLimit},
		"parameters":         {func(p *adv.Peer) { p.SetService(class(1), xmldoc.NewNode("Parm", text(adv.MaxParam-20))) }, nil},
		"parameters too big": {func(p *adv.Peer) { p.SetService(class(1), xmldoc.NewNode("Parm", text(adv.MaxParam+1))) }, xmldoc.ErrLimit},
	} {
		a := p()
		c.change(a)
		b, err := adv.Marshal(a)
		if !errors.Is(err, c.want) {
			t.Errorf("writing %s: error %v, want %v", name, err, c.want)
		}
		if err != nil {
			continue
		}
		if _, err := adv.Standard().Parse(b); err != nil {
			t.Errorf("reading %s: %v", name, err)
		}
		if bytes := strings.Replace(string(b), "xxx", text(100), 1); strings.Contains(string(b), "xxx") {
			if _, err := adv.Standard().Parse([]byte(bytes)); !errors.Is(err, xmldoc.ErrLimit) {
				t.Errorf("reading %s and more: %v, want ErrLimit", name, err)
			}
		}
	}
}

func TestRendezvousServices(t *testing.T) {
	if got, want := adv.RendezvousService(id.NetGroup), "urn:jxta:uuid-DEADBEEFDEAFBABAFEEDBABE0000000605jxta-NetGroup"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if got, want := adv.RelayService(), "uuid-DEADBEEFDEAFBABAFEEDBABE0000000F05"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// shared is a type that shares its root with others.
func TestPropertyRoundTrip(t *testing.T) {
	reg := adv.Standard()
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.Map(rapid.SliceOfN(rapid.SampledFrom([]string{"a", "B", "7", " ", "&", "<", ">", "\"", "'", "]]>", "é", "北京", "\U0001F600", "\n", "*"}), 0, 8),
			func(s []string) string { return xmldoc.Trim(strings.Join(s, "")) })
		peer := rapid.Map(rapid.Byte(), func(b byte) id.Peer { return id.PeerFromSeed(id.NetGroup, []byte{b}) })
		addr := rapid.SampledFrom([]endpoint.Address{
			{Protocol: "tcp", Host: "192.0.2.1:9701"}, {Protocol: "http", Host: "[2001:db8::1]:80"},
			{Protocol: "tls", Host: "h:1", Service: "s", Param: "p/q"}, endpoint.PeerAddress(id.PeerFromSeed(id.NetGroup, []byte("x")), "s", ""),
		})
		addrs := func(name string) (list []endpoint.Address) {
			return append(list, rapid.SliceOfNDistinct(addr, 0, 4, rapid.ID).Draw(t, name)...)
		}
		route := &adv.Route{Dest: peer.Draw(t, "dest"), Addresses: addrs("addresses")}
		for _, p := range rapid.SliceOfNDistinct(peer, 0, 4, rapid.ID).Draw(t, "hops") {
			route.Hops = append(route.Hops, adv.AccessPoint{Peer: p, Addresses: addrs("hop")})
		}
		p := &adv.Peer{ID: peer.Draw(t, "peer"), Group: id.NetGroup, Name: text.Draw(t, "name"), Desc: text.Draw(t, "desc")}
		p.SetRendezvous(rapid.Bool().Draw(t, "rdv"))
		if err := p.SetRoute(route); err != nil {
			t.Fatal(err)
		}
		pipe := adv.NewPipe(id.NetGroup, text.Draw(t, "pipe"), adv.PipeType(rapid.StringMatching("[A-Z][a-z]{1,9}").Draw(t, "type")))
		for _, a := range []adv.Advertisement{
			p, route, pipe,
			&adv.Group{ID: id.NetGroup, Spec: id.SpecNetGroup, Name: p.Name, Desc: p.Desc, Services: p.Services},
			&adv.ModuleClass{ID: id.ClassPipe, Name: p.Name, Desc: p.Desc},
			&adv.ModuleSpec{ID: id.SpecPipe, Name: p.Name, Creator: p.Desc, URI: p.Name, Pipe: pipe, Proxy: id.SpecPeerInfo},
			&adv.ModuleImpl{Spec: id.SpecPipe, Code: "c" + p.Name, Desc: p.Desc, Comp: adv.JuxtaCompatibility().Node(), Provider: p.Name},
			&adv.Rendezvous{Group: id.NetGroup, Peer: p.ID, Service: adv.RendezvousService(p.Group), Name: p.Name, Route: route},
		} {
			for _, marshal := range []func(adv.Advertisement) ([]byte, error){adv.Marshal, adv.MarshalIndent} {
				b, err := marshal(a)
				if err != nil {
					t.Fatal(err)
				}
				again, err := reg.Parse(b)
				if err != nil {
					t.Fatalf("%v in %s", err, b)
				}
				if d := cmp.Diff(a, again, equal); d != "" {
					t.Fatalf("%s (-want +got):\n%s", b, d)
				}
			}
		}
	})
}
