// Package recent remembers the latest of many numbers, to tell what was seen before.
// The numbers should be hashes with a secret seed, such as those of hash/maphash: who can choose
// them makes it slow.
package recent

// Set remembers at least the latest numbers that were added, as many as its limit, and
// at most twice as many. It takes no memory before the first one, and up to 32 octets a
// number of its limit. It is not safe for concurrent use. Make it with [New]; the zero
// value remembers one.
type Set struct {
	limit     int
	now, past table // past: what was in now when that was full
}

// New returns an empty set that remembers the latest limit numbers, at least one.
func New(limit int) Set { return Set{limit: limit} }

// Add remembers the number and reports whether it was not in the set.
func (s *Set) Add(k uint64) bool {
	if s.past.has(k) || !s.now.add(k) {
		return false
	}
	if s.now.n >= max(s.limit, 1) {
		s.past, s.now = s.now, s.past
		s.now.clear()
	}
	return true
}

// Grow raises the limit; it never falls.
func (s *Set) Grow(limit int) { s.limit = max(s.limit, limit) }

// Len returns how many numbers are remembered.
func (s *Set) Len() int { return s.now.n + s.past.n }

// table is a hash table without deletion: numbers lie at their own remainder or behind it.
type table struct {
	slots []uint64 // a power of two of them, at least twice as many as numbers; 0: free
	n     int
}

const firstSlots = 16

// zero stands for the number 0 in a slot.
const zero = 0x9e3779b97f4a7c15

// place returns where the number is, or where it belongs.
func (t *table) place(k uint64) int {
	mask := len(t.slots) - 1
	i := int(k) & mask
	for t.slots[i] != 0 && t.slots[i] != k {
		i = (i + 1) & mask
	}
	return i
}

func (t *table) has(k uint64) bool {
	if k == 0 {
		k = zero
	}
	return t.n > 0 && t.slots[t.place(k)] == k
}

func (t *table) add(k uint64) bool {
	if k == 0 {
		k = zero
	}
	if 2*(t.n+1) > len(t.slots) {
		t.grow()
	}
	i := t.place(k)
	if t.slots[i] == k {
		return false
	}
	t.slots[i] = k
	t.n++
	return true
}

func (t *table) grow() {
	old := t.slots
	t.slots = make([]uint64, max(2*len(old), firstSlots))
	for _, k := range old {
		if k != 0 {
			t.slots[t.place(k)] = k
		}
	}
}

func (t *table) clear() {
	clear(t.slots)
	t.n = 0
}
