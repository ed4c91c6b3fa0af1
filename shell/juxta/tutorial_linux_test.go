package main_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestTutorial plays docs/tutorial.md, every block of it, on a machine with the files
// and programs that it shows.
func TestTutorial(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile("../../docs/tutorial.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(b)
	m := newMachine(t)
	if buildError != nil {
		t.Fatal(buildError)
	}
	home, bin := t.TempDir(), t.TempDir()
	if err := os.Symlink(binary, filepath.Join(bin, "juxta")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(bin, "juxta-near"), []byte(shown(t, page, "file juxta-near")), 0o700); err != nil {
		t.Fatal(err)
	}
	dice := shown(t, page, "program dice")
	if source, err := os.ReadFile("../../docs/examples/dice/main.go"); err != nil || !strings.HasSuffix(string(source), dice) {
		t.Error("the tutorial shows another program than docs/examples/dice", err)
	}
	if out, err := exec.Command("go", "build", "-o", filepath.Join(bin, "dice"), "../../docs/examples/dice").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	blocks := consoles(page)
	if len(blocks) < 15 {
		t.Errorf("%d console blocks only", len(blocks))
	}
	follow(t, blocks, func(program string, args ...string) *exec.Cmd {
		if program != plain {
			program = filepath.Join(bin, program)
		}
		cmd := m.command(home, append([]string{program}, args...)...)
		cmd.Dir = home
		for i, v := range cmd.Env {
			if path, ok := strings.CutPrefix(v, "PATH="); ok {
				cmd.Env[i] = "PATH=" + bin + string(os.PathListSeparator) + path
			}
		}
		return cmd
	})
}

// shown returns the block behind a mark.
func shown(t *testing.T, page, mark string) string {
	t.Helper()
	_, rest, ok := strings.Cut(page, "<!-- "+mark+" -->\n```")
	if !ok {
		t.Fatalf("no block %q", mark)
	}
	_, rest, _ = strings.Cut(rest, "\n")
	text, _, _ := strings.Cut(rest, "```")
	return text
}
