package commands

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/shell/interp"
)

func groupsCommand(h *Host) *interp.Command {
	return &interp.Command{
		Name: "groups", Family: familyPeers, Summary: "lists the groups that were published in the current group",
		Options: listOptions("groups"), Complete: nothing,
		Details: "The results are kept in group0, group1, …, for join.\n" +
			"JSON: variable, name, group_id, joined, description, spec_id, expires (seconds).\nStatus 3: none was found.",
		Examples: []interp.Example{{Line: "groups -r", Text: "asks, waits 3 seconds and lists"}, {Line: "groups -r -v crew", Text: "groups called crew"}},
		Run: func(ctx context.Context, c *interp.Call) error {
			found, err := h.list(ctx, c, advertisements.Groups)
			if err != nil {
				return err
			}
			type entry struct {
				adv    *advertisements.Group
				fields []interp.Field
			}
			var all []entry
			for _, r := range found {
				g, ok := r.Adv.(*advertisements.Group)
				if !ok || g.ID == h.peer.Net().ID() || g.ID == id.WorldGroup {
					continue
				}
				joined := false
				for _, j := range h.joined() {
					joined = joined || j.ID() == g.ID
				}
				all = append(all, entry{g, []interp.Field{
					{Name: "name", Value: g.Name}, {Name: "group_id", Value: g.ID.String(), Short: g.ID.Short()},
					{Name: "joined", Value: joined}, {Name: "description", Value: g.Desc},
					{Name: "spec_id", Value: g.Spec.String(), Long: true}, {Name: "expires", Value: r.Expiration, Long: true},
				}})
			}
			slices.SortFunc(all, func(a, b entry) int {
				return strings.Compare(a.adv.Name+"\x00"+a.adv.ID.String(), b.adv.Name+"\x00"+b.adv.ID.String())
			})
			c.Session.Vars.Number("group")
			for i, e := range all {
				if err := h.listed(c, fmt.Sprint("group", i), e.adv, e.adv.ID.String(), e.fields); err != nil {
					return err
				}
			}
			if len(all) == 0 {
				return nothingFound(c, "groups")
			}
			return nil
		},
	}
}
