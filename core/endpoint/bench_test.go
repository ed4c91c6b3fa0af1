package endpoint_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/message"
)

// drain is a link that takes everything.
type drain struct{ cable }

func (*drain) Send(context.Context, []byte) error { return nil }

var benchSizes = []int{64, 1 << 10, 64 << 10}

// BenchmarkSendOn: from a message to the octets a link gets.
func BenchmarkSendOn(b *testing.B) {
	for _, size := range benchSizes {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			e, w := newWire(b, endpoint.Config{})
			l := &drain{cable{peer: bob, remote: endpoint.Address{Protocol: "wire", Host: "192.0.2.1:9701"}}}
			if err := w.Opened(l); err != nil {
				b.Fatal(err)
			}
			s, m, ctx := e.Scope(id.NetGroup), message.New(message.Bytes("", "body", make([]byte, size))), context.Background()
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				if err := s.SendOn(ctx, l, "echo", "x", m); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkReceive: from the octets of a message to its handler.
func BenchmarkReceive(b *testing.B) {
	for _, size := range benchSizes {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			e, w := newWire(b, endpoint.Config{})
			c := w.plug(b, &cable{peer: bob})
			n := 0
			if _, err := e.Scope(id.NetGroup).Handle("echo", "", func(context.Context, endpoint.Incoming) { n++ }); err != nil {
				b.Fatal(err)
			}
			body := packet(b, "tcp://192.0.2.1:9701", "tcp://192.0.2.2:9701/EndpointService:jxta-NetGroup/echo/x",
				message.Bytes("", "body", make([]byte, size)))
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				if err := w.Receive(c, body); err != nil {
					b.Fatal(err)
				}
			}
			if n == 0 {
				b.Fatal("nothing was delivered")
			}
		})
	}
}

// TestAllocations holds what the benchmarks show.
func TestAllocations(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector makes pools forget")
	}
	e, w := newWire(t, endpoint.Config{})
	c := w.plug(t, &cable{peer: bob})
	l := &drain{cable{peer: bob, remote: endpoint.Address{Protocol: "wire", Host: "192.0.2.1:9701"}}}
	if err := w.Opened(l); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Scope(id.NetGroup).Handle("echo", "x", func(context.Context, endpoint.Incoming) {}); err != nil {
		t.Fatal(err)
	}
	s := e.Scope(id.NetGroup)
	m := message.New(message.Bytes("", "body", make([]byte, 1000)))
	body := packet(t, "tcp://192.0.2.1:9701", "tcp://192.0.2.2:9701/EndpointService:jxta-NetGroup/echo/x")
	for name, x := range map[string]struct {
		most float64
		f    func() error
	}{
		"SendOn":  {1, func() error { return s.SendOn(context.Background(), l, "echo", "x", m) }},
		"Receive": {2, func() error { return w.Receive(c, body) }},
	} {
		got := testing.AllocsPerRun(200, func() {
			if err := x.f(); err != nil {
				t.Error(err)
			}
		})
		if got > x.most {
			t.Errorf("%s allocates %v times, want at most %v", name, got, x.most)
		}
	}
}
