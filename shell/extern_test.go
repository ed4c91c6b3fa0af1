package shell

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/juxta-p2p/juxta/shell/interp"
)

// TestExternOutputCut: however a program's output is cut, the same comes out, and
// never half a character.
func TestExternOutputCut(t *testing.T) {
	const text = "one\r\ntwo ä€😀\n\n\xff\xe2\x82 last"
	for cut := range len(text) + 1 {
		var lines, pieces []string
		byLine := &externOutput{put: func(s string) { lines = append(lines, s) }, lines: true}
		asIs := &externOutput{put: func(s string) { pieces = append(pieces, s) }}
		for _, o := range []*externOutput{byLine, asIs} {
			for _, part := range []string{text[:cut], text[cut:]} {
				if n, err := o.Write([]byte(part)); n != len(part) || err != nil {
					t.Fatal(n, err)
				}
			}
			o.end()
			o.end()
		}
		if got := strings.Join(lines, "|"); got != "one|two ä€😀||\xff\xe2\x82 last" {
			t.Errorf("cut at %d: %q", cut, got)
		}
		if got := strings.Join(pieces, ""); got != text {
			t.Errorf("cut at %d: %q", cut, got)
		}
		if cut > 0 && cut < len(text) && cut < 20 && strings.ContainsRune(strings.ToValidUTF8(pieces[0], "\uFFFD"), '\uFFFD') {
			t.Errorf("cut at %d: half a character in %q", cut, pieces[0])
		}
	}
	var longest int
	o := &externOutput{put: func(s string) { longest = max(longest, len(s)) }, lines: true}
	for range 40 {
		_, _ = o.Write(bytes.Repeat([]byte("x"), 1<<16))
	}
	if longest < maxExternLine || longest > maxExternLine+1<<16 {
		t.Errorf("a line without end came as %d octets", longest)
	}
}

// FuzzExternRecord: whatever a program writes becomes one line of JSON.
func FuzzExternRecord(f *testing.F) {
	for _, s := range []string{"", "text", "{}", `{"a":1,"b":[{"c":null}],"a":2}`, `{"a":1e999999}`, "{", `{"a"`, `{"a":}`, `[1]`, "\xff", `{"` + "\xff" + `":"` + "\xff" + `"}`, `{"a":1} x`, strings.Repeat(`{"a":`, 11000) + "1" + strings.Repeat("}", 11000)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, line string) {
		var out bytes.Buffer
		s := interp.New(interp.Config{Out: &out, Err: &out, JSON: true, Commands: []*interp.Command{
			{Name: "x", Run: func(_ context.Context, c *interp.Call) error { externRecord(c, line); return nil }},
		}})
		if status := s.Run(t.Context(), "x"); status != 0 {
			t.Fatalf("%q: %s", line, &out)
		}
		got := out.Bytes()
		if bytes.Count(got, []byte("\n")) != 1 || !json.Valid(got) {
			t.Errorf("%q became %q", line, got)
		}
	})
}
