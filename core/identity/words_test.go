package identity

import "testing"

func TestWords(t *testing.T) {
	seen := map[string]bool{}
	for _, w := range words() {
		if seen[w] || len(w) < 3 || len(w) > 10 {
			t.Errorf("%q is there twice, or too short or long", w)
		}
		seen[w] = true
	}
	if len(seen) != 256 {
		t.Errorf("%d words", len(seen))
	}
}
