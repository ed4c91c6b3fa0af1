package routing

import (
	"maps"
	"testing"

	"pgregory.net/rapid"
)

// TestSmallIsAMap: whatever is done to it, it answers like a map.
func TestSmallIsAMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s small[int, int]
		m := map[int]int{}
		for range rapid.IntRange(0, 60).Draw(t, "steps") {
			k := rapid.IntRange(0, 2*fewPairs).Draw(t, "key")
			switch rapid.IntRange(0, 20).Draw(t, "step") {
			case 0:
				s.clear()
				clear(m)
			case 1:
				s.sweep(func(k, _ int) bool { return k%3 != 0 })
				maps.DeleteFunc(m, func(k, _ int) bool { return k%3 == 0 })
			case 2, 3, 4, 5, 6, 7:
				s.delete(k)
				delete(m, k)
			default:
				v := rapid.Int().Draw(t, "value")
				s.set(k, v)
				m[k] = v
			}
			if s.len() != len(m) {
				t.Fatalf("%d pairs, want %d", s.len(), len(m))
			}
			for k := range 2*fewPairs + 1 {
				v, ok := s.get(k)
				if w, want := m[k]; ok != want || v != w {
					t.Fatalf("%d is %d, %t; want %d, %t", k, v, ok, w, want)
				}
			}
		}
	})
}
