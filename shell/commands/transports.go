package commands

import (
	"context"
	"strings"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/shell/interp"
)

func transportsCommand(h *Host) *interp.Command {
	return &interp.Command{
		Name: "transports", Family: familyPeers, Summary: "lists how this peer can be reached, and its links",
		Options: []interp.Option{{Letter: "l", Name: "links", Help: "the links instead: to whom, over what, how they came about"}},
		Details: "JSON: protocol, addresses, links (how many are open). With -l: peer_id, name, protocol,\n" +
			"remote, direction (in or out), encrypted, proven (the other side has shown its key),\n" +
			"seen_as (the address at which it sees this peer).",
		Examples: []interp.Example{{Line: "transports", Text: "what is listened on"}, {Line: "transports -l", Text: "the links that are open"}},
		Run: func(_ context.Context, c *interp.Call) error {
			links := h.peer.Endpoint().Links()
			if c.Flag("l") {
				h.showLinks(c, links)
				return nil
			}
			for _, t := range h.peer.Endpoint().Transports() {
				n := 0
				for _, l := range links {
					if endpoint.Carries(t, l.Local().Protocol) || endpoint.Carries(t, l.Remote().Protocol) {
						n++
					}
				}
				c.Row(interp.Field{Name: "protocol", Value: t.Protocol()}, interp.Field{Name: "links", Value: n},
					interp.Field{Name: "addresses", Value: addressTexts(t.Addresses())})
			}
			return nil
		},
	}
}

func (h *Host) showLinks(c *interp.Call, links []endpoint.Link) {
	for _, l := range links {
		direction := "in"
		if l.Outgoing() {
			direction = "out"
		}
		seen := ""
		if a, ok := endpoint.Observed(l); ok {
			seen = strings.TrimPrefix(a.String(), a.Protocol+"://")
		}
		c.Row(interp.Field{Name: "name", Value: h.peerName(l.Peer())},
			interp.Field{Name: "peer_id", Value: l.Peer().String(), Short: l.Peer().Short()},
			interp.Field{Name: "remote", Value: l.Remote().Base().String()}, interp.Field{Name: "direction", Value: direction},
			interp.Field{Name: "encrypted", Value: endpoint.Encrypted(l)}, interp.Field{Name: "proven", Value: l.Proven()},
			interp.Field{Name: "seen_as", Value: seen})
	}
}
