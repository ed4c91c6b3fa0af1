package commands

import (
	"context"

	"github.com/juxta-p2p/juxta/shell/interp"
)

func setCommand(h *Host) *interp.Command {
	return &interp.Command{
		Name: "set", Family: familyLanguage, Summary: "gives an object a second name, or a name to a text",
		Args: "NAME (VARIABLE | TEXT) | -e | +e", MinArgs: 0, MaxArgs: 2,
		Options: []interp.Option{{Letter: "e", Help: "end the script at the first command that fails; set +e goes on"}},
		Details: "set stdgroup GROUP makes a group the current one, as chpgrp does.",
		Examples: []interp.Example{{Line: "set ann peer0", Text: "ann is now the same as peer0"},
			{Line: "set greeting 'good morning'", Text: "a text"}, {Line: "set +e", Text: "go on after failures"}},
		Run: func(_ context.Context, c *interp.Call) error {
			switch {
			case c.Flag("e") && len(c.Args) == 0:
				c.Session.StopOnError = true
				return nil
			case len(c.Args) == 1 && c.Args[0].Text == "+e":
				c.Session.StopOnError = false
				return nil
			case len(c.Args) != 2:
				return interp.Usagef("set wants two names").Try("usage: %s", c.Command.Usage())
			}
			name := c.Args[0].Text
			v, ok := c.Variable(c.Args[1])
			if !ok {
				v.Object = c.Args[1].Text
			}
			if name == stdgroup {
				g, err := h.findGroup(c, c.Args[1])
				if err != nil {
					return err
				}
				return h.changeGroup(g)
			}
			if err := c.Session.Store(name, v.Object); err != nil {
				return interp.Because(err, "cannot set %s", name)
			}
			return nil
		},
	}
}

func unsetCommand(*Host) *interp.Command {
	return &interp.Command{
		Name: "unset", Family: familyLanguage, Summary: "removes a variable, and closes what nothing else holds",
		Args: "VARIABLE...", MinArgs: 1, MaxArgs: -1,
		Details:  "Pipe ends and listeners close when their last name goes.",
		Examples: []interp.Example{{Line: "unset ann", Text: "removes the name"}, {Line: "unset in out", Text: "closes two pipe ends"}},
		Run: func(_ context.Context, c *interp.Call) error {
			for _, a := range c.Args {
				v, err := c.Session.Vars.Remove(a.Text)
				if err != nil {
					return interp.Because(err, "cannot remove it")
				}
				if !c.Session.Vars.Holds(v.Object) {
					interp.CloseObject(v.Object)
				}
			}
			return nil
		},
	}
}
