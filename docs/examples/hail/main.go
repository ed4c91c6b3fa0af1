// Command hail is the shell with a command more: hail says hello to everybody in
// the current group, and lists who answers. Its peer answers others.
package main

import (
	"context"
	"os"
	"time"

	"github.com/juxta-p2p/juxta/docs/examples/greet"
	"github.com/juxta-p2p/juxta/peergroup"
	"github.com/juxta-p2p/juxta/shell"
	"github.com/juxta-p2p/juxta/shell/commands"
	"github.com/juxta-p2p/juxta/shell/interp"
)

// defaultWait is how long answers may take unless the user says otherwise.
const defaultWait = 3 * time.Second

func main() { os.Exit(shell.Run(context.Background(), options())) }

// options are what hail adds to the shell.
func options() shell.Options {
	return shell.Options{
		Program:  "hail",
		Peer:     peergroup.Config{Modules: []peergroup.Module{greet.Module{Motto: "well met"}}},
		Commands: func(h *commands.Host) []*interp.Command { return []*interp.Command{hail(h)} },
	}
}

func hail(h *commands.Host) *interp.Command {
	return &interp.Command{
		Name: "hail", Summary: "says hello to everybody in the group",
		Options:  []interp.Option{interp.WaitOption("how long to wait for answers (default 3s)"), {Letter: "n", Name: "limit", Value: "N", Help: "so many are enough"}},
		Details:  "JSON: name, motto, peer_id. Status 3: nobody answered.",
		Examples: []interp.Example{{Line: "hail -w 1s", Text: "who answers within a second"}},
		Run: func(ctx context.Context, c *interp.Call) error {
			wait, err := c.Duration("w", defaultWait)
			if err != nil {
				return err
			}
			limit, err := c.Int("n", 1, -1)
			if err != nil {
				return err
			}
			short, cancel := context.WithTimeout(ctx, wait)
			defer cancel()
			found := 0
			for r, err := range greet.Meet(short, h.Group(), h.Peer().Name()) {
				if err != nil {
					break // the time is over, or nobody can be asked
				}
				c.Row(interp.Field{Name: "name", Value: r.Body.Name}, interp.Field{Name: "motto", Value: r.Body.Motto},
					interp.Field{Name: "peer_id", Value: r.From.String(), Short: r.From.Short()})
				if found++; found == limit {
					return nil
				}
			}
			switch {
			case ctx.Err() != nil:
				return context.Cause(ctx)
			case found == 0:
				return interp.NotFoundf("nobody answered")
			}
			return nil
		},
	}
}
