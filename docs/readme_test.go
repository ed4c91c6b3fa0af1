package docs_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// block is a piece of README.md between fences.
type block struct {
	info string // what stands behind the opening fence
	text string
}

// blocks returns the fenced blocks of a text.
func blocks(text string) (all []block) {
	var open *block
	for line := range strings.Lines(text) {
		info, fence := strings.CutPrefix(line, "```")
		switch {
		case !fence && open != nil:
			open.text += line
		case fence && open != nil:
			all, open = append(all, *open), nil
		case fence:
			open = &block{info: strings.TrimSpace(info)}
		}
	}
	return all
}

func readme(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestBlocks(t *testing.T) {
	got := blocks("a\n```\nb\n\nc\n```\n```console ann\nd\n```\n```go\nnever closed\n")
	if len(got) != 2 || got[0] != (block{"", "b\n\nc\n"}) || got[1] != (block{"console ann", "d\n"}) {
		t.Fatalf("%q", got)
	}
}

// TestReadmeBegins: the first two commands are all that a fresh machine needs.
func TestReadmeBegins(t *testing.T) {
	all := blocks(readme(t))
	if len(all) == 0 {
		t.Fatal("README.md shows nothing to run")
	}
	var commands []string
	for line := range strings.Lines(all[0].text) {
		command, _, _ := strings.Cut(line, "#")
		commands = append(commands, strings.TrimSpace(command))
	}
	if got := strings.Join(commands, "; "); got != "go run ./shell/juxta; go test ./..." {
		t.Errorf("README.md begins with %q", got)
	}
}

var link = regexp.MustCompile(`\]\(([^):]+)\)`)

func TestReadmeLinksLeadSomewhere(t *testing.T) {
	found := link.FindAllStringSubmatch(readme(t), -1)
	for _, m := range found {
		if _, err := os.Stat(filepath.Join("..", filepath.FromSlash(m[1]))); err != nil {
			t.Error(err)
		}
	}
	if len(found) < 5 {
		t.Errorf("only %d links", len(found))
	}
}
