package rendezvous

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/juxta-p2p/juxta/core/compact"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/xmldoc"
)

// recorded is the header of a message that an edge of JXSE 2.5 sent, and the one
// that the second rendezvous on its way made of it.
var recorded = []string{
	headStart + headAttrs + "00000027-0000-1000-819d-aa056c07d784</MessageId><DestSName>jxta.service.wirepipe</DestSName><DestSParam>jxta-NetGroup</DestSParam><TTL>200</TTL>" +
		"<Path>urn:jxta:uuid-59616261646162614E50472050325033E2E2E2E2E2E24E2EA2E2E2E2E2E2E2E203</Path></jxta:RendezVousPropagateMessage>\n",
	headStart + headOther + "00000027-0000-1000-819d-aa056c07d784</MessageId><DestSName>jxta.service.wirepipe</DestSName><DestSParam>jxta-NetGroup</DestSParam><TTL>1</TTL>" +
		"<Path>urn:jxta:uuid-59616261646162614E50472050325033E2E2E2E2E2E24E2EA2E2E2E2E2E2E2E203</Path>" +
		"<Path>urn:jxta:uuid-59616261646162614E504720503250331111111111114111A11111111111111103</Path></jxta:RendezVousPropagateMessage>\n",
}

func same(a, b *header) bool {
	return a.ID == b.ID && a.Service == b.Service && a.Param == b.Param && a.TTL == b.TTL && slices.Equal(a.Path, b.Path)
}

func TestHeaderIsScannedAndPrintedAsParsed(t *testing.T) {
	for i, text := range recorded {
		var slow header
		if err := xmldoc.Unmarshal([]byte(text), &slow); err != nil {
			t.Fatal(err)
		}
		fast, ok := scanHeader([]byte(text))
		if !ok || !same(fast, &slow) || len(fast.Path) != i+1 {
			t.Errorf("scanned %+v, parsed %+v", fast, slow)
		}
		quick, err := slow.print()
		long, err2 := xmldoc.Marshal(&slow)
		if err != nil || err2 != nil || !bytes.Equal(quick, long) {
			t.Errorf("printed %v %v\n%s\n%s", err, err2, quick, long)
		}
		if i == 0 && string(quick) != text {
			t.Errorf("not as recorded: %s", quick)
		}
	}
	for _, h := range []header{
		{ID: "a b", Service: "s", Param: "p", TTL: 1, Path: []id.Peer{id.NewPeer(id.NetGroup)}},
		{ID: "1", Service: "<s>", Param: "p", TTL: 1, Path: []id.Peer{id.NewPeer(id.NetGroup)}},
		{ID: "1", Service: "s", TTL: 1, Path: []id.Peer{id.NewPeer(id.NetGroup)}},
		{ID: "1", Service: "s", Param: "p", TTL: -1},
	} {
		b, err := h.print()
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := scanHeader(b); ok {
			t.Errorf("scanned %s", b)
		}
		if got, err := readHeader(b); err != nil || !same(got, &h) {
			t.Errorf("read %+v %v, want %+v", got, err, h)
		}
	}
}

func TestCutHeaderIsNotRead(t *testing.T) {
	for _, text := range recorded {
		text = strings.TrimSpace(text)
		for i := range text {
			if h, err := readHeader([]byte(text[:i])); err == nil {
				t.Fatalf("read although cut at %d: %+v", i, h)
			}
		}
	}
}

// TestShortForm: what is said in the short form is what is said in the long one, and nothing
// that is cut off is read.
func TestShortForm(t *testing.T) {
	for _, text := range recorded {
		h, err := readHeader([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		doc, ok := h.compact()
		if !ok || len(doc) > len(text)*2/3 {
			t.Fatalf("%v: %d octets, %d as a document", ok, len(doc), len(text))
		}
		again, err := readHeader(doc)
		if err != nil || !same(again, h) {
			t.Errorf("%+v made short and read: %+v %v", h, again, err)
		}
		last := lastOf(doc, again)
		next := *h
		next.ID = "00000028-0000-1000-819d-aa056c07d784"
		other, _ := next.compact()
		if got, ok := last.like(other); !ok || !same(&got, &next) {
			t.Errorf("not like the last one: %+v %v", got, ok)
		}
		for n := range len(doc) - len(h.ID) + 1 {
			if h, err := readHeader(doc[:n]); err == nil {
				t.Errorf("read although cut at %d: %+v", n, h)
			}
		}
	}
	peer := id.NewPeer(id.NetGroup)
	long := strings.Repeat("x", compact.MaxField+1)
	for name, h := range map[string]header{
		"hops":    {ID: "1", Service: "s", TTL: 1 << 16, Path: []id.Peer{peer}},
		"no path": {ID: "1", Service: "s", TTL: 1},
		"service": {ID: "1", Service: long, TTL: 1, Path: []id.Peer{peer}},
		"param":   {ID: "1", Service: "s", Param: long, TTL: 1, Path: []id.Peer{peer}},
		"blank":   {ID: "a b", Service: "s", TTL: 1, Path: []id.Peer{peer}},
		"path":    {ID: "1", Service: "s", TTL: 1, Path: slices.Repeat([]id.Peer{peer}, maxPath+1)},
	} {
		if doc, ok := h.compact(); ok {
			t.Errorf("%s: made short: %q", name, doc)
		}
	}
}

// The quick way must see what the long one sees.
func FuzzHeader(f *testing.F) {
	for _, text := range recorded {
		f.Add([]byte(text))
		if h, err := readHeader([]byte(text)); err == nil {
			if doc, ok := h.compact(); ok {
				f.Add(doc)
			}
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if h, ok := readCompact(b); ok {
			if doc, ok := h.compact(); ok {
				if again, ok := readCompact(doc); !ok || !same(again, h) {
					t.Fatalf("%+v made short and read: %+v", h, again)
				}
			}
		}
		if fast, ok := scanHeader(b); ok {
			var slow header
			if err := xmldoc.Unmarshal(b, &slow); err != nil {
				t.Fatalf("scanned, but: %v", err)
			}
			if !same(fast, &slow) {
				t.Fatalf("scanned %+v, parsed %+v", fast, slow)
			}
		}
		h, err := readHeader(b)
		if err != nil {
			return
		}
		doc, err := h.print()
		if err != nil {
			return
		}
		if again, err := readHeader(doc); err != nil || !same(again, h) {
			t.Fatalf("%+v printed and read: %+v %v", h, again, err)
		}
	})
}

func BenchmarkHeader(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		h, err := readHeader([]byte(recorded[0]))
		if err != nil {
			b.Fatal(err)
		}
		if _, err := h.print(); err != nil {
			b.Fatal(err)
		}
	}
}
