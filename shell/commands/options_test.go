package commands_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/juxta-p2p/juxta/shell/commands"
	"github.com/juxta-p2p/juxta/shell/interp"
)

// use is one run of a command in a line, with what stands behind it.
type use struct {
	command *interp.Command
	words   []string
}

// separators end a command. That one may stand in quotes does no harm here.
var separators = regexp.MustCompile(`\s*(?:;|\|\||&&|\||\bdo\b|\bthen\b)\s*`)

// uses finds the commands in a line.
func uses(all []*interp.Command, line string) (found []use) {
	for _, part := range separators.Split(line, -1) {
		if _, after, ok := strings.Cut(part, " = "); ok {
			part = after
		}
		words := strings.Fields(part)
		if len(words) == 0 {
			continue
		}
		i := slices.IndexFunc(all, func(c *interp.Command) bool { return c.Name == words[0] || slices.Contains(c.Aliases, words[0]) })
		if i >= 0 {
			found = append(found, use{all[i], words[1:]})
		}
	}
	return found
}

// has reports whether one of the words is the option, also among others.
func (u *use) has(o interp.Option) bool {
	for _, w := range u.words {
		word, _, _ := strings.Cut(w, "=")
		switch {
		case o.Name != "" && (word == "-"+o.Name || word == "--"+o.Name):
			return true
		case o.Letter != "" && strings.HasPrefix(w, "-") && !strings.HasPrefix(w, "--") && (w[1:] == o.Letter || shortFlags.MatchString(w) && strings.Contains(w[1:], o.Letter)):
			return true
		}
	}
	return false
}

var shortFlags = regexp.MustCompile(`^-[a-zA-Z]{1,3}$`)

// neverTyped are options that neither an example nor a transcript has: a list to be
// made shorter.
var neverTyped = []string{"yard --jitter", "yard --exact", "yard --lookups", "yard --profile", "yard --listen", "yard --processes"}

// TestEveryOptionIsTyped: each option of each command occurs in an example, a
// transcript or a line of these tests.
func TestEveryOptionIsTyped(t *testing.T) {
	all := commands.New(nil).Commands()
	typed := map[string]bool{}
	note := func(line string) {
		for _, u := range uses(all, line) {
			for _, o := range u.command.Options {
				if u.has(o) {
					typed[u.command.Name+" "+flag1(o)] = true
				}
			}
		}
	}
	for _, c := range all {
		for _, e := range c.Examples {
			note(e.Line)
		}
	}
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(b)) {
			if m := atPeer.FindStringSubmatch(strings.TrimSpace(line)); m != nil {
				note(m[2])
			}
		}
	}
	for _, c := range all {
		for _, o := range c.Options {
			name := c.Name + " " + flag1(o)
			if listed := slices.Contains(neverTyped, name); listed == typed[name] {
				if listed {
					t.Errorf("%s is typed now: take it off the list", name)
				} else {
					t.Errorf("%s is in no example and no transcript", name)
				}
			}
		}
	}
	for _, name := range neverTyped {
		command, _, _ := strings.Cut(name, " ")
		if !slices.ContainsFunc(all, func(c *interp.Command) bool { return c.Name == command }) {
			t.Errorf("there is no command %s", command)
		}
	}
}

func flag1(o interp.Option) string {
	if o.Letter != "" {
		return "-" + o.Letter
	}
	return "--" + o.Name
}
