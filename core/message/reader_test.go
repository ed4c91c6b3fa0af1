package message

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"testing/iotest"
)

func TestReader(t *testing.T) {
	var stream []byte
	var want [][]byte
	for _, text := range []string{"one", "", string(make([]byte, 200_000))} {
		b, err := New(Text("app", "text", text), Bytes("", "x", []byte(text))).MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		stream, want = append(stream, b...), append(want, b)
	}
	for name, r := range map[string]io.Reader{"whole": bytes.NewReader(stream), "in octets": iotest.OneByteReader(bytes.NewReader(stream))} {
		m := NewReader(r)
		for i, w := range want {
			if got, err := m.Next(); err != nil || !bytes.Equal(got, w) {
				t.Fatalf("%s: message %d: %d octets, %v", name, i, len(got), err)
			}
		}
		if _, err := m.Next(); err != io.EOF {
			t.Errorf("%s: at the end: %v", name, err)
		}
	}
	for cut := 1; cut < len(want[0]); cut++ {
		if _, err := NewReader(bytes.NewReader(want[0][:cut])).Next(); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatalf("cut at %d: %v", cut, err)
		}
	}
	if _, err := NewReader(bytes.NewReader([]byte("GET / HTTP/1.1\r\n\r\n"))).Next(); !errors.Is(err, ErrFormat) {
		t.Errorf("no message: %v", err)
	}
}

// FuzzReader: what a Reader cuts out is what Decode takes, up to the end.
func FuzzReader(f *testing.F) {
	b, err := New(Text("app", "text", "hello")).MarshalBinary()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add(append(b, b...))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := NewReader(bytes.NewReader(b)).Next()
		if err != nil {
			return
		}
		if !bytes.HasPrefix(b, got) {
			t.Fatal("other octets than in the stream")
		}
	})
}
