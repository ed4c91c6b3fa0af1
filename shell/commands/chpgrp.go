package commands

import (
	"context"

	"github.com/juxta-p2p/juxta/shell/interp"
)

func chpgrpCommand(h *Host) *interp.Command {
	return &interp.Command{
		Name: "chpgrp", Family: familyGroups, Summary: "makes another group the current one, or lists the groups that were joined",
		Args: "[GROUP]", MaxArgs: 1, Complete: h.completeGroups,
		Options: []interp.Option{{Letter: "p", Name: "parent", Help: "the group in which the current one was joined"}},
		Details: "A group is a variable, a name or an ID. JSON: name, group_id, current, role.",
		Examples: []interp.Example{{Line: "chpgrp", Text: "lists the groups"}, {Line: "chpgrp crew", Text: "works in crew from now on", Before: "join crew; chpgrp rootgroup"},
			{Line: "chpgrp rootgroup", Text: "back to the network"}},
		Run: func(_ context.Context, c *interp.Call) error {
			switch {
			case c.Flag("p"):
				parent := h.group().Parent()
				if parent == nil || parent == h.peer.World() {
					return interp.Failf("%s has no parent to work in", h.group().Name())
				}
				return h.changeGroup(parent)
			case len(c.Args) == 0:
				h.listJoined(c)
				return nil
			}
			g, err := h.findGroup(c, c.Args[0])
			if err != nil {
				return err
			}
			return h.changeGroup(g)
		},
	}
}

// listJoined lists the groups this peer is in.
func (h *Host) listJoined(c *interp.Call) {
	for _, g := range h.joined() {
		c.Row(interp.Field{Name: "name", Value: g.Name()}, interp.Field{Name: "group_id", Value: g.ID().String(), Short: g.ID().Short()},
			interp.Field{Name: "current", Value: g == h.group()}, interp.Field{Name: "role", Value: g.Rendezvous().Role().String()})
	}
}
