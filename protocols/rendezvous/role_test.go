package rendezvous_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/core/transport/memory"
	"github.com/juxta-p2p/juxta/protocols/rendezvous"
)

// wantView waits until a rendezvous knows exactly the others.
func (n *node) wantView(others ...*node) {
	n.t.Helper()
	want := map[id.Peer]bool{}
	for _, o := range others {
		want[o.id] = true
	}
	for range 600 {
		view := n.rdv.View()
		ok := len(view) == len(want)
		for _, p := range view {
			ok = ok && want[p]
		}
		if ok {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	n.t.Fatalf("%s has %d in view, want %d", n.name, len(n.rdv.View()), len(want))
}

func rdvNode(t *testing.T, net *memory.Network, name string, cfg nodeConfig) *node {
	cfg.role = rendezvous.Rendezvous
	return newNode(t, net, name, cfg)
}

func TestFullRendezvousNamesOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{Latency: time.Millisecond})
		r1 := rdvNode(t, net, "r1", nodeConfig{clients: 1})
		r2 := rdvNode(t, net, "r2", nodeConfig{seeds: []string{"r1"}})
		r1.wantView(r2)
		e1 := newNode(t, net, "e1", nodeConfig{seeds: []string{"r1"}})
		time.Sleep(time.Second)
		e1.wantLease(r1)
		e2 := newNode(t, net, "e2", nodeConfig{seeds: []string{"r1"}})
		time.Sleep(100 * time.Millisecond)
		e2.wantLease(r2)
	})
}

// TestTheSpareTakesOver: an edge that knew one rendezvous keeps a link to another
// one that this told it of, and leases there in a round trip when the first dies.
func TestTheSpareTakesOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{Latency: 20 * time.Millisecond})
		r1 := rdvNode(t, net, "r1", nodeConfig{})
		r2 := rdvNode(t, net, "r2", nodeConfig{seeds: []string{"r1"}})
		r1.wantView(r2)
		e := newNode(t, net, "e", nodeConfig{seeds: []string{"r1"}})
		time.Sleep(time.Second)
		e.wantLease(r1)
		if l, _ := e.rdv.Lease(); l.Spare != r2.id || l.Others != 1 || e.ep.LinkTo(r2.id) == nil {
			t.Fatalf("lease %+v, want r2 in reserve", l)
		}
		r1.kill()
		time.Sleep(100 * time.Millisecond)
		e.wantLease(r2)
	})
}

// TestEdgesLeaveACrowdedRendezvous: when most of its leases are granted, edges
// that it tells of others go over to them, and tell both.
func TestEdgesLeaveACrowdedRendezvous(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{Latency: time.Millisecond})
		r1 := rdvNode(t, net, "r1", nodeConfig{clients: 10})
		r2 := rdvNode(t, net, "r2", nodeConfig{seeds: []string{"r1"}, clients: 10})
		r1.wantView(r2)
		var edges []*node
		for i := range 10 {
			edges = append(edges, newNode(t, net, fmt.Sprintf("edge-%d", i), nodeConfig{seeds: []string{"r1"}, lease: time.Minute}))
			time.Sleep(100 * time.Millisecond)
		}
		time.Sleep(20 * time.Minute)
		n1, n2 := len(r1.rdv.Clients()), len(r2.rdv.Clients())
		if n1+n2 != 10 || n2 < 2 || n1 < 2 {
			t.Fatalf("%d and %d clients", n1, n2)
		}
		for _, e := range edges {
			if _, ok := e.rdv.Lease(); !ok {
				t.Fatalf("%s has no lease", e.name)
			}
		}
	})
}

// TestRoleChanges: an edge becomes a rendezvous with clients and a place in the
// view, and an edge again.
func TestRoleChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{Latency: time.Millisecond})
		r := rdvNode(t, net, "r", nodeConfig{})
		a := newNode(t, net, "a", nodeConfig{seeds: []string{"r"}})
		e := newNode(t, net, "e", nodeConfig{seeds: []string{"a"}})
		time.Sleep(time.Second)
		a.wantLease(r)
		var said []string
		defer a.rdv.Watch(func(ev rendezvous.Event) { said = append(said, ev.Kind.String()) })()
		if err := a.rdv.SetRole(rendezvous.Rendezvous); err != nil {
			t.Fatal(err)
		}
		a.wantView(r)
		r.wantView(a)
		time.Sleep(20 * time.Second)
		e.wantLease(a)
		if r.rdv.HasClient(a.id) {
			t.Error("the lease was not given back")
		}
		if err := a.rdv.SetRole(rendezvous.Edge); err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Second)
		a.wantLease(r)
		r.wantView()
		e.wantLease(r) // which a named
		if len(a.rdv.View()) != 0 || len(a.rdv.Clients()) != 0 {
			t.Error("something of the rendezvous is left")
		}
		slices.Sort(said[2:4]) // the other rendezvous and the edge come at the same time
		if got := fmt.Sprint(said); got != "[lost role changed client joined view joined client left role changed leased]" {
			t.Errorf("events %s", got)
		}
		if err := a.rdv.SetRole(rendezvous.AdHoc); !errors.Is(err, rendezvous.ErrRole) {
			t.Errorf("ad hoc: %v", err)
		}
	})
}

