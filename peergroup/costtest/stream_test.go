package costtest

import (
	"context"
	"io"
	"os"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/core/transport/tcp"
	"github.com/juxta-p2p/juxta/peergroup"
	"github.com/juxta-p2p/juxta/protocols/socket"
)

// written is how much the streams here write at a time.
const written = 64 << 10

// between is who stands between two peers.
type between struct {
	name   string
	direct bool // nobody: they dial each other
	relay  bool // somebody who relays, and not only a rendezvous
	rate   int64
}

// ends starts two peers and what stands between them, and opens a stream.
func (w between) ends(tb testing.TB) (from, to *socket.Conn, peers [2]*peergroup.Peer) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), patience)
	defer cancel()
	start := func(cfg peergroup.Config) *peergroup.Peer {
		cfg.NoLAN, cfg.NoMulticast, cfg.NoPortMapping = true, true, true
		p, err := peergroup.Start(tb.Context(), cfg)
		if err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(func() { _ = p.Close() })
		return p
	}
	hub := start(peergroup.Config{
		Name: "hub", Listen: []string{loopback}, ForwardRate: w.rate, Roles: peergroup.Roles{Rendezvous: true, Relay: w.relay},
	})
	var seed string
	for _, a := range hub.Addresses() {
		if a.Protocol == tcp.Protocol {
			seed = a.String()
		}
	}
	for i, name := range []string{"ann", "bob"} {
		cfg := peergroup.Config{Name: name, Seeds: []string{seed}, ClientOnly: !w.direct}
		if w.direct {
			cfg.Listen = []string{loopback}
		}
		if w.relay {
			cfg.Relays = []string{seed}
		}
		peers[i] = start(cfg)
	}
	adv := advertisements.NewPipe(id.NetGroup, "stream", advertisements.Unicast)
	l, err := peers[1].Net().Sockets().Listen(ctx, adv)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = l.Close() })
	for { // until the rendezvous knows who listens
		if from, err = peers[0].Net().Sockets().Dial(ctx, adv); err == nil {
			break
		}
		if ctx.Err() != nil {
			tb.Fatal(err)
		}
	}
	c, err := l.Accept()
	if err != nil {
		tb.Fatal(err)
	}
	to = c.(*socket.Conn)
	tb.Cleanup(func() { _ = from.Close(); _ = to.Close() })
	return from, to, peers
}

// straight reports whether a link leads from one of the peers to the other.
func straight(peers [2]*peergroup.Peer) bool {
	return peers[0].Endpoint().LinkTo(peers[1].ID()) != nil
}

// BenchmarkStream is a stream between two peers that dial each other, or cannot and
// go through a third. All links are encrypted.
func BenchmarkStream(b *testing.B) {
	for _, w := range []between{
		{name: "direct", direct: true},
		{name: "two hops", rate: -1},
		{name: "relay", relay: true, rate: -1},
		{name: "two hops, default rate"},
	} {
		b.Run(w.name, func(b *testing.B) {
			from, to, peers := w.ends(b)
			b.SetBytes(written)
			block := make([]byte, written)
			b.ResetTimer()
			go func() {
				for range b.N {
					if _, err := from.Write(block); err != nil {
						b.Error(err)
						return
					}
				}
			}()
			buf := make([]byte, written)
			for range b.N {
				if _, err := io.ReadFull(to, buf); err != nil {
					b.Fatal(err)
				}
			}
			b.StopTimer()
			if straight(peers) != w.direct {
				b.Error("the stream did not go that way")
			}
		})
	}
}

// soakFor is how long the soak takes when it is asked for.
const soakFor = 10 * time.Minute

// TestSoak: the memory of two peers that send as fast as they can, messages and a
// stream, stays what it is.
func TestSoak(t *testing.T) {
	if os.Getenv("JUXTA_SLOW") == "" {
		t.Skip("NOT TESTED: ten minutes at full speed; set JUXTA_SLOW=1")
	}
	w := between{direct: true}
	from, to, peers := w.ends(t)
	ctx, cancel := context.WithTimeout(t.Context(), soakFor)
	defer cancel()
	adv := advertisements.NewPipe(id.NetGroup, "soak", advertisements.Unicast)
	var came uint64
	in, err := peers[1].Net().Pipes().Listen(ctx, adv)
	if err != nil {
		t.Fatal(err)
	}
	out, err := peers[0].Net().Pipes().Bind(adv, peers[1].ID())
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{}, 4)
	go func() { // ends with ctx, as the others do
		for m, err := range in.Messages(ctx) {
			if err != nil {
				break
			}
			came++
			m.Release()
		}
		done <- struct{}{}
	}()
	go func() {
		msg := message.New(message.Bytes("", "data", make([]byte, 1<<10)))
		for out.Send(ctx, msg) == nil {
		}
		done <- struct{}{}
	}()
	_ = from.SetDeadline(time.Now().Add(soakFor))
	_ = to.SetDeadline(time.Now().Add(soakFor))
	go func() {
		for block := make([]byte, written); ; {
			if _, err := from.Write(block); err != nil {
				break
			}
		}
		done <- struct{}{}
	}()
	var octets int64
	go func() {
		octets, _ = io.Copy(io.Discard, to)
		done <- struct{}{}
	}()
	const parts = 20
	var heap []uint64
	for range parts {
		select {
		case <-time.After(soakFor / parts):
		case <-ctx.Done():
		}
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		heap = append(heap, m.HeapAlloc)
		t.Logf("heap %d KiB, from the system %d KiB, goroutines %d", m.HeapAlloc>>10, m.Sys>>10, runtime.NumGoroutine())
	}
	for range 4 {
		<-done
	}
	t.Logf("%d messages and %d octets of a stream came", came, octets)
	if came == 0 || octets == 0 {
		t.Error("nothing came")
	}
	half := func(of []uint64) uint64 { return slices.Sorted(slices.Values(of))[len(of)/2] }
	first, last := half(heap[2:parts/2]), half(heap[parts/2:])
	if last > first+first/10+1<<20 {
		t.Errorf("the heap grew from %d to %d octets", first, last)
	}
}
