package costtest

import (
	"bufio"
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/peergroup"
	"github.com/juxta-p2p/juxta/protocols/discovery"
)

// eachPublishes is how much one edge publishes at most; a rendezvous keeps two
// thousand entries of one holder, and a pipe has two.
const eachPublishes = 900

// wanted is the name that is searched for.
const wanted = "wanted"

// publish publishes a pipe of that name.
func publish(ctx context.Context, p *peergroup.Peer, name string) error {
	adv := &advertisements.Pipe{ID: id.NewPipe(id.NetGroup), Type: advertisements.Unicast, Name: name}
	return p.Net().Discovery().Publish(ctx, adv, discovery.Lifetime{})
}

// searchers starts a rendezvous that knows so many pipes of edges over TCP, and
// returns an edge that can find the wanted one, which another edge has.
func searchers(tb testing.TB, others int) *peergroup.Peer {
	tb.Helper()
	h := startHub(tb)
	edge := func() *peergroup.Peer {
		p, err := peergroup.Start(tb.Context(), edgeConfig("", h.seed))
		if err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(func() { _ = p.Close() })
		await(tb, h.joined, 1)
		return p
	}
	publish := func(p *peergroup.Peer, name string) {
		if err := publish(tb.Context(), p, name); err != nil {
			tb.Fatal(err)
		}
	}
	for done := 0; done < others; {
		p := edge()
		for range min(eachPublishes, others-done) {
			publish(p, fmt.Sprint("pipe ", done))
			done++
		}
	}
	publish(edge(), wanted)
	for end := time.Now().Add(patience); h.Net().Discovery().Index().Entries < 2*(others+1); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			tb.Fatalf("the rendezvous knows %d entries", h.Net().Discovery().Index().Entries)
		}
	}
	return edge()
}

// search finds the wanted pipe at the edge that has it.
func search(tb testing.TB, p *peergroup.Peer) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	q := discovery.Query{Kind: advertisements.Advs, Attr: "Name", Value: wanted, RemoteOnly: true}
	if _, err := p.Net().Discovery().FindOne(ctx, q); err != nil {
		tb.Fatal(err)
	}
}

// BenchmarkSearch is a question through a rendezvous to the edge that has the
// answer, and the answer, over encrypted TCP within one process.
func BenchmarkSearch(b *testing.B) {
	for _, others := range []int{10, 10_000} {
		b.Run(fmt.Sprint(others), func(b *testing.B) {
			p := searchers(b, others)
			b.ReportAllocs()
			measureSearch(b, p)
		})
	}
}

// measureSearch reports how long searches take.
func measureSearch(b *testing.B, p *peergroup.Peer) {
	search(b, p)
	var all []time.Duration
	for b.Loop() {
		began := time.Now()
		search(b, p)
		all = append(all, time.Since(began))
	}
	slices.Sort(all)
	b.ReportMetric(float64(all[len(all)/2])/float64(time.Microsecond), "µs-p50")
	b.ReportMetric(float64(all[len(all)*99/100])/float64(time.Microsecond), "µs-p99")
}

// BenchmarkSearchProcesses is the same where the rendezvous, those who publish and
// the one who searches are processes of their own.
func BenchmarkSearchProcesses(b *testing.B) {
	for _, others := range []int{10, 10_000} {
		b.Run(fmt.Sprint(others), func(b *testing.B) {
			cmd := child(b, "hub")
			out, err := cmd.StdoutPipe()
			if err != nil {
				b.Fatal(err)
			}
			start(b, cmd)
			seed, err := bufio.NewReader(out).ReadString('\n')
			if err != nil {
				b.Fatal(err)
			}
			seed = strings.TrimSpace(seed)
			start(b, child(b, "holders", fmt.Sprint(others), seed))
			p, err := peergroup.Start(b.Context(), edgeConfig("", seed))
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(func() { _ = p.Close() })
			if err := p.Net().Rendezvous().WaitConnected(b.Context()); err != nil {
				b.Fatal(err)
			}
			measureSearch(b, p) // the first one waits until all is published
		})
	}
}

// TestSearch bounds what a search allocates at the three peers together, which
// does not depend on how much the rendezvous knows.
func TestSearch(t *testing.T) {
	if racing {
		t.Skip("the race detector takes memory of its own")
	}
	const most, rounds, searches = 500, 5, 40
	for _, others := range []int{10, 2 * eachPublishes} {
		p := searchers(t, others)
		search(t, p)
		least := uint64(1 << 62)
		for range rounds { // what else goes on adds to it
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			for range searches {
				search(t, p)
			}
			runtime.ReadMemStats(&after)
			least = min(least, (after.Mallocs-before.Mallocs)/searches)
		}
		t.Logf("%d allocations a search among %d pipes", least, others)
		if least > most {
			t.Errorf("want %d at most", most)
		}
	}
}
