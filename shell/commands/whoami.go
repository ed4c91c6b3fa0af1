package commands

import (
	"context"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/identity"
	"github.com/juxta-p2p/juxta/shell/interp"
)

func whoamiCommand(h *Host) *interp.Command {
	return &interp.Command{
		Name: "whoami", Family: familyPeers, Summary: "tells who this peer is, or what the current group is",
		Options: []interp.Option{{Letter: "g", Name: "group", Help: "the current group"}, {Letter: "l", Name: "long", Help: "the whole advertisement as XML"},
			{Letter: "p", Name: "peer", Value: "PEER", Help: "words to compare with whoever sits at that peer"}},
		Details: "With -p, both people see the same eight words, in the same order, unless somebody sits\nbetween their peers: read them to each other.\n" +
			"JSON: name, peer_id, fingerprint (of the key, if the ID is made of it), group, group_id,\nrole, addresses, description, home.\n" +
			"With -g: group, group_id, spec_id, description, parent, parent_id. With -l: text.\n" +
			"With -p: peer_id, present (who that is today, if its key was replaced), phrase.",
		Examples: []interp.Example{{Line: "whoami", Text: "name, ID and addresses"}, {Line: "whoami -g", Text: "the current group"},
			{Line: "whoami -l", Text: "what others get to know"}, {Line: "whoami -p ann", Text: "the words to read to Ann"}},
		Run: func(ctx context.Context, c *interp.Call) error {
			g := h.group()
			if name := c.Value("p", ""); name != "" {
				return h.compare(ctx, c, name)
			}
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
			fields := []interp.Field{{Name: "name", Value: g.PeerName()}, {Name: "peer_id", Value: g.PeerID().String()}}
			if i := h.peer.Identity(); i != nil && i.Peer() == g.PeerID() {
				fields = append(fields, interp.Field{Name: "fingerprint", Value: i.Fingerprint()})
			}
			c.Detail(append(fields, interp.Field{Name: "group", Value: g.Name()}, interp.Field{Name: "group_id", Value: g.ID().String()},
				interp.Field{Name: "role", Value: g.Rendezvous().Role().String()},
				interp.Field{Name: "addresses", Value: addressTexts(h.peer.Addresses())},
				interp.Field{Name: "description", Value: adv.Desc}, interp.Field{Name: "home", Value: h.peer.Home()})...)
			return nil
		},
	}
}

// compare tells the words by which two people learn whether their peers mean each
// other.
func (h *Host) compare(ctx context.Context, c *interp.Call, name string) error {
	p, err := h.findPeer(ctx, c, interp.Arg{Text: name}, defaultWait)
	if err != nil {
		return err
	}
	present, err := h.peer.Succession().Present(p)
	if err != nil {
		c.Notice("%v", err)
	}
	phrase, err := identity.PeerPhrase(h.peer.ID(), present)
	if err != nil {
		return interp.Because(err, "there is nothing to compare")
	}
	fields := []interp.Field{{Name: "peer_id", Value: p.String()}}
	if present != p {
		fields = append(fields, interp.Field{Name: "present", Value: present.String()})
	}
	c.Detail(append(fields, interp.Field{Name: "phrase", Value: phrase})...)
	return nil
}

func addressTexts(all []endpoint.Address) []string {
	texts := []string{}
	for _, a := range all {
		texts = append(texts, a.String())
	}
	return texts
}
