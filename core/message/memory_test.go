package message_test

import (
	"bytes"
	"sync"
	"testing"

	"github.com/juxta-p2p/juxta/core/message"
)

// TestRelease: memory is used again when the link that reads, the message and every
// clone have released it, and not before; a message may be released more than once.
func TestRelease(t *testing.T) {
	message.Poison(true)
	defer message.Poison(false)
	original := carried(sized(2, 1000))
	mem := message.NewMemory(original.Size())
	b, err := original.AppendTo(mem.Bytes()[:0])
	if err != nil {
		t.Fatal(err)
	}
	var d message.Decoder
	mem.Hold() // the link goes on to read into it
	m, err := d.Decode(b, mem)
	if err != nil {
		t.Fatal(err)
	}
	mem.Release()
	clone := m.Clone()
	if !mem.Shared() {
		t.Error("a message and its clone count as one user")
	}
	m.Release()
	m.Release()
	if m.Len() != 0 {
		t.Error("a released message still has elements")
	}
	if e, _ := clone.Get("app", "element-1"); !bytes.Equal(e.Body, make([]byte, 1000)) || e.Name != "element-1" {
		t.Error("the clone is damaged")
	}
	body, _ := clone.Get("app", "element-1")
	clone.Release()
	if bytes.Equal(body.Body, make([]byte, 1000)) {
		t.Error("released memory was not overwritten")
	}
	original.Release() // has nothing to release
	if original.Len() == 0 {
		t.Error("a message that was made here is empty")
	}
	if _, err := d.Decode([]byte("nothing"), message.NewMemory(10)); err == nil {
		t.Error("nothing was decoded")
	}
}

// TestMemoryReuse: whoever holds memory never sees what another writes.
func TestMemoryReuse(t *testing.T) {
	message.Poison(true)
	defer message.Poison(false)
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range 2000 {
				mem := message.NewMemory([]int{100, 5000, 17000, 30000, 70000, 100000}[i%6])
				b := mem.Bytes()[:100]
				for j := range b {
					b[j] = byte(g)
				}
				mem.Hold()
				done := make(chan struct{})
				go func() { mem.Release(); close(done) }()
				<-done
				if bytes.Count(b, []byte{byte(g)}) != 100 {
					t.Error("memory in use was written by another")
				}
				mem.Release()
			}
		})
	}
	wg.Wait()
}

// TestDecoder: names are remembered and come out right, whatever the order, and
// what is too long or too much is not kept.
func TestDecoder(t *testing.T) {
	var d message.Decoder
	for round := range 3 {
		for n := range 30 {
			m := sized(n, 10).Add(message.Text("other", string(bytes.Repeat([]byte("x"), n*5)), "text"))
			if round == 2 {
				m = message.New(message.Bytes("a", "b", nil), message.Bytes("b", "a", nil))
			}
			b, err := m.MarshalBinary()
			if err != nil {
				t.Fatal(err)
			}
			got, err := d.Decode(b, nil)
			if err != nil {
				t.Fatal(err)
			}
			again, err := got.MarshalBinary()
			if err != nil || !bytes.Equal(again, b) {
				t.Fatalf("%d elements come out otherwise: %v", n, err)
			}
		}
	}
	b, _ := carried(sized(1, 10)).MarshalBinary()
	_, _ = d.Decode(b, nil)
	var sink *message.Message
	if got := testing.AllocsPerRun(100, func() { sink, _ = d.Decode(b, nil) }); got > 1 {
		t.Errorf("decoding a message like the last one allocates %v times", got)
	}
	_ = sink
}

// FuzzDecoder: a decoder that has seen other messages decodes like a new one.
func FuzzDecoder(f *testing.F) {
	for _, n := range []int{1, 3, 20} {
		b, _ := carried(sized(n, 10)).MarshalBinary()
		f.Add(b, b[:len(b)/2])
	}
	f.Fuzz(func(t *testing.T, a, b []byte) {
		var d message.Decoder
		_, _ = d.Decode(a, nil)
		got, err := d.Decode(b, nil)
		want, wantErr := message.Decode(b)
		if (err == nil) != (wantErr == nil) {
			t.Fatalf("%v, a new one says %v", err, wantErr)
		}
		if err != nil {
			return
		}
		x, _ := got.MarshalBinary()
		y, _ := want.MarshalBinary()
		if !bytes.Equal(x, y) {
			t.Error("another message")
		}
	})
}
