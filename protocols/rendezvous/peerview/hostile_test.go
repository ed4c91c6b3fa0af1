package peerview_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/core/xmldoc"
	"github.com/juxta-p2p/juxta/protocols/rendezvous/peerview"
)

func document(t testing.TB, d xmldoc.Document) []byte {
	t.Helper()
	b, err := xmldoc.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func flags(m *message.Message, names ...string) *message.Message {
	for _, name := range names {
		m.Add(message.Text(message.Platform, "PeerView."+name, "true"))
	}
	return m
}

func probe(t testing.TB, adv *advertisements.Rendezvous) *message.Message {
	return message.New(message.XML(message.Platform, "PeerView.PeerAdv", document(t, adv)))
}

func response(t testing.TB, adv *advertisements.Rendezvous) *message.Message {
	return message.New(message.XML(message.Platform, "PeerView.PeerAdv.Response", document(t, adv)))
}

// invented returns the advertisement of a peer that is not there.
func invented(i int) *advertisements.Rendezvous {
	p := id.PeerFromSeed(id.NetGroup, fmt.Appendf(nil, "%08d-invented", i))
	return &advertisements.Rendezvous{
		Group: id.NetGroup, Peer: p, Service: advertisements.RendezvousService(id.NetGroup), Name: fmt.Sprint("invented ", i),
		Route: &advertisements.Route{Dest: p, Addresses: []endpoint.Address{memAddress(fmt.Sprint("nowhere", i))}},
	}
}

// attack is a network of three with a stranger that has a link to the first.
func attack(t *testing.T, do func(t *testing.T, n *network, victim *peerview.View, attacker *node)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		n := grown(t, 3)
		a := newNode(n, "attacker")
		do(t, n, n.nodes[0].view, a)
		time.Sleep(time.Minute)
		if !complete(n.nodes) {
			t.Error("the views are not what they were")
		}
		for _, r := range n.nodes {
			r.mu.Lock()
			for _, ev := range r.events {
				if ev.Kind == peerview.Left || ev.Peer == a.id {
					t.Errorf("%s saw %s %s", r.name, ev.Peer.Short(), ev.Kind)
				}
			}
			r.mu.Unlock()
		}
	})
}

// TestInventedPeersAreNoMembers: neither by response nor by referral, and they
// cause a bounded number of probes.
func TestInventedPeersAreNoMembers(t *testing.T) {
	attack(t, func(t *testing.T, n *network, v *peerview.View, a *node) {
		before := v.Stats()
		for i := range 1000 {
			a.send(n.nodes[0], flags(response(t, invented(i)), "Cached"))
			a.send(n.nodes[0], response(t, invented(i)))
			a.send(n.nodes[0], probe(t, invented(i)))
			time.Sleep(100 * time.Millisecond)
		}
		after := v.Stats()
		// tellerBurst and tellerRate for 100 s, and what the view does by itself
		if probes := after.Probes + after.Unsent - before.Probes - before.Unsent; probes > 32+4*100+20 {
			t.Errorf("%d probes", probes)
		}
		if after.DroppedOverRate+after.DroppedBudget < 1000 {
			t.Errorf("%+v", after)
		}
	})
}

// TestReferralsToOneVictim cause one probe in 30 s, whoever tells.
func TestReferralsToOneVictim(t *testing.T) {
	attack(t, func(t *testing.T, n *network, v *peerview.View, a *node) {
		victim := newNode(n, "victim") // takes probes and answers none
		var hits atomic.Int64
		_, err := victim.ep.Scope(id.NetGroup).Handle(peerview.Service, id.NetGroup.Unique(), func(context.Context, endpoint.Incoming) { hits.Add(1) })
		if err != nil {
			t.Fatal(err)
		}
		b := newNode(n, "another")
		for range 300 {
			a.send(n.nodes[0], flags(response(t, victim.adv()), "Cached"))
			b.send(n.nodes[0], flags(response(t, victim.adv()), "Cached"))
			time.Sleep(100 * time.Millisecond)
		}
		if hits.Load() != 1 {
			t.Errorf("%d probes in 30 s", hits.Load())
		}
		if v.Stats().DroppedRepeated < 300 {
			t.Errorf("%+v", v.Stats())
		}
	})
}

