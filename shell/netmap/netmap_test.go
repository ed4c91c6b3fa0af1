package netmap_test

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/core/transport/memory"
	"github.com/juxta-p2p/juxta/peergroup"
	"github.com/juxta-p2p/juxta/protocols/discovery"
	"github.com/juxta-p2p/juxta/shell/netmap"
)

// network starts a rendezvous and two edges.
func network(t *testing.T) (rdv, ann, bob *peergroup.Peer) {
	t.Helper()
	net := memory.New(memory.Config{})
	start := func(name string, roles peergroup.Roles, seeds ...string) *peergroup.Peer {
		p, err := peergroup.Start(t.Context(), peergroup.Config{Name: name, Transports: []endpoint.Transport{net.Transport(memory.TransportConfig{Name: name})},
			NoLAN: true, Seeds: seeds, Roles: roles})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = p.Close() })
		return p
	}
	rdv = start("rdv", peergroup.Roles{Rendezvous: true})
	ann, bob = start("ann", peergroup.Roles{}, "mem://rdv"), start("bob", peergroup.Roles{}, "mem://rdv")
	for _, p := range []*peergroup.Peer{ann, bob} {
		if err := p.Net().Rendezvous().WaitConnected(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	return rdv, ann, bob
}

// TestTake: who is there, who leases from whom, and that a peer which dies leaves the map.
func TestTake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rdv, ann, bob := network(t)
		m := netmap.Take(rdv)
		var leases []string
		for _, e := range m.Edges {
			if e.Kind == netmap.KindLease {
				leases = append(leases, m.Peer(e.From).Name+">"+m.Peer(e.To).Name)
			}
		}
		slices.Sort(leases)
		if !slices.Equal(leases, []string{"ann>rdv", "bob>rdv"}) {
			t.Errorf("leases %q", leases)
		}
		if p := m.Peer(rdv.ID().String()); p == nil || !slices.Equal(p.Roles, []string{"rendezvous"}) || m.Peers[0].ID != p.ID {
			t.Errorf("the peer itself: %+v", p)
		}
		if p := m.Peer(ann.ID().String()); p == nil || p.Way != "mem" || !slices.Contains(p.Known, "link") {
			t.Errorf("ann: %+v", p)
		}
		again := netmap.Take(rdv)
		text := func(m *netmap.Map) string { return fmt.Sprintf("%+v", *m.Still()) }
		if a, b := text(m), text(again); a != b {
			t.Errorf("two maps of the same:\n%s\n%s", a, b)
		}
		time.Sleep(time.Second)
		if a, b := text(m), text(netmap.Take(rdv)); a != b {
			t.Errorf("time changes the map:\n%s\n%s", a, b)
		}
		if err := bob.Close(); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		m = netmap.Take(rdv)
		for _, e := range m.Edges {
			if e.From == bob.ID().String() || e.To == bob.ID().String() {
				t.Errorf("of one who left: %+v", e)
			}
		}
	})
}

// TestHostileNames: what strangers call themselves is text and nothing else.
func TestHostileNames(t *testing.T) {
	const evil = "<script>alert(1)</script>&\"'\x1b[31m\u202e\x00\ufffe"
	m := &netmap.Map{Self: "a", Peers: []netmap.Peer{{ID: "a", Name: evil, Short: "A"}, {ID: "b", Name: evil, Short: "B", Roles: []string{"rendezvous"}}},
		Edges: []netmap.Edge{{From: "a", To: "b", Kind: netmap.KindLink, Detail: evil}}}
	svg := m.SVG()
	d := xml.NewDecoder(strings.NewReader(svg))
	for {
		tok, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if e, ok := tok.(xml.StartElement); ok && e.Name.Local == "script" {
			t.Error("a name became an element")
		}
	}
	for _, bad := range []string{"\x1b", "\u202e", "\x00"} {
		if strings.Contains(svg, bad) {
			t.Errorf("%q got through", bad)
		}
	}
}

