package tcp

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"testing"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/identity"
)

var sizes = []int{64, 1 << 10, 64 << 10}

// kinds are the kinds of links measured: figures of one are worth comparing with
// those of the other from the same run.
var kinds = []string{Protocol, Secured}

// benchPair returns a link between two transports whose receivers call f.
func benchPair(b *testing.B, kind string, f func(l endpoint.Link, body []byte)) endpoint.Link {
	b.Helper()
	start := func(cfg Config, f func(endpoint.Link, []byte)) *Transport {
		tr := New(cfg)
		peer, prover := us, (*identity.Identity)(nil)
		if kind == Secured {
			prover = newIdentity()
			peer = prover.Peer()
		}
		err := tr.Start(endpoint.Host{
			Peer: peer, Identity: prover, Logger: slog.New(slog.DiscardHandler),
			Opened:  func(endpoint.Link) error { return nil },
			Receive: func(l endpoint.Link, body []byte) error { f(l, body); return nil },
			Closed:  func(endpoint.Link) {},
		})
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = tr.Close() })
		return tr
	}
	to := start(Config{Listen: []string{"127.0.0.1:0"}}, f)
	from := start(Config{ClientOnly: true}, f)
	l, err := from.Dial(context.Background(), to.Addresses()[0])
	if err != nil {
		b.Fatal(err)
	}
	if endpoint.Encrypted(l) != (kind == Secured) {
		b.Fatalf("a link of kind %s is encrypted: %t", kind, endpoint.Encrypted(l))
	}
	return l
}

// BenchmarkOneWay: messages in one direction, from one goroutine and from eight.
func BenchmarkOneWay(b *testing.B) {
	for _, kind := range kinds {
		for _, senders := range []int{1, 8} {
			for _, size := range sizes {
				b.Run(fmt.Sprintf("%s/%d-senders/%d", kind, senders, size), func(b *testing.B) { oneWay(b, kind, senders, size) })
			}
		}
	}
}

func oneWay(b *testing.B, kind string, senders, size int) {
	done := make(chan struct{})
	received := 0
	l := benchPair(b, kind, func(endpoint.Link, []byte) {
		if received++; received == b.N {
			close(done)
		}
	})
	body := make([]byte, size)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	b.SetBytes(int64(size))
	b.ReportAllocs()
	b.ResetTimer()
	for s := range senders {
		n := b.N / senders
		if s == 0 {
			n += b.N % senders
		}
		go func() {
			for range n {
				if err := l.Send(ctx, body); err != nil {
					b.Error(err)
					return
				}
			}
		}()
	}
	<-done
}

// BenchmarkRoundTrip: a message there and one back.
func BenchmarkRoundTrip(b *testing.B) {
	for _, kind := range kinds {
		for _, size := range sizes {
			b.Run(fmt.Sprintf("%s/%d", kind, size), func(b *testing.B) { roundTrip(b, kind, size) })
		}
	}
}

func roundTrip(b *testing.B, kind string, size int) {
	ctx := context.Background()
	back := make(chan struct{}, 1)
	body := make([]byte, size)
	l := benchPair(b, kind, func(l endpoint.Link, _ []byte) {
		if l.Outgoing() {
			back <- struct{}{}
		} else if err := l.Send(ctx, body); err != nil {
			b.Error(err)
		}
	})
	b.SetBytes(2 * int64(size))
	b.ReportAllocs()
	for b.Loop() {
		if err := l.Send(ctx, body); err != nil {
			b.Fatal(err)
		}
		<-back
	}
}

// BenchmarkDial: a link opened and closed, with all its handshakes.
func BenchmarkDial(b *testing.B) {
	for _, kind := range kinds {
		b.Run(kind, func(b *testing.B) {
			l := benchPair(b, kind, func(endpoint.Link, []byte) {})
			tr := New(Config{ClientOnly: true})
			prover := newIdentity()
			host := endpoint.Host{
				Peer: us, Logger: slog.New(slog.DiscardHandler), Opened: func(endpoint.Link) error { return nil },
				Receive: func(endpoint.Link, []byte) error { return nil }, Closed: func(endpoint.Link) {},
			}
			if kind == Secured {
				host.Peer, host.Identity = prover.Peer(), prover
			}
			if err := tr.Start(host); err != nil {
				b.Fatal(err)
			}
			b.Cleanup(func() { _ = tr.Close() })
			for b.Loop() {
				l, err := tr.Dial(context.Background(), l.Remote())
				if err != nil {
					b.Fatal(err)
				}
				_ = l.Close()
			}
		})
	}
}

// BenchmarkRaw is what the system itself can do: one write a message, no framing,
// read into one buffer. Figures of other benchmarks are worth comparing with those
// of the same run.
func BenchmarkRaw(b *testing.B) {
	for _, size := range sizes {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				b.Fatal(err)
			}
			defer func() { _ = ln.Close() }()
			done := make(chan struct{})
			go func() {
				defer close(done)
				c, err := ln.Accept()
				if err != nil {
					return
				}
				defer func() { _ = c.Close() }()
				buf := make([]byte, 64<<10)
				for left := b.N * size; left > 0; {
					n, err := c.Read(buf)
					if err != nil {
						b.Error(err)
						return
					}
					left -= n
				}
			}()
			c, err := net.Dial("tcp", ln.Addr().String())
			if err != nil {
				b.Fatal(err)
			}
			defer func() { _ = c.Close() }()
			body := make([]byte, size)
			b.SetBytes(int64(size))
			b.ResetTimer()
			for range b.N {
				if _, err := c.Write(body); err != nil {
					b.Fatal(err)
				}
			}
			<-done
		})
	}
}
