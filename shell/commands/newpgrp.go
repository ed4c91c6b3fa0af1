package commands

import (
	"context"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/shell/interp"
)

func newpgrpCommand(h *Host) *interp.Command {
	return &interp.Command{
		Name: "newpgrp", Family: familyGroups, Summary: "makes the advertisement of a new group",
		Args: "[NAME]", MaxArgs: 1, Complete: nothing,
		Options: []interp.Option{
			{Letter: "n", Name: "name", Value: "NAME", Help: "name of the group"},
			{Letter: "m", Name: "description", Value: "TEXT", Help: "what it is for"},
			{Letter: "p", Name: "parent", Help: "put the ID of the current group into that of the new one"},
			{Letter: "j", Name: "join", Help: "join it at once"},
			{Name: "moderated", Help: "this peer moderates it, and may shut others out; see ban"},
			{Name: "closed", Help: "it is moderated, only those who are invited can join it, and nobody else sees anything of it"},
		},
		Details: "Others find the group when it is joined. Whoever made it is its rendezvous while being\na member.\n" +
			"JSON: variable, name, group_id.",
		Examples: []interp.Example{{Line: "newpgrp -j crew", Text: "makes a group and joins it"},
			{Line: "crew = newpgrp -n crew; join crew", Text: "the same in two steps"},
			{Line: "newpgrp --closed -j club", Text: "makes a group for the invited"}},
		Run: func(ctx context.Context, c *interp.Call) error {
			name := c.Value("n", c.Text(0))
			if name == "" {
				return interp.Usagef("newpgrp wants a name for the group").Try("usage: %s", c.Command.Usage())
			}
			parent := id.Group{}
			if c.Flag("p") {
				parent = h.group().ID()
			}
			charter, err := charterOf(c)
			if err != nil {
				return err
			}
			if charter != nil {
				return h.ownGroup(ctx, c, id.NewGroup(parent), name, c.Value("m", ""), charter)
			}
			adv := &advertisements.Group{ID: id.NewGroup(parent), Spec: id.SpecGenericGroup, Name: name, Desc: c.Value("m", "")}
			h.mu.Lock()
			h.made[adv.ID] = true
			h.mu.Unlock()
			if c.Flag("j") {
				return h.join(ctx, c, adv, true, 0)
			}
			return c.Made(adv, "advertisement of the group "+name,
				interp.Field{Name: "name", Value: name}, interp.Field{Name: "group_id", Value: adv.ID.String()})
		},
	}
}