// TestNamesAreOneLine: nobody draws a line into the tree, the drawing or the page by what he calls
// himself, his groups or his pipes.
func TestNamesAreOneLine(t *testing.T) {
	const evil = "mallory\n├─ bank\r\u2028\u2029 \u0085\u202e\u2066\u200f\u061c\ufeff\u009b2Jend"
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{})
		start := func(host, name string, roles peergroup.Roles, seeds ...string) *peergroup.Peer {
			p, err := peergroup.Start(t.Context(), peergroup.Config{Name: name, Transports: []endpoint.Transport{net.Transport(memory.TransportConfig{Name: host})},
				NoLAN: true, Seeds: seeds, Roles: roles})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = p.Close() })
			return p
		}
		rdv := start("rdv", "rdv", peergroup.Roles{Rendezvous: true})
		mallory := start("m", evil, peergroup.Roles{}, "mem://rdv")
		start("long", strings.Repeat("ö", 300), peergroup.Roles{}, "mem://rdv")
		if err := mallory.Net().Rendezvous().WaitConnected(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		in, err := rdv.Net().Pipes().Listen(t.Context(), advertisements.NewPipe(rdv.Net().ID(), evil, advertisements.Unicast))
		if err != nil {
			t.Fatal(err)
		}
		defer in.Close()
		m := netmap.Take(rdv)
		if n := strings.Count(m.Tree(), "\n"); n != 1+1+1+2+1+len(m.Pipes) {
			t.Errorf("%d lines:\n%s", n, m.Tree())
		}
		doc, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		var texts any
		if err := json.Unmarshal(doc, &texts); err != nil {
			t.Fatal(err)
		}
		for what, text := range map[string]string{"tree": strings.ReplaceAll(m.Tree(), "\n", ""), "drawing": strings.ReplaceAll(m.SVG(), "\n", ""),
			"JSON": fmt.Sprint(texts), "changes": fmt.Sprint(netmap.Changes(&netmap.Map{}, m))} {
			if !strings.Contains(text, "mallory ") {
				t.Errorf("%s: who is not there", what)
			}
			if i := strings.IndexAny(text, "\n\r\u2028\u2029\u0085\u202e\u2066\u200f\u061c\ufeff\u009b"); i >= 0 {
				t.Errorf("%s: %q got through", what, text[i:min(len(text), i+10)])
			}
			if strings.Contains(text, strings.Repeat("ö", 200)) {
				t.Errorf("%s: a name has no bound", what)
			}
		}
	})
}

