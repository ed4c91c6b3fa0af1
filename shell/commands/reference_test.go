package commands_test

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/juxta-p2p/juxta/shell/commands"
)

// TestReference holds docs/shell.md to what the commands say about themselves;
// go test -update writes it.
func TestReference(t *testing.T) {
	const file, mark = "../../docs/shell.md", "<!-- commands -->\n"
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	head, was, ok := strings.Cut(string(b), mark)
	if !ok {
		t.Fatalf("%s has no line %q", file, mark)
	}
	var is bytes.Buffer
	for _, c := range commands.New(nil).Commands() {
		fmt.Fprintf(&is, "\n### %s\n\n```\n%s```\n", c.Name, c.Manual())
	}
	if *update {
		if err := os.WriteFile(file, []byte(head+mark+is.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if d := cmp.Diff(strings.Split(was, "\n"), strings.Split(is.String(), "\n")); d != "" {
		t.Errorf("%s: - wanted, + got; go test -update accepts\n%s", file, d)
	}
}
