package recent

import (
	"math/rand/v2"
	"testing"
)

func (s *Set) has(k uint64) bool {
	return s.slots[place(s.slots, 0, k)][0] == k || s.slots[place(s.slots, 1, k)][1] == k
}

// TestLatest: what was added within the limit is known, what is twice as old is not, and
// no more is kept.
func TestLatest(t *testing.T) {
	for _, limit := range []int{0, 1, 3, 250, 1000} {
		s := New(limit)
		least := max(limit, 1)
		r := rand.New(rand.NewPCG(1, 2))
		var all []uint64
		for range 5*least + 7 {
			k := r.Uint64()
			if !s.Add(k) {
				t.Fatalf("limit %d: %d is not new", limit, k)
			}
			all = append(all, k)
			for _, old := range all[max(0, len(all)-least):] {
				if !s.has(old) {
					t.Fatalf("limit %d: one of the latest was forgotten", limit)
				}
			}
			if s.Len() > 2*least {
				t.Fatalf("limit %d: %d are remembered", limit, s.Len())
			}
		}
		for _, k := range all[max(0, len(all)-least):] {
			if s.Add(k) {
				t.Errorf("limit %d: %d is new", limit, k)
			}
		}
		if !s.Add(all[0]) {
			t.Errorf("limit %d: the oldest is still known", limit)
		}
	}
}

// TestGrow: nothing is forgotten when the limit rises, and it does not fall.
func TestGrow(t *testing.T) {
	s := New(3)
	for k := range uint64(3) {
		s.Add(k)
	}
	s.Grow(50)
	s.Grow(2)
	for k := range uint64(50) {
		if got := s.Add(k); got != (k >= 3) {
			t.Errorf("%d: new %v", k, got)
		}
	}
	for k := range uint64(50) {
		if s.Add(k) {
			t.Errorf("%d was forgotten", k)
		}
	}
}

// TestSameRemainder: numbers that fall into one place do not push each other out.
func TestSameRemainder(t *testing.T) {
	s := New(100)
	for k := range uint64(100) {
		if !s.Add(k << 40) {
			t.Errorf("%d is not new", k)
		}
	}
	for k := range uint64(100) {
		if k != 0 && s.Add(k<<40) {
			t.Errorf("%d was forgotten", k)
		}
	}
}

// TestZero: the number 0 is one as any other.
func TestZero(t *testing.T) {
	s := New(10)
	if !s.Add(0) || s.Add(0) || s.Len() != 1 {
		t.Error("0 is not remembered")
	}
}

func TestNothingTakesNothing(t *testing.T) {
	s := New(1 << 20)
	if s.slots != nil || s.Len() != 0 {
		t.Error("an empty set takes memory")
	}
}

func BenchmarkAdd(b *testing.B) {
	s := New(4096)
	k := uint64(0)
	for b.Loop() {
		k += zero
		s.Add(k)
	}
}