func TestForeignGroupAndService(t *testing.T) {
	attack(t, func(t *testing.T, n *network, v *peerview.View, a *node) {
		group, service := a.adv(), a.adv()
		group.Group = id.NewGroup(id.NetGroup)
		service.Service = advertisements.RendezvousService(group.Group)
		for _, adv := range []*advertisements.Rendezvous{group, service} {
			a.send(n.nodes[0], probe(t, adv))
			a.send(n.nodes[0], response(t, adv))
			a.send(n.nodes[0], flags(response(t, adv), "Cached"))
			a.send(n.nodes[0], flags(response(t, adv), "Failure"))
		}
		time.Sleep(time.Second)
		if v.Stats().DroppedForeign != 8 {
			t.Errorf("%+v", v.Stats())
		}
	})
}

// TestAboutMyself: whatever anybody says.
func TestAboutMyself(t *testing.T) {
	attack(t, func(t *testing.T, n *network, v *peerview.View, a *node) {
		a.send(n.nodes[0], probe(t, n.nodes[0].adv()))
		a.send(n.nodes[0], flags(response(t, n.nodes[0].adv()), "Failure"))
		a.send(n.nodes[0], flags(response(t, n.nodes[0].adv()), "Cached"))
		v.Hear(t.Context(), endpoint.Incoming{Message: probe(t, n.nodes[0].adv()), From: n.nodes[0].id})
		time.Sleep(time.Second)
		if v.Stats().DroppedOwn != 4 {
			t.Errorf("%+v", v.Stats())
		}
	})
}

// TestNoticesAboutOthersAreHints: a live member is probed, not often, and stays.
func TestNoticesAboutOthersAreHints(t *testing.T) {
	attack(t, func(t *testing.T, n *network, v *peerview.View, a *node) {
		before := v.Stats()
		for range 600 {
			a.send(n.nodes[0], flags(response(t, n.nodes[1].adv()), "Failure"))
			a.send(n.nodes[0], flags(response(t, n.nodes[1].adv()), "Failure", "Cached"))
			v.Hear(t.Context(), endpoint.Incoming{Message: flags(response(t, n.nodes[2].adv()), "Failure"), From: n.nodes[2].id})
			v.Hear(t.Context(), endpoint.Incoming{Message: flags(probe(t, n.nodes[2].adv()), "EdgePeer"), From: n.nodes[2].id})
			time.Sleep(100 * time.Millisecond)
		}
		after := v.Stats()
		if probes := after.Probes - before.Probes; probes > 25 {
			t.Errorf("%d probes in a minute", probes)
		}
	})
}

// TestForgedOrigin: what is routed proves nothing about its originator.
func TestForgedOrigin(t *testing.T) {
	attack(t, func(t *testing.T, n *network, v *peerview.View, a *node) {
		forged := n.nodes[1].adv()
		forged.Route = &advertisements.Route{Dest: n.nodes[1].id, Addresses: []endpoint.Address{memAddress("attacker")}}
		l, err := a.ep.Dial(t.Context(), memAddress("r0"))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range []*message.Message{
			flags(response(t, n.nodes[1].adv()), "Failure"), probe(t, forged), response(t, forged), flags(probe(t, forged), "EdgePeer"),
		} {
			n.nodes[0].ep.Deliver(endpoint.Incoming{
				Message: m, From: n.nodes[1].id, Link: backwards{l, a.id},
				Dest: endpoint.PeerAddress(n.nodes[0].id, peerview.Service, id.NetGroup.Unique()),
			}, true)
		}
		time.Sleep(time.Second)
		for _, m := range v.Members() {
			if m.Peer == n.nodes[1].id && m.Adv.Route.Addresses[0] != memAddress("r1") {
				t.Error("the advertisement was replaced")
			}
		}
	})
}

// backwards is a link as the other side has it, as far as handlers look.
type backwards struct {
	endpoint.Link
	peer id.Peer
}

func (b backwards) Peer() id.Peer { return b.peer }

