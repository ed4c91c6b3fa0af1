package commands

import (
	"context"
	"io"

	"github.com/juxta-p2p/juxta/shell/interp"
)

func clearCommand(*Host) *interp.Command {
	return &interp.Command{
		Name: "clear", Family: familyLanguage, Summary: "clears the screen",
		Details:  "It does nothing where there is no terminal.",
		Examples: []interp.Example{{Line: "clear", Text: "like Ctrl-L"}, {Line: "clear; peers", Text: "a fresh list"}},
		Run: func(_ context.Context, c *interp.Call) error {
			if c.Session.Terminal {
				_, _ = io.WriteString(c.Session.Out, "\x1b[2J\x1b[H")
			}
			return nil
		},
	}
}
