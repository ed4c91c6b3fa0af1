package srdi

import (
	"crypto/sha1"
	"encoding/json"
	"fmt"
	"math/big"
	"os"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/juxta-p2p/juxta/core/id"
)

func numbered(n int) (all []id.Peer) {
	for i := range n {
		p, err := id.ParsePeer(fmt.Sprintf("urn:jxta:uuid-59616261646162614E50472050325033%032X03", i+1))
		if err != nil {
			panic(err)
		}
		all = append(all, p)
	}
	return all
}

func TestPlaceAsJXSE(t *testing.T) {
	b, err := os.ReadFile("testdata/derived.json")
	if err != nil {
		t.Fatal(err)
	}
	var d struct {
		Replica struct {
			Sorted []string `json:"sorted_peers_example"`
			Cases  []struct {
				Expression string
				Index      map[string]int `json:"index_for_view_size"`
			}
		} `json:"replica_selection"`
	}
	if err := json.Unmarshal(b, &d); err != nil {
		t.Fatal(err)
	}
	var three []id.Peer
	for _, s := range d.Replica.Sorted {
		p, err := id.ParsePeer(s)
		if err != nil {
			t.Fatal(err)
		}
		three = append(three, p)
	}
	if len(d.Replica.Cases) == 0 || len(three) != 3 {
		t.Fatal("no cases")
	}
	checked := 0
	for _, c := range d.Replica.Cases {
		for text, want := range c.Index {
			var n int
			if _, err := fmt.Sscan(text, &n); err != nil {
				t.Fatal(err)
			}
			sorted := three
			if n != 3 {
				sorted = numbered(n)
			}
			// How the expression is cut does not matter.
			cut := len(c.Expression) / 3
			if got := index(c.Expression[:cut], c.Expression[cut:2*cut], c.Expression[2*cut:], n); got != want {
				t.Errorf("%q among %d peers: number %d, want %d", c.Expression, n, got, want)
			}
			shuffled := slices.Concat(sorted[n/2:], sorted[:n/2], sorted[:1])
			got, ok := NewRow(shuffled...).Place(c.Expression, "", "")
			if ok != (n >= Threshold) || ok && got != sorted[want] {
				t.Errorf("%q among %d peers: %v, want number %d", c.Expression, n, got, want)
			}
			checked++
		}
	}
	if checked < 50 {
		t.Errorf("only %d cases", checked)
	}
	for what, row := range map[string]*Row{
		"two peers":                NewRow(three[:2]...),
		"the same two peers twice": NewRow(slices.Concat(three[:2], three[:2])...),
		"no peers":                 NewRow(),
		"no row":                   nil,
	} {
		if _, ok := row.Place("Adv", "Name", "Alpha"); ok {
			t.Errorf("a place among %s", what)
		}
	}
	if _, ok := NewRow(three...).Place("Adv", "Name", "Alpha"); !ok {
		t.Error("three peers are not enough")
	}
}

// placeBig is the rule as the Java code states it.
func placeBig(sum [sha1.Size]byte, n int) int {
	x := new(big.Int).SetBytes(sum[:])
	if sum[0]&0x80 != 0 {
		x.Sub(x, new(big.Int).Lsh(big.NewInt(1), 8*sha1.Size))
		x.Abs(x)
	}
	octets := uint(x.BitLen()/8 + 1)
	x.Mul(x, big.NewInt(int64(n)))
	return int(x.Rsh(x, 8*octets).Int64())
}

func TestPropertyPlace(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var sum [sha1.Size]byte
		copy(sum[:], rapid.SliceOfN(rapid.Byte(), sha1.Size, sha1.Size).Draw(t, "sum"))
		for i := range rapid.IntRange(0, sha1.Size).Draw(t, "zeros") { // short ones are rare
			sum[i] = 0
		}
		if rapid.Bool().Draw(t, "edge") {
			sum[rapid.IntRange(0, sha1.Size-1).Draw(t, "at")] = rapid.SampledFrom([]byte{0x80, 0xff, 0x7f}).Draw(t, "octet")
		}
		n := rapid.IntRange(1, 5000).Draw(t, "peers")
		if got, want := scale(sum, n), placeBig(sum, n); got != want {
			t.Fatalf("%x among %d: %d, want %d", sum, n, got, want)
		}
	})
	for _, sum := range [][sha1.Size]byte{{}, {0x80}, {0xff}, {0: 0x80, 19: 1}, {0: 0xff, 1: 0xff, 2: 0x80}, {19: 0x80}, {19: 0x7f}} {
		if got, want := scale(sum, 4999), placeBig(sum, 4999); got != want {
			t.Errorf("%x: %d, want %d", sum, got, want)
		}
	}
}

func TestPlaceAllocatesNothing(t *testing.T) {
	row := NewRow(numbered(500)...)
	value := "urn:jxta:uuid-59616261646162614E504720503250330A0A0A0A0A0A4A0A8A0A0A0A0A0A0A0104"
	if n := testing.AllocsPerRun(100, func() { row.Place("Adv", "Id", value) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestReach(t *testing.T) {
	for n, want := range map[int]int{0: 0, 1: 0, 2: 1, 3: 2, 4: 2, 5: 3, 8: 3, 9: 4, 500: 9, 512: 9, 513: 10} {
		if got := NewRow(numbered(n)...).Reach(); got != want {
			t.Errorf("%d rendezvous: %d, want %d", n, got, want)
		}
	}
}

func BenchmarkPlace(b *testing.B) {
	row := NewRow(numbered(500)...)
	b.ReportAllocs()
	for b.Loop() {
		row.Place("Adv", "Name", "GoldenPipe")
	}
}

func BenchmarkNewRow(b *testing.B) {
	peers := numbered(501)
	self, view := peers[250], slices.Delete(slices.Clone(peers), 250, 251)
	b.ReportAllocs()
	for b.Loop() {
		at, _ := slices.BinarySearchFunc(view, self, order)
		NewRow(slices.Insert(slices.Clone(view), at, self)...)
	}
}
