package commands

import (
	"context"

	"github.com/juxta-p2p/juxta/shell/interp"
)

func flushCommand(h *Host) *interp.Command {
	return &interp.Command{
		Name: "flush", Family: familyPeers, Summary: "forgets an advertisement",
		Args: "VARIABLE", MaxArgs: 1, Complete: completeAdvertisements,
		Options: []interp.Option{{Letter: "d", Value: "VARIABLE", Help: "the advertisement, as in the original shell"}},
		Details: "It is taken out of the own cache, and others no longer find it here. Copies at other\n" +
			"peers live on until their time is over. peers -f and the like forget all of a kind.",
		Examples: []interp.Example{{Line: "flush adv0", Text: "forgets one"}, {Line: "search -f", Text: "forgets all that search lists"}},
		Run: func(ctx context.Context, c *interp.Call) error {
			adv, err := advertisementArg(c)
			if err != nil {
				return err
			}
			if err := h.group().Discovery().Remove(ctx, adv); err != nil {
				return interp.NotFoundf("it is not in the cache of %s", h.group().Name())
			}
			return nil
		},
	}
}
