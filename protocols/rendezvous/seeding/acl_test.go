package seeding

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/xmldoc"
)

// Peers of testdata/xacl.xml, and one that is not in it.
var (
	ann   = mustPeer("urn:jxta:uuid-59616261646162614E504720503250331112131415161718191A1B1C1D1E1F2003")
	bob   = mustPeer("urn:jxta:uuid-59616261646162614E504720503250332122232425262728292A2B2C2D2E2F3003")
	carol = mustPeer("urn:jxta:uuid-59616261646162614E504720503250333132333435363738393A3B3C3D3E3F4003")
)

func mustPeer(s string) id.Peer {
	p, err := id.ParsePeer(s)
	if err != nil {
		panic(err)
	}
	return p
}

// xacl prints an access list with the children given.
func xacl(children ...string) string {
	return "<!DOCTYPE jxta:XACL>\n<jxta:XACL>" + strings.Join(children, "") + "</jxta:XACL>"
}

func peer(p id.Peer, attrs string) string { return "<peer " + attrs + ">" + p.String() + "</peer>" }

// testdata/xacl.xml is what net.jxta.impl.access.AccessList of JXSE 2.5 printed.
func TestACLOfJava(t *testing.T) {
	var a ACL
	if err := xmldoc.Unmarshal(file(t, "xacl.xml"), &a); err != nil {
		t.Fatal(err)
	}
	want := []Entry{{Peer: bob, Name: "bob", Deny: true}, {Peer: ann, Name: "ann"}}
	if a.GrantAll || a.Description != "peers of the crew" || !slices.Equal(a.Peers, want) {
		t.Fatalf("%+v", a)
	}
	if !a.Allows(ann) || a.Allows(bob) || a.Allows(carol) || a.Allows(id.Peer{}) {
		t.Error("wrong verdict")
	}
}

func TestACLVerdicts(t *testing.T) {
	for _, c := range []struct {
		name, text      string
		ann, bob, carol bool
	}{
		{"nobody", xacl(), false, false, false},
		{"everybody", xacl("<grantAll>true</grantAll>"), true, true, true},
		{"everybody, said oddly", xacl("<grantAll> TRUE </grantAll>"), true, true, true},
		{"not everybody", xacl("<grantAll>yes</grantAll>"), false, false, false},
		{"all but one", xacl("<grantAll>true</grantAll>", peer(bob, `access="deny"`)), true, false, true},
		{"no attribute grants", xacl(peer(ann, `name="ann"`)), true, false, false},
		{"any case", xacl(peer(ann, `access="GRANT"`), peer(bob, `access="Deny"`)), true, false, false},
		{"anything else denies", xacl(peer(ann, `access=""`), peer(bob, `access="granted"`)), false, false, false},
		{"the last one counts", xacl(peer(ann, `access="grant"`), peer(bob, `access="deny"`),
			peer(ann, `access="deny"`), peer(bob, `access="grant"`)), false, true, false},
		{"unknown children", xacl("<more><peer>x</peer></more>", peer(ann, "")), true, false, false},
	} {
		var a ACL
		if err := xmldoc.Unmarshal([]byte(c.text), &a); err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		g := &Guard{}
		if _, err := g.accept(0, document{body: []byte(c.text)}); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		for p, want := range map[id.Peer]bool{ann: c.ann, bob: c.bob, carol: c.carol} {
			if a.Allows(p) != want || g.Allows(p) != want {
				t.Errorf("%s: %v: list %t, guard %t, want %t", c.name, p, a.Allows(p), g.Allows(p), want)
			}
		}
	}
}

func TestACLRefused(t *testing.T) {
	group := id.NewGroup(id.NetGroup)
	for name, c := range map[string]struct {
		text string
		want error
	}{
		"another document": {"<html/>", xmldoc.ErrRoot},
		"no peer ID":       {xacl(peer(ann, ""), "<peer>somebody</peer>"), id.ErrSyntax},
		"empty entry":      {xacl("<peer/>"), xmldoc.ErrMissing},
		"a group":          {xacl("<peer>" + group.String() + "</peer>"), id.ErrKind},
		"entities":         {`<!DOCTYPE jxta:XACL [<!ENTITY a "b">]><jxta:XACL/>`, xmldoc.ErrSyntax},
		"too many":         {xacl(strings.Repeat("<peer/>", 9000)), xmldoc.ErrLimit},
		"huge":             {xacl(strings.Repeat(" ", MaxDocument)), xmldoc.ErrLimit},
		"attribute twice":  {xacl(peer(ann, `access="deny" access="grant"`)), xmldoc.ErrSyntax},
	} {
		var a ACL
		if err := xmldoc.Unmarshal([]byte(c.text), &a); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

func TestACLCutAtEveryOctet(t *testing.T) {
	b := bytes.TrimSpace(file(t, "xacl.xml"))
	for n := range b {
		var a ACL
		if err := xmldoc.Unmarshal(b[:n], &a); err == nil {
			t.Fatalf("cut at %d: %+v", n, a)
		}
	}
}

func FuzzACL(f *testing.F) {
	f.Add(file(f, "xacl.xml"))
	f.Add([]byte(xacl("<grantAll>true</grantAll>", peer(ann, `access=""`), peer(ann, "name='a&amp;b'"))))
	f.Fuzz(func(t *testing.T, b []byte) {
		var a ACL
		if err := xmldoc.Unmarshal(b, &a); err != nil {
			return
		}
		out, err := xmldoc.Marshal(&a)
		if err != nil {
			return // names may be beyond what attributes carry
		}
		var again ACL
		if err := xmldoc.Unmarshal(out, &again); err != nil {
			t.Fatalf("%s: %v", out, err)
		}
		if again.GrantAll != a.GrantAll || again.Description != a.Description || !slices.Equal(again.Peers, a.Peers) {
			t.Fatalf("%+v\nread again %+v", a, again)
		}
		g := &Guard{}
		if _, err := g.accept(0, document{body: b}); err != nil {
			t.Fatal(err)
		}
		for _, e := range a.Peers {
			if g.Allows(e.Peer) != a.Allows(e.Peer) {
				t.Fatalf("list and guard differ on %v", e.Peer)
			}
		}
	})
}

func BenchmarkGuardAllows(b *testing.B) {
	var text []string
	for i := range 1000 {
		text = append(text, peer(id.PeerFromSeed(id.NetGroup, fmt.Appendf(nil, "%016d", i)), ""))
	}
	g := &Guard{}
	if _, err := g.accept(0, document{body: []byte(xacl(text...))}); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if g.Allows(carol) {
			b.Fatal("not listed, but let in")
		}
	}
}
