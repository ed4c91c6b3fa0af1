package commands

import (
	"context"
	"fmt"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/peergroup"
	"github.com/juxta-p2p/juxta/shell/interp"
)

func mkadvCommand(h *Host) *interp.Command {
	return &interp.Command{
		Name: "mkadv", Aliases: []string{"mkpgrp"}, Family: familyPipes, Summary: "makes the advertisement of a pipe or a group, as the first shells did",
		Args: "[NAME]", MaxArgs: 1, Complete: nothing,
		Options: []interp.Option{{Letter: "p", Name: "pipe", Help: "of a pipe, as newpipe does"}, {Letter: "g", Name: "group", Help: "of a group, as newpgrp does"},
			{Letter: "n", Name: "name", Value: "NAME", Help: "its name"}},
		Details:  "Old tutorials use it; newpipe and newpgrp can do more. mkpgrp is mkadv -g.\nJSON: variable, name, and pipe_id, type or group_id.",
		Examples: []interp.Example{{Line: "chat = mkadv -p chat", Text: "like newpipe chat"}, {Line: "crew = mkadv -g crew; join crew", Text: "like newpgrp crew"}},
		Run: func(_ context.Context, c *interp.Call) error {
			name, group := c.Value("n", c.Text(0)), c.Flag("g") || c.Name == "mkpgrp"
			if c.Flag("p") == group {
				return interp.Usagef("%s wants -p or -g", c.Name).Try("usage: %s", c.Command.Usage())
			}
			if !group {
				adv := advertisements.NewPipe(h.group().ID(), name, advertisements.Unicast)
				return c.Made(adv, fmt.Sprintf("advertisement of the pipe %q (%s)", adv.Name, adv.Type),
					interp.Field{Name: "name", Value: adv.Name}, interp.Field{Name: "pipe_id", Value: adv.ID.String()},
					interp.Field{Name: "type", Value: string(adv.Type)})
			}
			if name == "" {
				return interp.Usagef("%s wants a name for the group", c.Name).Try("usage: %s", c.Command.Usage())
			}
			adv := &advertisements.Group{ID: id.NewGroup(id.Group{}), Spec: id.SpecGenericGroup, Name: name}
			h.mu.Lock()
			h.made[adv.ID] = peergroup.Spec{Name: name, ID: adv.ID}
			h.mu.Unlock()
			return c.Made(adv, fmt.Sprintf("advertisement of the group %q", name),
				interp.Field{Name: "name", Value: name}, interp.Field{Name: "group_id", Value: adv.ID.String()})
		},
	}
}
