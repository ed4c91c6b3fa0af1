package http

import (
	"context"
	"fmt"
	"testing"

	"github.com/juxta-p2p/juxta/core/endpoint"
)

// pairOf opens a link between two peers over loopback and returns both ends.
func pairOf(b *testing.B, encrypted bool) (from, to *host, out, in endpoint.Link) {
	b.Helper()
	set := func(*host, *endpoint.Host) {}
	other := as(them)
	if encrypted {
		set, other = proving(b), proving(b)
	}
	to, from = listening(b, set), client(b, "", other)
	out = from.dial(b, to.addr())
	return from, to, out, next(b, to.opened)
}

// eachKind runs a benchmark of tunnels, plain and encrypted.
func eachKind(b *testing.B, size int, f func(b *testing.B, from, to *host, out, in endpoint.Link, body []byte)) {
	for _, encrypted := range []bool{false, true} {
		b.Run(fmt.Sprintf("encrypted=%t/%d", encrypted, size), func(b *testing.B) {
			from, to, out, in := pairOf(b, encrypted)
			body := text(1, size)
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			b.ResetTimer()
			f(b, from, to, out, in, body)
			b.StopTimer()
		})
	}
}

// BenchmarkUp measures messages to the server.
func BenchmarkUp(b *testing.B) {
	for _, size := range []int{100, 64 << 10} {
		eachKind(b, size, func(b *testing.B, _, to *host, out, _ endpoint.Link, body []byte) {
			pour(b, out, to, body)
		})
	}
}

// BenchmarkDown measures messages from the server.
func BenchmarkDown(b *testing.B) {
	for _, size := range []int{100, 64 << 10} {
		eachKind(b, size, func(b *testing.B, from, _ *host, _, in endpoint.Link, body []byte) {
			pour(b, in, from, body)
		})
	}
}

func pour(b *testing.B, l endpoint.Link, to *host, body []byte) {
	failed := make(chan error, 1)
	go func() {
		for range b.N {
			if err := l.Send(context.Background(), body); err != nil {
				failed <- err
				return
			}
		}
	}()
	for range b.N {
		select {
		case <-to.arrived:
		case err := <-failed:
			b.Fatal(err)
		}
	}
}

// BenchmarkRoundTrip measures a message and its answer.
func BenchmarkRoundTrip(b *testing.B) {
	eachKind(b, 100, func(b *testing.B, from, to *host, out, in endpoint.Link, body []byte) {
		for range b.N {
			send(b, out, body)
			<-to.arrived
			send(b, in, body)
			<-from.arrived
		}
	})
}

// BenchmarkDial measures opening and closing a link.
func BenchmarkDial(b *testing.B) {
	for _, encrypted := range []bool{false, true} {
		b.Run(fmt.Sprintf("encrypted=%t", encrypted), func(b *testing.B) {
			set, other := func(*host, *endpoint.Host) {}, as(them)
			if encrypted {
				set, other = proving(b), proving(b)
			}
			to, from := listening(b, set), client(b, "", other)
			for b.Loop() {
				l := from.dial(b, to.addr())
				next(b, from.opened)
				next(b, to.opened)
				_ = l.Close()
				next(b, from.closed)
				next(b, to.closed)
			}
		})
	}
}
