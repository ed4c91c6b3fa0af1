package rendezvous_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/core/transport/memory"
	"github.com/juxta-p2p/juxta/core/xmldoc"
	"github.com/juxta-p2p/juxta/protocols/rendezvous"
	"github.com/juxta-p2p/juxta/protocols/routing"
)

// services holds recorded messages of JXSE 2.5.
const services = "../../core/message/testdata/services/"

var (
	edge1 = recordedPeer("E1E1E1E1E1E14E1EA1E1E1E1E1E1E1E1")
	rdv1  = recordedPeer("1111111111114111A111111111111111")
)

func recordedPeer(unique string) id.Peer {
	p, err := id.ParsePeer("urn:jxta:uuid-59616261646162614E50472050325033" + unique + "03")
	if err != nil {
		panic(err)
	}
	return p
}

// recorded returns a recorded message without what carried it.
func recorded(t *testing.T, file string) *message.Message {
	t.Helper()
	b, err := os.ReadFile(services + file)
	if err != nil {
		t.Fatal(err)
	}
	m, err := message.Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"EndpointRouterMsg", "EndpointSourceAddress", "EndpointDestinationAddress"} {
		m.Remove(message.Platform, name)
	}
	return m
}

// shape lists the elements of a message with their types.
func shape(m *message.Message) string {
	var s []string
	for e := range m.All() {
		s = append(s, e.Namespace+":"+e.Name+" "+e.Type)
	}
	return strings.Join(s, ", ")
}

// foreign is a peer without a rendezvous service, whose lease messages the test
// writes and reads.
type foreign struct {
	t  *testing.T
	id id.Peer
	ep *endpoint.Endpoint

	mu  sync.Mutex
	got []heard
}

// heard is a lease message and when it came.
type heard struct {
	*message.Message
	at time.Time
}

func newForeign(t *testing.T, net *memory.Network, name string, peer id.Peer) *foreign {
	t.Helper()
	f := &foreign{t: t, id: peer}
	var err error
	if f.ep, err = endpoint.New(endpoint.Config{Peer: peer}); err != nil {
		t.Fatal(err)
	}
	if err := f.ep.Add(net.Transport(memory.TransportConfig{Name: name})); err != nil {
		t.Fatal(err)
	}
	scope := f.ep.Scope(id.NetGroup)
	r, err := routing.New(routing.Config{Scope: scope, Self: func() *advertisements.Route {
		return &advertisements.Route{Dest: peer, Addresses: f.ep.Addresses()}
	}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = scope.Handle(id.ClassRendezvous.String(), id.NetGroup.Unique(), func(_ context.Context, in endpoint.Incoming) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.got = append(f.got, heard{in.Message, time.Now()})
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(); _ = f.ep.Close() })
	return f
}

// heard returns the lease messages that came so far.
func (f *foreign) heard() []heard {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.got)
}

// say sends a lease message through the router, as replies go.
func (f *foreign) say(to id.Peer, m *message.Message) {
	f.t.Helper()
	if err := f.ep.Scope(id.NetGroup).Send(f.t.Context(), to, id.ClassRendezvous.String(), id.NetGroup.Unique(), m); err != nil {
		f.t.Fatal(err)
	}
	settle()
}

func (f *foreign) dial(name string) {
	f.t.Helper()
	if _, err := f.ep.Dial(f.t.Context(), endpoint.MustParseAddress("mem://"+name)); err != nil {
		f.t.Fatal(err)
	}
	settle()
}

func settle() {
	time.Sleep(10 * time.Millisecond)
	synctest.Wait()
}

