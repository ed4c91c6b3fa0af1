package commands

import (
	"context"
	"fmt"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/protocols/discovery"
	"github.com/juxta-p2p/juxta/shell/interp"
)

func newpipeCommand(h *Host) *interp.Command {
	return &interp.Command{
		Name: "newpipe", Family: familyPipes, Summary: "makes the advertisement of a new pipe",
		Args: "[NAME]", MaxArgs: 1, Complete: nothing,
		Options: []interp.Option{
			{Letter: "n", Name: "name", Value: "NAME", Help: "name of the pipe"},
			{Letter: "p", Name: "propagate", Help: "a pipe to everybody who listens"},
			{Letter: "s", Name: "secure", Help: "an encrypted pipe to one peer"},
			{Letter: "b", Name: "publish", Help: "publish it at once"},
		},
		Details: "Otherwise the pipe is unicast: to one peer that listens. Open its ends with mkpipe.\nJSON: variable, name, pipe_id, type.",
		Examples: []interp.Example{{Line: "chat = newpipe -p --publish chat", Text: "others can find it now"},
			{Line: "p = newpipe -n inbox; in = mkpipe -i p; publish p", Text: "a pipe on which this peer listens"}},
		Run: func(ctx context.Context, c *interp.Call) error {
			g := h.group()
			t := advertisements.Unicast
			switch {
			case c.Flag("p") && c.Flag("s"):
				return interp.Usagef("a pipe to everybody cannot be secure: -p and -s exclude each other")
			case c.Flag("p"):
				t = advertisements.Propagate
			case c.Flag("s"):
				t = advertisements.UnicastSecure
			}
			adv := advertisements.NewPipe(g.ID(), c.Value("n", c.Text(0)), t)
			if c.Flag("b") {
				if err := g.Discovery().Publish(ctx, adv, discovery.Lifetime{}); err != nil {
					return interp.Because(err, "cannot publish it")
				}
			}
			return c.Made(adv, fmt.Sprintf("advertisement of the pipe %q (%s)", adv.Name, adv.Type),
				interp.Field{Name: "name", Value: adv.Name}, interp.Field{Name: "pipe_id", Value: adv.ID.String()},
				interp.Field{Name: "type", Value: string(adv.Type)})
		},
	}
}
