package commands

import (
	"context"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/shell/interp"
)

func whoamiCommand(h *Host) *interp.Command {
	return &interp.Command{
		Name: "whoami", Family: familyPeers, Summary: "tells who this peer is, or what the current group is",
		Options: []interp.Option{{Letter: "g", Name: "group", Help: "the current group"}, {Letter: "l", Name: "long", Help: "the whole advertisement as XML"}},
		Details: "JSON: name, peer_id, group, group_id, role, addresses, description, home.\n" +
			"With -g: group, group_id, spec_id, description, parent, parent_id. With -l: text.",
		Examples: []interp.Example{{Line: "whoami", Text: "name, ID and addresses"}, {Line: "whoami -g", Text: "the current group"},
			{Line: "whoami -l", Text: "what others get to know"}},
		Run: func(_ context.Context, c *interp.Call) error {
			g := h.group()
			if c.Flag("g") {
				adv := g.Advertisement()
				if c.Flag("l") {
					c.Print(xmlText(adv))
					return nil
				}
				fields := []interp.Field{{Name: "group", Value: g.Name()}, {Name: "group_id", Value: g.ID().String()},
					{Name: "spec_id", Value: adv.Spec.String()}, {Name: "description", Value: adv.Desc}}
				if p := g.Parent(); p != nil {
					fields = append(fields, interp.Field{Name: "parent", Value: p.Name()}, interp.Field{Name: "parent_id", Value: p.ID().String()})
				}
				c.Detail(fields...)
				return nil
			}
			adv := g.PeerAdvertisement()
			if c.Flag("l") {
				c.Print(xmlText(adv))
				return nil
			}
			c.Detail(interp.Field{Name: "name", Value: g.PeerName()}, interp.Field{Name: "peer_id", Value: g.PeerID().String()},
				interp.Field{Name: "group", Value: g.Name()}, interp.Field{Name: "group_id", Value: g.ID().String()},
				interp.Field{Name: "role", Value: g.Rendezvous().Role().String()},
				interp.Field{Name: "addresses", Value: addressTexts(h.peer.Addresses())},
				interp.Field{Name: "description", Value: adv.Desc}, interp.Field{Name: "home", Value: h.peer.Home()})
			return nil
		},
	}
}

func addressTexts(all []endpoint.Address) []string {
	texts := []string{}
	for _, a := range all {
		texts = append(texts, a.String())
	}
	return texts
}
