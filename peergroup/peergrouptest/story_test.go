package peergrouptest_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/peergroup"
	"github.com/juxta-p2p/juxta/peergroup/peergrouptest"
	"github.com/juxta-p2p/juxta/protocols/discovery"
)

// TestTheRendezvousOfAThousandEdgesDies: all turn to the two others, none is
// without a lease for long.
func TestTheRendezvousOfAThousandEdgesDies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		edges := 1000
		if race || testing.Short() {
			edges = 100
		}
		net := peergrouptest.New(t, peergrouptest.Config{
			Rendezvous: 3, Edges: edges, Latency: 40 * time.Millisecond, Seed: 4, Configure: func(c *peergroup.Config) {
				c.MaxClients = 2000
				if !c.Roles.Rendezvous {
					c.Seeds = []string{"mem://r0001"}
				}
			},
		})
		time.Sleep(time.Minute)
		first := net.Rendezvous(1)
		if n := len(first.Net().Rendezvous().Clients()); n != edges {
			t.Fatalf("%d clients", n)
		}
		killed := time.Now()
		if err := first.Kill(); err != nil {
			t.Fatal(err)
		}
		const most = 15 * time.Second
		var median time.Duration
		for {
			without := 0
			for i := range edges {
				if l, ok := net.Edge(i + 1).Net().Rendezvous().Lease(); !ok || l.Peer == first.ID() {
					without++
				}
			}
			if without <= edges/2 && median == 0 {
				median = time.Since(killed)
			}
			if without == 0 {
				break
			}
			if time.Since(killed) > most {
				t.Fatalf("%d edges without a lease after %v", without, most)
			}
			time.Sleep(10 * time.Millisecond)
		}
		t.Logf("%d edges: half had a lease again after %v, the last one after %v", edges, median, time.Since(killed))
		if a, b := len(net.Rendezvous(2).Net().Rendezvous().Clients()), len(net.Rendezvous(3).Net().Rendezvous().Clients()); min(a, b) < edges/4 {
			t.Errorf("%d and %d clients: they did not spread", a, b)
		}
	})
}

// TestPublishedIsFoundAtOnce: what one edge publishes another one finds at once,
// however soon it looks.
func TestPublishedIsFoundAtOnce(t *testing.T) {
	for _, pause := range []time.Duration{0, 20 * time.Millisecond, time.Second} {
		t.Run(pause.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const rendezvous, edges, times = 10, 90, 100
				net := peergrouptest.New(t, peergrouptest.Config{Rendezvous: rendezvous, Edges: edges, Latency: 5 * time.Millisecond, Seed: 5})
				time.Sleep(time.Minute)
				rng := rand.New(rand.NewPCG(1, 2))
				var took []time.Duration
				for i := range times {
					a, b := net.Edge(1+rng.IntN(edges)), net.Edge(1+rng.IntN(edges))
					if a == b {
						continue
					}
					name := fmt.Sprint("thing ", i)
					adv := advertisements.NewPipe(a.Net().ID(), name, advertisements.Unicast)
					began := time.Now()
					if err := a.Net().Discovery().Publish(t.Context(), adv, discovery.Lifetime{}); err != nil {
						t.Fatal(err)
					}
					time.Sleep(pause)
					if pause > 0 {
						began = time.Now()
					}
					ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
					_, err := b.Net().Discovery().FindOne(ctx, discovery.Query{Kind: advertisements.Advs, Attr: "Name", Value: name, RemoteOnly: true})
					cancel()
					if err != nil {
						t.Fatalf("%s: %v", name, err)
					}
					took = append(took, time.Since(began))
					time.Sleep(time.Second)
				}
				slices.Sort(took)
				p50, p95, last := took[len(took)/2], took[len(took)*95/100], took[len(took)-1]
				t.Logf("latency 5 ms: found after %v at the median, %v at 95 %%, %v at most", p50.Round(time.Millisecond), p95.Round(time.Millisecond), last.Round(time.Millisecond))
				if p50 > 100*time.Millisecond || last > 5*time.Second {
					t.Errorf("too late")
				}
			})
		})
	}
}

