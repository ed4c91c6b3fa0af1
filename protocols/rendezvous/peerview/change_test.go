package peerview_test

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/protocols/rendezvous/peerview"
)

// grown makes a network of so many rendezvous that see each other.
func grown(t *testing.T, size int) *network {
	t.Helper()
	n := newNetwork(t, 3)
	for range size {
		n.add(nil)
	}
	n.until(5*time.Minute, n.nodes)
	time.Sleep(time.Minute) // calm
	return n
}

func TestDeadMemberIsGoneWithinSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := grown(t, 20)
		dead := n.nodes[7]
		dead.kill()
		alive := slices.Delete(slices.Clone(n.nodes), 7, 8)
		took := n.until(5*time.Second, alive)
		t.Logf("gone from all views after %v", took)
		why := alive[0].last()
		if why.Kind != peerview.Left || why.Peer != dead.id || why.Why == "" {
			t.Errorf("the last event is %+v", why)
		}
		time.Sleep(time.Hour)
		if !complete(alive) || n.left(alive) != uint64(len(alive)) {
			t.Errorf("an hour later it is back, or others went: %d left", n.left(alive))
		}
	})
}

// TestSilentMemberLeaves: one that takes what is sent and answers nothing, as a
// process that hangs, is missed when its time has come.
func TestSilentMemberLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := grown(t, 5)
		silent := newNode(n, "silent")
		silent.send(n.nodes[0], response(t, silent.adv()))
		time.Sleep(time.Second)
		if !n.nodes[0].view.Has(silent.id) {
			t.Fatal("it is no member")
		}
		time.Sleep(6 * time.Minute)
		if n.nodes[0].view.Has(silent.id) {
			t.Error("it is still a member")
		}
		if !complete(n.nodes) {
			t.Error("others see it, or lost each other")
		}
	})
}

func TestGoodbyeIsHeardAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := grown(t, 20)
		n.nodes[3].view.Close()
		n.nodes[3].view.Close() // changes nothing
		rest := slices.Delete(slices.Clone(n.nodes), 3, 4)
		n.until(200*time.Millisecond, rest)
		for _, r := range rest {
			if ev := r.last(); ev.Kind != peerview.Left || ev.Peer != n.nodes[3].id {
				t.Errorf("the last event is %+v", ev)
			}
			if lost := r.view.Stats().Lost; lost != 0 {
				t.Errorf("one that said goodbye is looked for")
			}
		}
		time.Sleep(10 * time.Minute)
		if !complete(rest) {
			t.Error("it is back, or others went")
		}
	})
}

func TestReturningMemberIsSeenAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := grown(t, 10)
		r := n.nodes[6]
		r.view.Close()
		time.Sleep(time.Minute)
		r.start(r.config())
		n.until(10*time.Second, n.nodes)
	})
}

// TestHalvesOfANetworkFindTogether: 100 rendezvous are split for ten minutes, in
// which each half forgets the other, and see each other two minutes after.
func TestHalvesOfANetworkFindTogether(t *testing.T) {
	size := 100
	if raceDetector || testing.Short() {
		size = 20
	}
	synctest.Test(t, func(t *testing.T) {
		n := grown(t, size)
		var names []string
		for _, r := range n.nodes[:size/2] {
			names = append(names, r.name)
		}
		n.mem.Partition(names...)
		time.Sleep(10 * time.Minute)
		if !complete(n.nodes[:size/2]) || !complete(n.nodes[size/2:]) {
			t.Fatalf("a half lost one of its own or still sees the other: %d and %d", n.nodes[0].view.Size(), n.nodes[size-1].view.Size())
		}
		sent := n.sent.Load()
		n.mem.Heal()
		took := n.until(2*time.Minute, n.nodes)
		t.Logf("together after %v and %d messages each", took, (n.sent.Load()-sent)/int64(size))
		time.Sleep(time.Minute)
		if lost := n.nodes[0].view.Stats().Lost; lost != 0 {
			t.Errorf("%d are still looked for", lost)
		}
	})
}

// TestALoneRendezvousIsFoundAgain: after a long time without network.
func TestALoneRendezvousIsFoundAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := grown(t, 10)
		n.mem.Partition("r5")
		time.Sleep(3 * time.Hour)
		if n.nodes[5].view.Size() != 0 {
			t.Fatal("it sees somebody")
		}
		n.mem.Heal()
		n.until(2*time.Minute, n.nodes)
	})
}

