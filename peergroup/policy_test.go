package peergroup_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/identity"
	"github.com/juxta-p2p/juxta/core/xmldoc"
	"github.com/juxta-p2p/juxta/peergroup"
	"github.com/juxta-p2p/juxta/peergroup/governance"
	"github.com/juxta-p2p/juxta/peergroup/peergrouptest"
	"github.com/juxta-p2p/juxta/protocols/discovery"
	"github.com/juxta-p2p/juxta/protocols/resolver"
)

// crew is a network whose peers have keys and IP addresses, and are in one group.
type crew struct {
	*peergrouptest.Network
	t *testing.T

	mu    sync.Mutex
	keys  map[string]*identity.Identity // by name of the peer
	hosts map[string]string             // for those that are not where their name says

	adv     *advertisements.Group
	members []*peergroup.Group
}

// hello is a question that every member answers with its name.
type hello struct{ Name string }

func (h *hello) Map(m *xmldoc.Mapper) {
	m.Root("Hello")
	m.Text("Name", &h.Name)
}

var greeting = resolver.Define[*hello, *hello]("urn:example:hello")

// greeter answers it.
type greeter struct{}

func (greeter) Start(ctx context.Context, g *peergroup.Group) error {
	return greeting.Handle(ctx, g.Resolver(), func(context.Context, resolver.Query[*hello]) (*hello, error) {
		return &hello{g.PeerName()}, nil
	})
}

// newCrew starts the network; the group is founded by its first edge.
func newCrew(t *testing.T, rdv, edges int, loss float64, tap func(from, to string, body []byte)) *crew {
	t.Helper()
	c := &crew{t: t, keys: map[string]*identity.Identity{}, hosts: map[string]string{}}
	c.Network = peergrouptest.New(t, peergrouptest.Config{
		Rendezvous: rdv, Edges: edges, Latency: 10 * time.Millisecond, Jitter: 5 * time.Millisecond, LinkLoss: loss, Seed: 6, Tap: tap,
		Place: c.place,
		Configure: func(cfg *peergroup.Config) {
			c.mu.Lock()
			defer c.mu.Unlock()
			key := c.keys[cfg.Name]
			if key == nil {
				key = newKey(t)
			}
			cfg.PeerID, cfg.Identity = id.Peer{}, key
		},
	})
	return c
}

