package commands

import (
	"context"

	"github.com/juxta-p2p/juxta/protocols/rendezvous"
	"github.com/juxta-p2p/juxta/shell/interp"
)

func rdvstatusCommand(h *Host) *interp.Command {
	return &interp.Command{
		Name: "rdvstatus", Family: familyPeers, Summary: "tells the role in the current group, the rendezvous and the clients",
		Options: []interp.Option{{Letter: "v", Name: "verbose", Help: "whole peer IDs"}},
		Details: "An edge holds a lease at one rendezvous; a rendezvous has clients that hold leases.\n" +
			"JSON: first {\"group\",\"group_id\",\"role\",\"connected\"}, then one object for each lease:\n" +
			"kind (rendezvous or client), name, peer_id, left (seconds), renewal (seconds), connected.",
		Examples: []interp.Example{{Line: "rdvstatus", Text: "in the current group"}, {Line: "rdvstatus -v", Text: "with whole IDs"}},
		Run: func(_ context.Context, c *interp.Call) error {
			g := h.group()
			rdv := g.Rendezvous()
			lease, leased := rdv.Lease()
			clients := rdv.Clients()
			c.Detail(interp.Field{Name: "group", Value: g.Name()}, interp.Field{Name: "group_id", Value: g.ID().String()},
				interp.Field{Name: "role", Value: rdv.Role().String()}, interp.Field{Name: "connected", Value: rdv.Connected()})
			row := func(fields ...interp.Field) { c.Emit(interp.Record{Fields: fields, Wide: c.Flag("v")}) }
			if leased {
				row(interp.Field{Name: "kind", Value: "rendezvous"}, interp.Field{Name: "name", Value: lease.Name},
					interp.Field{Name: "peer_id", Value: lease.Peer.String(), Short: lease.Peer.Short()},
					interp.Field{Name: "left", Value: lease.Left}, interp.Field{Name: "renewal", Value: lease.Renewal},
					interp.Field{Name: "connected", Value: true})
			}
			for _, cl := range clients {
				row(interp.Field{Name: "kind", Value: "client"}, interp.Field{Name: "name", Value: cl.Name},
					interp.Field{Name: "peer_id", Value: cl.Peer.String(), Short: cl.Peer.Short()},
					interp.Field{Name: "left", Value: cl.Left}, interp.Field{Name: "renewal", Value: nil},
					interp.Field{Name: "connected", Value: cl.Connected})
			}
			if !leased && rdv.Role() == rendezvous.Edge {
				c.Notice("no rendezvous; only peers near by can be reached")
			}
			return nil
		},
	}
}
