package jxsetest_test

import (
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/juxta-p2p/juxta/peergroup"
	"github.com/juxta-p2p/juxta/protocols/discovery"
	"github.com/juxta-p2p/juxta/protocols/resolver"
)

// burstVariable names how many advertisements a Java edge publishes at once;
// [burst] if it is not set. Java can publish a thousand in a second, if it has a
// core for itself.
const (
	burstVariable = "JUXTA_JXSE_BURST"
	burst         = 1_000
)

// TestJavaPublishesABurst: what a Juxta rendezvous gets to index from a Java edge
// that publishes thousands of advertisements at once.
func TestJavaPublishesABurst(t *testing.T) {
	t.Parallel()
	n := burst
	if s := os.Getenv(burstVariable); s != "" {
		var err error
		if n, err = strconv.Atoi(s); err != nil {
			t.Fatal(err)
		}
	}
	gr := startGo(t, peergroup.Config{Name: "gr", Roles: peergroup.Roles{Rendezvous: true}})
	je := startJava(t, "je", "edge", "seeds="+address(gr))
	je.Do("waitrdv")
	// The push at the lease is over when its entries are there.
	eventually(t, soon, "the first index entries", func() bool { return gr.Net().Discovery().Index().Holders >= 1 })

	disc, res := gr.Net().Discovery(), gr.Net().Resolver()
	before, messages := disc.Stats(), res.Stats()
	begin := time.Now()
	r, err := je.Call(within(t, 5*time.Minute), "publishmany", fmt.Sprintf("count=%d", n), "name=burst")
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("Java published %d pipes in %d ms", r.Int("count"), r.Int("ms"))
	pushed(t, gr, before, messages, begin, n, 3*push)

	// At a new lease it tells everything again.
	before, messages, begin = disc.Stats(), res.Stats(), time.Now()
	je.Do("reconnect")
	pushed(t, gr, before, messages, begin, n, 3*push)
	if st := disc.Stats(); st.DroppedMalformed+st.DroppedRefused+st.DroppedOverBudget != 0 || disc.Index().Entries < 2*n {
		t.Errorf("kept are %d entries; %+v", disc.Index().Entries, st)
	}
}

// pushed waits until the entries of n pipes came, two for each: its ID and its
// name.
func pushed(t *testing.T, p *peergroup.Peer, before discovery.Stats, messages resolver.Stats, begin time.Time, n int, limit time.Duration) {
	t.Helper()
	disc, res := p.Net().Discovery(), p.Net().Resolver()
	var first time.Duration
	for {
		entries, came := disc.Stats().Indexed-before.Indexed, res.Stats().Indexes-messages.Indexes
		now := time.Since(begin)
		if came > 0 && first == 0 {
			first = now
		}
		if entries >= uint64(2*n) {
			t.Logf("%d index messages with %d entries, the first after %v, read %v later",
				came, entries, first.Round(time.Millisecond), (now - first).Round(time.Millisecond))
			return
		}
		if now > limit {
			t.Fatalf("%d index messages with %d entries after %v, want %d; %+v", came, entries, now, 2*n, disc.Stats())
		}
		time.Sleep(time.Millisecond)
	}
}