// TestMalformed: what cannot be read is counted and does nothing.
func TestMalformed(t *testing.T) {
	attack(t, func(t *testing.T, n *network, v *peerview.View, a *node) {
		noRoute, elsewhere := a.adv(), a.adv()
		noRoute.Route = nil
		elsewhere.Route.Dest = n.nodes[1].id
		big := append(document(t, a.adv()), make([]byte, 64<<10)...)
		for _, m := range []*message.Message{
			message.New(message.Text(message.Platform, "PeerView.Cached", "true")),
			message.New(message.Text(message.Platform, "PeerView.PeerAdv", "")),
			message.New(message.XML(message.Platform, "PeerView.PeerAdv", big)),
			message.New(message.XML(message.Platform, "PeerView.PeerAdv", document(t, a.route()))),
			probe(t, noRoute), probe(t, elsewhere),
			probe(t, a.adv()).Add(message.Bytes("juxta", "PeerView.Known", []byte{1, 2, 3})),
		} {
			a.send(n.nodes[0], m)
		}
		time.Sleep(time.Second)
		if v.Stats().DroppedMalformed != 7 {
			t.Errorf("%+v", v.Stats())
		}
	})
}

// TestEdgeProbes: an edge is answered and no member; over the pipe not more often
// than every 30 s.
func TestEdgeProbes(t *testing.T) {
	attack(t, func(t *testing.T, n *network, v *peerview.View, a *node) {
		var answers atomic.Int64
		_, err := a.ep.Scope(id.NetGroup).Handle(peerview.Service, id.NetGroup.Unique(), func(_ context.Context, in endpoint.Incoming) {
			if _, ok := in.Message.Get(message.Platform, "PeerView.PeerAdv.Response"); ok {
				answers.Add(1)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		edge := flags(message.New(), "EdgePeer").Add(message.XML(message.Platform, "PeerView.PeerAdv", document(t, a.adv())))
		for range 20 {
			v.Hear(t.Context(), endpoint.Incoming{Message: edge, From: a.id})
			time.Sleep(time.Second)
		}
		if answers.Load() != 1 || v.Stats().TookEdgeProbes != 20 {
			t.Errorf("%d answers, %+v", answers.Load(), v.Stats())
		}
		time.Sleep(time.Minute)
		a.send(n.nodes[0], edge)
		time.Sleep(time.Second)
		if answers.Load() != 2 {
			t.Errorf("%d answers", answers.Load())
		}
	})
}

// TestMemberThatBecameAnEdge leaves by its own word, and by a JXSE peer's also
// over the pipe.
func TestMemberThatBecameAnEdge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := grown(t, 3)
		v := n.nodes[0].view
		old := newNode(n, "jxse")
		for _, way := range []string{"link", "pipe"} {
			old.send(n.nodes[0], probe(t, old.adv())) // without the list of those it knows
			time.Sleep(time.Second)
			if !v.Has(old.id) {
				t.Fatal("it is no member")
			}
			m := flags(probe(t, old.adv()), "EdgePeer")
			if way == "link" {
				old.send(n.nodes[0], m)
			} else {
				v.Hear(t.Context(), endpoint.Incoming{Message: m, From: old.id})
			}
			time.Sleep(time.Second)
			if v.Has(old.id) {
				t.Errorf("it is still a member after an edge probe by %s", way)
			}
			if ev := n.nodes[0].last(); ev.Why != "has become an edge" {
				t.Errorf("%+v", ev)
			}
		}
	})
}

// TestFloodCostsLittle: a neighbour that sends as fast as it can is cut to its
// budget, and others get through.
func TestFloodCostsLittle(t *testing.T) {
	attack(t, func(t *testing.T, n *network, v *peerview.View, a *node) {
		for i := range 5000 {
			a.send(n.nodes[0], flags(response(t, invented(i%50)), "Failure"))
		}
		time.Sleep(time.Second)
		if got := v.Stats(); got.TookNotices > 300 || got.DroppedOverRate < 4500 {
			t.Errorf("%+v", got)
		}
		for i := range 5000 {
			v.Hear(t.Context(), endpoint.Incoming{Message: probe(t, invented(i)), From: invented(i).Peer})
		}
		if got := v.Stats(); got.TookProbes > 200 {
			t.Errorf("%+v", got)
		}
	})
}
