package memory_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/transport/memory"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// host records what its transport tells it.
type host struct {
	*memory.Transport
	addr endpoint.Address

	start time.Time

	mu    sync.Mutex
	links []endpoint.Link
	got   seen
}

// seen is what came to a host.
type seen struct {
	bodies []string
	times  []time.Duration // of the bodies, since the start
	closed []time.Duration
}

func (h *host) seen() seen {
	h.mu.Lock()
	defer h.mu.Unlock()
	return seen{slices.Clone(h.got.bodies), slices.Clone(h.got.times), slices.Clone(h.got.closed)}
}

func start(t testing.TB, net *memory.Network, cfg memory.TransportConfig) *host {
	t.Helper()
	h := &host{Transport: net.Transport(cfg), addr: endpoint.MustParseAddress("mem://" + cfg.Name), start: time.Now()}
	err := h.Start(endpoint.Host{
		Peer: id.NewPeer(id.NetGroup), Logger: slog.New(slog.DiscardHandler),
		Opened: func(l endpoint.Link) error {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.links = append(h.links, l)
			return nil
		},
		Receive: func(_ endpoint.Link, body []byte) error {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.got.bodies = append(h.got.bodies, string(body))
			h.got.times = append(h.got.times, time.Since(h.start))
			return nil
		},
		Closed: func(endpoint.Link) {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.got.closed = append(h.got.closed, time.Since(h.start))
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close() })
	return h
}

// bubble runs f in virtual time with two hosts and a link between them.
func bubble(t *testing.T, cfg memory.Config, f func(t *testing.T, net *memory.Network, a, b *host, ab, ba endpoint.Link)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(cfg)
		a, b := start(t, net, memory.TransportConfig{Name: "a"}), start(t, net, memory.TransportConfig{Name: "b"})
		ab, err := a.Dial(t.Context(), b.addr)
		if err != nil {
			t.Fatal(err)
		}
		f(t, net, a, b, ab, b.links[0])
	})
}

// pass lets virtual time pass, and all that is due then happen.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func (h *host) send(t *testing.T, l endpoint.Link, s string) {
	t.Helper()
	if err := l.Send(t.Context(), []byte(s)); err != nil {
		t.Error(err)
	}
}

// TestLatency: dialling takes a round trip, a message half of one, and so does the
// news that a link is closed.
func TestLatency(t *testing.T) {
	bubble(t, memory.Config{Latency: 40 * time.Millisecond}, func(t *testing.T, _ *memory.Network, a, b *host, ab, _ endpoint.Link) {
		if got := time.Since(a.start); got != 80*time.Millisecond {
			t.Errorf("dialling took %v", got)
		}
		sent := time.Since(b.start)
		a.send(t, ab, "x")
		a.send(t, ab, "y")
		_ = ab.Close()
		synctest.Wait()
		if len(a.seen().closed) != 1 || a.seen().closed[0] != sent || len(b.seen().closed) != 0 {
			t.Errorf("closed at %v and %v", a.seen().closed, b.seen().closed)
		}
		pass(time.Second)
		want := sent + 40*time.Millisecond
		if !slices.Equal(b.seen().bodies, []string{"x", "y"}) || b.seen().times[1] != want || !slices.Equal(b.seen().closed, []time.Duration{want}) {
			t.Errorf("%q at %v, closed at %v, want %v", b.seen().bodies, b.seen().times, b.seen().closed, want)
		}
	})
}

// TestJitterKeepsOrder, and is the same with the same seed.
func TestJitterKeepsOrder(t *testing.T) {
	var runs [2][]time.Duration
	for run := range runs {
		cfg := memory.Config{Latency: time.Millisecond, Jitter: 20 * time.Millisecond, Seed: 7}
		bubble(t, cfg, func(t *testing.T, _ *memory.Network, a, b *host, ab, _ endpoint.Link) {
			var want []string
			for i := range 100 {
				a.send(t, ab, fmt.Sprint(i))
				want = append(want, fmt.Sprint(i))
				pass(time.Millisecond)
			}
			pass(time.Second)
			if !slices.Equal(b.seen().bodies, want) {
				t.Errorf("got %q", b.seen().bodies)
			}
			runs[run] = b.seen().times
		})
	}
	if !slices.Equal(runs[0], runs[1]) {
		t.Error("two runs with one seed differ")
	}
	if first, last := runs[0][0], runs[0][99]; last-first == 99*time.Millisecond {
		t.Error("there is no jitter")
	}
}

