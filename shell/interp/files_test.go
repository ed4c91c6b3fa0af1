package interp_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/juxta-p2p/juxta/shell/interp"
)

// TestCompleteFiles: names of files are completed where a file may stand, when Tab is pressed.
func TestCompleteFiles(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	for _, name := range []string{"tales.txt", "table.tsv", "with blank", ".hidden", "sub/inner", "esc\x1b[2J", "a'b"} {
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	none := func(*interp.Session, int) []interp.Suggestion { return nil }
	take := &interp.Command{Name: "take", MaxArgs: 2, Complete: none, File: func(n int) bool { return n == 1 },
		Options: []interp.Option{{Letter: "f", Value: "FILE"}, {Letter: "n", Value: "NAME"}},
		Run:     func(context.Context, *interp.Call) error { return nil }}
	for _, restricted := range []bool{false, true} {
		s := interp.New(interp.Config{Commands: []*interp.Command{take}, Restricted: restricted})
		for _, tt := range []struct {
			before string
			asked  bool
			want   string
		}{
			{"take x ta", true, "table.tsv tales.txt"},
			{"take x ta", false, ""},
			{"take ta", true, ""},
			{"take x ", true, "sub/ table.tsv tales.txt"},
			{"take x .", true, ".hidden"},
			{"take x sub/", true, "sub/inner"},
			{"take x nowhere/", true, ""},
			{"take -f ta", true, "table.tsv tales.txt"},
			{"take -n ta", true, ""},
			{"take > ta", true, "table.tsv tales.txt"},
			{"take >> ta", true, "table.tsv tales.txt"},
			{"take >ta", true, ">table.tsv >tales.txt"},
			{"take < sub/i", true, "sub/inner"},
			{"take < sub/i", false, ""},
			{"take x wi", true, ""},
		} {
			var got []string
			for _, x := range s.Complete(tt.before, tt.asked) {
				got = append(got, filepath.ToSlash(x.Text))
			}
			want := tt.want
			if restricted {
				want = ""
			}
			if g := strings.Join(got, " "); g != want {
				t.Errorf("restricted %v: Complete(%q, %v) = %q, want %q", restricted, tt.before, tt.asked, g, want)
			}
		}
		s.Close()
	}
}
