package lang

import (
	"strings"
	"testing"
)

func TestTail(t *testing.T) {
	for _, tt := range []struct{ before, words, partial string }{
		{"", "", ""},
		{"pe", "", "pe"},
		{"peers ", "peers", ""},
		{"peers -r -v a", "peers|-r|-v", "a"},
		{"a; b | c d", "c", "d"},
		{"x = newpipe -n", "newpipe", "-n"},
		{"x=ne", "", "ne"},
		{"echo 'a b", "echo", "'a b"},
		{"echo 'a b' c", "echo|a b", "c"},
		{"echo $x y", "echo|", "y"}, // what a variable holds is not known here
		{"a |", "", ""},
		{"a # comment", "a", ""},
	} {
		words, partial := Tail(tt.before)
		if got := strings.Join(words, "|"); got != tt.words || partial != tt.partial {
			t.Errorf("Tail(%q) = %q, %q; want %q, %q", tt.before, got, partial, tt.words, tt.partial)
		}
	}
}

func FuzzTail(f *testing.F) {
	for _, s := range []string{"peers -r", "x = 'a", "a | b; c $", "\\"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, before string) {
		if _, partial := Tail(before); !strings.HasSuffix(before, partial) {
			t.Fatalf("Tail(%q) ends with %q", before, partial)
		}
	})
}