// TestLoss: datagrams vanish in the share asked for, repeatably; links lose nothing.
func TestLoss(t *testing.T) {
	var runs [2][]string
	for run := range runs {
		synctest.Test(t, func(t *testing.T) {
			net := memory.New(memory.Config{Loss: 0.25, Latency: time.Millisecond, Seed: 3})
			a := start(t, net, memory.TransportConfig{Name: "a", Segment: "x"})
			b := start(t, net, memory.TransportConfig{Name: "b", Segment: "x"})
			for i := range 1000 {
				if err := a.Broadcast(t.Context(), []byte(fmt.Sprint(i))); err != nil {
					t.Fatal(err)
				}
				pass(time.Millisecond)
			}
			pass(time.Second)
			runs[run] = b.seen().bodies
			if len(a.seen().bodies) != 0 {
				t.Error("the sender got its own")
			}
			ab, err := a.Dial(t.Context(), b.addr)
			if err != nil {
				t.Fatal(err)
			}
			for range 200 {
				a.send(t, ab, "x")
			}
			pass(time.Second)
			if got := len(b.seen().bodies) - len(runs[run]); got != 200 {
				t.Errorf("%d of 200 arrived over a link", got)
			}
		})
	}
	if n := len(runs[0]); n < 700 || n > 800 {
		t.Errorf("%d of 1000 arrived, want about 750", n)
	}
	if !slices.Equal(runs[0], runs[1]) {
		t.Error("two runs with one seed differ")
	}
}

// TestNames: case does not count, and a name is one host's.
func TestNames(t *testing.T) {
	net := memory.New(memory.Config{})
	a, b := start(t, net, memory.TransportConfig{Name: "Ann"}), start(t, net, memory.TransportConfig{Name: "bob"})
	if got := a.Addresses(); len(got) != 1 || got[0] != endpoint.MustParseAddress("mem://ann") {
		t.Errorf("addresses %v", got)
	}
	if _, err := b.Dial(t.Context(), a.addr); err != nil {
		t.Error(err)
	}
	again := net.Transport(memory.TransportConfig{Name: "ann"})
	if err := again.Start(endpoint.Host{}); err == nil {
		t.Error("a name was given twice")
	}
	_ = again.Close() // must not take the name from who has it
	if _, err := b.Dial(t.Context(), a.addr); err != nil {
		t.Error(err)
	}
}

// TestDeaf hosts dial, and cannot be dialled.
func TestDeaf(t *testing.T) {
	net := memory.New(memory.Config{})
	a, b := start(t, net, memory.TransportConfig{Name: "a", Deaf: true}), start(t, net, memory.TransportConfig{Name: "b"})
	if len(a.Addresses()) != 0 {
		t.Errorf("addresses %v", a.Addresses())
	}
	if _, err := a.Dial(t.Context(), b.addr); err != nil {
		t.Error(err)
	}
	var de *endpoint.DialError
	if _, err := b.Dial(t.Context(), a.addr); !errors.As(err, &de) || de.Phase != endpoint.PhaseConnect {
		t.Errorf("the error is %v", err)
	}
}

// TestPartition: what crosses the shore waits for the partition to be healed, in
// order; nothing crosses it that was under way when it came.
func TestPartition(t *testing.T) {
	bubble(t, memory.Config{Latency: 10 * time.Millisecond}, func(t *testing.T, net *memory.Network, a, b *host, ab, ba endpoint.Link) {
		a.send(t, ab, "1")
		net.Partition("B") // case does not count here either
		a.send(t, ab, "2")
		b.send(t, ba, "3")
		pass(memory.BreakAfter - time.Second)
		if len(a.seen().bodies)+len(b.seen().bodies)+len(a.seen().closed)+len(b.seen().closed) != 0 {
			t.Errorf("got %q and %q, closed %v and %v", a.seen().bodies, b.seen().bodies, a.seen().closed, b.seen().closed)
		}
		net.Heal()
		pass(memory.BreakAfter + time.Second) // a break that was due is off
		if !slices.Equal(b.seen().bodies, []string{"1", "2"}) || !slices.Equal(a.seen().bodies, []string{"3"}) || len(a.seen().closed)+len(b.seen().closed) != 0 {
			t.Errorf("got %q and %q, closed %v and %v", a.seen().bodies, b.seen().bodies, a.seen().closed, b.seen().closed)
		}
	})
}

// TestPartitionBreaks: both sides find out for themselves, [memory.BreakAfter]
// after the partition, and lose what was held up. A second partition on top does
// not put that off.
func TestPartitionBreaks(t *testing.T) {
	bubble(t, memory.Config{}, func(t *testing.T, net *memory.Network, a, b *host, ab, ba endpoint.Link) {
		net.Partition("b")
		a.send(t, ab, "lost")
		pass(time.Second)
		net.Partition("c")
		pass(memory.BreakAfter)
		want := []time.Duration{memory.BreakAfter}
		if !slices.Equal(a.seen().closed, want) || !slices.Equal(b.seen().closed, want) {
			t.Errorf("closed at %v and %v, want %v", a.seen().closed, b.seen().closed, want)
		}
		for _, l := range []endpoint.Link{ab, ba} {
			if err := l.Send(t.Context(), []byte("x")); !errors.Is(err, endpoint.ErrLinkClosed) {
				t.Errorf("Send returned %v", err)
			}
		}
		net.Heal()
		pass(time.Minute)
		if len(b.seen().bodies) != 0 {
			t.Errorf("got %q", b.seen().bodies)
		}
	})
}

