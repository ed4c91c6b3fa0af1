package terminal

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"
)

func keysText(keys [][]byte) string {
	var all []string
	for _, k := range keys {
		all = append(all, string(k))
	}
	return strings.Join(all, "|")
}

func TestSplit(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"text and Enter in one read", "hello\r", "hello|\r"},
		{"several lines at once", "a\nb\nc", "a|\n|b|\n|c"},
		{"control characters alone", "\x01\x05x\x7f", "\x01|\x05|x|\x7f"},
		{"wide text is one run", "日本é", "日本é"},
		{"arrows", "\x1b[A\x1b[Bx", "\x1b[A|\x1b[B|x"},
		{"Delete and Home", "\x1b[3~\x1b[1~", "\x1b[3~|\x1b[1~"},
		{"keys by words", "\x1bb\x1b[1;5C\x1bOA", "\x1bb|\x1bf|\x1b[A"},
		{"unknown sequences vanish", "\x1bq\x1b[1;7Cx\x1b[99;5u\x1bé", "x"},
		{"linux console F2", "\x1b[[Bx", "\x1b[[B|x"},
		{"broken sequence", "\x1b[12\rx", "\r|x"},
		{"paste", "\x1b[200~a\tb\r\nc\x07\n\x1b[201~d", "a b ; c|d"},
		{"paste holds no keys", "\x1b[200~\x1b[Ax\x03\x1b[201~", "[Ax"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var s splitter
			if got := keysText(s.split([]byte(tt.in), false)); got != tt.want {
				t.Errorf("split(%q) = %q, want %q", tt.in, got, tt.want)
			}
			// Cut into two reads at every octet, the keys must be the same, except that a
			// run of text may come in two.
			for cut := range tt.in {
				var s splitter
				keys := s.split([]byte(tt.in[:cut]), false)
				keys = append(keys, s.split([]byte(tt.in[cut:]), false)...)
				if got := keysText(keys); strings.ReplaceAll(got, "|", "") != strings.ReplaceAll(tt.want, "|", "") {
					t.Errorf("cut at %d: %q, want %q", cut, got, tt.want)
				}
			}
		})
	}
}

func TestSplitLoneEscape(t *testing.T) {
	var s splitter
	if keys := s.split([]byte{escape}, false); len(keys) != 0 {
		t.Fatalf("an escape may begin a sequence, but came as %q", keys)
	}
	if got := keysText(s.split(nil, true)); got != "\x1b" {
		t.Errorf("after a while: %q", got)
	}
}

func FuzzSplit(f *testing.F) {
	for _, s := range []string{"hello\r", "\x1b[200~a\nb\x1b[201~", "\x1b[1;5C\x1bOP", "\xe6\x97", "\x1b[200~\r", "\x1b\x1b[A"} {
		f.Add([]byte(s), 1)
	}
	f.Fuzz(func(t *testing.T, in []byte, cut int) {
		cut = min(max(cut, 0), len(in))
		var s splitter
		keys := s.split(in[:cut], false)
		keys = append(keys, s.split(in[cut:], false)...)
		keys = append(keys, s.split(nil, true)...)
		total := 0
		for _, k := range keys {
			if len(k) == 0 {
				t.Fatal("empty key")
			}
			if k[0] >= ' ' && k[0] != deleteKey && bytes.ContainsAny(k, "\r\n\x1b\x03") {
				t.Fatalf("text %q holds keys", k)
			}
			total += len(k)
		}
		if total > 4*len(in)+utf8.UTFMax {
			t.Fatalf("%d octets came out of %d", total, len(in))
		}
		if len(s.rest) != 0 {
			t.Fatalf("%q is left over", s.rest)
		}
	})
}

func TestSearch(t *testing.T) {
	s := &search{lines: []string{"peers -r", "talk bob", "peers -l", "peers -l", "whoami"}}
	type step struct {
		key, want string
		outcome   outcome
	}
	for i, st := range []step{
		{"PE", "peers -l", searchGoesOn},
		{"\x12", "peers -r", searchGoesOn},
		{"\x12", "peers -r", searchGoesOn}, // no older one
		{"ers -l", "peers -l", searchGoesOn},
		{"x", "", searchGoesOn},
		{"\x7f", "peers -l", searchGoesOn},
		{"\x1b[C", "peers -l", searchTaken},
		{"\r", "peers -l", searchRun},
		{"\x07", "peers -l", searchGivenUp},
	} {
		if got := s.key([]byte(st.key)); got != st.outcome {
			t.Errorf("step %d: outcome %d, want %d", i, got, st.outcome)
		}
		if got, _ := s.found(); got != st.want {
			t.Errorf("step %d: found %q, want %q", i, got, st.want)
		}
	}
}
