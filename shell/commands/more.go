package commands

import (
	"context"
	"strings"

	"github.com/juxta-p2p/juxta/shell/interp"
)

func moreCommand(*Host) *interp.Command {
	const page = 20 // lines, as in the original shell
	return &interp.Command{
		Name: "more", Family: familyLanguage, Summary: "shows text page by page",
		Args: "[VARIABLE]", MaxArgs: 1,
		Options:  []interp.Option{{Letter: "p", Help: "pretty, as in the original shell; texts always are"}},
		Details:  "Enter shows the next page, q and Enter stop. Where nobody can be asked, all is shown.",
		Examples: []interp.Example{{Line: "man talk | more", Text: "a manual page in pieces"}, {Line: "more adv0", Text: "an advertisement in pieces"}},
		Run: func(ctx context.Context, c *interp.Call) error {
			ctx, stop := context.WithCancel(ctx)
			defer stop()
			n, left := 0, false
			err := eachRecord(ctx, c, 0, func(r interp.Record) {
				for line := range strings.SplitSeq(r.AsText(), "\n") {
					if left {
						return
					}
					if c.Session.Terminal && c.Session.ReadLine != nil && n > 0 && n%page == 0 {
						c.Flush()
						answer, err := c.Session.ReadLine(ctx, "-- more (Enter, q) -- ")
						if err != nil || strings.EqualFold(strings.TrimSpace(answer), "q") {
							left = true
							stop()
							return
						}
					}
					n++
					c.Print(line + "\n")
				}
			})
			if left {
				return nil
			}
			return err
		},
	}
}
