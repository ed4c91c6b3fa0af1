package peergroup_test

import (
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/transport/memory"
	"github.com/juxta-p2p/juxta/peergroup"
	"github.com/juxta-p2p/juxta/protocols/discovery"
)

// TestGroupsDescribeThemselvesAsJXSE: the network's advertisement is that of JXSE
// 2.5 to the octet, and a peer's advertisement differs by group as there: the
// rendezvous flag in the groups where it is one, never in World, and everywhere
// its route.
func TestGroupsDescribeThemselvesAsJXSE(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		want, err := os.ReadFile("../core/xmldoc/testdata/documents/jxse25/pga-live-net.xml")
		if err != nil {
			t.Fatal(err)
		}
		network := memory.New(memory.Config{})
		r := start(t, inBox(network, "r", peergroup.Roles{Rendezvous: true}))
		e := start(t, inBox(network, "e", peergroup.Roles{}, "r"))
		leased(t, e.Net())
		if got, err := advertisements.Marshal(r.Net().Advertisement()); err != nil || string(got) != string(want) {
			t.Errorf("the network is\n%s, %v, want\n%s", got, err, want)
		}
		if w := r.World(); w.ID() != id.WorldGroup || w.Advertisement().Spec != id.SpecWorldGroup || w.Parent() != nil || r.Net().Parent() != w {
			t.Errorf("the World group is %+v", w.Advertisement())
		}
		made, err := e.Net().Create(t.Context(), peergroup.Spec{Name: "crew"})
		if err != nil {
			t.Fatal(err)
		}
		joined, err := r.Net().Join(t.Context(), made.Advertisement())
		if err != nil {
			t.Fatal(err)
		}
		if a := made.Advertisement(); a.Spec != id.SpecGenericGroup || a.ID.IsZero() {
			t.Errorf("the group is %+v", a)
		}
		for what, c := range map[string]struct {
			group *peergroup.Group
			rdv   bool
		}{
			"a rendezvous in the network": {r.Net(), true},
			"a rendezvous in World":       {r.World(), false},
			"a rendezvous as a member":    {joined, false},
			"an edge in the network":      {e.Net(), false},
			"an edge in its own group":    {made, true},
		} {
			adv := c.group.PeerAdvertisement()
			route, ok := adv.Route()
			if adv.Group != c.group.ID() || adv.ID != c.group.PeerID() || adv.IsRendezvous() != c.rdv {
				t.Errorf("%s: %+v", what, adv)
			}
			if !ok || route.Dest != adv.ID || len(route.Addresses) != 1 || len(route.Hops) != 0 {
				t.Errorf("%s: route %+v", what, route)
			}
			services := 1
			if c.rdv {
				services = 2
			}
			if len(adv.Services) != services {
				t.Errorf("%s: services %v", what, adv.Services)
			}
		}
	})
}

// TestAdvertisementsOfALeaseStayHere: rendezvous and edge know each other by name
// for twice the lease, and give the other's advertisement to nobody.
func TestAdvertisementsOfALeaseStayHere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const lease = 10 * time.Minute
		network := memory.New(memory.Config{})
		rc := inBox(network, "r", peergroup.Roles{Rendezvous: true})
		rc.Lease = lease
		r := start(t, rc)
		a, b := start(t, inBox(network, "a", peergroup.Roles{}, "r")), start(t, inBox(network, "b", peergroup.Roles{}, "r"))
		leased(t, a.Net())
		leased(t, b.Net())
		time.Sleep(time.Second)
		known := func(p *peergroup.Peer, name string) bool {
			return len(p.Net().Discovery().Local(discovery.Query{Kind: advertisements.Peers, Attr: "Name", Value: name})) > 0
		}
		if !known(r, "a") || !known(a, "r") {
			t.Error("who met at a lease do not know each other")
		}
		if err := a.Endpoint().Close(); err != nil { // dies without goodbye
			t.Fatal(err)
		}
		died := time.Now()
		if got := find(t, b.Net(), advertisements.Peers, "a", time.Second); got != nil {
			t.Errorf("the rendezvous gave away %v", got)
		}
		time.Sleep(time.Until(died.Add(2*lease - 10*time.Second)))
		if !known(r, "a") {
			t.Error("forgotten before its time")
		}
		time.Sleep(10 * time.Second)
		if known(r, "a") {
			t.Error("known for more than twice the lease")
		}
	})
}