// TestRecordedEdgeGetsItsLease: what an edge of JXSE 2.5 said is answered in the
// form in which a rendezvous of JXSE 2.5 answered, and its goodbye is heard.
func TestRecordedEdgeGetsItsLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{})
		r := newNode(t, net, "r", nodeConfig{role: rendezvous.Rendezvous})
		e := newForeign(t, net, "e", edge1)
		e.dial("r")
		// The first request goes straight over the link, without the router.
		l := e.ep.LinkTo(r.id)
		if err := e.ep.Scope(id.NetGroup).SendOn(t.Context(), l, id.ClassRendezvous.String(), id.NetGroup.Unique(), recorded(t, "rvp-07-lease-request.jxm")); err != nil {
			t.Fatal(err)
		}
		settle()
		want := recorded(t, "rvp-08-lease-granted.jxm")
		got := e.heard()
		if len(got) != 1 || shape(got[0].Message) != shape(want)+", juxta:RdvLoad text/plain;charset=UTF-8" {
			t.Fatalf("answered %s, want %s and the load", shape(got[0].Message), shape(want))
		}
		if got := got[0].Text(message.Platform, "ConnectedLease"); got != want.Text(message.Platform, "ConnectedLease") {
			t.Errorf("ConnectedLease is %s", got)
		}
		if got := got[0].Text(message.Platform, "ConnectedPeer"); got != r.id.String() {
			t.Errorf("ConnectedPeer is %s", got)
		}
		if c := r.rdv.Clients(); len(c) != 1 || c[0].Peer != edge1 || c[0].Name != "E1" || c[0].Left > 20*time.Minute || c[0].Left < 19*time.Minute {
			t.Errorf("clients %+v", c)
		}
		e.say(r.id, recorded(t, "rvp-10-disconnect.jxm"))
		if r.rdv.HasClient(edge1) {
			t.Error("the goodbye was not heard")
		}
		if len(e.heard()) != 1 {
			t.Error("the goodbye was answered")
		}
	})
}

// TestRecordedRendezvousGrants: the request has the form that JXSE 2.5 sends, and
// a grant of JXSE 2.5 is a lease of 20 minutes that is renewed after 15 and lost
// after 20.
func TestRecordedRendezvousGrants(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{})
		r := newForeign(t, net, "r", rdv1)
		e := newNode(t, net, "e", nodeConfig{seeds: []string{"r"}})
		settle()
		got := r.heard()
		if want := recorded(t, "rvp-07-lease-request.jxm"); len(got) != 1 || shape(got[0].Message) != shape(want) {
			t.Fatalf("asked with %v, want %s", got, shape(want))
		}
		doc, _ := got[0].Get(message.Platform, "Connect")
		var adv advertisements.Peer
		if err := xmldoc.Unmarshal(doc.Body, &adv); err != nil || adv.ID != e.id || adv.Group != id.NetGroup {
			t.Errorf("asked for %+v, %v", adv, err)
		}
		r.say(e.id, recorded(t, "rvp-08-lease-granted.jxm"))
		start := time.Now()
		l, ok := e.rdv.Lease()
		if !ok || l.Peer != rdv1 || l.Name != "R1" || l.Left.Round(time.Second) != 20*time.Minute || l.Renewal.Round(time.Second) != 15*time.Minute {
			t.Fatalf("lease %+v %v", l, ok)
		}
		time.Sleep(15 * time.Minute)
		settle()
		got = r.heard()
		if last := got[len(got)-1]; len(got) != 2 || shape(last.Message) != shape(got[0].Message) || last.at.Sub(start).Round(time.Second) != 15*time.Minute {
			t.Fatalf("%d requests, the last after %v", len(got), last.at.Sub(start))
		}
		time.Sleep(5*time.Minute - time.Second)
		if _, ok := e.rdv.Lease(); !ok {
			t.Error("the lease ended before its time")
		}
		time.Sleep(time.Second)
		if _, ok := e.rdv.Lease(); ok {
			t.Error("nobody renewed the lease, and it holds")
		}
		// A rendezvous that turns away ends it at once.
		time.Sleep(10 * time.Second)
		r.say(e.id, recorded(t, "rvp-08-lease-granted.jxm"))
		if _, ok := e.rdv.Lease(); !ok {
			t.Fatal("no second lease")
		}
		adv1, _ := recorded(t, "rvp-08-lease-granted.jxm").Get(message.Platform, "RdvAdvReply")
		r.say(e.id, message.New(message.XML(message.Platform, "Disconnect", adv1.Body)))
		if _, ok := e.rdv.Lease(); ok {
			t.Error("the rendezvous turned away, and the lease holds")
		}
	})
}

