package memory_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/transport/memory"
)

// TestChanceIsTheLinks: delays do not depend on what else the network carries, nor
// on who dials first; two links and two directions differ.
func TestChanceIsTheLinks(t *testing.T) {
	cfg := memory.Config{Latency: 10 * time.Millisecond, Jitter: 20 * time.Millisecond, LinkLoss: 0.1, Seed: 7}
	times := func(others int) (ab, ba []time.Duration) {
		synctest.Test(t, func(t *testing.T) {
			net := memory.New(cfg)
			a, b := start(t, net, memory.TransportConfig{Name: "a"}), start(t, net, memory.TransportConfig{Name: "b"})
			var noise []endpoint.Link
			for i := range others {
				h := start(t, net, memory.TransportConfig{Name: fmt.Sprint("other-", i)})
				l, err := h.Dial(t.Context(), b.addr)
				if err != nil {
					t.Fatal(err)
				}
				noise = append(noise, l)
			}
			began := time.Now()
			l, err := a.Dial(t.Context(), b.addr)
			if err != nil {
				t.Fatal(err)
			}
			ab, ba = append(ab, time.Since(began)), append(ba, 0)
			back := b.links[len(b.links)-1]
			for range 50 {
				took := func(from, to *host, l endpoint.Link) time.Duration {
					n, sent := len(to.seen().bodies), time.Now()
					from.send(t, l, "x")
					for _, l := range noise {
						_ = l.Send(t.Context(), []byte("noise"))
					}
					pass(time.Second)
					s := to.seen()
					at := s.times[n+slices.Index(s.bodies[n:], "x")]
					return at - sent.Sub(to.start)
				}
				ab, ba = append(ab, took(a, b, l)), append(ba, took(b, a, back))
			}
		})
		return ab, ba
	}
	ab, ba := times(0)
	ab2, ba2 := times(3)
	if !slices.Equal(ab, ab2) || !slices.Equal(ba, ba2) {
		t.Errorf("others changed the delays:\n%v\n%v\n%v\n%v", ab, ab2, ba, ba2)
	}
	if slices.Equal(ab[1:], ba[1:]) {
		t.Error("both directions have the same delays")
	}
	cfg.Seed++
	if other, _ := times(0); slices.Equal(ab, other) {
		t.Error("another seed changes nothing")
	}
}

// TestSpread is added where there is no jitter, and stays below its bound.
func TestSpread(t *testing.T) {
	cfg := memory.Config{Latency: time.Millisecond, Spread: 50 * time.Microsecond}
	bubble(t, cfg, func(t *testing.T, _ *memory.Network, a, b *host, ab, _ endpoint.Link) {
		different := map[time.Duration]bool{}
		for range 100 {
			sent := time.Since(b.start)
			a.send(t, ab, "x")
			pass(time.Second)
			s := b.seen()
			d := s.times[len(s.times)-1] - sent
			if d < time.Millisecond || d >= time.Millisecond+50*time.Microsecond {
				t.Fatalf("a message took %v", d)
			}
			different[d] = true
		}
		if len(different) < 90 {
			t.Errorf("%d different delays among 100", len(different))
		}
	})
}

// TestLinkLoss: a lost message comes a retransmission later, and holds up what
// follows; nothing is lost for good.
func TestLinkLoss(t *testing.T) {
	const n, share = 2000, 0.1
	cfg := memory.Config{Latency: 40 * time.Millisecond, LinkLoss: share, Seed: 1}
	late := cfg.Latency + memory.Retransmission + cfg.Latency
	bubble(t, cfg, func(t *testing.T, _ *memory.Network, a, b *host, ab, _ endpoint.Link) {
		lost := 0
		for i := range n {
			sent := time.Since(b.start)
			a.send(t, ab, fmt.Sprint(i))
			pass(time.Second)
			s := b.seen()
			if len(s.bodies) != i+1 || s.bodies[i] != fmt.Sprint(i) {
				t.Fatalf("message %d did not come", i)
			}
			switch s.times[i] - sent {
			case cfg.Latency:
			case late:
				lost++
			default:
				t.Fatalf("a message took %v", s.times[i]-sent)
			}
		}
		if lost < n*share/2 || lost > n*share*2 {
			t.Errorf("%d of %d were lost, want about %v", lost, n, n*share)
		}
	})
	cfg.LinkLoss = 1
	bubble(t, cfg, func(t *testing.T, net *memory.Network, a, b *host, ab, _ endpoint.Link) {
		sent := time.Since(b.start)
		a.send(t, ab, "1")
		time.Sleep(10 * time.Millisecond)
		a.send(t, ab, "2")
		_ = ab.Close() // the news of it can be lost, too
		pass(time.Second)
		s := b.seen()
		want := []time.Duration{sent + late, sent + 10*time.Millisecond + late}
		if !slices.Equal(s.times, want) || !slices.Equal(s.closed, want[1:]) {
			t.Errorf("came at %v, closed %v, want %v", s.times, s.closed, want)
		}
	})
}

