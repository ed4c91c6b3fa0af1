package peergroup_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/transport/memory"
	"github.com/juxta-p2p/juxta/peergroup"
	"github.com/juxta-p2p/juxta/protocols/discovery"
)

// A service of the same specification in two groups of the same peers answers each group
// by itself.
func TestSameServiceInTwoGroups(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := memory.New(memory.Config{Latency: 5 * time.Millisecond})
		start(t, inBox(network, "r", peergroup.Roles{Rendezvous: true}))
		ann, bob := start(t, inBox(network, "ann", peergroup.Roles{}, "r")), start(t, inBox(network, "bob", peergroup.Roles{}, "r"))
		leased(t, ann.Net())
		leased(t, bob.Net())
		joined := map[string]*peergroup.Group{}
		for _, name := range []string{"red", "blue"} {
			g, err := ann.Net().Create(t.Context(), peergroup.Spec{Name: name})
			if err != nil {
				t.Fatal(err)
			}
			provide(t, g, func(context.Context, peergroup.Request[*hello]) (*hello, error) { return &hello{name}, nil })
			if joined[name], err = bob.Net().Join(t.Context(), g.Advertisement()); err != nil {
				t.Fatal(err)
			}
			leased(t, joined[name])
		}
		time.Sleep(3 * time.Minute) // both may have become rendezvous, and meet later
		for name, g := range joined {
			if r, _, err := adder.Call(t.Context(), g, &hello{"bob"}); err != nil || r.Name != name {
				t.Errorf("in %s: %v, %v", name, r, err)
			}
		}
		if r, _, err := adder.Call(t.Context(), bob.Net(), &hello{"bob"}); err == nil {
			t.Errorf("in the network: %v", r)
		}
	})
}

// A group with a module of its own lives on when its creator and the rendezvous of the
// network are gone: one member has what a newcomer needs to find and join it.
func TestGroupLivesInOneMember(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := memory.New(memory.Config{Latency: 5 * time.Millisecond})
		var j journal
		peer := func(name string, roles peergroup.Roles, seeds ...string) *peergroup.Peer {
			cfg := inBox(network, name, roles, seeds...)
			cfg.Implementations = kit(&j)
			p, err := peergroup.Start(t.Context(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = p.Close() })
			return p
		}
		first := peer("r1", peergroup.Roles{Rendezvous: true})
		ann, bob := peer("ann", peergroup.Roles{}, "r1"), peer("bob", peergroup.Roles{}, "r1", "r2")
		leased(t, ann.Net())
		leased(t, bob.Net())
		crew, err := ann.Net().Create(t.Context(), peergroup.Spec{Name: "crew", Services: echoing("3")})
		if err != nil {
			t.Fatal(err)
		}
		member, err := bob.Net().Join(t.Context(), crew.Advertisement())
		if err != nil {
			t.Fatal(err)
		}
		leased(t, member)
		for _, gone := range []*peergroup.Peer{ann, first} {
			if err := gone.Close(); err != nil {
				t.Fatal(err)
			}
		}
		peer("r2", peergroup.Roles{Rendezvous: true})
		time.Sleep(5 * time.Minute)
		leased(t, bob.Net())
		cat := peer("cat", peergroup.Roles{}, "r2")
		leased(t, cat.Net())
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		r, err := cat.Net().Discovery().FindOne(ctx, discovery.Query{Kind: advertisements.Groups, Attr: "Name", Value: "crew"})
		if err != nil {
			t.Fatal(err)
		}
		g, err := cat.Net().Join(ctx, r.Adv.(*advertisements.Group))
		if err != nil {
			t.Fatal(err)
		}
		if got := states(g); got != "base running, echo running" {
			t.Errorf("the newcomer has %s", got)
		}
		leased(t, g)
		provide(t, member, nil)
		if r, from, err := adder.Call(t.Context(), g, &hello{"cat"}); err != nil || r.Name != "bob" || from != bob.ID() {
			t.Errorf("the member is not reached: %v, %v", r, err)
		}
	})
}
