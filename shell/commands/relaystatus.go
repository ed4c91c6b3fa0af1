package commands

import (
	"context"
	"fmt"
	"strings"

	"github.com/juxta-p2p/juxta/peergroup"
	"github.com/juxta-p2p/juxta/shell/interp"
)

func relaystatusCommand(h *Host) *interp.Command {
	return &interp.Command{
		Name: "relaystatus", Family: familyPeers, Summary: "tells whether others can dial this peer, its relays, and whom it relays",
		Options: []interp.Option{{Letter: "v", Name: "verbose", Help: "whole peer IDs"}, {Letter: "l", Name: "long", Help: "the same, as in the original shell"}},
		Details: "A peer that others cannot dial holds leases at one or two relays and is reached through\n" +
			"them. JSON: first {\"reachability\",\"wanted\",\"next\",\"problem\",\"mapping\"}, then one object for each lease:\n" +
			"kind (relay or client), name, peer_id, left (seconds), linked, address, queued, delivered, dropped.",
		Examples: []interp.Example{{Line: "relaystatus", Text: "who passes on messages to this peer"}, {Line: "relaystatus -v", Text: "with whole peer IDs"}},
		Run: func(_ context.Context, c *interp.Call) error {
			st := h.peer.RelayLeases()
			problem := ""
			if st.Err != nil {
				problem = oneError(st.Err)
			}
			c.Detail(interp.Field{Name: "reachability", Value: h.peer.Reachability().String()}, interp.Field{Name: "wanted", Value: st.Wanted},
				interp.Field{Name: "next", Value: st.Next}, interp.Field{Name: "problem", Value: problem},
				interp.Field{Name: "mapping", Value: mapping(h.peer)})
			row := func(fields ...interp.Field) { c.Emit(interp.Record{Fields: fields, Wide: c.Flag("v") || c.Flag("l")}) }
			for _, l := range st.Leases {
				name := l.Name
				if name == "" {
					name = h.peerName(l.Relay)
				}
				row(interp.Field{Name: "kind", Value: "relay"}, interp.Field{Name: "name", Value: name},
					interp.Field{Name: "peer_id", Value: l.Relay.String(), Short: l.Relay.Short()}, interp.Field{Name: "left", Value: l.Left},
					interp.Field{Name: "linked", Value: l.Linked}, interp.Field{Name: "address", Value: l.Address.String()},
					interp.Field{Name: "queued", Value: nil}, interp.Field{Name: "delivered", Value: nil}, interp.Field{Name: "dropped", Value: nil})
			}
			for _, cl := range h.peer.RelayClients() {
				row(interp.Field{Name: "kind", Value: "client"}, interp.Field{Name: "name", Value: h.peerName(cl.Peer)},
					interp.Field{Name: "peer_id", Value: cl.Peer.String(), Short: cl.Peer.Short()}, interp.Field{Name: "left", Value: cl.Left},
					interp.Field{Name: "linked", Value: cl.Link != ""}, interp.Field{Name: "address", Value: cl.Link},
					interp.Field{Name: "queued", Value: cl.Queued}, interp.Field{Name: "delivered", Value: cl.Delivered}, interp.Field{Name: "dropped", Value: cl.Dropped})
			}
			return nil
		},
	}
}

// mapping tells what the router of the network lets in.
func mapping(p *peergroup.Peer) string {
	all, status, asked := p.PortMappings()
	switch {
	case !asked:
		return ""
	case len(all) == 0 && status.Err != nil:
		return "none: " + oneError(status.Err)
	case len(all) == 0:
		return "none"
	}
	var text []string
	for _, m := range all {
		text = append(text, fmt.Sprintf("%s: %s by %s", m.Port, m.External, m.Via))
	}
	return strings.Join(text, ", ")
}