// TestFieldsAreDocumented: docs/map.md tells of every field that JSON can have.
func TestFieldsAreDocumented(t *testing.T) {
	b, err := os.ReadFile("../../docs/map.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(b), "## JSON")
	text, _, _ = strings.Cut(text, "## The page")
	fields := 0
	for _, part := range []any{netmap.Map{}, netmap.Peer{}, netmap.Edge{}, netmap.Group{}, netmap.Pipe{}, netmap.Traffic{}, netmap.Rate{}} {
		for f := range reflect.TypeOf(part).Fields() {
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			if name == "" {
				continue
			}
			if fields++; !strings.Contains(text, "`"+name+"`") {
				t.Errorf("the field %s of %T is not there", name, part)
			}
		}
	}
	if fields < 35 {
		t.Errorf("%d fields", fields)
	}
}

// TestLayout: the same map gives the same drawing, and nothing lies outside of it.
func TestLayout(t *testing.T) {
	for _, n := range []int{1, 2, 50} {
		m := &netmap.Map{Self: "p0"}
		for i := range n {
			m.Peers = append(m.Peers, netmap.Peer{ID: fmt.Sprint("p", i), Name: fmt.Sprint("peer ", i)})
			m.Edges = append(m.Edges, netmap.Edge{From: fmt.Sprint("p", i), To: fmt.Sprint("p", i/3), Kind: netmap.KindLink})
		}
		svg := m.SVG()
		if svg != m.SVG() {
			t.Errorf("%d peers: drawn otherwise the second time", n)
		}
		places := map[string]bool{}
		for line := range strings.Lines(svg) {
			if i := strings.Index(line, "<circle "); i >= 0 {
				var x, y float64
				if _, err := fmt.Sscanf(line[i:], `<circle cx="%f" cy="%f"`, &x, &y); err != nil || x < 0 || x > 960 || y < 0 || y > 640 {
					t.Errorf("%d peers: %s %v", n, line, err)
				}
				places[fmt.Sprint(int(x/4), int(y/4))] = true
			}
		}
		if len(places) < n {
			t.Errorf("%d peers at %d places", n, len(places))
		}
	}
}

// TestTraffic: what went over a link, how much that is now, and how long leases last are on the
// map; a map that was not compared does not tell rates.
func TestTraffic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rdv, ann, _ := network(t)
		time.Sleep(10 * time.Second) // what begins has begun
		of := func(m *netmap.Map, kind string) *netmap.Edge {
			t.Helper()
			i := slices.IndexFunc(m.Edges, func(e netmap.Edge) bool {
				return e.Kind == kind && (e.From == ann.ID().String() || e.To == ann.ID().String())
			})
			if i < 0 {
				t.Fatalf("no %s in %+v", kind, m.Edges)
			}
			return &m.Edges[i]
		}
		const count, octets = 20, 5000
		scope := ann.Endpoint().Scope(id.NetGroup)
		before := netmap.Take(rdv)
		for range count {
			if err := scope.Send(t.Context(), rdv.ID(), "nobody", "", message.New(message.Text("", "x", strings.Repeat("x", octets)))); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(2 * time.Second)
		m := netmap.Take(rdv)
		if m.Tree() != before.Tree() || strings.Contains(m.Tree(), "KiB") {
			t.Errorf("nobody has asked for traffic:\n%s", m.Tree())
		}
		m.Since(before)
		was, is := of(before, netmap.KindLink).Traffic, of(m, netmap.KindLink).Traffic
		if was.Rate != nil || is.Received-was.Received < count || is.ReceivedOctets-was.ReceivedOctets < count*octets {
			t.Errorf("from %+v to %+v", was, is)
		}
		if r := is.Rate; r == nil || r.Received < count/2 || r.Received > count || r.ReceivedOctets < count*octets/2 || r.ReceivedOctets > count*octets || r.SentOctets > octets {
			t.Errorf("rate %+v", is.Rate)
		}
		if left := of(m, netmap.KindLease).Left; left <= 0 || left >= of(before, netmap.KindLease).Left {
			t.Errorf("the lease has %d s left, before %d", left, of(before, netmap.KindLease).Left)
		}
		for _, want := range []string{"; in ", "KiB, now 5", "; lease ends in "} {
			if !strings.Contains(m.Tree(), want) {
				t.Errorf("no %q in\n%s", want, m.Tree())
			}
		}
		for _, want := range []string{"<title>link mem://ann; in ", "/s; out ", "<title>lease; ends in "} {
			if !strings.Contains(m.SVG(), want) {
				t.Errorf("no %q in\n%s", want, m.SVG())
			}
		}
		m.Since(m)
		if of(m, netmap.KindLink).Traffic.Rate != is.Rate {
			t.Error("no time gives no rate")
		}
	})
}

// BenchmarkTake takes a map of as many peers as one has at most, most of them known by their
// advertisements alone.
func BenchmarkTake(b *testing.B) {
	net := memory.New(memory.Config{})
	p, err := peergroup.Start(b.Context(), peergroup.Config{Name: "ann", NoLAN: true, Roles: peergroup.Roles{Rendezvous: true},
		Transports: []endpoint.Transport{net.Transport(memory.TransportConfig{Name: "ann"})}})
	if err != nil {
		b.Fatal(err)
	}
	defer p.Close()
	const peers = 1000
	for i := range peers - 1 {
		adv := &advertisements.Peer{ID: id.PeerFromSeed(id.NetGroup, fmt.Append(nil, i)), Group: id.NetGroup, Name: fmt.Sprint("peer ", i)}
		if err := p.Net().Discovery().Publish(b.Context(), adv, discovery.Lifetime{Local: time.Hour}); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		if m := netmap.Take(p); len(m.Peers) != peers {
			b.Fatalf("%d peers", len(m.Peers))
		}
	}
}

func BenchmarkSVG(b *testing.B) {
	m := &netmap.Map{Self: "p0"}
	for i := range 300 {
		m.Peers = append(m.Peers, netmap.Peer{ID: fmt.Sprint("p", i)})
		m.Edges = append(m.Edges, netmap.Edge{From: fmt.Sprint("p", i), To: fmt.Sprint("p", i/3), Kind: netmap.KindLink})
	}
	for b.Loop() {
		m.SVG()
	}
}

func ExampleTake() {
	net := memory.New(memory.Config{})
	p, err := peergroup.Start(context.Background(), peergroup.Config{Name: "ann", NoLAN: true,
		Transports: []endpoint.Transport{net.Transport(memory.TransportConfig{Name: "ann"})}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer p.Close()
	m := netmap.Take(p)
	fmt.Println(len(m.Peers), m.Peers[0].Name, m.Groups[0].Name)
	// Output: 1 ann NetPeerGroup
}
