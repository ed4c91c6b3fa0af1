package commands_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/juxta-p2p/juxta/shell/commands"
	"github.com/juxta-p2p/juxta/shell/interp"
)

// snake is how fields are named.
var snake = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)

// documented returns the names that the manual page gives behind "JSON:".
func documented(c *interp.Command) string {
	_, text, ok := strings.Cut(c.Details, "JSON:")
	if !ok {
		return ""
	}
	return text
}

// TestJSONFields types every example of every command with --json: each line is
// one object, and each of its fields stands behind "JSON:" in the manual page.
func TestJSONFields(t *testing.T) {
	all := commands.New(nil).Commands()
	for _, c := range all {
		t.Run(c.Name, func(t *testing.T) {
			if why := notRunCommands[c.Name]; why != "" {
				t.Skip(why)
			}
			if c.Name == "time" || c.Name == "watch" {
				t.Skip("its results are those of another command")
			}
			exampleFolder(t)
			for _, e := range c.Examples {
				u := uses(all, e.Line)
				if notRun[e.Line] != "" || len(u) == 0 || u[len(u)-1].command != c { // the last one prints
					continue
				}
				synctest.Test(t, func(t *testing.T) {
					s := newStage(t, exampleWorld)
					s.lines(e.Before)
					s.shells["me"].session.JSON = true
					_, out := s.run(e.Line, exampleTime)
					fields := map[string]bool{}
					for line := range strings.Lines(out) {
						if strings.Contains(e.Before, "| ") && !strings.HasPrefix(line, "{") {
							continue // a question and its answer
						}
						checkLine(t, fields, e.Line, line)
					}
					words := ""
					for _, x := range u {
						words += documented(x.command)
					}
					checkFields(t, slices.Sorted(maps.Keys(fields)), words)
				})
			}
		})
	}
}

// checkLine notes the fields of a result. What is only text has the field text
// without saying so, notices and errors have their own form.
func checkLine(t *testing.T, fields map[string]bool, typed, line string) {
	var o map[string]any
	if err := json.Unmarshal([]byte(line), &o); err != nil {
		t.Errorf("%s: no object: %q", typed, line)
		return
	}
	if o["error"] != nil || o["notice"] != nil || len(o) == 1 && o["text"] != nil {
		if e, ok := o["error"].(map[string]any); ok && (fmt.Sprint(e["code"]) == "" || e["status"] == nil || e["message"] == "") {
			t.Errorf("%s: %s", typed, line)
		}
		return
	}
	for f := range o {
		fields[f] = true
	}
}

// checkFields holds the names of fields to what the manual pages say.
func checkFields(t *testing.T, fields []string, words string) {
	for _, f := range fields {
		if !snake.MatchString(f) {
			t.Errorf("the field %q is not in snake_case", f)
		}
		if !regexp.MustCompile(`\b` + f + `\b`).MatchString(words) {
			t.Errorf("the field %s is not behind \"JSON:\" in the manual page", f)
		}
	}
}
