// Command dice is the shell with a command more: roll throws dice.
package main

import (
	"context"
	"math/rand/v2"
	"os"

	"github.com/juxta-p2p/juxta/shell"
	"github.com/juxta-p2p/juxta/shell/commands"
	"github.com/juxta-p2p/juxta/shell/interp"
)

func main() {
	os.Exit(shell.Run(context.Background(), shell.Options{Program: "dice", Commands: add}))
}

func add(h *commands.Host) []*interp.Command {
	return []*interp.Command{{
		Name: "roll", Summary: "throws dice",
		Options:  []interp.Option{{Letter: "n", Name: "number", Value: "N", Help: "how many (default 1)"}},
		Details:  "JSON: by, eyes.",
		Examples: []interp.Example{{Line: "roll -n 2", Text: "two dice"}, {Line: "roll --json", Text: "for a program"}},
		Run: func(ctx context.Context, c *interp.Call) error {
			n, err := c.Int("n", 1, 1)
			if err != nil {
				return err
			}
			for range n {
				c.Row(interp.Field{Name: "by", Value: h.Peer().Name()}, interp.Field{Name: "eyes", Value: 1 + rand.IntN(6)})
			}
			return nil
		},
	}}
}
