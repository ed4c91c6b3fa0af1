package commands

import (
	"slices"
	"strings"
	"testing"

	"github.com/juxta-p2p/juxta/shell/interp"
)

// TestVisitors: the list of what others may do names what there is, and nothing that takes
// files, scripts or other programs.
func TestVisitors(t *testing.T) {
	all := New(nil).Commands()
	some := visitorCommands(all)
	if len(some) != len(forVisitors()) {
		t.Errorf("%d of %d commands are there", len(some), len(forVisitors()))
	}
	for name, options := range forVisitors() {
		i := slices.IndexFunc(all, func(c *interp.Command) bool { return c.Name == name })
		if i < 0 {
			t.Errorf("there is no command %s", name)
			continue
		}
		for _, o := range options {
			if !slices.ContainsFunc(all[i].Options, func(x interp.Option) bool { return x.Letter == o || x.Letter == "" && x.Name == o }) {
				t.Errorf("%s has no option %s", name, o)
			}
		}
	}
	for _, c := range some {
		takes := c.Args
		for _, o := range c.Options {
			takes += " " + o.Value
		}
		for _, word := range []string{"FILE", "FOLDER", "COMMAND", "GROUP"} {
			if strings.Contains(takes, word) && c.Name != "help" && c.Name != "man" {
				t.Errorf("%s takes %s", c.Name, takes)
			}
		}
		if c.Raw {
			t.Errorf("%s reads its own options", c.Name)
		}
		for _, a := range c.Aliases {
			if _, listed := forVisitors()[a]; listed {
				t.Errorf("%s is also called %s", c.Name, a)
			}
		}
	}
}
