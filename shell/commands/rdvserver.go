package commands

import (
	"context"

	"github.com/juxta-p2p/juxta/shell/interp"
)

func rdvserverCommand(h *Host) *interp.Command {
	return &interp.Command{
		Name: "rdvserver", Family: familyPeers, Summary: "lets the peer serve and takes no more commands",
		Details: "For the end of a script that sets up a rendezvous: it waits until Ctrl-C or until the\n" +
			"program is told to end. juxta up is better for what runs for long; see docs/control.md.",
		Examples: []interp.Example{{Line: "rdvcontrol rdv start; rdvserver", Text: "a rendezvous until Ctrl-C", Status: interp.StatusInterrupted}, {Line: "join crew && rdvserver", Text: "a member that stays", Status: interp.StatusInterrupted}},
		Run: func(ctx context.Context, c *interp.Call) error {
			c.Notice("%s serves as %s in %s until Ctrl-C", h.peer.Name(), h.group().Rendezvous().Role(), h.group().Name())
			select {
			case <-ctx.Done():
				return context.Cause(ctx)
			case <-h.peer.Done():
				return interp.Failf("the peer has ended")
			}
		},
	}
}
