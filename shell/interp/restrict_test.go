package interp

import (
	"os"
	"strings"
	"testing"
)

// TestRestricted: what somebody else may not do, and that variables do not add up.
func TestRestricted(t *testing.T) {
	t.Chdir(t.TempDir())
	var out output
	s := New(Config{Commands: toys(), Out: &out, Err: &out, Restricted: true})
	defer s.Close()
	if err := s.StoreFixed("big", strings.Repeat("x", restrictedText/4)); err != nil {
		t.Fatal(err)
	}
	if err := s.Store("mine", "as it was"); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		line   string
		status int
		says   string
	}{
		{"echo hello | upper", StatusOK, "HELLO"},
		{"x = 'text'", StatusDenied, "no variables"},
		{"x = echo a", StatusDenied, "no variables"},
		{"echo a | x = upper", StatusDenied, "no variables"},
		{"echo a > file", StatusDenied, "no files"},
		{"echo a >> file", StatusDenied, "no files"},
		{"upper < file", StatusDenied, "no files"},
		{"echo a > file | upper", StatusUsage, ""},
		{"!sh -c id", StatusDenied, "no programs"},
		{"echo a | !sh", StatusDenied, "no programs"},
		{`echo "$big$big$big" | first`, StatusOK, "xxx"},
		{`echo "$big$big$big$big$big"`, StatusDenied, "longer than 64 KiB"},
		{"echo $big $big $big | echo $big $big", StatusDenied, "longer than 64 KiB"},
		{`for x in "$big$big$big$big$big"; do echo; done`, StatusFailed, "longer than 64 KiB"},
		{`for x in "$big$big"; do for y in "$x$x$x"; do echo; done; done`, StatusFailed, "longer than 64 KiB"},
		{"for x in 1 2; do echo $x; done", StatusOK, "1\n2\n"},
		{"echo $x", StatusFailed, "no variable"},
		{"for mine in 1 2; do echo $mine; done; echo $mine", StatusOK, "2\nas it was"},
		{"for big in 1; do echo; done", StatusFailed, "belongs to the shell"},
		{"echo $nothing", StatusFailed, "no variable"},
	} {
		if got, text := s.Run(t.Context(), c.line), out.take(); got != c.status || !strings.Contains(text, c.says) {
			t.Errorf("%s: status %d, want %d\n%.200s", c.line, got, c.status, text)
		}
	}
	if all, err := os.ReadDir("."); err != nil || len(all) > 0 {
		t.Errorf("%v, %v", all, err)
	}
	if all := s.Vars.All(); len(all) != 2 {
		t.Errorf("%d variables", len(all))
	}
}
