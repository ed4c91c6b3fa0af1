package jxsetest_test

import (
	"context"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/peergroup"
	"github.com/juxta-p2p/juxta/protocols/rendezvous"
)

// stayVariable names a duration, such as 3m: how long the views of a mixed group
// are watched; [stay] if it is not set.
const (
	stayVariable = "JUXTA_JXSE_STAY"
	stay         = 15 * time.Second
)

// four are two Java and two Juxta rendezvous that take turns in the order of
// their IDs, Java first, and an edge of each.
type four struct {
	ids    []id.Peer
	j0, j2 *javaPeer
	g1, g3 *peergroup.Peer
	edges  []*edge
}

// edge is an edge of either kind.
type edge struct {
	name string
	at   int // the place of its rendezvous in the row
	java *javaPeer
	juxt *peergroup.Peer
}

// row makes the IDs of n peers, in the order in which rendezvous stand.
func row(n int) []id.Peer {
	var all []id.Peer
	for range n {
		all = append(all, id.NewPeer(id.NetGroup))
	}
	slices.SortFunc(all, compareIDs)
	return all
}

// without returns the others.
func without(all []id.Peer, p id.Peer) []id.Peer {
	return slices.DeleteFunc(slices.Clone(all), func(q id.Peer) bool { return p == q })
}

// startFour starts the rendezvous, each seeded with one of those before it, and
// waits until all have met.
func startFour(t *testing.T) *four {
	t.Helper()
	f := &four{ids: row(4)}
	f.g1 = startGoRendezvous(t, "g1", f.ids[1])
	f.j0 = startJava(t, "j0", "rendezvous", "peerid="+f.ids[0].String(), "seeds="+address(f.g1))
	f.g3 = startGoRendezvous(t, "g3", f.ids[3], f.j0.addr)
	f.j2 = startJava(t, "j2", "rendezvous", "peerid="+f.ids[2].String(), "seeds="+f.j0.addr)
	begin := time.Now()
	if f.j0.id != f.ids[0] || f.j2.id != f.ids[2] || f.g1.ID() != f.ids[1] || f.g3.ID() != f.ids[3] {
		t.Fatalf("the IDs are %s, want %s", short([]id.Peer{f.j0.id, f.g1.ID(), f.j2.id, f.g3.ID()}), short(f.ids))
	}
	for _, g := range []*peergroup.Peer{f.g1, f.g3} {
		awaitView(t, g, javaSlow+3*soon, without(f.ids, g.ID())...)
		t.Logf("the view of Juxta %s is complete after %v", g.Name(), time.Since(begin).Round(time.Millisecond))
	}
	for _, j := range []*javaPeer{f.j0, f.j2} {
		j.awaitView(t, javaSlow+3*soon, without(f.ids, j.id)...)
		t.Logf("the view of Java %s is complete after %v", j.id.Short(), time.Since(begin).Round(time.Millisecond))
	}
	return f
}

// startEdges starts an edge at each rendezvous: a Java one at the first two, of
// which one is Java and one Juxta, and a Juxta one at the others, likewise.
func (f *four) startEdges(t *testing.T) {
	t.Helper()
	f.edges = []*edge{
		{name: "Java edge of Java", at: 0, java: startJava(t, "e0", "edge", "seeds="+f.j0.addr)},
		{name: "Java edge of Juxta", at: 1, java: startJava(t, "e1", "edge", "seeds="+address(f.g1))},
		{name: "Juxta edge of Java", at: 2, juxt: startGo(t, peergroup.Config{Name: "e2"}, f.j2.addr)},
		{name: "Juxta edge of Juxta", at: 3, juxt: startGo(t, peergroup.Config{Name: "e3"}, address(f.g3))},
	}
}

// leased waits until the edges have their leases, each at its rendezvous.
func (f *four) leased(t *testing.T) {
	t.Helper()
	for _, e := range f.edges {
		var got id.Peer
		if e.java != nil {
			got, _ = id.ParsePeer(e.java.Do("waitrdv").Texts("peers")[0])
		} else {
			connected(t, e.juxt)
			l, _ := e.juxt.Net().Rendezvous().Lease()
			got = l.Peer
		}
		if got != f.ids[e.at] {
			t.Fatalf("%s leases from %s, not %s", e.name, got.Short(), f.ids[e.at].Short())
		}
	}
}

// TestFourRendezvous: two Java and two Juxta rendezvous, each with an edge, work
// as one group.
func TestFourRendezvous(t *testing.T) {
	t.Parallel()
	f := startFour(t)
	f.startEdges(t)
	list := f.publishLookups(t)
	f.publishPatterns(t)
	f.leased(t)
	t.Run("Views", f.testViews)
	t.Run("Places", func(t *testing.T) { f.testPlaces(t, list) })
	t.Run("Walks", f.testWalks)
	t.Run("Propagation", f.testPropagation)
	t.Run("ViewsAgain", func(t *testing.T) { f.complete(t) })
}

// complete checks that all views are.
func (f *four) complete(t *testing.T) {
	t.Helper()
	for _, j := range []*javaPeer{f.j0, f.j2} {
		if got, want := j.view(t), without(f.ids, j.id); !slices.Equal(got, want) {
			t.Fatalf("the view of Java %s has become %s, want %s", j.id.Short(), short(got), short(want))
		}
	}
	for _, g := range []*peergroup.Peer{f.g1, f.g3} {
		if got, want := g.Net().Rendezvous().View(), without(f.ids, g.ID()); !slices.Equal(got, want) {
			t.Fatalf("the view of Juxta %s has become %s, want %s", g.Name(), short(got), short(want))
		}
	}
}

// testViews watches the views, which stay complete.
func (f *four) testViews(t *testing.T) {
	long := stay
	if s := os.Getenv(stayVariable); s != "" {
		var err error
		if long, err = time.ParseDuration(s); err != nil {
			t.Fatal(err)
		}
	}
	w1, w3 := watch(t, f.g1), watch(t, f.g3)
	ctx, cancel := context.WithTimeout(t.Context(), long)
	defer cancel()
	every := time.NewTicker(500 * time.Millisecond)
	defer every.Stop()
	looks := 0
	for ; ctx.Err() == nil; looks++ {
		f.complete(t)
		select {
		case <-every.C:
		case <-ctx.Done():
		}
	}
	for _, w := range []*witness{w1, w3} {
		w.mu.Lock()
		for _, ev := range w.list {
			if ev.Kind == rendezvous.ViewLeft {
				t.Errorf("%s has left a view of Juxta", ev.Peer.Short())
			}
		}
		w.mu.Unlock()
	}
	t.Logf("complete for %v, %d looks; g1 %+v, g3 %+v", long, looks,
		f.g1.Net().Rendezvous().PeerView().Stats(), f.g3.Net().Rendezvous().PeerView().Stats())
}
