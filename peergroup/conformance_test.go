package peergroup_test

import (
	"os"
	"testing"
	"testing/synctest"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/transport/memory"
	"github.com/juxta-p2p/juxta/peergroup"
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
