package peergroup_test

import (
	"context"
	"fmt"
	"runtime"
	"testing"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/transport/memory"
	"github.com/juxta-p2p/juxta/peergroup"
)

// maxGoroutines is what an edge with a lease may keep: its endpoint, and in the
// World and the net group the owners of lease, index and pipes.
const maxGoroutines = 8

// crowd starts edges that lease from one rendezvous, and returns what each of
// them costs at rest.
func crowd(tb testing.TB, n int) (goroutines float64, heap, stack uint64) {
	tb.Helper()
	network := memory.New(memory.Config{})
	open := func(cfg peergroup.Config) *peergroup.Peer {
		p, err := peergroup.Start(context.Background(), cfg)
		if err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(func() { _ = p.Close() })
		return p
	}
	config := func(name string) peergroup.Config {
		return peergroup.Config{
			Name: name, NoLAN: true, PeerID: id.PeerFromSeed(id.NetGroup, []byte(name)),
			Transports: []endpoint.Transport{network.Transport(memory.TransportConfig{Name: name})},
		}
	}
	r := config("rendezvous")
	r.Roles.Rendezvous = true
	open(r)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	routines := runtime.NumGoroutine()
	for i := range n {
		cfg := config(fmt.Sprintf("%05d", i))
		cfg.Seeds = []string{"mem://rendezvous"}
		if err := open(cfg).Net().Rendezvous().WaitConnected(context.Background()); err != nil {
			tb.Fatal(err)
		}
	}
	// What is still under way, such as first pushes, runs on goroutines that
	// end by themselves; the smallest of several looks counts.
	least := runtime.NumGoroutine()
	for range 50 {
		runtime.GC()
		least = min(least, runtime.NumGoroutine())
	}
	runtime.ReadMemStats(&after)
	return float64(least-routines) / float64(n), (after.HeapAlloc - before.HeapAlloc) / uint64(n), (after.StackInuse - before.StackInuse) / uint64(n)
}

func TestAnEdgeAtRestKeepsFewGoroutines(t *testing.T) {
	if g, _, _ := crowd(t, 40); g > maxGoroutines {
		t.Fatalf("%.1f goroutines an edge, the most is %d", g, maxGoroutines)
	}
}

func BenchmarkEdgeAtRest(b *testing.B) {
	for b.Loop() {
		g, heap, stack := crowd(b, 150)
		b.ReportMetric(g, "goroutines/edge")
		b.ReportMetric(float64(heap)/1024, "KiB-heap/edge")
		b.ReportMetric(float64(stack)/1024, "KiB-stack/edge")
	}
}
