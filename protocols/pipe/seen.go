package pipe

// ids remembers hashes of message IDs, the latest ones up to the limit. It is
// not safe for concurrent use.
type ids struct {
	limit int
	set   map[uint64]struct{}
	ring  []uint64
	next  int
}

// add remembers the hash and reports whether it is new.
func (s *ids) add(k uint64) bool {
	if _, ok := s.set[k]; ok {
		return false
	}
	if s.set == nil {
		s.set = map[uint64]struct{}{}
	}
	s.set[k] = struct{}{}
	if len(s.ring) < s.limit {
		s.ring = append(s.ring, k)
		return true
	}
	delete(s.set, s.ring[s.next])
	s.ring[s.next] = k
	s.next = (s.next + 1) % len(s.ring)
	return true
}

// grow raises the limit; it never falls.
func (s *ids) grow(limit int) {
	if limit > s.limit {
		s.ring = append(s.ring[s.next:len(s.ring):len(s.ring)], s.ring[:s.next]...)
		s.next, s.limit = 0, limit
	}
}
