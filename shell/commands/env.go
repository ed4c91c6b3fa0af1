package commands

import (
	"context"

	"github.com/juxta-p2p/juxta/shell/interp"
)

func envCommand(*Host) *interp.Command {
	return &interp.Command{
		Name: "env", Family: familyLanguage, Summary: "lists the variables",
		Details: "stdgroup is the current group, rootgroup the network, worldgroup the group of all\npeers. " +
			"Listings leave peer0, group0, adv0, …; results that nobody named are env0, env1, …\nJSON: name, class, description.",
		Examples: []interp.Example{{Line: "env", Text: "all variables"}, {Line: "env | grep pipe", Text: "what has to do with pipes"}},
		Run: func(_ context.Context, c *interp.Call) error {
			for _, v := range c.Session.Vars.All() {
				c.Row(interp.Field{Name: "name", Value: v.Name}, interp.Field{Name: "class", Value: v.Class},
					interp.Field{Name: "description", Value: v.Description})
			}
			return nil
		},
	}
}
