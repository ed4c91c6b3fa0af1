package peergrouptest_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/juxta-p2p/juxta/peergroup/peergrouptest"
)

// simulate runs a simulation in virtual time.
func simulate(t *testing.T, sim peergrouptest.Sim) *peergrouptest.Report {
	t.Helper()
	var rep *peergrouptest.Report
	synctest.Test(t, func(t *testing.T) {
		var err error
		if rep, err = peergrouptest.Run(context.Background(), sim); err != nil {
			t.Fatal(err)
		}
	})
	m := rep.Machine
	t.Logf("%d peers, %d rendezvous: %v of virtual time in %v; %d messages; %d of %d lookups found, p95 %.3fs; %.1f messages a lookup; an edge takes %.0f KiB and %.1f goroutines",
		rep.Sim.Peers, rep.Sim.Rendezvous, rep.Virtual.Duration().Round(time.Second), m.Wall.Duration().Round(time.Millisecond), rep.Messages,
		rep.Found.Hits, rep.Found.Counted, rep.Found.Time.P95, rep.Cost.Messages.Mean, (m.Heap+m.Stack)/1024, m.Goroutines)
	return rep
}

// TestOneSeedOneReport: chance comes from the seed alone. The scheduler may come
// between once in a while, also on one processor, but not each time.
func TestOneSeedOneReport(t *testing.T) {
	if race {
		t.Skip("the race detector has the scheduler draw lots")
	}
	sim := peergrouptest.Sim{
		Peers: 60, Latency: 40 * time.Millisecond, Jitter: 10 * time.Millisecond, Loss: 0.01, Churn: 0.1, For: 3 * time.Minute, Seed: 7, Exact: true,
	}
	text := func(sim peergrouptest.Sim) string {
		rep := simulate(t, sim)
		rep.Machine, rep.Sim.Seed = peergrouptest.Machine{}, 0
		b, err := json.MarshalIndent(rep, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	const attempts = 4
	first, difference := text(sim), ""
	for range attempts {
		if difference = cmp.Diff(strings.Split(first, "\n"), strings.Split(text(sim), "\n")); difference == "" {
			break
		}
	}
	if difference != "" {
		t.Errorf("runs of one seed differ:\n%s", difference)
	}
	sim.Seed++
	if text(sim) == first {
		t.Error("another seed makes no difference")
	}
}

// TestChurnStory: a thousand peers, a tenth of whom is replaced each minute.
func TestChurnStory(t *testing.T) {
	sim := peergrouptest.Sim{
		Peers: 1000, Latency: 40 * time.Millisecond, Jitter: 10 * time.Millisecond, Loss: 0.01, Churn: 0.1, For: 2 * time.Minute, Lookups: 200, Seed: 7,
	}
	if race || testing.Short() {
		sim.Peers, sim.Lookups = 100, 50
	}
	rep := simulate(t, sim)
	if rep.Settled.Leases == nil || rep.Settled.Leases.Duration() > 2*time.Minute {
		t.Errorf("settled %+v", rep.Settled)
	}
	f := rep.Found
	if f.Hung != 0 || f.Counted < f.Asked*3/4 || f.HitRate < 0.9 {
		t.Errorf("%+v", f)
	}
	if c := rep.Churn; c.Left != sim.Peers*2/10 || c.Crashed != c.Left/2 || c.Started != c.Left {
		t.Errorf("%+v", c)
	}
	if l := rep.Leases; l.Share < 0.97 || l.Longest.Duration() > 2*time.Minute {
		t.Errorf("%+v", l)
	}
	if len(rep.Curve) < 60 || rep.Curve[0].At != 0 || rep.Curve[len(rep.Curve)-1].Peers != sim.Peers {
		t.Errorf("%d samples", len(rep.Curve))
	}
}

// TestCalmStory: without churn every lookup is a hit, and costs little.
func TestCalmStory(t *testing.T) {
	rep := simulate(t, peergrouptest.Sim{Peers: 100, Latency: 40 * time.Millisecond, For: 2 * time.Minute, Seed: 1})
	f := rep.Found
	if f.Asked != 100 || f.Counted != 100 || f.Hits != 100 || f.HitRate != 1 || f.Hung != 0 || f.Time.N != 100 {
		t.Errorf("%+v", f)
	}
	// No answer is quicker than four ways: to the rendezvous, to the holder and
	// back, with a link to open.
	if f.Time.P50 < 0.12 || f.Time.Max > 10 {
		t.Errorf("found after %+v", f.Time)
	}
	if c := rep.Cost; c.Messages.N != 100 || c.Messages.P50 < 2 || c.Octets.Mean < 100*c.Messages.Mean || c.Hops.N == 0 || c.Hops.P50 < 1 {
		t.Errorf("%+v", c)
	}
	if rep.Settled.Views == nil || rep.Views.Known != 1 || rep.Leases.Share != 1 || rep.Leases.Never != 0 || rep.Churn.Left != 0 {
		t.Errorf("%+v %+v %+v", rep.Settled, rep.Views, rep.Leases)
	}
	if l := rep.Load; l.Rendezvous.N != 10 || l.Edges.N != 90 || l.Rendezvous.Mean <= l.Edges.Mean {
		t.Errorf("%+v", l)
	}
	if m := rep.Machine; m.Wall <= 0 || m.Goroutines <= 0 || m.Heap < 1<<10 || m.Peak == 0 {
		t.Errorf("%+v", m)
	}
	sum := uint64(0)
	for _, n := range rep.Kinds {
		sum += n
	}
	if sum == 0 || sum > rep.Messages || rep.Kinds["queries"] == 0 || rep.Kinds["answers"] == 0 {
		t.Errorf("%d messages, of these %v", rep.Messages, rep.Kinds)
	}
}

// TestLookupsThatDoNotCount: who leaves while being looked for, or has just come,
// is no miss.
func TestLookupsThatDoNotCount(t *testing.T) {
	rep := simulate(t, peergrouptest.Sim{Peers: 20, Rendezvous: 2, Churn: 3, For: 2 * time.Minute, Lookups: 200, Seed: 2})
	sum := rep.Found.Counted
	for _, n := range rep.Found.NotCounted {
		sum += n
	}
	if len(rep.Found.NotCounted) == 0 || sum != rep.Found.Asked {
		t.Errorf("%+v", rep.Found)
	}
}

// TestRunEnds with its context, and refuses what makes no sense.
func TestRunEnds(t *testing.T) {
	outside, cancel := context.WithCancel(context.Background())
	synctest.Test(t, func(t *testing.T) {
		sim := peergrouptest.Sim{Peers: 10, For: time.Hour, Progress: func(peergrouptest.Progress) { cancel() }}
		if _, err := peergrouptest.Run(outside, sim); err == nil {
			t.Error("it went on")
		}
		for _, sim := range []peergrouptest.Sim{
			{Peers: 1}, {Peers: -3}, {Peers: 5, Rendezvous: 6}, {Churn: -1}, {Churn: 11}, {Loss: 2}, {Latency: -1}, {For: -1},
		} {
			if _, err := peergrouptest.Run(t.Context(), sim); err == nil {
				t.Errorf("%+v is simulated", sim)
			}
		}
	})
}