// TestABurstOfPublicationsIsPushedTogether: ten thousand publications cost few
// messages, and all of them can be found.
func TestABurstOfPublicationsIsPushedTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const rendezvous, burst = 4, 10_000
		var index atomic.Int64
		net := peergrouptest.New(t, peergrouptest.Config{
			Rendezvous: rendezvous, Edges: 2, Latency: 5 * time.Millisecond, Seed: 6,
			Tap: func(_, _ string, body []byte) {
				if bytes.Contains(body, []byte("Srdi")) {
					index.Add(1)
				}
			},
		})
		time.Sleep(time.Minute)
		a, b := net.Edge(1), net.Edge(2)
		before := index.Load()
		began := time.Now()
		for i := range burst {
			adv := advertisements.NewPipe(a.Net().ID(), fmt.Sprint("thing ", i), advertisements.Unicast)
			if err := a.Net().Discovery().Publish(t.Context(), adv, discovery.Lifetime{}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Millisecond) // ten seconds in all
		}
		took := time.Since(began)
		time.Sleep(30 * time.Second)
		t.Logf("%d publications within %v took %d index messages to %d rendezvous", burst, took.Round(time.Second), index.Load()-before, rendezvous)
		for _, i := range []int{0, 1, burst / 2, burst - 1} {
			if !finds(t, b, fmt.Sprint("thing ", i), 10*time.Second) {
				t.Errorf("thing %d was not found", i)
			}
		}
	})
}

// TestHalvesBecomeOne: forty rendezvous that were cut into halves for ten minutes
// are one view within two minutes, and everything is found again.
func TestHalvesBecomeOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rendezvous, edges := 40, 60
		if race || testing.Short() {
			rendezvous, edges = 10, 20
		}
		net := peergrouptest.New(t, peergrouptest.Config{Rendezvous: rendezvous, Edges: edges, Latency: 40 * time.Millisecond, Seed: 8})
		time.Sleep(time.Minute)
		var island []*peergrouptest.Node
		for _, d := range net.Nodes() {
			at := rendezvousOf(d)
			if at == "" {
				at = d.Name()
			}
			if at <= fmt.Sprintf("r%04d", rendezvous/2) {
				island = append(island, d)
			}
		}
		for i := range edges {
			publish(t, net.Edge(i+1), "thing of "+net.Edge(i+1).Name())
		}
		net.Partition(island...)
		time.Sleep(10 * time.Minute)
		known := func() int {
			n := 0
			for i := range rendezvous {
				n += len(net.Rendezvous(i + 1).Net().Rendezvous().View())
			}
			return n
		}
		if n := known(); n != 2*(rendezvous/2)*(rendezvous/2-1) {
			t.Fatalf("%d known in the halves", n)
		}
		net.Heal()
		healed := time.Now()
		for known() < rendezvous*(rendezvous-1) {
			if time.Since(healed) > 2*time.Minute {
				t.Fatalf("%d of %d known after two minutes", known(), rendezvous*(rendezvous-1))
			}
			time.Sleep(100 * time.Millisecond)
		}
		t.Logf("one view again %v after the partition", time.Since(healed).Round(100*time.Millisecond))
		time.Sleep(20 * time.Second)
		rng := rand.New(rand.NewPCG(3, 4))
		hits := 0
		const lookups = 100
		for range lookups {
			a, b := net.Edge(1+rng.IntN(edges)), net.Edge(1+rng.IntN(edges))
			if a == b || finds(t, b, "thing of "+a.Name(), time.Second) {
				hits++
			}
		}
		t.Logf("%d of %d lookups found", hits, lookups)
		if hits < lookups || time.Since(healed) > 4*time.Minute {
			t.Errorf("%d of %d lookups found", hits, lookups)
		}
	})
}

// TestAPatternFindsWhatIsBehindEveryRendezvous: it has no place, and so walks.
func TestAPatternFindsWhatIsBehindEveryRendezvous(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const rendezvous, edges = 10, 40
		net := peergrouptest.New(t, peergrouptest.Config{Rendezvous: rendezvous, Edges: edges, Latency: 5 * time.Millisecond, Seed: 9})
		time.Sleep(time.Minute)
		for i := range edges {
			publish(t, net.Edge(i+1), fmt.Sprint("thing ", i))
		}
		time.Sleep(time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		q := discovery.Query{Kind: advertisements.Advs, Attr: "Name", Value: "thing *", RemoteOnly: true}
		found := map[string]int{}
		for r, err := range net.Edge(1).Net().Discovery().Find(ctx, q) {
			if err != nil {
				t.Fatal(err)
			}
			found[r.Adv.(*advertisements.Pipe).Name]++
		}
		if len(found) != edges-1 { // its own it does not look for
			t.Errorf("%d of %d things found", len(found), edges-1)
		}
		for name, n := range found {
			if n != 1 {
				t.Errorf("%s was found %d times", name, n)
			}
		}
	})
}
