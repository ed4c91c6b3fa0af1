package rendezvous_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/core/transport/memory"
	"github.com/juxta-p2p/juxta/protocols/rendezvous"
	"github.com/juxta-p2p/juxta/protocols/routing"
)

// node is a peer as far as this package needs one.
type node struct {
	t    *testing.T
	name string
	id   id.Peer
	ep   *endpoint.Endpoint
	rdv  *rendezvous.Service
	got  chan string
	stop func()
}

type nodeConfig struct {
	role    rendezvous.Role
	seeds   []string
	near    []*node
	segment string
	lease   time.Duration
	clients int
	auto    time.Duration
	walks   bool // messages for news walk on from here
}

func newNode(t *testing.T, net *memory.Network, name string, cfg nodeConfig) *node {
	t.Helper()
	n := &node{t: t, name: name, id: id.PeerFromSeed(id.NetGroup, []byte(name)), got: make(chan string, 100)}
	var err error
	if n.ep, err = endpoint.New(endpoint.Config{Peer: n.id}); err != nil {
		t.Fatal(err)
	}
	if err := n.ep.Add(net.Transport(memory.TransportConfig{Name: name, Segment: cfg.segment})); err != nil {
		t.Fatal(err)
	}
	self := func() *advertisements.Route {
		return &advertisements.Route{Dest: n.id, Addresses: n.ep.Addresses()}
	}
	router, err := routing.New(routing.Config{Scope: n.ep.Scope(id.NetGroup), Self: self})
	if err != nil {
		t.Fatal(err)
	}
	adv := &advertisements.Peer{ID: n.id, Group: id.NetGroup, Name: name}
	adv.SetRendezvous(cfg.role == rendezvous.Rendezvous)
	if err := adv.SetRoute(self()); err != nil {
		t.Fatal(err)
	}
	n.rdv, err = rendezvous.New(rendezvous.Config{
		Scope: n.ep.Scope(id.NetGroup), Role: cfg.role, Lease: cfg.lease, MaxClients: cfg.clients, Auto: cfg.auto,
		Connect: router.Connect, Learn: router.Learn, Hear: router.Hear,
		Advertisement: func() *advertisements.Peer { return adv },
		Seeds: func() []endpoint.Address {
			var all []endpoint.Address
			for _, s := range cfg.seeds {
				all = append(all, endpoint.MustParseAddress("mem://"+s))
			}
			return all
		},
		Near: func() []id.Peer {
			var all []id.Peer
			for _, o := range cfg.near {
				all = append(all, o.id)
			}
			return all
		},
		Met: func(adv *advertisements.Peer, _ time.Duration) {
			if r, ok := adv.Route(); ok {
				router.Learn(r)
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := n.ep.Scope(id.NetGroup).Handle("news", "p", func(ctx context.Context, in endpoint.Incoming) {
		n.got <- in.Message.Text("", "line")
		if cfg.walks {
			n.rdv.Walk(ctx, in.Message, "news", "p", rendezvous.MaxTTL)
		}
	}); err != nil {
		t.Fatal(err)
	}
	stopped := false
	n.stop = func() {
		if stopped {
			return
		}
		stopped = true
		n.rdv.Close()
		router.Close()
		if err := n.ep.Close(); err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(n.stop)
	return n
}

// kill ends the peer without goodbye.
func (n *node) kill() { _ = n.ep.Close() }

func (n *node) wantLease(at *node) {
	n.t.Helper()
	l, ok := n.rdv.Lease()
	if !ok || l.Peer != at.id {
		n.t.Fatalf("%s: lease %v %v, want one at %s", n.name, l, ok, at.name)
	}
}

func line(s string) *message.Message { return message.New(message.Text("", "line", s)) }

func TestLeaseIsTakenAtOnceAndRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{Latency: 20 * time.Millisecond})
		r := newNode(t, net, "r", nodeConfig{role: rendezvous.Rendezvous})
		e := newNode(t, net, "e", nodeConfig{seeds: []string{"r"}})
		time.Sleep(200 * time.Millisecond)
		e.wantLease(r)
		if c := r.rdv.Clients(); len(c) != 1 || c[0].Peer != e.id || !c[0].Connected || c[0].Name != "e" {
			t.Fatalf("clients of r: %+v", c)
		}
		time.Sleep(3 * time.Hour)
		e.wantLease(r)
		if !r.rdv.HasClient(e.id) {
			t.Fatal("the lease was not renewed")
		}
	})
}

func TestGoodbyeEndsTheLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{Latency: time.Millisecond})
		r := newNode(t, net, "r", nodeConfig{role: rendezvous.Rendezvous})
		e := newNode(t, net, "e", nodeConfig{seeds: []string{"r"}})
		time.Sleep(time.Second)
		e.wantLease(r)
		e.stop()
		time.Sleep(time.Second)
		if r.rdv.HasClient(e.id) {
			t.Fatal("the client said goodbye and is still there")
		}
		f := newNode(t, net, "f", nodeConfig{seeds: []string{"r"}})
		time.Sleep(time.Second)
		r.stop()
		time.Sleep(time.Second)
		if _, ok := f.rdv.Lease(); ok {
			t.Fatal("the rendezvous said goodbye and the edge trusts its lease")
		}
	})
}

