package message_test

import (
	"fmt"
	"testing"

	"github.com/juxta-p2p/juxta/core/message"
)

// sized makes a message of n application elements of size octets each.
func sized(n, size int) *message.Message {
	m := message.New()
	for i := range n {
		m.Add(message.Bytes("app", fmt.Sprintf("element-%d", i), make([]byte, size)))
	}
	return m
}

// carried adds what every message between JXTA peers has.
func carried(m *message.Message) *message.Message {
	return m.Add(
		message.XML(message.Platform, "EndpointRouterMsg", make([]byte, 508)),
		message.Text(message.Platform, "EndpointSourceAddress", "tcp://192.0.2.1:9701"),
		message.Text(message.Platform, "EndpointDestinationAddress", "tcp://192.0.2.2:9701/EndpointService:jxta-NetGroup/EndpointRouter"))
}

var sizes = []struct {
	name string
	make func() *message.Message
}{
	{"10x100B", func() *message.Message { return sized(10, 100) }},
	{"1KiB", func() *message.Message { return carried(sized(1, 1<<10)) }},
	{"64KiB", func() *message.Message { return carried(sized(1, 64<<10)) }},
}

// The budget of the path every message takes; see the doc comments of Decode,
// AppendTo and Size.
func TestAllocations(t *testing.T) {
	var sink any
	for _, s := range sizes {
		m := s.make()
		buf, err := m.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		tail := message.Text(message.Platform, "EndpointSourceAddress", "tcp://192.0.2.1:9701")
		encode := make([]byte, 0, len(buf)+200)
		for _, c := range []struct {
			name  string
			limit float64
			f     func()
		}{
			{"encoding into a buffer", 0, func() { encode, _ = m.AppendTo(encode[:0], tail) }},
			{"encoding into a new buffer", 1, func() { buf, _ = m.MarshalBinary() }},
			{"Size", 0, func() { _ = m.Size() }},
			{"decoding", 3, func() { sink, _ = message.Decode(buf) }},
		} {
			if got := testing.AllocsPerRun(100, c.f); got > c.limit {
				t.Errorf("%s: %s makes %v allocations, want at most %v", s.name, c.name, got, c.limit)
			}
		}
	}
	base := func() { sink = message.BaseType(message.TypeXML) == "text/xml" }
	if got := testing.AllocsPerRun(100, base); got != 0 {
		t.Errorf("BaseType makes %v allocations, want none", got)
	}
	_ = sink
}

func BenchmarkEncode(b *testing.B) {
	for _, s := range sizes {
		b.Run(s.name, func(b *testing.B) {
			m := s.make()
			buf := make([]byte, 0, m.Size())
			b.SetBytes(int64(m.Size()))
			b.ReportAllocs()
			for b.Loop() {
				var err error
				if buf, err = m.AppendTo(buf[:0]); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkDecode(b *testing.B) {
	for _, s := range sizes {
		b.Run(s.name, func(b *testing.B) {
			buf, err := s.make().MarshalBinary()
			if err != nil {
				b.Fatal(err)
			}
			b.SetBytes(int64(len(buf)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := message.Decode(buf); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkBaseType(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if message.BaseType(message.TypeText) != "text/plain" {
			b.Fatal("wrong")
		}
	}
}