func newKey(t *testing.T) *identity.Identity {
	t.Helper()
	key, err := identity.New(identity.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// place gives each peer an address of its own: r0001 is at 10.1.0.1, e00002 at 10.2.0.2.
func (c *crew) place(name string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if h := c.hosts[name]; h != "" {
		return h
	}
	n, net := 0, 2
	if _, err := fmt.Sscanf(name, "e%05d", &n); err != nil {
		net = 1
		_, _ = fmt.Sscanf(name, "r%04d", &n)
	}
	return fmt.Sprintf("10.%d.%d.%d", net, n/256, n%256)
}

// returns adds an edge that is where another was, or has its key.
func (c *crew) returns(name, host string, key *identity.Identity) *peergrouptest.Node {
	c.t.Helper()
	c.mu.Lock()
	if host != "" {
		c.hosts[name] = host
	}
	if key != nil {
		c.keys[name] = key
	}
	c.mu.Unlock()
	n, err := c.AddEdge()
	if err != nil {
		c.t.Fatal(err)
	}
	if n.Name() != name {
		c.t.Fatalf("the new one is %s, not %s", n.Name(), name)
	}
	return n
}

// found has a peer create the group, and all others join.
func (c *crew) found(founder *peergrouptest.Node, spec peergroup.Spec) *peergroup.Group {
	c.t.Helper()
	spec.Name, spec.Modules = "crew of the ship", []peergroup.Module{greeter{}}
	first, err := founder.Net().Create(c.t.Context(), spec)
	if err != nil {
		c.t.Fatal(err)
	}
	c.adv = first.Advertisement()
	c.members = append(c.members, first)
	return first
}

func (c *crew) join(n *peergrouptest.Node) *peergroup.Group {
	c.t.Helper()
	g, err := n.Net().Join(c.t.Context(), c.adv, greeter{})
	if err != nil {
		c.t.Fatal(err)
	}
	return g
}

// answers returns the names of the members that answer a peer: those it asks one by
// one, and those that its question to the group reaches.
func answers(t *testing.T, from *peergroup.Group, members []*peergroup.Group) []string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	var mu sync.Mutex
	heard := map[string]bool{}
	hear := func(name string) { mu.Lock(); heard[name] = true; mu.Unlock() }
	var asking sync.WaitGroup
	asking.Go(func() {
		for r, err := range greeting.Ask(ctx, from.Resolver(), &hello{"somebody"}) {
			if err == nil {
				hear(r.Body.Name)
			}
		}
	})
	for _, m := range members {
		if m == from || m.Peer() == from.Peer() {
			continue
		}
		asking.Go(func() {
			for r, err := range greeting.AskPeer(ctx, from.Resolver(), m.PeerID(), &hello{"somebody"}) {
				if err == nil {
					hear(r.Body.Name)
					return
				}
			}
		})
	}
	asking.Wait()
	var list []string
	for name := range heard {
		if name == from.PeerName() || !slices.ContainsFunc(members, func(g *peergroup.Group) bool { return g.PeerName() == name }) {
			continue // another who is out
		}
		list = append(list, name)
	}
	slices.Sort(list)
	return list
}

// A moderator excludes a peer and vanishes: within ten seconds no member answers it, nor
// what comes back from its address or with its key.
func TestExclusion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrew(t, 3, 27, 0.05, nil)
		founder := c.Edge(1)
		first := c.found(founder, peergroup.Spec{Charter: &governance.Charter{}})
		for _, n := range c.Nodes() {
			if n != founder {
				c.members = append(c.members, c.join(n))
			}
		}
		time.Sleep(time.Minute)
		bad := c.Edge(12)
		badly := c.members[slices.IndexFunc(c.members, func(g *peergroup.Group) bool { return g.Peer() == bad.Peer() })]
		if got := answers(t, badly, c.members); len(got) != 29 {
			t.Fatalf("before: %d members answer, %q", len(got), got)
		}
		acts, err := first.Exclude(t.Context(), bad.ID(), peergroup.Exclusion{Reason: "spam"})
		if err != nil || len(acts) != 2 {
			t.Fatalf("acts %v, %v", acts, err)
		}
		if err := founder.Kill(); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		others := slices.DeleteFunc(slices.Clone(c.members), func(g *peergroup.Group) bool { return g == first || g == badly })
		for slices.ContainsFunc(others, func(g *peergroup.Group) bool { return g.Governance().Judge(governance.Subject{Peer: bad.ID()}) == nil }) {
			if time.Sleep(100 * time.Millisecond); time.Since(began) > time.Minute {
				for _, g := range others {
					_, ok := g.Rendezvous().Lease()
					t.Log(g.PeerName(), g.Governance().Judge(governance.Subject{Peer: bad.ID()}), g.Rendezvous().Role(), ok, len(g.Rendezvous().View()), g.Governance().Stats())
				}
				t.Fatal("not all know it")
			}
		}
		t.Logf("all know it after %v", time.Since(began))
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("that took %v", took)
		}
		time.Sleep(time.Until(began.Add(10 * time.Second)))
		if got := answers(t, badly, c.members); len(got) != 0 {
			t.Errorf("excluded, and %q answer", got)
		}
		for _, g := range others {
			if !slices.ContainsFunc(g.Governance().List(), func(e governance.Exclusion) bool { return e.Act.Peer == bad.ID() && e.Act.Reason == "spam" }) {
				t.Errorf("%s does not show it", g.PeerName())
			}
			if slices.Contains(g.Rendezvous().Relations(), bad.ID()) {
				t.Errorf("%s still has to do with it", g.PeerName())
			}
		}
		// Its own program is told why.
		if !slices.ContainsFunc(bad.Peer().Endpoint().Refusals(), func(r endpoint.Refusal) bool {
			return !r.Ours && strings.Contains(r.Rule, "crew of the ship") && strings.Contains(r.Rule, "spam")
		}) {
			t.Errorf("the excluded is told %v", bad.Peer().Endpoint().Refusals())
		}

		host, key := bad.Host(), bad.Peer().Identity()
		if err := bad.Kill(); err != nil {
			t.Fatal(err)
		}
		for _, again := range []*peergrouptest.Node{c.returns("e00028", host, nil), c.returns("e00029", "", key)} {
			g := c.join(again)
			time.Sleep(40 * time.Second)
			if got := answers(t, g, c.members); len(got) != 0 {
				t.Errorf("%s at %s is back, and %q answer", again.Name(), again.Host(), got)
			}
		}
		friend := c.join(c.returns("e00030", "", nil)) // any other newcomer is welcome
		time.Sleep(40 * time.Second)
		if got := answers(t, friend, others); len(got) != 28 {
			t.Errorf("a newcomer gets %d answers: %q", len(got), got)
		}
	})
}

