package socket

import (
	"io"
	"testing"
)

// BenchmarkStream writes 64 KiB at a time; an operation is one of them read.
func BenchmarkStream(b *testing.B) {
	for _, over := range []string{"memory", "tcp", "tls"} {
		b.Run(over, func(b *testing.B) {
			p, q := pair(b, over)
			x, y := conns(b, p, q, "s", DialConfig{})
			b.SetBytes(maxBlock)
			b.ReportAllocs()
			b.ResetTimer()
			go func() {
				block := make([]byte, maxBlock)
				for range b.N {
					if _, err := x.Write(block); err != nil {
						b.Error(err)
						return
					}
				}
			}()
			buf := make([]byte, maxBlock)
			for range b.N {
				if _, err := io.ReadFull(y, buf); err != nil {
					b.Fatal(err)
				}
			}
			b.StopTimer()
			_ = x.Close()
			_ = y.Close()
		})
	}
}

// BenchmarkRoundTrip sends an octet there and back.
func BenchmarkRoundTrip(b *testing.B) {
	for _, over := range []string{"memory", "tcp", "tls"} {
		b.Run(over, func(b *testing.B) {
			p, q := pair(b, over)
			x, y := conns(b, p, q, "s", DialConfig{})
			b.ReportAllocs()
			go func() { _, _ = io.Copy(struct{ io.Writer }{y}, y) }()
			one := []byte("x")
			for range b.N {
				if _, err := x.Write(one); err != nil {
					b.Fatal(err)
				}
				if _, err := io.ReadFull(x, one); err != nil {
					b.Fatal(err)
				}
			}
			_ = x.Close()
		})
	}
}

// BenchmarkSmallWrites writes 64 octets at a time.
func BenchmarkSmallWrites(b *testing.B) {
	p, q := pair(b, "tcp")
	x, y := conns(b, p, q, "s", DialConfig{})
	const size = 64
	b.SetBytes(size)
	b.ReportAllocs()
	go func() {
		block := make([]byte, size)
		for range b.N {
			if _, err := x.Write(block); err != nil {
				b.Error(err)
				return
			}
		}
		_ = x.Close()
	}()
	if n, err := io.Copy(io.Discard, y); err != nil || n != int64(b.N)*size {
		b.Fatal(n, err)
	}
	_ = y.Close()
}

// BenchmarkOpen dials, accepts and closes a connection to a peer that is known.
func BenchmarkOpen(b *testing.B) {
	for _, over := range []string{"memory", "tcp", "tls"} {
		b.Run(over, func(b *testing.B) {
			p, q := pair(b, over)
			adv := unicast("s")
			l := p.listen(adv, ListenConfig{})
			b.ReportAllocs()
			for range b.N {
				x := q.dial(adv, DialConfig{})
				y := l.accept(b)
				_ = x.Close()
				_ = y.Close()
			}
		})
	}
}
