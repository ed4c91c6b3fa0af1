package resolver

import (
	"bytes"
	"compress/gzip"
	"io"
	"strings"
	"testing"
)

// TestPack: what is packed is gzip to everybody, whatever its size, and the same
// when it is unpacked.
func TestPack(t *testing.T) {
	for _, n := range []int{0, 1, packFrom - 1, packFrom, packFrom + 1, 100 << 10} {
		doc := []byte(strings.Repeat("<a>some & text</a>", n/18+1)[:n])
		b, err := pack(doc)
		if err != nil {
			t.Fatal(err)
		}
		r, err := gzip.NewReader(bytes.NewReader(b))
		if err != nil {
			t.Fatalf("%d octets: %v", n, err)
		}
		got, err := io.ReadAll(r)
		if err != nil || !bytes.Equal(got, doc) {
			t.Errorf("%d octets became %d: %v", n, len(got), err)
		}
		if got, err = unpack(b); n < 10*packFrom && (err != nil || !bytes.Equal(got, doc)) {
			t.Errorf("%d octets unpack to %d: %v", n, len(got), err)
		}
	}
}

// TestSmallIndexNeedsNoCompressor: one compressor takes 800 KiB.
func TestSmallIndexNeedsNoCompressor(t *testing.T) {
	doc := bytes.Repeat([]byte{'x'}, packFrom)
	if n := testing.AllocsPerRun(100, func() {
		if b, _ := pack(doc); len(b) != storedFrame+packFrom {
			t.Errorf("%d octets", len(b))
		}
	}); n > 1 {
		t.Errorf("%v allocations", n)
	}
}
