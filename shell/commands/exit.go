package commands

import (
	"context"
	"strconv"

	"github.com/juxta-p2p/juxta/shell/interp"
)

func exitCommand(*Host) *interp.Command {
	return &interp.Command{
		Name: "exit", Aliases: []string{"quit"}, Family: familyLanguage, Summary: "leaves the groups and ends the program",
		Args: "[STATUS]", MaxArgs: 1, Complete: nothing,
		Details:  "Without a number the status is that of the last command that failed, 0 if none did.",
		Examples: []interp.Example{{Line: "exit", Text: "good bye"}, {Line: "exit 3", Text: "ends with status 3", Status: 3}},
		Run: func(_ context.Context, c *interp.Call) error {
			if len(c.Args) == 0 {
				c.Session.Exit(-1)
				return nil
			}
			const highest = 255
			n, err := strconv.Atoi(c.Args[0].Text)
			if err != nil || n < 0 || n > highest {
				return interp.Usagef("a status is a number from 0 to %d, not %q", highest, c.Args[0].Text)
			}
			c.Session.Exit(n)
			return nil
		},
	}
}

// nothing completes arguments that cannot be guessed.
func nothing(*interp.Session, int) []interp.Suggestion { return nil }
