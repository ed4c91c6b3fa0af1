package tcp

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"testing"

	"github.com/juxta-p2p/juxta/core/endpoint"
)

var sizes = []int{64, 1 << 10, 64 << 10}

// benchPair returns a link between two transports whose receivers call f.
func benchPair(b *testing.B, f func(l endpoint.Link, body []byte)) endpoint.Link {
	b.Helper()
	start := func(cfg Config, f func(endpoint.Link, []byte)) *Transport {
		tr := New(cfg)
		err := tr.Start(endpoint.Host{
			Peer: us, Logger: slog.New(slog.DiscardHandler),
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
	return l
}

// BenchmarkOneWay: messages in one direction, from one goroutine and from eight.
func BenchmarkOneWay(b *testing.B) {
	for _, senders := range []int{1, 8} {
		for _, size := range sizes {
			b.Run(fmt.Sprintf("%d-senders/%d", senders, size), func(b *testing.B) {
				done := make(chan struct{})
				received := 0
				l := benchPair(b, func(endpoint.Link, []byte) {
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
			})
		}
	}
}

// BenchmarkRoundTrip: a message there and one back.
func BenchmarkRoundTrip(b *testing.B) {
	for _, size := range sizes {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			ctx := context.Background()
			back := make(chan struct{}, 1)
			body := make([]byte, size)
			l := benchPair(b, func(l endpoint.Link, _ []byte) {
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
