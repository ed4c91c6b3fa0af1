package peergrouptest_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/transport/memory"
	"github.com/juxta-p2p/juxta/peergroup"
	"github.com/juxta-p2p/juxta/peergroup/peergrouptest"
	"github.com/juxta-p2p/juxta/protocols/discovery"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// publish publishes a pipe under a name.
func publish(t *testing.T, d *peergrouptest.Node, name string) {
	t.Helper()
	adv := advertisements.NewPipe(d.Net().ID(), name, advertisements.Unicast)
	if err := d.Net().Discovery().Publish(t.Context(), adv, discovery.Lifetime{}); err != nil {
		t.Fatal(err)
	}
}

// finds reports whether the peer gets the name from others within the time.
func finds(t *testing.T, d *peergrouptest.Node, name string, within time.Duration) bool {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	q := discovery.Query{Kind: advertisements.Advs, Attr: "Name", Value: name, RemoteOnly: true}
	_, err := d.Net().Discovery().FindOne(ctx, q)
	if err != nil && !errors.Is(err, discovery.ErrNotFound) {
		t.Error(err)
	}
	return err == nil
}

func rendezvousOf(d *peergrouptest.Node) string {
	l, _ := d.Net().Rendezvous().Lease()
	return l.Name
}

// TestNetwork: names, numbers, seeds, configuration, and who is up.
func TestNetwork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var messages atomic.Uint64
		roles := map[string]peergroup.Roles{}
		seeds := map[string][]string{}
		net := peergrouptest.New(t, peergrouptest.Config{
			Rendezvous: 5, Edges: 20, Latency: 40 * time.Millisecond, Seed: 7,
			Configure: func(c *peergroup.Config) {
				roles[c.Name], seeds[c.Name] = c.Roles, c.Seeds
				c.Description = "one of many"
			},
			Tap: func(_, _ string, _ []byte) { messages.Add(1) },
		})
		if messages.Load() == 0 {
			t.Error("the tap saw nothing")
		}
		for i := range 5 {
			d := net.Rendezvous(i + 1)
			if want := fmt.Sprintf("r%04d", i+1); d.Name() != want || d.Peer().Name() != want || !roles[want].Rendezvous || len(seeds[want]) != min(i, 3) {
				t.Errorf("rendezvous %d is %s %v with the seeds %v", i+1, d.Name(), roles[want], seeds[want])
			}
		}
		for i := range 20 {
			d := net.Edge(i + 1)
			own := seeds[d.Name()]
			if slices.Sort(own); d.Name() != fmt.Sprintf("e%05d", i+1) || len(slices.Compact(own)) != 3 || d.Net().PeerAdvertisement().Desc != "one of many" {
				t.Errorf("edge %d is %s with the seeds %v", i+1, d.Name(), own)
			}
			if !slices.Contains(own, memory.Protocol+"://"+rendezvousOf(d)) {
				t.Errorf("%s leases at %q and knew %v", d.Name(), rendezvousOf(d), own)
			}
		}
		if n := len(net.Nodes()); n != 25 {
			t.Errorf("%d peers run", n)
		}
		gone := net.Rendezvous(2)
		if err := errors.Join(gone.Kill(), net.Edge(3).Stop()); err != nil {
			t.Error(err)
		}
		if gone.Up() || net.Edge(3).Up() || len(net.Nodes()) != 23 {
			t.Errorf("%d peers run", len(net.Nodes()))
		}
		for range 10 {
			d, err := net.AddEdge()
			if err != nil {
				t.Fatal(err)
			}
			if slices.Contains(seeds[d.Name()], memory.Protocol+"://"+gone.Name()) {
				t.Errorf("%s was told of a dead rendezvous", d.Name())
			}
		}
		if net.Edge(30).Name() != "e00030" {
			t.Errorf("the last edge is %s", net.Edge(30).Name())
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := net.WaitConnected(ctx); err != nil {
			t.Error(err)
		}
		if err := net.Close(); err != nil {
			t.Error(err)
		}
		if _, err := net.AddEdge(); err == nil {
			t.Error("a closed network takes a peer")
		}
	})
}