// One moderator of two changes nothing.
func TestVoteBelowQuorum(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrew(t, 1, 6, 0, nil)
		a, b := c.Edge(1), c.Edge(2)
		first := c.found(a, peergroup.Spec{Charter: &governance.Charter{Quorum: 2, Moderators: []governance.Moderator{
			governance.ModeratorOf(a.Peer().Identity()), governance.ModeratorOf(b.Peer().Identity()),
		}}})
		for _, n := range c.Nodes() {
			if n != a {
				c.members = append(c.members, c.join(n))
			}
		}
		time.Sleep(30 * time.Second)
		second := c.members[slices.IndexFunc(c.members, func(g *peergroup.Group) bool { return g.Peer() == b.Peer() })]
		badly := c.members[len(c.members)-1]
		acts, err := first.Exclude(t.Context(), badly.PeerID(), peergroup.Exclusion{KeepAddress: true})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Second)
		if got := answers(t, badly, c.members); len(got) != 6 {
			t.Errorf("a vote of one shut it out: %q answer", got)
		}
		if _, err := badly.Exclude(t.Context(), first.PeerID(), peergroup.Exclusion{}); !errors.Is(err, governance.ErrNotModerator) {
			t.Errorf("one who is no moderator: %v", err)
		}
		if err := second.Governance().Approve(t.Context(), acts[0]); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		if got := answers(t, badly, c.members); len(got) != 0 {
			t.Errorf("after the second vote %q answer", got)
		}
		if _, err := second.Governance().Propose(t.Context(), governance.Act{Kind: governance.Readmit, Target: acts[0]}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if err := first.Governance().Approve(t.Context(), second.Governance().State().Proposals[0].ID()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if got := answers(t, badly, c.members); len(got) != 6 {
			t.Errorf("readmitted: %q answer", got)
		}
	})
}

// Both halves of a divided group exclude somebody, and end with the same list.
func TestPartitionOfPolicies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrew(t, 2, 10, 0.05, nil)
		a, b := c.Edge(1), c.Edge(2)
		c.found(a, peergroup.Spec{Charter: &governance.Charter{Moderators: []governance.Moderator{
			governance.ModeratorOf(a.Peer().Identity()), governance.ModeratorOf(b.Peer().Identity()),
		}}})
		for _, n := range c.Nodes() {
			if n != a {
				c.members = append(c.members, c.join(n))
			}
		}
		time.Sleep(time.Minute)
		of := func(n *peergrouptest.Node) *peergroup.Group {
			return c.members[slices.IndexFunc(c.members, func(g *peergroup.Group) bool { return g.Peer() == n.Peer() })]
		}
		c.Partition(c.Rendezvous(1), a, c.Edge(3), c.Edge(4), c.Edge(5), c.Edge(6))
		time.Sleep(time.Minute)
		for n, bad := range map[*peergrouptest.Node]*peergrouptest.Node{a: c.Edge(9), b: c.Edge(4)} {
			if _, err := of(n).Exclude(t.Context(), bad.ID(), peergroup.Exclusion{KeepAddress: true}); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(20 * time.Second)
		if one, two := len(of(c.Edge(3)).Governance().List()), len(of(c.Edge(10)).Governance().List()); one != 1 || two != 1 {
			t.Errorf("divided: %d and %d exclusions", one, two)
		}
		c.Heal()
		out := []*peergroup.Group{of(c.Edge(9)), of(c.Edge(4))} // whom nobody tells
		one := of(a)
		c.members = slices.DeleteFunc(c.members, func(g *peergroup.Group) bool { return slices.Contains(out, g) })
		began := time.Now()
		for slices.ContainsFunc(c.members, func(g *peergroup.Group) bool { return len(g.Governance().List()) != 2 }) {
			if time.Sleep(time.Second); time.Since(began) > 3*time.Minute {
				t.Fatal("the halves do not agree")
			}
		}
		t.Logf("one list after %v", time.Since(began))
		list := fmt.Sprint(one.Governance().List())
		for _, g := range c.members {
			if got := fmt.Sprint(g.Governance().List()); got != list {
				t.Errorf("%s has another list: %s", g.PeerName(), got)
			}
		}
	})
}

// What the charter says about unsigned advertisements holds at every member.
func TestCharterOnUnsigned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrew(t, 1, 2, 0, nil)
		first := c.found(c.Edge(1), peergroup.Spec{Charter: &governance.Charter{Unsigned: governance.RefuseUnsigned}})
		second := c.join(c.Edge(2))
		if first.Unsigned() != advertisements.RefuseUnsigned || second.Unsigned() != advertisements.RefuseUnsigned {
			t.Errorf("%v and %v", first.Unsigned(), second.Unsigned())
		}
		time.Sleep(time.Minute)
		plain := advertisements.NewPipe(first.ID(), "plain", advertisements.Unicast)
		signed, err := first.Sign(advertisements.NewPipe(first.ID(), "signed", advertisements.Unicast))
		if err != nil {
			t.Fatal(err)
		}
		for _, adv := range []advertisements.Advertisement{plain, signed} {
			if _, err := first.Discovery().PublishRemote(t.Context(), adv, discovery.Lifetime{}); err != nil {
				t.Fatal(err)
			}
			if err := first.Discovery().Publish(t.Context(), adv, discovery.Lifetime{}); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Minute)
		for name, want := range map[string]bool{"plain": false, "signed": true} {
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			_, err := second.Discovery().FindOne(ctx, discovery.Query{Kind: advertisements.Advs, Attr: "Name", Value: name})
			cancel()
			if (err == nil) != want {
				t.Errorf("%s: found %v: %v", name, err == nil, err)
			}
		}
	})
}
