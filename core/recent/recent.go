// Package recent remembers the latest of many numbers, to tell what was seen before.
// The numbers should be hashes with a secret seed, such as those of hash/maphash: who can choose
// them makes it slow.
package recent

// Set remembers at least the latest numbers that were added, as many as its limit, and
// at most twice as many. It takes no memory before the first one, and up to 64 octets a
// number of its limit. It is not safe for concurrent use. Make it with [New]; the zero
// value remembers one.
type Set struct {
	limit int
	slots []pair // a power of two of them, at least twice as many as numbers of either kind
	now   int    // the half of the slots to which numbers are added; the other is what was in it when it was full
	n     [2]int // numbers in each half
}

// pair is a slot of each of two hash tables without deletion: numbers lie at their own
// remainder or behind it. Side by side, since they are looked up together, and reaching the
// memory costs more than anything else here. 0: free.
type pair [2]uint64

const firstSlots = 16

// zero stands for the number 0 in a slot.
const zero = 0x9e3779b97f4a7c15

// New returns an empty set that remembers the latest limit numbers, at least one.
func New(limit int) Set { return Set{limit: limit} }

// Add remembers the number and reports whether it was not in the set.
func (s *Set) Add(k uint64) bool {
	if k == 0 {
		k = zero
	}
	if 2*(s.n[s.now]+1) > len(s.slots) {
		s.grow()
	}
	i := place(s.slots, s.now, k)
	if s.slots[i][s.now] == k || s.slots[place(s.slots, 1-s.now, k)][1-s.now] == k {
		return false
	}
	s.slots[i][s.now] = k
	if s.n[s.now]++; s.n[s.now] >= max(s.limit, 1) {
		s.now = 1 - s.now
		for i := range s.slots {
			s.slots[i][s.now] = 0
		}
		s.n[s.now] = 0
	}
	return true
}

// Grow raises the limit; it never falls.
func (s *Set) Grow(limit int) { s.limit = max(s.limit, limit) }

// Len returns how many numbers are remembered.
func (s *Set) Len() int { return s.n[0] + s.n[1] }

// place returns where the number is in a half, or where it belongs.
func place(slots []pair, half int, k uint64) int {
	mask := len(slots) - 1
	i := int(k) & mask
	for slots[i][half] != 0 && slots[i][half] != k {
		i = (i + 1) & mask
	}
	return i
}

func (s *Set) grow() {
	larger := make([]pair, max(2*len(s.slots), firstSlots))
	for _, both := range s.slots {
		for half, k := range both {
			if k != 0 {
				larger[place(larger, half, k)][half] = k
			}
		}
	}
	s.slots = larger
}
