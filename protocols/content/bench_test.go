package content

import (
	"bytes"
	"fmt"
	"testing"
)

func BenchmarkManifest(b *testing.B) {
	song := octets(1, 16<<20)
	b.SetBytes(int64(len(song)))
	for b.Loop() {
		if _, err := makeManifest(bytes.NewReader(song), ChunkSize); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkTable searches 10,000 items for a word, a pattern, and what no word
// names.
func BenchmarkTable(b *testing.B) {
	const items = 10_000
	tab := newTable(items, items)
	at := Holder{Peer: peerOf("ann")}
	for i := range items {
		tab.put(Hit{Item{ID: ID{1, byte(i), byte(i >> 8)}, Name: fmt.Sprintf("track%05d take %d.ogg", i, i%7), Size: int64(i), MIME: "audio/ogg"}, at})
	}
	for name, q := range map[string]Query{
		"word": {Words: []string{"track04711"}}, "pattern": {Words: []string{"*4711"}}, "size": {MinSize: items - 1},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if len(tab.find(&q, maxHits)) != 1 {
					b.Fatal("not found")
				}
			}
		})
	}
}