// TestSameSeedSameNetwork: IDs and acquaintances come from the seed.
func TestSameSeedSameNetwork(t *testing.T) {
	facts := func(seed uint64) (all []string) {
		synctest.Test(t, func(t *testing.T) {
			net := peergrouptest.New(t, peergrouptest.Config{Rendezvous: 4, Edges: 10, Seed: seed, Configure: func(c *peergroup.Config) {
				all = append(all, fmt.Sprint(c.Name, c.PeerID, c.Seeds, c.Rand.Uint64()))
			}})
			for _, d := range net.Nodes() {
				all = append(all, d.Name()+" at "+rendezvousOf(d))
			}
		})
		return all
	}
	a, b, c := facts(1), facts(1), facts(2)
	if !slices.Equal(a, b) {
		t.Errorf("%v\n%v", a, b)
	}
	if slices.Equal(a, c) {
		t.Error("another seed makes no difference")
	}
}

// TestRealTime: outside of a bubble, peers live in real time.
func TestRealTime(t *testing.T) {
	net := peergrouptest.New(t, peergrouptest.Config{Rendezvous: 1, Edges: 2})
	publish(t, net.Edge(1), "real")
	for range 10 {
		if finds(t, net.Edge(2), "real", time.Second) {
			return
		}
	}
	t.Error("not found")
}

// TestWithoutRendezvous: nobody waits for leases that nobody grants, and the error
// names who has none.
func TestWithoutRendezvous(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := peergrouptest.New(t, peergrouptest.Config{Edges: 2})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := net.WaitConnected(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the error is %v", err)
		}
	})
}

// TestPartitionStory: a network of a hundred is cut into halves for ten minutes,
// each of which goes on for itself; healed, it is one again within minutes.
func TestPartitionStory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const rendezvous, edges = 10, 90
		net := peergrouptest.New(t, peergrouptest.Config{Rendezvous: rendezvous, Edges: edges, Latency: 40 * time.Millisecond, Seed: 3})
		time.Sleep(time.Minute)
		// A half is what lies around half of the rendezvous.
		var island []*peergrouptest.Node
		var here, there *peergrouptest.Node
		for _, d := range net.Nodes() {
			at := rendezvousOf(d)
			if at == "" {
				at = d.Name() // of a rendezvous
			}
			if at <= "r0005" {
				island = append(island, d)
			}
		}
		for i := range edges {
			if slices.Contains(island, net.Edge(i+1)) {
				here = net.Edge(i + 1)
			} else {
				there = net.Edge(i + 1)
			}
		}
		publish(t, here, "from here")
		publish(t, there, "from there")
		time.Sleep(10 * time.Second)
		if !finds(t, there, "from here", 10*time.Second) || !finds(t, here, "from there", 10*time.Second) {
			t.Fatal("not one network at the beginning")
		}
		net.Partition(island...)
		time.Sleep(10 * time.Minute)
		publish(t, here, "news from here")
		publish(t, there, "news from there")
		time.Sleep(10 * time.Second)
		if finds(t, there, "news from here", 10*time.Second) || finds(t, here, "news from there", 10*time.Second) {
			t.Error("something crossed the partition")
		}
		for _, d := range net.Nodes() {
			if !d.Net().Rendezvous().Connected() {
				t.Errorf("%s lost its lease though its rendezvous was at its side", d.Name())
			}
		}
		net.Heal()
		healed := time.Now()
		const most = 5 * time.Minute
		for !finds(t, there, "news from here", 10*time.Second) || !finds(t, here, "news from there", 10*time.Second) {
			if time.Since(healed) > most {
				t.Fatalf("two networks %v after the partition", most)
			}
			time.Sleep(time.Second)
		}
		t.Logf("one network again within %v", time.Since(healed).Round(time.Second))
	})
}