// TestRoleChangesByItself: of edges without a rendezvous one becomes it, the
// others lease from it; when it is not needed, it steps back.
func TestRoleChangesByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{Latency: time.Millisecond})
		names := []string{"a", "b", "c"}
		var all []*node
		for _, name := range names {
			all = append(all, newNode(t, net, name, nodeConfig{seeds: names, auto: time.Minute}))
		}
		count := func() (rdvs, leased int) {
			for _, n := range all {
				if n.rdv.Role() == rendezvous.Rendezvous {
					rdvs++
				}
				if _, ok := n.rdv.Lease(); ok {
					leased++
				}
			}
			return rdvs, leased
		}
		time.Sleep(10 * time.Minute)
		if r, l := count(); r != 1 || l != 2 {
			t.Fatalf("%d rendezvous, %d leases, want 1 and 2", r, l)
		}
		var r *node
		for _, n := range all {
			if n.rdv.Role() == rendezvous.Rendezvous {
				r = n
			}
		}
		for _, n := range all {
			if n != r {
				n.stop()
			}
		}
		time.Sleep(10 * time.Minute)
		if r.rdv.Role() != rendezvous.Rendezvous {
			t.Fatal("the only rendezvous stepped back")
		}
		big := rdvNode(t, net, "0", nodeConfig{seeds: []string{r.name}})
		time.Sleep(3 * time.Minute)
		r.wantLease(big)
	})
}

// TestDeadClientIsForgotten: what it announced must not mislead for the rest of
// its lease.
func TestDeadClientIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{Latency: time.Millisecond})
		r := rdvNode(t, net, "r", nodeConfig{})
		e1 := newNode(t, net, "e1", nodeConfig{seeds: []string{"r"}})
		e2 := newNode(t, net, "e2", nodeConfig{seeds: []string{"r"}})
		time.Sleep(time.Second)
		e1.kill()
		time.Sleep(time.Minute)
		if r.rdv.HasClient(e1.id) || !r.rdv.HasClient(e2.id) {
			t.Fatalf("clients %+v", r.rdv.Clients())
		}
	})
}

// TestPeerWithoutLeaseIsTold: a peer that spreads through a rendezvous that does
// not know it, as after a restart, hears so and leases again.
func TestPeerWithoutLeaseIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{Latency: time.Millisecond})
		r := rdvNode(t, net, "r", nodeConfig{})
		e := newNode(t, net, "e", nodeConfig{seeds: []string{"r"}})
		time.Sleep(time.Second)
		f := newForeign(t, net, "f", id.PeerFromSeed(id.NetGroup, []byte("foreign")))
		f.dial("r")
		stamped := e.rdv.Stamp(line("hello"), "news", "p", 5)
		for range 3 {
			if err := f.ep.Scope(id.NetGroup).Send(t.Context(), r.id, "JxtaPropagate", id.NetGroup.Unique(), stamped); err != nil {
				t.Fatal(err)
			}
		}
		settle()
		if h := f.heard(); len(h) != 1 || shape(h[0].Message) != "jxta:Disconnect text/xml;charset=UTF-8" {
			t.Fatalf("told %v", h)
		}
	})
}

// row makes so many rendezvous in the order of their IDs, all in one view.
func row(t *testing.T, net *memory.Network, n int) []*node {
	var all []*node
	for i := range n {
		all = append(all, rdvNode(t, net, fmt.Sprintf("%02d-rendezvous", i), nodeConfig{seeds: []string{"00-rendezvous"}, walks: true}))
	}
	for _, a := range all {
		var others []*node
		for _, b := range all {
			if a != b {
				others = append(others, b)
			}
		}
		a.wantView(others...)
	}
	return all
}

