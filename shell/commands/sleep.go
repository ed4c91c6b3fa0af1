package commands

import (
	"context"
	"strconv"
	"time"

	"github.com/juxta-p2p/juxta/shell/interp"
)

func sleepCommand(*Host) *interp.Command {
	return &interp.Command{
		Name: "sleep", Family: familyLanguage, Summary: "waits",
		Args: "DURATION", MinArgs: 1, MaxArgs: 1, Complete: nothing,
		Details:  "A number without a unit is milliseconds, as in the original shell.",
		Examples: []interp.Example{{Line: "sleep 2s", Text: "two seconds"}, {Line: "sleep 500", Text: "half a second"}},
		Run: func(ctx context.Context, c *interp.Call) error {
			text := c.Args[0].Text
			if _, err := strconv.Atoi(text); err == nil {
				text += "ms"
			}
			d, err := interp.ParseDuration(text)
			if err != nil {
				return interp.Usagef("sleep wants a duration such as 2s or 500ms, not %q", text)
			}
			timer := time.NewTimer(d)
			defer timer.Stop()
			select {
			case <-timer.C:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		},
	}
}
