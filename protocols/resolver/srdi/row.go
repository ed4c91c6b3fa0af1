package srdi

import (
	"crypto/sha1"
	"math/bits"
	"slices"
	"strings"

	"github.com/juxta-p2p/juxta/core/id"
)

// Row is the rendezvous of a group as one of them knows them, in order of their
// IDs: the distributed hash table of JXTA, loosely consistent because each
// computes it on those that it knows. It is not changed once made. The methods
// can be called on nil, a row without peers.
type Row struct {
	peers []id.Peer
}

// NewRow makes the row of these peers, in any order and named any number of times.
func NewRow(peers ...id.Peer) *Row {
	sorted := slices.Clone(peers)
	if !slices.IsSortedFunc(sorted, order) {
		slices.SortFunc(sorted, order)
	}
	return &Row{slices.Compact(sorted)}
}

func order(a, b id.Peer) int { return strings.Compare(a.String(), b.String()) }

// Size returns how many peers stand in the row.
func (r *Row) Size() int {
	if r == nil {
		return 0
	}
	return len(r.peers)
}

// Place returns the rendezvous that keeps the copy of an index entry. It reports
// false if there are fewer than [Threshold]: then there are no copies.
//
// JXSE 2.5 takes the SHA-1 of primary key, name and value, one behind the other,
// as a signed number without its sign, and scales it to the number of peers; it
// scales by whole octets, so that only the lower half of the row is ever chosen.
// It costs one hash and no allocation for texts of common length.
func (r *Row) Place(primary, name, value string) (id.Peer, bool) {
	if r.Size() < Threshold {
		return id.Peer{}, false
	}
	return r.peers[index(primary, name, value, len(r.peers))], true
}

// index is the place among n peers.
func index(primary, name, value string, n int) int {
	var room [256]byte
	return scale(sha1.Sum(append(append(append(room[:0], primary...), name...), value...)), n)
}

// scale brings a hash into the range of n.
func scale(x [sha1.Size]byte, n int) int {
	if x[0]&0x80 != 0 { // negative: the two's complement
		carry := true
		for i := len(x) - 1; i >= 0; i-- {
			x[i] = ^x[i]
			if carry {
				x[i]++
				carry = x[i] == 0
			}
		}
	}
	// x times n, shifted by the octets that Java needs for x with its sign: one
	// more than those of x if the first of them has its first bit set.
	first := 0
	for first < len(x) && x[first] == 0 {
		first++
	}
	carry := uint64(0)
	for i := len(x) - 1; i >= first; i-- {
		carry = (uint64(x[i])*uint64(n) + carry) >> 8
	}
	if first < len(x) && bits.Len8(x[first]) == 8 {
		carry >>= 8
	}
	return int(carry)
}

// Reach is how many rendezvous far, in each direction, a question walks from the
// place where its entry should be: as far as the views of rendezvous that do not
// yet agree may put it elsewhere, and few enough for any number of rendezvous.
func (r *Row) Reach() int { return bits.Len(uint(max(r.Size()-1, 0))) }