// TestGrantRules: a grant counts only if it is whole, in order, and asked for.
func TestGrantRules(t *testing.T) {
	without := func(name string) func(*message.Message) {
		return func(m *message.Message) { m.Remove(message.Platform, name) }
	}
	instead := func(name, text string) func(*message.Message) {
		return func(m *message.Message) { m.Replace(message.Text(message.Platform, name, text)) }
	}
	adv := func(change func(*advertisements.Peer)) func(*message.Message) {
		return func(m *message.Message) {
			e, _ := m.Get(message.Platform, "RdvAdvReply")
			var a advertisements.Peer
			if err := xmldoc.Unmarshal(e.Body, &a); err != nil {
				panic(err)
			}
			change(&a)
			b, err := xmldoc.Marshal(&a)
			if err != nil {
				panic(err)
			}
			m.Replace(message.XML(message.Platform, "RdvAdvReply", b))
		}
	}
	for name, c := range map[string]struct {
		change  func(*message.Message)
		unasked bool
		left    time.Duration // of the lease; zero if none
	}{
		"as recorded":                  {change: func(*message.Message) {}, left: 20 * time.Minute},
		"blanks around":                {change: instead("ConnectedLease", " 60000\n"), left: 0},
		"another length":               {change: instead("ConnectedLease", "60000"), left: time.Minute},
		"for ever is a day":            {change: instead("ConnectedLease", "9223372036854775807"), left: 24 * time.Hour},
		"no advertisement":             {change: without("RdvAdvReply")},
		"no peer":                      {change: without("ConnectedPeer")},
		"no length":                    {change: without("ConnectedLease")},
		"no number":                    {change: instead("ConnectedLease", "soon")},
		"nothing":                      {change: instead("ConnectedLease", "0")},
		"less than nothing":            {change: instead("ConnectedLease", "-1")},
		"another peer":                 {change: instead("ConnectedPeer", edge1.String())},
		"no peer ID":                   {change: instead("ConnectedPeer", id.NetGroup.String())},
		"advertisement of another":     {change: adv(func(a *advertisements.Peer) { a.ID = edge1 })},
		"advertisement in another one": {change: adv(func(a *advertisements.Peer) { a.Group = id.NewGroup(id.NetGroup) })},
		"nobody asked":                 {change: func(*message.Message) {}, unasked: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				net := memory.New(memory.Config{})
				r := newForeign(t, net, "r", rdv1)
				cfg := nodeConfig{seeds: []string{"r"}}
				if c.unasked {
					cfg.seeds = nil
				}
				e := newNode(t, net, "e", cfg)
				settle()
				r.dial("e")
				m := recorded(t, "rvp-08-lease-granted.jxm")
				c.change(m)
				r.say(e.id, m)
				l, ok := e.rdv.Lease()
				if ok != (c.left > 0) || l.Left.Round(time.Second) != c.left {
					t.Errorf("lease %v %+v, want %v", ok, l, c.left)
				}
				if name != "nothing" && name != "less than nothing" && (e.rdv.Stats().LeasesIgnored == 1) == ok {
					t.Errorf("stats %+v", e.rdv.Stats())
				}
			})
		})
	}
}

// TestOneLeaseIsEnough: an edge asks three seeds, one after the other, takes the
// first grant and gives back the others.
func TestOneLeaseIsEnough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{})
		var all []*foreign
		var seeds []string
		for i := range 5 {
			name := fmt.Sprint("r", i)
			all, seeds = append(all, newForeign(t, net, name, id.PeerFromSeed(id.NetGroup, []byte(name)))), append(seeds, name)
		}
		e := newNode(t, net, "e", nodeConfig{seeds: seeds})
		settle()
		if n := slices.IndexFunc(all, func(f *foreign) bool { return len(f.heard()) > 0 }); n < 0 {
			t.Fatal("nobody was asked at once")
		}
		time.Sleep(1200 * time.Millisecond)
		asked := slices.DeleteFunc(slices.Clone(all), func(f *foreign) bool { return len(f.heard()) == 0 })
		if len(asked) != 3 {
			t.Fatalf("%d of five seeds were asked at first", len(asked))
		}
		for _, f := range asked[:2] {
			b, err := xmldoc.Marshal(&advertisements.Peer{ID: f.id, Group: id.NetGroup})
			if err != nil {
				t.Fatal(err)
			}
			f.say(e.id, message.New(message.XML(message.Platform, "RdvAdvReply", b),
				message.Text(message.Platform, "ConnectedPeer", f.id.String()), message.Text(message.Platform, "ConnectedLease", "1200000")))
		}
		if l, ok := e.rdv.Lease(); !ok || l.Peer != asked[0].id {
			t.Errorf("lease %+v %v, want the first granted", l, ok)
		}
		if h := asked[1].heard(); len(h) != 2 || shape(h[1].Message) != "jxta:Disconnect text/xml;charset=UTF-8" {
			t.Errorf("the second grant was not given back: %v", h)
		}
	})
}