func TestLeaseIsTakenAgainWhenTheRendezvousReturns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{Latency: time.Millisecond})
		r := newNode(t, net, "r", nodeConfig{role: rendezvous.Rendezvous})
		e := newNode(t, net, "e", nodeConfig{seeds: []string{"r"}})
		time.Sleep(time.Second)
		e.wantLease(r)
		r.kill()
		time.Sleep(time.Minute)
		if _, ok := e.rdv.Lease(); ok {
			t.Fatal("the rendezvous died and the edge trusts its lease")
		}
		r2 := newNode(t, net, "r", nodeConfig{role: rendezvous.Rendezvous})
		time.Sleep(10 * time.Second)
		e.wantLease(r2)
	})
}

func TestFullRendezvousRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{})
		r := newNode(t, net, "r", nodeConfig{role: rendezvous.Rendezvous, clients: 1})
		newNode(t, net, "e1", nodeConfig{seeds: []string{"r"}})
		time.Sleep(time.Second)
		e2 := newNode(t, net, "e2", nodeConfig{seeds: []string{"r"}})
		time.Sleep(time.Second)
		if _, ok := e2.rdv.Lease(); ok || r.rdv.Stats().LeasesRefused == 0 {
			t.Fatal("a second client was taken")
		}
		if e2.rdv.Stats().LeasesDenied == 0 {
			t.Fatal("the second client was not told")
		}
	})
}

func TestWalkReachesTheRendezvousOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{})
		r := newNode(t, net, "r", nodeConfig{role: rendezvous.Rendezvous})
		e := newNode(t, net, "e", nodeConfig{seeds: []string{"r"}})
		time.Sleep(time.Second)
		m := e.rdv.Stamp(line("hello"), "news", "p", rendezvous.MaxTTL)
		for range 2 {
			if n := e.rdv.Walk(t.Context(), m, "news", "p", rendezvous.MaxTTL); n != 1 {
				t.Fatalf("went to %d", n)
			}
		}
		synctest.Wait()
		if got := drain(r); fmt.Sprint(got) != "[hello]" {
			t.Fatalf("got %v", got)
		}
		if d := r.rdv.Stats().DroppedDuplicate; d != 1 {
			t.Fatalf("%d duplicates counted, want 1", d)
		}
	})
}

func TestNearReachesEachNeighbourOnceByEveryWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{Latency: time.Millisecond})
		a := newNode(t, net, "a", nodeConfig{role: rendezvous.AdHoc, segment: "s"})
		b := newNode(t, net, "b", nodeConfig{role: rendezvous.AdHoc, segment: "s"})
		c := newNode(t, net, "c", nodeConfig{role: rendezvous.AdHoc, segment: "s", near: []*node{a, b}})
		for _, o := range []*node{a, b} {
			if _, err := c.ep.Dial(t.Context(), endpoint.MustParseAddress("mem://"+o.name)); err != nil {
				t.Fatal(err)
			}
		}
		if n := c.rdv.Near(t.Context(), line("hi"), "news", "p"); n != 3 {
			t.Fatalf("went %d ways, want a broadcast and two links", n)
		}
		time.Sleep(time.Second)
		for _, o := range []*node{a, b} {
			if got := drain(o); fmt.Sprint(got) != "[hi]" {
				t.Fatalf("%s got %v", o.name, got)
			}
		}
		if got := drain(c); got != nil {
			t.Fatalf("the sender got %v", got)
		}
	})
}

func drain(n *node) (all []string) {
	for {
		select {
		case s := <-n.got:
			all = append(all, s)
		default:
			return all
		}
	}
}