// reached returns which of the row got something, and how often.
func reached(all []*node) string {
	s := ""
	for _, n := range all {
		s += fmt.Sprint(len(drain(n)))
	}
	return s
}

func TestWalkVisitsTheViewOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{Latency: time.Millisecond})
		all := row(t, net, 9)
		n := 0
		walk := func(from int, ttl int, want string) {
			t.Helper()
			n++
			all[from].rdv.Walk(t.Context(), line(fmt.Sprint("walk ", n)), "news", "p", ttl)
			time.Sleep(time.Second)
			if got := reached(all); got != want {
				t.Errorf("from %d with TTL %d: %s, want %s", from, ttl, got, want)
			}
		}
		walk(4, 200, "111101111")
		walk(0, 200, "011111111")
		walk(8, 200, "111111110")
		walk(4, 2, "001101100")
		walk(4, 0, "000000000")
		all[5].kill() // and nobody knows yet
		walk(4, 200, "111100111")
	})
}

// TestHostileWalks: what a member or a stranger makes of a walk is bounded.
func TestHostileWalks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{Latency: time.Millisecond})
		all := row(t, net, 9)
		f := newForeign(t, net, "stranger", id.PeerFromSeed(id.NetGroup, []byte("stranger")))
		n := 0
		send := func(at int, source id.Peer, ttl, dir string, change func(m *message.Message)) string {
			t.Helper()
			n++
			f.dial(all[at].name)
			m := line(fmt.Sprint("walk ", n))
			m.Add(message.Text(message.Platform, "RdvWalkSvcName", "news"), message.Text(message.Platform, "RdvWalkSvcParam", "p"),
				message.XML(message.Platform, "LimitedRangeRdvMessage", []byte(`<jxta:LimitedRangeRdvMessage xmlns:jxta="http://jxta.org"><TTL>`+ttl+
					`</TTL><Dir>`+dir+`</Dir><SrcPeerID>`+source.String()+`</SrcPeerID><SrcSvcName>x</SrcSvcName></jxta:LimitedRangeRdvMessage>`)))
			if change != nil {
				change(m)
			}
			l := f.ep.LinkTo(all[at].id)
			if err := f.ep.Scope(id.NetGroup).SendOn(context.Background(), l, "LR-Greeter"+id.NetGroup.String(),
				id.ClassRendezvous.String()+id.NetGroup.Unique(), m); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
			return reached(all)
		}
		for _, c := range []struct {
			name, ttl, dir, want string
			source               id.Peer
			change               func(*message.Message)
		}{
			{name: "TTL 200 of a stranger", ttl: "200", dir: "1", source: f.id, want: "111000000"},
			{name: "TTL of two thousand million", ttl: "2000000000", dir: "1", source: f.id, want: "111000000"},
			{name: "no hop left", ttl: "0", dir: "1", source: f.id, want: "000000000"},
			{name: "TTL below zero", ttl: "-5", dir: "1", source: f.id, want: "000000000"},
			{name: "both directions at once", ttl: "3", dir: "3", source: f.id, want: "000000000"},
			{name: "in the name of who gets it", ttl: "3", dir: "1", source: all[0].id, want: "000000000"},
			{name: "in the name of the next", ttl: "3", dir: "1", source: all[1].id, want: "100000000"},
			{name: "no header", ttl: "3", dir: "1", source: f.id, want: "000000000", change: func(m *message.Message) {
				m.Remove(message.Platform, "LimitedRangeRdvMessage")
			}},
			{name: "for nobody", ttl: "3", dir: "1", source: f.id, want: "000000000", change: func(m *message.Message) {
				m.Replace(message.Text(message.Platform, "RdvWalkSvcName", "nothing"))
			}},
		} {
			if got := send(0, c.source, c.ttl, c.dir, c.change); got != c.want {
				t.Errorf("%s: %s, want %s", c.name, got, c.want)
			}
		}
		// The same walk again, from both sides: everybody has had it.
		again := func(m *message.Message) { m.Replace(message.Text("", "line", "again")) }
		if got := send(0, f.id, "3", "1", again); got != "111000000" {
			t.Errorf("for the first time: %s", got)
		}
		if got := send(0, f.id, "3", "1", again); got != "000000000" {
			t.Errorf("replayed: %s", got)
		}
		st := all[0].rdv.Stats()
		if st.DroppedDuplicate != 2 || st.DroppedExpired != 2 || st.DroppedMalformed != 2 || st.DroppedNoListener != 1 {
			t.Errorf("counted %+v", st)
		}
	})
}