// TestLossHoldsUpWhatFollows as TCP does, which keeps the order.
func TestLossHoldsUpWhatFollows(t *testing.T) {
	cfg := memory.Config{Latency: 10 * time.Millisecond, LinkLoss: 0.2, Seed: 3}
	bubble(t, cfg, func(t *testing.T, _ *memory.Network, a, b *host, ab, _ endpoint.Link) {
		var want []string
		for i := range 200 {
			a.send(t, ab, fmt.Sprint(i))
			want = append(want, fmt.Sprint(i))
			time.Sleep(time.Millisecond)
		}
		pass(time.Minute)
		if s := b.seen(); !slices.Equal(s.bodies, want) || !slices.IsSorted(s.times) {
			t.Errorf("got %v", s.bodies)
		}
	})
}

// TestTap sees every message that a link took, in both directions, and nothing
// else.
func TestTap(t *testing.T) {
	var mu sync.Mutex
	var seen []string
	cfg := memory.Config{Tap: func(from, to string, body []byte) {
		mu.Lock()
		defer mu.Unlock()
		seen = append(seen, fmt.Sprintf("%s>%s %s", from, to, body))
	}}
	bubble(t, cfg, func(t *testing.T, _ *memory.Network, a, b *host, ab, ba endpoint.Link) {
		a.send(t, ab, "1")
		b.send(t, ba, "2")
		pass(time.Second)
		_ = ab.Close()
		pass(time.Second)
		if err := ba.Send(t.Context(), []byte("3")); !errors.Is(err, endpoint.ErrLinkClosed) {
			t.Errorf("Send returned %v", err)
		}
	})
	if want := []string{"a>b 1", "b>a 2"}; !slices.Equal(seen, want) {
		t.Errorf("saw %q, want %q", seen, want)
	}
}

// TestLinkAtRestIsSmall: both sides of it, with what the transports keep.
func TestLinkAtRestIsSmall(t *testing.T) {
	const links, most = 2000, 1500 // octets
	net := memory.New(memory.Config{})
	quiet := func(name string) *memory.Transport {
		tr := net.Transport(memory.TransportConfig{Name: name})
		err := tr.Start(endpoint.Host{
			Peer: id.NewPeer(id.NetGroup), Logger: slog.New(slog.DiscardHandler), Opened: func(endpoint.Link) error { return nil },
			Receive: func(endpoint.Link, []byte) error { return nil }, Closed: func(endpoint.Link) {},
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = tr.Close() })
		return tr
	}
	a, b := quiet("a"), quiet("b")
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for range links {
		l, err := a.Dial(t.Context(), b.Addresses()[0])
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if err := l.Send(t.Context(), bytes.Repeat([]byte("x"), 1000)); err != nil {
				t.Fatal(err)
			}
		}
	}
	for range 5 { // what is under way arrives
		runtime.GC()
	}
	runtime.ReadMemStats(&after)
	if each := (after.HeapAlloc - before.HeapAlloc) / links; each > most {
		t.Errorf("a link keeps %d octets, the most is %d", each, most)
	} else {
		t.Logf("a link keeps %d octets", each)
	}
	runtime.KeepAlive(net)
}

// BenchmarkManyLinks: messages over many links at once, which must not wait for
// each other.
func BenchmarkManyLinks(b *testing.B) {
	const hosts = 64
	net := memory.New(memory.Config{Jitter: time.Microsecond})
	var got sync.WaitGroup
	open := func(name string) *memory.Transport {
		tr := net.Transport(memory.TransportConfig{Name: name})
		_ = tr.Start(endpoint.Host{
			Peer: id.NewPeer(id.NetGroup), Opened: func(endpoint.Link) error { return nil },
			Receive: func(endpoint.Link, []byte) error { got.Done(); return nil }, Closed: func(endpoint.Link) {},
		})
		b.Cleanup(func() { _ = tr.Close() })
		return tr
	}
	hub := open("hub")
	links := make(chan endpoint.Link, hosts)
	for i := range hosts {
		l, err := open(fmt.Sprint("h", i)).Dial(b.Context(), hub.Addresses()[0])
		if err != nil {
			b.Fatal(err)
		}
		links <- l
	}
	body := make([]byte, 1000)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		l := <-links
		for pb.Next() {
			got.Add(1)
			if err := l.Send(b.Context(), body); err != nil {
				b.Error(err)
			}
		}
	})
	got.Wait()
}
