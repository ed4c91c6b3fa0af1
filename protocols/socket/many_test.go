package socket

import (
	"io"
	"runtime"
	"sync"
	"testing"
	"time"
)

// Thousands of connections at rest cost no goroutine, and little memory.
func TestManyAtRest(t *testing.T) {
	n := 10_000
	if testing.Short() || raceEnabled {
		n = 1000
	}
	a, b := pair(t, "memory")
	adv := unicast("s")
	l := a.listen(adv, ListenConfig{})
	var memory runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&memory)
	heap, goroutines := memory.HeapAlloc, runtime.NumGoroutine()
	start := time.Now()
	xs, ys := make([]*Conn, 0, n), make([]*Conn, 0, n)
	for range n {
		xs = append(xs, b.dial(adv, DialConfig{}))
		ys = append(ys, l.accept(t))
	}
	opened := time.Since(start)
	for i := range xs {
		write(t, xs[i], "hello")
		want(t, "read", read(t, ys[i], 5), "hello")
	}
	eventually(t, "goroutines", func() bool { return runtime.NumGoroutine() < goroutines+20 })
	runtime.GC()
	runtime.ReadMemStats(&memory)
	each := (memory.HeapAlloc - heap) / uint64(n)
	if most := uint64(32 << 10); each > most {
		t.Errorf("a connection, both ends, takes %d octets, the most is %d", each, most)
	}
	start = time.Now()
	for i := range xs {
		_ = xs[i].Close()
		_ = ys[i].Close()
	}
	eventually(t, "all closed", func() bool { return a.s.Stats().Open+b.s.Stats().Open == 0 })
	t.Logf("%d connections opened in %v, closed in %v, %d octets each", n, opened, time.Since(start), each)
	eventually(t, "goroutines", func() bool { return runtime.NumGoroutine() < goroutines+20 })
}

// A thousand times: open, transfer, close; at once from several goroutines.
func TestOpenTransferClose(t *testing.T) {
	const users, times, size = 4, 250, 10_000
	a, b := pair(t, "tcp")
	adv := unicast("s")
	l := a.listen(adv, ListenConfig{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for range users * times {
			c, err := l.Accept()
			if err != nil {
				t.Error(err)
				return
			}
			wg.Go(func() {
				defer c.Close()
				if n, err := io.Copy(c, c); n != size || err != nil {
					t.Errorf("%d octets came back: %v", n, err)
				}
			})
		}
	})
	for range users {
		wg.Go(func() {
			for range times {
				c, err := b.s.Dial(t.Context(), adv)
				if err != nil {
					t.Error(err)
					return
				}
				go func() {
					_, _ = io.Copy(c, &pattern{end: size})
					_ = c.CloseWrite()
				}()
				if n, err := io.Copy(io.Discard, c); n != size || err != nil {
					t.Errorf("%d octets: %v", n, err)
				}
				_ = c.Close()
			}
		})
	}
	wg.Wait()
	eventually(t, "all closed", func() bool { return a.s.Stats().Open+b.s.Stats().Open == 0 })
	want(t, "accepted", a.s.Stats().Accepted, users*times)
	want(t, "lost", a.s.Stats().Lost+b.s.Stats().Lost, 0)
}
