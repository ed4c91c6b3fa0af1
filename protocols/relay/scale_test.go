package relay_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/protocols/relay"
)

const crowd = 1000

// polling is a peer that asks for what came, and sleeps.
func (p *peer) poll(r *peer) {
	l := p.dial(r, "")
	p.ask(l, p.id, "connect,3600000,keep")
	_ = l.Close()
}

// TestAThousandPollingClients: each gets what is its own, none less than half of
// its share, although some are sent to much more than others, and memory stays
// bounded.
func TestAThousandPollingClients(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const (
			total  = 4 << 20
			size   = 4000
			rounds = 5
			greedy = crowd / 20 // of these, each as much as 20 others
		)
		w := newWorld(t, false)
		r := w.join("relay", 1, false)
		defer r.leave()
		s := r.serve(relay.ServerConfig{TotalBytes: total, Queue: 50})
		peers := make([]*peer, crowd)
		for i := range peers {
			peers[i] = w.join(fmt.Sprint("p", i), 100+i, true)
			defer peers[i].leave()
			peers[i].listen()
			peers[i].poll(r)
		}
		if n := len(s.Clients()); n != crowd {
			t.Fatalf("%d clients", n)
		}
		hop := endpoint.Address{Service: "EndpointService:jxta-NetGroup", Param: "app"}
		body := message.Bytes("", "b", make([]byte, size))
		before := heap()
		rng := rand.New(rand.NewPCG(1, 1))
		most := 0
		for range rounds {
			var turns []int
			for i := range peers {
				n := 1
				if i < greedy {
					n = 20
				}
				for range n {
					turns = append(turns, i)
				}
			}
			rng.Shuffle(len(turns), func(i, j int) { turns[i], turns[j] = turns[j], turns[i] })
			for _, i := range turns {
				s.Keep(peers[i].id, hop, message.New(message.Text("", "text", fmt.Sprint(i)), body))
				most = max(most, s.Stats().Bytes)
			}
			for _, p := range peers {
				p.poll(r)
			}
		}
		grown := heap() - before
		if st := s.Stats(); most > total || st.Bytes != 0 {
			t.Errorf("kept %d octets at most, %d at the end", most, st.Bytes)
		}
		var got []int
		for i, p := range peers {
			for _, text := range p.texts() {
				if text != fmt.Sprint(i) {
					t.Fatalf("%d got what is for %s", i, text)
				}
			}
			if i >= greedy {
				got = append(got, len(p.texts()))
			}
		}
		// The share is what there is room for, which is less than what is sent.
		if least := slices.Min(got); 2*least < rounds {
			t.Errorf("one of the modest got %d of %d", least, rounds)
		}
		t.Logf("modest clients got %d to %d of %d messages; %d octets at most were kept; the heap grew by %d KiB", slices.Min(got), slices.Max(got), rounds, most, grown>>10)
	})
}

// TestAThousandClients hold their leases for an hour, at a bounded cost.
func TestAThousandClients(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, false)
		r := w.join("relay", 1, false)
		defer r.leave()
		s := r.serve(relay.ServerConfig{})
		peers := make([]*peer, crowd)
		for i := range peers {
			peers[i] = w.join(fmt.Sprint("p", i), 100+i, true)
			defer peers[i].leave()
		}
		before := heap()
		clients := make([]*relay.Client, crowd)
		begin := time.Now()
		for i, p := range peers {
			clients[i] = p.lease(relay.ClientConfig{Relays: 1}, r)
		}
		within(t, time.Minute, "all leases", func() bool { return len(s.Clients()) == crowd })
		took := time.Since(begin)
		grown := heap() - before
		time.Sleep(time.Hour)
		if n := len(s.Clients()); n != crowd {
			t.Errorf("%d clients after an hour", n)
		}
		for _, c := range clients {
			if st := c.Stats(); st.Lost != 0 || st.Granted != 1 {
				t.Fatalf("%+v", st)
			}
		}
		t.Logf("all leased after %v; relay and clients together cost %d KiB a client", took, grown>>10/crowd)
		if grown > crowd*64<<10 {
			t.Errorf("the heap grew by %d KiB a client", grown>>10/crowd)
		}
	})
}

func heap() int {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

// TestASlowClientHoldsNobodyUp: its messages wait for it alone.
func TestASlowClientHoldsNobodyUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, false)
		r, slow, quick := w.join("relay", 1, false), w.join("slow", 2, true), w.join("quick", 3, true)
		defer r.leave()
		defer slow.leave()
		defer quick.leave()
		s := r.serve(relay.ServerConfig{Queue: relay.MaxQueue})
		for _, p := range []*peer{slow, quick} {
			p.listen()
			p.poll(r)
		}
		time.Sleep(time.Second)
		release := make(chan struct{})
		must(slow.scope.Handle("stuck", "", func(context.Context, endpoint.Incoming) { <-release }))
		slow.dial(r, "")
		link := r.ep.LinkTo(slow.id)
		for range 300 { // more than a link holds
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			_ = r.scope.SendOn(ctx, link, "stuck", "", message.New(message.Text("", "text", "y")))
			cancel()
		}
		hop := endpoint.Address{Service: "EndpointService:jxta-NetGroup", Param: "app"}
		for range 100 {
			for _, p := range []*peer{slow, quick} {
				s.Keep(p.id, hop, message.New(message.Text("", "text", "x")))
			}
		}
		quick.dial(r, "")
		within(t, time.Second, "what waited for the quick one", func() bool { return len(quick.texts()) == 100 })
		if n := len(slow.texts()); n > 0 {
			t.Errorf("the slow one has got %d", n)
		}
		close(release)
		within(t, time.Minute, "what waited for the slow one", func() bool { return len(slow.texts()) == 100 })
	})
}
