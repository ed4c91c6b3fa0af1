package quic

import (
	"context"
	"fmt"
	"log/slog"
	"testing"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/identity"
	"github.com/juxta-p2p/juxta/core/transport/tcp"
)

var sizes = []int{64, 1 << 10, 64 << 10}

// kinds are the transports to compare: QUIC with plain TCP and with TCP in TLS.
var kinds = []struct {
	name   string
	secure bool
	make   func(endpoint.Host, bool) endpoint.Transport
}{
	{"quic", true, func(_ endpoint.Host, listen bool) endpoint.Transport {
		return New(Config{Listen: []string{"127.0.0.1:0"}, ClientOnly: !listen})
	}},
	{"tcp", false, newTCP},
	{"tls", true, newTCP},
}

func newTCP(_ endpoint.Host, listen bool) endpoint.Transport {
	return tcp.New(tcp.Config{Listen: []string{"127.0.0.1:0"}, ClientOnly: !listen})
}

// benchPair returns two transports, whose receivers call f, and the address of the
// second.
func benchPair(b *testing.B, kind int, f func(l endpoint.Link, body []byte)) (from, to endpoint.Transport) {
	b.Helper()
	start := func(listen bool) endpoint.Transport {
		who, err := identity.New(identity.Ed25519)
		if err != nil {
			b.Fatal(err)
		}
		h := endpoint.Host{
			Peer: who.Peer(), Identity: who, Logger: slog.New(slog.DiscardHandler), AllowClaimed: true,
			Opened:  func(endpoint.Link) error { return nil },
			Receive: func(l endpoint.Link, body []byte) error { f(l, body); return nil },
			Closed:  func(endpoint.Link) {},
		}
		if !kinds[kind].secure {
			h.Identity = nil
		}
		tr := kinds[kind].make(h, listen)
		if err := tr.Start(h); err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = tr.Close() })
		return tr
	}
	return start(false), start(true)
}

// BenchmarkOneWay: messages in one direction, from one goroutine.
func BenchmarkOneWay(b *testing.B) {
	for kind := range kinds {
		for _, size := range sizes {
			b.Run(fmt.Sprintf("%s/%d", kinds[kind].name, size), func(b *testing.B) {
				done := make(chan struct{})
				received := 0
				from, to := benchPair(b, kind, func(endpoint.Link, []byte) {
					if received++; received == b.N {
						close(done)
					}
				})
				l, err := from.Dial(context.Background(), to.Addresses()[0])
				if err != nil {
					b.Fatal(err)
				}
				body := make([]byte, size)
				ctx, cancel := context.WithCancel(context.Background())
				defer cancel()
				b.SetBytes(int64(size))
				b.ReportAllocs()
				b.ResetTimer()
				for range b.N {
					if err := l.Send(ctx, body); err != nil {
						b.Fatal(err)
					}
				}
				<-done
			})
		}
	}
}

// BenchmarkRoundTrip: a message there and one back.
func BenchmarkRoundTrip(b *testing.B) {
	for kind := range kinds {
		for _, size := range sizes {
			b.Run(fmt.Sprintf("%s/%d", kinds[kind].name, size), func(b *testing.B) {
				ctx := context.Background()
				back := make(chan struct{}, 1)
				body := make([]byte, size)
				from, to := benchPair(b, kind, func(l endpoint.Link, _ []byte) {
					if l.Outgoing() {
						back <- struct{}{}
					} else if err := l.Send(ctx, body); err != nil {
						b.Error(err)
					}
				})
				l, err := from.Dial(ctx, to.Addresses()[0])
				if err != nil {
					b.Fatal(err)
				}
				b.SetBytes(2 * int64(size))
				b.ReportAllocs()
				for b.Loop() {
					if err := l.Send(ctx, body); err != nil {
						b.Fatal(err)
					}
					<-back
				}
			})
		}
	}
}

// BenchmarkDial: a link opened and closed.
func BenchmarkDial(b *testing.B) {
	for kind := range kinds {
		b.Run(kinds[kind].name, func(b *testing.B) {
			ctx := context.Background()
			from, to := benchPair(b, kind, func(endpoint.Link, []byte) {})
			b.ReportAllocs()
			for b.Loop() {
				l, err := from.Dial(ctx, to.Addresses()[0])
				if err != nil {
					b.Fatal(err)
				}
				_ = l.Close()
			}
		})
	}
}
