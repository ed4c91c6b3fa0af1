package routing

import "slices"

// small is a map that costs next to nothing while it holds little, as at a peer at
// rest, which knows its rendezvous and hardly anybody else. The zero value is empty.
type small[K comparable, V any] struct {
	few  []pair[K, V]
	many map[K]V // instead of few, when there are more
}

type pair[K comparable, V any] struct {
	key   K
	value V
}

// fewPairs is up to how many pairs looking at each is as quick as a map.
const fewPairs = 8

func (s *small[K, V]) get(k K) (v V, ok bool) {
	if s.many != nil {
		v, ok = s.many[k]
		return v, ok
	}
	if i := s.index(k); i >= 0 {
		return s.few[i].value, true
	}
	return v, false
}

func (s *small[K, V]) index(k K) int {
	for i := range s.few {
		if s.few[i].key == k {
			return i
		}
	}
	return -1
}

func (s *small[K, V]) set(k K, v V) {
	switch i := s.index(k); {
	case s.many != nil:
		s.many[k] = v
	case i >= 0:
		s.few[i].value = v
	case len(s.few) < fewPairs:
		s.few = append(s.few, pair[K, V]{k, v})
	default:
		s.many = map[K]V{k: v}
		for _, p := range s.few {
			s.many[p.key] = p.value
		}
		s.few = nil
	}
}

func (s *small[K, V]) delete(k K) {
	if s.many != nil {
		if delete(s.many, k); len(s.many) == 0 {
			s.many = nil // a map keeps its memory
		}
		return
	}
	if i := s.index(k); i >= 0 {
		s.few = slices.Delete(s.few, i, i+1)
	}
}

// sweep drops the pairs of which keep is not true.
func (s *small[K, V]) sweep(keep func(K, V) bool) {
	if s.many != nil {
		for k, v := range s.many {
			if !keep(k, v) {
				delete(s.many, k)
			}
		}
		if len(s.many) == 0 {
			s.many = nil
		}
		return
	}
	s.few = slices.DeleteFunc(s.few, func(p pair[K, V]) bool { return !keep(p.key, p.value) })
}

func (s *small[K, V]) len() int { return len(s.few) + len(s.many) }

func (s *small[K, V]) clear() { *s = small[K, V]{} }