// TestKickFindsNewSeeds at once.
func TestKickFindsNewSeeds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t, 0)
		var seeds atomic.Pointer[[]endpoint.Address]
		seeds.Store(new([]endpoint.Address))
		a := n.add(func(c *peerview.Config) { c.Seeds = func() []endpoint.Address { return *seeds.Load() } })
		n.add(nil)
		time.Sleep(time.Hour)
		if a.view.Size() != 0 {
			t.Fatal("found without seeds")
		}
		seeds.Store(&[]endpoint.Address{memAddress("r1")})
		a.view.Kick()
		n.until(time.Second, n.nodes)
	})
}

// TestSeedByPeerID is left to the router.
func TestSeedByPeerID(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t, 0)
		a := n.add(nil)
		b := newNode(n, "r1")
		b.router.Learn(a.route())
		cfg := b.config()
		cfg.Seeds = func() []endpoint.Address { return []endpoint.Address{endpoint.PeerAddress(a.id, "", "")} }
		b.start(cfg)
		n.until(time.Second, append(n.nodes, b))
	})
}

// TestWithoutConnect the endpoint's router carries everything.
func TestWithoutConnect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t, 1)
		for range 10 {
			n.add(func(c *peerview.Config) { c.Connect = nil })
		}
		n.until(time.Minute, n.nodes)
	})
}

func TestOrderAndNeighbours(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := grown(t, 12)
		v := n.nodes[4].view
		peers := v.Peers()
		if !slices.IsSortedFunc(peers, func(a, b id.Peer) int { return compareText(a.Unique(), b.Unique()) }) {
			t.Error("not in order")
		}
		var up, down []id.Peer
		for p, ok := v.Up(id.Peer{}); ok; p, ok = v.Up(p) {
			up = append(up, p)
		}
		if p, ok := v.Down(id.Peer{}); ok {
			t.Fatalf("%s is before the least ID", p)
		}
		last := peers[len(peers)-1]
		for p, ok := last, true; ok; p, ok = v.Down(p) {
			down = append(down, p)
		}
		slices.Reverse(down)
		if !slices.Equal(up, peers) || !slices.Equal(down, peers) {
			t.Errorf("up %v, down %v, peers %v", up, down, peers)
		}
		self := n.nodes[4].id
		after, ok := v.Up(self)
		if before, ok2 := v.Down(self); ok && ok2 && (after.Unique() < self.Unique() || before.Unique() > self.Unique()) {
			t.Error("the next members are on the wrong side")
		}
		members := v.Members()
		for i, m := range members {
			if m.Peer != peers[i] || m.Name == "" || !m.Linked || !m.Juxta || m.Heard > 5*time.Minute || m.Adv.Peer != m.Peer {
				t.Errorf("member %+v", m)
			}
		}
		if len(members) != 11 || v.Size() != 11 || !v.Has(members[3].Peer) || v.Has(self) {
			t.Error("wrong members")
		}
	})
}

func compareText(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

func TestEventsTellTheView(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := grown(t, 8)
		n.nodes[2].kill()
		n.nodes[3].stop()
		time.Sleep(time.Minute)
		r := n.nodes[0]
		r.mu.Lock()
		defer r.mu.Unlock()
		seen := map[id.Peer]bool{}
		for _, ev := range r.events {
			if seen[ev.Peer] == (ev.Kind == peerview.Joined) {
				t.Errorf("%v %s twice", ev.Peer, ev.Kind)
			}
			seen[ev.Peer] = ev.Kind == peerview.Joined
		}
		count := 0
		for p, in := range seen {
			if in != r.view.Has(p) {
				t.Errorf("%v: event %t", p, in)
			}
			if in {
				count++
			}
		}
		if count != r.view.Size() || count != 5 {
			t.Errorf("%d members by events, %d in the view", count, r.view.Size())
		}
	})
}