// TestCloseAcrossPartition: the other side does not hear of it, before the
// partition is healed or it gives up.
func TestCloseAcrossPartition(t *testing.T) {
	for _, heal := range []bool{true, false} {
		bubble(t, memory.Config{}, func(t *testing.T, net *memory.Network, a, b *host, ab, ba endpoint.Link) {
			net.Partition("b")
			_ = ab.Close()
			pass(10 * time.Second)
			if len(a.seen().closed) != 1 || len(b.seen().closed) != 0 {
				t.Errorf("closed %v and %v", a.seen().closed, b.seen().closed)
			}
			b.send(t, ba, "nobody hears this")
			want := memory.BreakAfter
			if heal {
				want = 10 * time.Second
				net.Heal()
			}
			pass(time.Minute)
			if len(b.seen().closed) != 1 || b.seen().closed[0] != want || len(a.seen().bodies) != 0 {
				t.Errorf("closed at %v, want %v; got %q", b.seen().closed, want, a.seen().bodies)
			}
		})
	}
}

// TestPartitionHoldsSenders: what is held up is bounded.
func TestPartitionHoldsSenders(t *testing.T) {
	bubble(t, memory.Config{}, func(t *testing.T, net *memory.Network, a, b *host, ab, _ endpoint.Link) {
		net.Partition("b")
		sent := 0
		for {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			err := ab.Send(ctx, []byte("x"))
			cancel()
			if err != nil {
				if !errors.Is(err, context.DeadlineExceeded) {
					t.Error(err)
				}
				break
			}
			if sent++; sent > 10000 {
				t.Fatal("Send does not wait")
			}
		}
		// One who waits is let go when either side breaks the link; whether his
		// message counts as sent then depends on which is first.
		done := make(chan error)
		go func() { done <- ab.Send(context.Background(), []byte("x")) }()
		if err := <-done; err != nil && !errors.Is(err, endpoint.ErrLinkClosed) {
			t.Errorf("a waiting Send ended with %v", err)
		}
		synctest.Wait()
		if err := ab.Send(t.Context(), []byte("x")); !errors.Is(err, endpoint.ErrLinkClosed) {
			t.Errorf("Send on a broken link returned %v", err)
		}
		if got := len(b.seen().bodies); got != 0 || len(a.seen().closed) != 1 {
			t.Errorf("%d messages crossed", got)
		}
	})
}

// TestIslandsAndBroadcast: datagrams stay on their island.
func TestIslandsAndBroadcast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{})
		hosts := map[string]*host{}
		for _, name := range []string{"a", "b", "c", "d"} {
			hosts[name] = start(t, net, memory.TransportConfig{Name: name, Segment: "lan"})
		}
		cast := func(name string) {
			if err := hosts[name].Broadcast(t.Context(), []byte(name)); err != nil {
				t.Error(err)
			}
			synctest.Wait()
		}
		net.Partition("a", "b")
		net.Partition("c")
		for _, name := range []string{"a", "c", "d"} {
			cast(name)
		}
		net.Partition("c", "d") // joins two islands, without healing the rest
		cast("c")
		for name, want := range map[string][]string{"a": nil, "b": {"a"}, "c": nil, "d": {"c"}} {
			if got := hosts[name].seen().bodies; !slices.Equal(got, want) {
				t.Errorf("%s got %q, want %q", name, got, want)
			}
		}
		if _, err := hosts["c"].Dial(t.Context(), hosts["d"].addr); err != nil {
			t.Error(err)
		}
	})
}

// TestRestCostsNoGoroutine: a thousand links that carry nothing.
func TestRestCostsNoGoroutine(t *testing.T) {
	net := memory.New(memory.Config{})
	hub := start(t, net, memory.TransportConfig{Name: "hub"})
	before := runtime.NumGoroutine()
	for i := range 1000 {
		h := start(t, net, memory.TransportConfig{Name: fmt.Sprintf("edge-%d", i), Deaf: true})
		if _, err := h.Dial(t.Context(), hub.addr); err != nil {
			t.Fatal(err)
		}
	}
	if got := runtime.NumGoroutine() - before; got > 0 {
		t.Errorf("a thousand links cost %d goroutines", got)
	}
}

// BenchmarkSend: one message over an instant network, taken on the other side.
func BenchmarkSend(b *testing.B) {
	net := memory.New(memory.Config{})
	took := make(chan struct{}, 1<<16)
	start := func(name string) *memory.Transport {
		tr := net.Transport(memory.TransportConfig{Name: name})
		_ = tr.Start(endpoint.Host{
			Peer: id.NewPeer(id.NetGroup), Opened: func(endpoint.Link) error { return nil },
			Receive: func(endpoint.Link, []byte) error { took <- struct{}{}; return nil }, Closed: func(endpoint.Link) {},
		})
		b.Cleanup(func() { _ = tr.Close() })
		return tr
	}
	start("b")
	l, err := start("a").Dial(context.Background(), endpoint.MustParseAddress("mem://b"))
	if err != nil {
		b.Fatal(err)
	}
	body, ctx := make([]byte, 1000), context.Background()
	b.ReportAllocs()
	for b.Loop() {
		if err := l.Send(ctx, body); err != nil {
			b.Fatal(err)
		}
		<-took
	}
}