// TestWhoMayTakeAndGiveBackALease: only the peer itself, and a bare advertisement
// is enough.
func TestWhoMayTakeAndGiveBackALease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{})
		r := newNode(t, net, "r", nodeConfig{role: rendezvous.Rendezvous})
		e, x := newForeign(t, net, "e", edge1), newForeign(t, net, "x", id.PeerFromSeed(id.NetGroup, []byte("x")))
		e.dial("r")
		x.dial("r")
		doc := func(name string, a *advertisements.Peer) *message.Message {
			b, err := xmldoc.Marshal(a)
			if err != nil {
				t.Fatal(err)
			}
			return message.New(message.XML(message.Platform, name, b))
		}
		bare := &advertisements.Peer{ID: edge1, Group: id.NetGroup, Name: "E1"}
		for what, m := range map[string]*message.Message{
			"somebody else":     doc("Connect", bare),
			"another group":     doc("Connect", &advertisements.Peer{ID: x.id, Group: id.NewGroup(id.NetGroup)}),
			"no advertisement":  message.New(message.XML(message.Platform, "Connect", []byte("<jxta:PGA/>"))),
			"no document":       message.New(message.Text(message.Platform, "Connect", "please")),
			"none of the three": message.New(message.Text(message.Platform, "Hello", "")),
		} {
			before := r.rdv.Stats().LeasesIgnored
			x.say(r.id, m)
			if n := len(r.rdv.Clients()); n != 0 || r.rdv.Stats().LeasesIgnored != before+1 {
				t.Errorf("%s: %d clients, %+v", what, n, r.rdv.Stats())
			}
		}
		e.say(r.id, doc("Connect", bare))
		if !r.rdv.HasClient(edge1) {
			t.Fatal("a bare advertisement is not enough")
		}
		x.say(r.id, doc("Disconnect", bare))
		if !r.rdv.HasClient(edge1) {
			t.Error("somebody else gave the lease back")
		}
		e.say(r.id, doc("Disconnect", bare))
		if r.rdv.HasClient(edge1) {
			t.Error("the peer could not give its lease back")
		}
	})
}

// header is the propagation header as these tests write it.
func header(id string, ttl int, service, param string, path ...id.Peer) message.Element {
	s := "<jxta:RendezVousPropagateMessage><MessageId>" + id + "</MessageId><DestSName>" + service + "</DestSName>"
	if param != "" {
		s += "<DestSParam>" + param + "</DestSParam>"
	}
	s += fmt.Sprintf("<TTL>%d</TTL>", ttl)
	for _, p := range path {
		s += "<Path>" + p.String() + "</Path>"
	}
	return message.XML(message.Platform, "RendezVousPropagatejxta-NetGroup", []byte(s+"</jxta:RendezVousPropagateMessage>"))
}

func headerOf(t *testing.T, m *message.Message) (ttl string, path []string) {
	t.Helper()
	if m == nil {
		return "", nil
	}
	e, ok := m.Get(message.Platform, "RendezVousPropagatejxta-NetGroup")
	if !ok {
		t.Fatal("no header")
	}
	n, err := xmldoc.ParseNode(e.Body)
	if err != nil {
		t.Fatal(err)
	}
	for c := range n.Children() {
		switch c.Name() {
		case "TTL":
			ttl = c.Text()
		case "Path":
			path = append(path, c.Text())
		}
	}
	return ttl, path
}