// TestMetTellsChanges: new members before their events, changed advertisements at
// once, and unchanged ones now and then.
func TestMetTellsChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t, 1)
		var mu sync.Mutex // guards what follows
		met, name := map[string]int{}, "r1"
		var early []string
		first := newNode(n, "r0")
		cfg := first.config()
		cfg.Met = func(adv *advertisements.Rendezvous) {
			ev := first.last()
			mu.Lock()
			defer mu.Unlock()
			met[adv.Name]++
			if ev.Peer != adv.Peer {
				early = append(early, adv.Name)
			}
		}
		first.start(cfg)
		n.nodes = append(n.nodes, first)
		second := n.add(func(c *peerview.Config) {
			self := c.Self
			c.Self = func() *advertisements.Rendezvous {
				adv := self()
				mu.Lock()
				defer mu.Unlock()
				adv.Name = name
				return adv
			}
		})
		n.until(time.Minute, n.nodes)
		synctest.Wait()
		mu.Lock()
		if met["r1"] != 1 || !slices.Equal(early, []string{"r1"}) {
			t.Fatalf("met %v, before the event %v", met, early)
		}
		name = "renamed"
		mu.Unlock()
		second.view.Kick()
		time.Sleep(time.Second)
		mu.Lock()
		if met["renamed"] != 1 {
			t.Errorf("met %v", met)
		}
		mu.Unlock()
		time.Sleep(time.Hour)
		mu.Lock()
		defer mu.Unlock()
		if got := met["renamed"]; got < 10 || got > 31 {
			t.Errorf("met %d times in an hour", got)
		}
	})
}

// TestSuspectedMemberIsProbed: it stays if it answers.
func TestSuspectedMemberIsProbed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := grown(t, 3)
		v := n.nodes[0].view
		probes := v.Stats().Probes
		v.Suspect(n.nodes[1].id)
		v.Suspect(n.nodes[1].id) // at once is enough
		v.Suspect(n.nodes[0].id) // is no member
		time.Sleep(time.Second)
		if got := v.Stats().Probes - probes; got != 1 || !complete(n.nodes) {
			t.Errorf("%d probes", got)
		}
	})
}

func TestLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t, 3)
		for range 10 {
			n.add(func(c *peerview.Config) { c.Limit = 4 })
		}
		time.Sleep(30 * time.Minute)
		for _, r := range n.nodes {
			if s := r.view.Size(); s > 4 || s < 3 {
				t.Errorf("%d members", s)
			}
		}
		if n.nodes[0].view.Stats().DroppedFull == 0 {
			t.Error("nobody was turned away")
		}
	})
}

// TestAccept: who is not accepted is no member, and is not probed either.
func TestAccept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t, 1)
		var banned atomic.Value
		banned.Store("")
		n.add(func(c *peerview.Config) {
			c.Accept = func(adv *advertisements.Rendezvous) bool { return adv.Name != banned.Load() }
		})
		n.add(nil)
		n.add(nil)
		n.until(time.Minute, n.nodes)
		banned.Store("r2")
		time.Sleep(10 * time.Minute)
		if v := n.nodes[0].view; v.Has(n.nodes[2].id) || !v.Has(n.nodes[1].id) || v.Stats().DroppedRefused == 0 {
			t.Errorf("members %v, %+v", v.Peers(), v.Stats())
		}
	})
}

// TestShout: a small view shouts, and who hears it answers, by chance if its own
// view is not small.
func TestShout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t, 3)
		var mu sync.Mutex
		var all []*node
		started := func() []*node {
			mu.Lock()
			defer mu.Unlock()
			return slices.Clone(all)
		}
		pipe := func(c *peerview.Config) {
			c.Shout = func(ctx context.Context, msg *message.Message) {
				for _, r := range started() {
					if r.id != c.Scope.Peer() {
						r.view.Hear(ctx, endpoint.Incoming{Message: msg.Clone(), From: c.Scope.Peer()})
					}
				}
			}
		}
		add := func(change func(*peerview.Config)) *node {
			r := n.add(change)
			mu.Lock()
			defer mu.Unlock()
			all = append(all, r)
			return r
		}
		for range 40 {
			add(pipe)
		}
		n.until(5*time.Minute, n.nodes)
		time.Sleep(time.Minute)
		chance := 0
		for _, r := range n.nodes {
			chance += int(r.view.Stats().DroppedChance)
		}
		stranger := add(func(c *peerview.Config) {
			pipe(c)
			c.Seeds = nil
		})
		n.until(5*time.Minute, n.nodes)
		if stranger.view.Stats().Shouts == 0 {
			t.Error("it did not shout")
		}
		left := -chance
		for _, r := range n.nodes {
			left += int(r.view.Stats().DroppedChance)
		}
		if left < 25 {
			t.Errorf("only %d of 40 left it to others to answer", left)
		}
	})
}

func (r *node) last() peerview.Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.events) == 0 {
		return peerview.Event{}
	}
	return r.events[len(r.events)-1]
}
