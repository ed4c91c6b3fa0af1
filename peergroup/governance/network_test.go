package governance_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/identity"
	"github.com/juxta-p2p/juxta/peergroup"
	"github.com/juxta-p2p/juxta/peergroup/governance"
	"github.com/juxta-p2p/juxta/peergroup/peergrouptest"
)

var (
	crew       = id.GroupFromSeed(id.Group{}, []byte("crew of the ship"))
	moderators = []*identity.Identity{fresh(), fresh(), fresh()}
	stranger   = fresh()
)

func fresh() *identity.Identity {
	i, err := identity.New(identity.Ed25519)
	if err != nil {
		panic(err)
	}
	return i
}

// crewName is the group's name. Its blanks keep it from standing in base64 by chance.
const crewName = "crew of the ship"

// crewAdvertisement is the group's advertisement with a charter of n moderators.
func crewAdvertisement(t testing.TB, n, quorum int) *advertisements.Group {
	t.Helper()
	c := governance.Charter{Group: crew, Quorum: quorum}
	for _, m := range moderators[:n] {
		c.Moderators = append(c.Moderators, governance.ModeratorOf(m))
	}
	signed, err := c.Sign(moderators[0])
	if err != nil {
		t.Fatal(err)
	}
	adv := &advertisements.Group{ID: crew, Spec: id.SpecGenericGroup, Name: crewName}
	if err := signed.AddTo(adv); err != nil {
		t.Fatal(err)
	}
	return adv
}

// member is one peer in the group, with its policy.
type member struct {
	*peergrouptest.Node
	group  *peergroup.Group
	policy *governance.Service
}

// enrol has a node join the group, as the moderator if who is not nil.
func enrol(t testing.TB, n *peergrouptest.Node, adv *advertisements.Group, who *identity.Identity, lose func() bool) *member {
	t.Helper()
	plain := adv.Clone() // the group would start the policy itself
	plain.Services = nil
	g, err := n.Net().Join(t.Context(), plain)
	if err != nil {
		t.Fatal(err)
	}
	c, err := governance.CharterOf(adv)
	if err != nil {
		t.Fatal(err)
	}
	s, err := governance.New(governance.Lossy(governance.Config{Charter: c, Resolver: g.Resolver(), Identity: who}, lose))
	if err != nil {
		t.Fatal(err)
	}
	return &member{n, g, s}
}

// crewOf starts a network of which every node is in the group; those that are rendezvous in it are too.
func crewOf(t testing.TB, cfg peergrouptest.Config, adv *advertisements.Group, lose func() bool) (*peergrouptest.Network, []*member) {
	t.Helper()
	net := peergrouptest.New(t, cfg)
	var all []*member
	for i, n := range net.Nodes() {
		var who *identity.Identity
		if e := i - cfg.Rendezvous; e >= 0 && e < len(moderators) {
			who = moderators[e]
		}
		m := enrol(t, n, adv, who, lose)
		if i < cfg.Rendezvous {
			if err := m.group.Rendezvous().SetRole(1); err != nil {
				t.Fatal(err)
			}
		}
		all = append(all, m)
	}
	t.Cleanup(func() {
		for _, m := range all {
			m.policy.Close()
		}
	})
	time.Sleep(30 * time.Second)
	return net, all
}

// until waits until every member says so, at most for a time, and returns how long it took.
func until(t testing.TB, most time.Duration, all []*member, ok func(*member) bool) time.Duration {
	t.Helper()
	began := time.Now()
	for {
		missing := ""
		for _, m := range all {
			if m.Up() && !ok(m) {
				missing += " " + m.Name()
			}
		}
		if missing == "" {
			return time.Since(began)
		}
		if time.Since(began) > most {
			t.Fatalf("after %v not yet:%s", most, missing)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func excludes(p id.Peer) func(*member) bool {
	return func(m *member) bool {
		var e *governance.ExcludedError
		return errors.As(m.policy.Judge(governance.Subject{Peer: p}), &e)
	}
}

// chance loses a share of all messages, repeatably as far as the scheduler is.
func chance(share float64) func() bool {
	var mu sync.Mutex
	r := rand.New(rand.NewPCG(1, 2))
	return func() bool {
		mu.Lock()
		defer mu.Unlock()
		return r.Float64() < share
	}
}

func TestEveryMemberEnforcesThoughMessagesAreLostAndTheModeratorIsGone(t *testing.T) {
	for _, loss := range []float64{0, 0.2} {
		t.Run(fmt.Sprint(loss), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				_, all := crewOf(t, peergrouptest.Config{Rendezvous: 3, Edges: 27, Latency: 20 * time.Millisecond, LinkLoss: loss, Seed: 3},
					crewAdvertisement(t, 1, 1), chance(loss))
				moderator, bad := all[3], stranger.Peer()
				if _, err := moderator.policy.Propose(t.Context(), governance.Act{Kind: governance.Exclude, Peer: bad, Reason: "spam"}); err != nil {
					t.Fatal(err)
				}
				if !excludes(bad)(moderator) {
					t.Fatal("the moderator does not enforce it")
				}
				if err := moderator.Kill(); err != nil {
					t.Fatal(err)
				}
				t.Log("took", until(t, 10*time.Second, all, excludes(bad)))
				var got uint64
				for _, m := range all {
					got += m.policy.Stats().Learned
				}
				if got != uint64(len(all)-1) {
					t.Errorf("learned %d times by %d members", got, len(all)-1)
				}
			})
		})
	}
}

func TestOneWhoComesLaterLearnsEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		adv := crewAdvertisement(t, 1, 1)
		net, all := crewOf(t, peergrouptest.Config{Rendezvous: 2, Edges: 3, Latency: 20 * time.Millisecond, Seed: 4}, adv, nil)
		var last id.Peer
		for range 300 { // more than one message holds
			last = id.NewPeer(id.NetGroup)
			if _, err := all[2].policy.Propose(t.Context(), governance.Act{Kind: governance.Exclude, Peer: last, Reason: "spam"}); err != nil {
				t.Fatal(err)
			}
		}
		until(t, 10*time.Second, all, excludes(last))
		if err := all[2].Kill(); err != nil {
			t.Fatal(err)
		}
		n, err := net.AddEdge()
		if err != nil {
			t.Fatal(err)
		}
		late := enrol(t, n, adv, nil, nil)
		defer late.policy.Close()
		t.Log("took", until(t, 10*time.Second, []*member{late}, func(m *member) bool { return len(m.policy.List()) == 300 }))
	})
}

func TestTheHalvesOfADividedNetworkEndWithOneList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net, all := crewOf(t, peergrouptest.Config{Rendezvous: 2, Edges: 8, Latency: 20 * time.Millisecond, Seed: 5}, crewAdvertisement(t, 2, 1), nil)
		one, two := all[2], all[3]
		net.Partition(all[0].Node, one.Node, all[4].Node, all[5].Node)
		a, b := fresh().Peer(), fresh().Peer()
		propose := func(m *member, act governance.Act) {
			t.Helper()
			if _, err := m.policy.Propose(t.Context(), act); err != nil {
				t.Fatal(err)
			}
		}
		propose(one, governance.Act{Kind: governance.Exclude, Peer: a})
		propose(two, governance.Act{Kind: governance.Exclude, Peer: b})
		time.Sleep(10 * time.Second)
		propose(one, governance.Act{Kind: governance.Appoint, Key: moderators[2].SPKI()})
		time.Sleep(time.Second)
		propose(two, governance.Act{Kind: governance.SetQuorum, Quorum: 2})
		time.Sleep(time.Minute)
		if excludes(b)(one) || excludes(a)(two) {
			t.Fatal("the network is not divided")
		}
		net.Heal()
		took := until(t, 2*time.Minute, all, func(m *member) bool { return excludes(a)(m) && excludes(b)(m) })
		t.Log("took", took)
		time.Sleep(10 * time.Second)
		for _, m := range all {
			s := m.policy.State()
			if s.Quorum != 2 || len(s.Moderators) != 3 || len(s.Exclusions) != 2 {
				t.Errorf("%s: quorum %d, %d moderators, %d exclusions", m.Name(), s.Quorum, len(s.Moderators), len(s.Exclusions))
			}
		}
	})
}

func TestAProposalIsSeenAndApproved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, all := crewOf(t, peergrouptest.Config{Rendezvous: 1, Edges: 5, Latency: 20 * time.Millisecond, Seed: 6}, crewAdvertisement(t, 3, 2), nil)
		bad := stranger.Peer()
		if _, err := all[5].policy.Propose(t.Context(), governance.Act{Kind: governance.Exclude, Peer: bad}); !errors.Is(err, governance.ErrNotModerator) {
			t.Fatalf("one who is no moderator proposed: %v", err)
		}
		act, err := all[1].policy.Propose(t.Context(), governance.Act{Kind: governance.Exclude, Peer: bad})
		if err != nil {
			t.Fatal(err)
		}
		until(t, 5*time.Second, all, func(m *member) bool { return len(m.policy.State().Proposals) == 1 && !excludes(bad)(m) })
		var heard []governance.EventKind
		stop := all[4].policy.Watch(func(ev governance.Event) { heard = append(heard, ev.Kind) })
		if err := all[3].policy.Approve(t.Context(), act); err != nil {
			t.Fatal(err)
		}
		until(t, 5*time.Second, all, excludes(bad))
		synctest.Wait()
		stop()
		if got := fmt.Sprint(heard); got != "[excluded decided]" {
			t.Errorf("heard %s", got)
		}
		if got := all[4].policy.Stats(); got.TooFewSignatures != 1 || got.Acts != 1 || got.Proposals != 0 {
			t.Errorf("%+v", got)
		}
	})
}