// TestHopsOfPropagatedMessages: how a header begins and how it counts on.
func TestHopsOfPropagatedMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{})
		e := newNode(t, net, "e", nodeConfig{})
		a := newNode(t, net, "a", nodeConfig{role: rendezvous.AdHoc})
		for _, c := range []struct {
			what string
			m    *message.Message
			ttl  string
			path []id.Peer
		}{
			{"an edge has 200", e.rdv.Stamp(line("x"), "s", "p", 1000), "200", []id.Peer{e.id}},
			{"or less if asked", e.rdv.Stamp(line("x"), "s", "p", 5), "5", []id.Peer{e.id}},
			{"an ad hoc peer has two", a.rdv.Stamp(line("x"), "s", "p", 200), "2", []id.Peer{a.id}},
			{"none left", e.rdv.Stamp(line("x"), "s", "p", 0), "", nil},
			{"a hop costs one", e.rdv.Stamp(line("x").Add(header("1", 7, "s", "p", edge1)), "s", "p", 200), "6", []id.Peer{edge1, e.id}},
			{"the last was used", e.rdv.Stamp(line("x").Add(header("2", 1, "s", "p", edge1)), "s", "p", 200), "", nil},
			{"nothing for who is in it", e.rdv.Stamp(line("x").Add(header("3", 7, "s", "p", edge1, e.id)), "s", "p", 200), "7", []id.Peer{edge1, e.id}},
			{"never more than asked", e.rdv.Stamp(line("x").Add(header("4", 200, "s", "p", edge1)), "s", "p", 10), "10", []id.Peer{edge1, e.id}},
			{"never more than 200", e.rdv.Stamp(line("x").Add(header("5", 2_000_000_000, "s", "p", edge1)), "s", "p", 1000), "200", []id.Peer{edge1, e.id}},
		} {
			var want []string
			for _, p := range c.path {
				want = append(want, p.String())
			}
			if ttl, path := headerOf(t, c.m); ttl != c.ttl || !slices.Equal(path, want) {
				t.Errorf("%s: TTL %q, path %v", c.what, ttl, path)
			}
		}
		if m := e.rdv.Stamp(line("x"), "s", "p", 1); m == nil || m.Len() != 2 {
			t.Errorf("stamped as %v", m)
		}
		if n := e.rdv.Stats().DroppedNoHop; n != 2 {
			t.Errorf("%d messages without a hop counted, want 2", n)
		}
	})
}

// TestReceivingPropagatedMessages: the order of checks of JXSE 2.5, and its cap on
// the hops of strangers.
func TestReceivingPropagatedMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{})
		r := newNode(t, net, "r", nodeConfig{role: rendezvous.Rendezvous})
		x := newForeign(t, net, "x", id.PeerFromSeed(id.NetGroup, []byte("x")))
		e := newForeign(t, net, "e", edge1)
		x.dial("r")
		e.dial("r")
		e.say(r.id, recorded(t, "rvp-07-lease-request.jxm"))
		var mu sync.Mutex
		var ttls []string
		_, err := r.ep.Scope(id.NetGroup).Handle("hops", "", func(_ context.Context, in endpoint.Incoming) {
			ttl, _ := headerOf(t, in.Message)
			mu.Lock()
			defer mu.Unlock()
			ttls = append(ttls, ttl)
		})
		if err != nil {
			t.Fatal(err)
		}
		give := func(f *foreign, h message.Element) {
			t.Helper()
			if err := f.ep.Scope(id.NetGroup).Send(t.Context(), r.id, "JxtaPropagate", id.NetGroup.Unique(), line("l").Add(h)); err != nil {
				t.Fatal(err)
			}
			settle()
		}
		give(x, header("10", 200, "hops", "", x.id))
		give(x, header("11", 2, "hops", "any", x.id))
		give(e, header("12", 200, "hops", "", x.id))
		give(e, header("12", 200, "hops", "", e.id)) // seen
		give(x, header("13", 200, "hops", "", x.id, r.id))
		give(x, header("14", 0, "hops", "", x.id))
		give(x, header("15", -1, "hops", "", x.id))
		give(x, header("16", 5, "nobody", "", x.id))
		give(x, message.XML(message.Platform, "RendezVousPropagatejxta-NetGroup", []byte("<TTL>")))
		give(x, header("17", 5, "hops", "", slices.Repeat([]id.Peer{x.id}, 201)...))
		give(x, message.Text(message.Platform, "RendezVousPropagatejxta-WorldGroup", ""))
		mu.Lock()
		defer mu.Unlock()
		if got := fmt.Sprint(ttls); got != "[3 2 200]" {
			t.Errorf("delivered with TTL %s", got)
		}
		s := r.rdv.Stats()
		if s.Received != 11 || s.DroppedDuplicate != 2 || s.DroppedExpired != 2 || s.DroppedMalformed != 3 || s.DroppedNoListener != 1 {
			t.Errorf("stats %+v", s)
		}
	})
}
