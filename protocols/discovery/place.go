package discovery

import (
	"cmp"
	"crypto/sha1"
	"math/big"
	"slices"

	"github.com/juxta-p2p/juxta/core/id"
)

// place chooses the rendezvous that keeps the copy of an index entry: the
// distributed hash table of JXTA, loosely consistent because every rendezvous
// computes it on those that it knows. expr is the primary key, the name of the
// field and the value, one behind the other; peers may be in any order and name
// a peer twice. It reports false if there are fewer than threshold peers.
//
// The SHA-1 of expr, as a signed number without its sign, is scaled to the
// number of peers; like JXSE it scales by whole octets, so that only the lower
// half of the sorted peers is ever chosen.
func place(expr string, peers []id.Peer, threshold int) (id.Peer, bool) {
	sorted := slices.Clone(peers)
	slices.SortFunc(sorted, func(a, b id.Peer) int { return cmp.Compare(a.String(), b.String()) })
	sorted = slices.Compact(sorted)
	if len(sorted) == 0 || len(sorted) < threshold {
		return id.Peer{}, false
	}
	sum := sha1.Sum([]byte(expr))
	x := new(big.Int).SetBytes(sum[:])
	if sum[0]&0x80 != 0 {
		x.Sub(x, new(big.Int).Lsh(big.NewInt(1), 8*sha1.Size))
		x.Abs(x)
	}
	octets := uint(x.BitLen()/8 + 1)
	x.Mul(x, big.NewInt(int64(len(sorted))))
	x.Rsh(x, 8*octets)
	return sorted[x.Int64()], true
}
