package costtest

import (
	"context"
	"os/exec"
	"slices"
	"testing"
	"time"

	"github.com/juxta-p2p/juxta/peergroup"
)

// programs are what is measured as whole processes.
var programs = []struct {
	name string
	cmd  func(tb testing.TB, home, seed string) *exec.Cmd
}{
	{"peer", func(tb testing.TB, home, seed string) *exec.Cmd { return child(tb, "peer", home, seed) }},
	{"shell", func(tb testing.TB, home, seed string) *exec.Cmd { return shell(tb, home, seed) }},
}

// BenchmarkStartToLease is from the start of a process that has a home to the
// moment when a rendezvous of the same machine has granted it a lease. "inside" is
// the part of it that begins with peergroup.Start.
func BenchmarkStartToLease(b *testing.B) {
	for _, program := range programs {
		b.Run(program.name, func(b *testing.B) {
			h, home := startHub(b), b.TempDir()
			timed(b, func() time.Duration {
				began := time.Now()
				r := start(b, program.cmd(b, home, h.seed))
				await(b, h.joined, 1)
				took := time.Since(began)
				// A process that ends before it has heard of its lease cannot give it back.
				time.Sleep(20 * time.Millisecond)
				r.stop()
				h.without(b)
				return took
			})
		})
	}
	b.Run("inside", func(b *testing.B) {
		h, home := startHub(b), b.TempDir()
		timed(b, func() time.Duration {
			began := time.Now()
			p, err := peergroup.Start(context.Background(), edgeConfig(home, h.seed))
			if err != nil {
				b.Fatal(err)
			}
			if err := p.Net().Rendezvous().WaitConnected(context.Background()); err != nil {
				b.Fatal(err)
			}
			took := time.Since(began)
			if err := p.Close(); err != nil {
				b.Fatal(err)
			}
			return took
		})
	})
}

// timed reports the median of what f says it took. The first time, which makes the
// home, does not count.
func timed(b *testing.B, f func() time.Duration) {
	f()
	var all []time.Duration
	for b.Loop() {
		all = append(all, f())
	}
	slices.Sort(all)
	b.ReportMetric(float64(all[len(all)/2])/float64(time.Millisecond), "ms-median")
	b.ReportMetric(float64(all[len(all)*9/10])/float64(time.Millisecond), "ms-p90")
	b.ReportMetric(0, "ns/op") // the median tells more
}
