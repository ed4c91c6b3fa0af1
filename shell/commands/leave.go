package commands

import (
	"context"

	"github.com/juxta-p2p/juxta/peergroup"
	"github.com/juxta-p2p/juxta/shell/interp"
)

func leaveCommand(h *Host) *interp.Command {
	return &interp.Command{
		Name: "leave", Family: familyGroups, Summary: "leaves a group, the current one unless told otherwise",
		Args: "[GROUP]", MaxArgs: 1, Complete: h.completeGroups,
		Options:  []interp.Option{{Letter: "k", Help: "accepted as in the original shell; it changes nothing"}},
		Details:  "Groups joined in it are left too, its pipes close, and its variables go. The group in\nwhich it was joined becomes the current one.",
		Examples: []interp.Example{{Line: "leave", Text: "leaves the current group", Before: "join crew"}, {Line: "leave crew", Text: "leaves crew", Before: "join crew"}},
		Run: func(_ context.Context, c *interp.Call) error {
			g := h.group()
			if len(c.Args) == 1 {
				var err error
				if g, err = h.findGroup(c, c.Args[0]); err != nil {
					return err
				}
			}
			if g == h.peer.Net() || g == h.peer.World() {
				return interp.Failf("the network is left by exit")
			}
			parent := g.Parent()
			gone := func(x *peergroup.Group) bool {
				for ; x != nil; x = x.Parent() {
					if x == g {
						return true
					}
				}
				return false
			}
			for _, v := range c.Session.Vars.All() {
				switch x := v.Object.(type) {
				case *peergroup.Group:
					if !gone(x) {
						continue
					}
				case *shellDaemon:
					if !gone(x.group) {
						continue
					}
				case *listener:
					if !gone(x.group) {
						continue
					}
				default:
					continue
				}
				if v.Name == stdgroup {
					if err := h.changeGroup(parent); err != nil {
						return err
					}
					continue
				}
				if _, err := c.Session.Vars.Remove(v.Name); err != nil {
					return err
				}
				switch l := v.Object.(type) {
				case *listener:
					_ = l.Close()
				case *shellDaemon:
					_ = l.Close()
				}
			}
			g.Leave()
			return nil
		},
	}
}
