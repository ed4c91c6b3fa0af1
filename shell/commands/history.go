package commands

import (
	"context"
	"fmt"

	"github.com/juxta-p2p/juxta/shell/interp"
)

func historyCommand(*Host) *interp.Command {
	return &interp.Command{
		Name: "history", Family: familyLanguage, Summary: "lists the lines that were typed",
		Details:  "!N at the prompt runs line N again, !! the last one. Lines that begin with a blank\nare not kept.\nJSON: number, line.",
		Examples: []interp.Example{{Line: "history | grep talk", Text: "earlier talks", Before: "talk ann hello"}, {Line: "!12", Text: "runs line 12 again"}},
		Run: func(_ context.Context, c *interp.Call) error {
			for i, l := range c.Session.History.Lines() {
				c.Line(fmt.Sprintf("%4d  %s", i, l), interp.Field{Name: "number", Value: i}, interp.Field{Name: "line", Value: l})
			}
			return nil
		},
	}
}
