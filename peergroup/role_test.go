package peergroup_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/transport/memory"
	"github.com/juxta-p2p/juxta/peergroup"
	"github.com/juxta-p2p/juxta/protocols/discovery"
	"github.com/juxta-p2p/juxta/protocols/rendezvous"
)

// TestAGroupOutlivesItsCreator: when the rendezvous of a group leaves, another
// member becomes it, and the rest find each other through it.
func TestAGroupOutlivesItsCreator(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := memory.New(memory.Config{Latency: 5 * time.Millisecond})
		start(t, inBox(network, "r", peergroup.Roles{Rendezvous: true}))
		var peers []*peergroup.Peer
		for _, name := range []string{"ann", "bob", "cid", "dee"} {
			peers = append(peers, start(t, inBox(network, name, peergroup.Roles{}, "r")))
			leased(t, peers[len(peers)-1].Net())
		}
		crew, err := peers[0].Net().Create(t.Context(), peergroup.Spec{Name: "crew"})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		var members []*peergroup.Group
		for _, p := range peers[1:] {
			g, err := p.Net().Join(t.Context(), crew.Advertisement())
			if err != nil {
				t.Fatal(err)
			}
			leased(t, g)
			members = append(members, g)
		}
		crew.Leave()
		time.Sleep(3 * time.Minute) // two may have become rendezvous at the same time
		rdvs := 0
		for _, g := range members {
			if g.Rendezvous().Role() == rendezvous.Rendezvous {
				rdvs++
			}
			if !g.Rendezvous().Connected() {
				t.Errorf("%s is not connected", g.PeerName())
			}
		}
		if rdvs != 1 {
			t.Errorf("%d members are rendezvous", rdvs)
		}
		for i, g := range members {
			adv := advertisements.NewPipe(g.ID(), fmt.Sprint("thing-", i), advertisements.Unicast)
			if err := g.Discovery().Publish(t.Context(), adv, discovery.Lifetime{}); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Second)
		for i, g := range members {
			got := find(t, g, advertisements.Advs, "thing-*", 3*time.Second)
			slices.Sort(got)
			want := slices.Delete([]string{"thing-0", "thing-1", "thing-2"}, i, i+1)
			if !slices.Equal(slices.Compact(got), want) {
				t.Errorf("%s finds %v, want %v", g.PeerName(), got, want)
			}
		}
	})
}

// TestTheRoleInTheNetworkChanges: the peer's advertisement, its roles and what
// others find of it follow.
func TestTheRoleInTheNetworkChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := memory.New(memory.Config{Latency: 5 * time.Millisecond})
		start(t, inBox(network, "r", peergroup.Roles{Rendezvous: true}))
		a, b := start(t, inBox(network, "a", peergroup.Roles{}, "r")), start(t, inBox(network, "b", peergroup.Roles{}, "r"))
		leased(t, a.Net())
		leased(t, b.Net())
		q := discovery.Query{
			Kind: advertisements.Advs, Attr: "RdvPeerId", Value: a.ID().String(), RemoteOnly: true,
		}
		for _, role := range []rendezvous.Role{rendezvous.Rendezvous, rendezvous.Edge} {
			if err := a.Net().SetRole(role); err != nil {
				t.Fatal(err)
			}
			time.Sleep(20 * time.Second)
			is := role == rendezvous.Rendezvous
			if a.Roles().Rendezvous != is || a.Net().PeerAdvertisement().IsRendezvous() != is {
				t.Errorf("as %s: roles %s, advertisement says rendezvous: %v", role, a.Roles(), a.Net().PeerAdvertisement().IsRendezvous())
			}
			if len(b.Net().Rendezvous().View()) != 0 || !a.Net().Rendezvous().Connected() || !b.Net().Rendezvous().Connected() {
				t.Errorf("as %s: views or connections are not in order", role)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			_, err := b.Net().Discovery().FindOne(ctx, q)
			cancel()
			if (err == nil) != is {
				t.Errorf("as %s: looking for it as a rendezvous: %v", role, err)
			}
		}
	})
}

// TestRendezvousNearByFindEachOther without any seed, by the propagate pipe of
// their view, in the network and in a group below it.
func TestRendezvousNearByFindEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := memory.New(memory.Config{Latency: 5 * time.Millisecond})
		var nets, crews []*peergroup.Group
		for _, name := range []string{"ann", "bob"} {
			cfg := inBox(network, name, peergroup.Roles{Rendezvous: true})
			cfg.Transports = []endpoint.Transport{network.Transport(memory.TransportConfig{Name: name, Segment: "lan"})}
			p := start(t, cfg)
			crew, err := p.Net().Create(t.Context(), peergroup.Spec{Name: "crew", ID: id.GroupFromSeed(id.Group{}, []byte("crew"))})
			if err != nil {
				t.Fatal(err)
			}
			nets, crews = append(nets, p.Net()), append(crews, crew)
		}
		time.Sleep(2 * time.Minute)
		for i, g := range nets {
			if view := g.Rendezvous().View(); len(view) != 1 || view[0] != nets[1-i].PeerID() {
				t.Errorf("%s has %v in view", g.PeerName(), view)
			}
		}
		// In a group below the network one is enough; the other leases from it.
		rdvs, leases := 0, 0
		for _, g := range crews {
			if g.Rendezvous().Role() == rendezvous.Rendezvous {
				rdvs++
			}
			if _, ok := g.Rendezvous().Lease(); ok {
				leases++
			}
		}
		if rdvs != 1 || leases != 1 {
			t.Errorf("%d rendezvous and %d leases in the group", rdvs, leases)
		}
	})
}
