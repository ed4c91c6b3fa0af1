package commands

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/shell/interp"
)

func peersCommand(h *Host) *interp.Command {
	return &interp.Command{
		Name: "peers", Family: familyPeers, Summary: "lists the other peers of the current group",
		Options: listOptions("peers"), Complete: nothing,
		Details: "Without -r: those that are known already. The results are kept in peer0, peer1, …\n" +
			"JSON: variable, name, peer_id, rendezvous, addresses, description, expires (seconds).\nStatus 3: none was found.",
		Examples: []interp.Example{{Line: "peers -r", Text: "asks, waits 3 seconds and lists"},
			{Line: "peers -r -w 10s -v 'ann*'", Text: "peers whose name begins with ann"}, {Line: "peers -q", Text: "IDs only, for scripts"}},
		Run: func(ctx context.Context, c *interp.Call) error {
			found, err := h.list(ctx, c, advertisements.Peers)
			if err != nil {
				return err
			}
			type entry struct {
				adv    *advertisements.Peer
				fields []interp.Field
			}
			var all []entry
			for _, r := range found {
				p, ok := r.Adv.(*advertisements.Peer)
				if !ok || p.ID == h.peer.ID() {
					continue
				}
				var addresses []string
				if route, ok := p.Route(); ok {
					addresses = addressTexts(route.Addresses)
				}
				all = append(all, entry{p, []interp.Field{
					{Name: "name", Value: p.Name}, {Name: "peer_id", Value: p.ID.String(), Short: p.ID.Short()},
					{Name: "rendezvous", Value: p.IsRendezvous()}, {Name: "addresses", Value: addresses, Long: true},
					{Name: "description", Value: p.Desc, Long: true}, {Name: "expires", Value: r.Expiration, Long: true},
				}})
			}
			slices.SortFunc(all, func(a, b entry) int {
				return strings.Compare(a.adv.Name+"\x00"+a.adv.ID.String(), b.adv.Name+"\x00"+b.adv.ID.String())
			})
			c.Session.Vars.Number("peer")
			for i, e := range all {
				if err := h.listed(c, fmt.Sprint("peer", i), e.adv, e.adv.ID.String(), e.fields); err != nil {
					return err
				}
			}
			if len(all) == 0 {
				return nothingFound(c, "other peers")
			}
			return nil
		},
	}
}

// listed stores a result of a listing and writes it.
func (h *Host) listed(c *interp.Call, name string, adv advertisements.Advertisement, urn string, fields []interp.Field) error {
	if err := c.Session.Store(name, adv); err != nil {
		return interp.Because(err, "cannot keep the result")
	}
	if c.Flag("q") && !c.JSON() {
		c.Line(urn)
		return nil
	}
	c.Emit(interp.Record{Wide: c.Flag("l"), Fields: append([]interp.Field{{Name: "variable", Value: name}}, fields...)})
	return nil
}
