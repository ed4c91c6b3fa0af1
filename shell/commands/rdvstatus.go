package commands

import (
	"context"
	"math"

	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/peergroup"
	"github.com/juxta-p2p/juxta/protocols/rendezvous"
	"github.com/juxta-p2p/juxta/shell/interp"
)

func rdvstatusCommand(h *Host) *interp.Command {
	return &interp.Command{
		Name: "rdvstatus", Family: familyPeers, Summary: "tells the role in the current group, the rendezvous and the clients",
		Options: []interp.Option{{Letter: "v", Name: "verbose", Help: "whole peer IDs, the other rendezvous, and what was lost"}},
		Details: "An edge holds a lease at one rendezvous; a rendezvous has clients that hold leases.\n" +
			"JSON: first {\"group\",\"group_id\",\"role\",\"connected\"}, then one object for each lease:\n" +
			"kind (rendezvous or client), name, peer_id, left (seconds), renewal (seconds), connected.\n" +
			"With -v then, of an edge with a lease: load (share of its leases that the rendezvous has\n" +
			"granted, 0 to 1), spare_id (the rendezvous to which a link is kept in reserve), others\n" +
			"(further ones known). Of a rendezvous, for each of the others in its view: kind (member),\n" +
			"name, peer_id, heard (seconds since), linked, neighbour (up or down for the next ones in\n" +
			"the order of IDs). At last what was lost in the group: kind (loss), service, name, value;\n" +
			"the command metrics explains more.",
		Examples: []interp.Example{{Line: "rdvstatus", Text: "in the current group"}, {Line: "rdvstatus -v", Text: "with the view, whole IDs, and losses"}},
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
			if c.Flag("v") {
				if leased {
					c.Detail(leaseFields(lease)...)
				}
				showView(rdv, h.peer.ID(), row)
				showLosses(h.peer, g, row)
			}
			if !leased && rdv.Role() == rendezvous.Edge {
				c.Notice("no rendezvous; only peers near by can be reached")
			}
			return nil
		},
	}
}

// leaseFields is what an edge knows about its rendezvous and others.
func leaseFields(l rendezvous.Lease) []interp.Field {
	const thousandths = 1000
	spare := ""
	if !l.Spare.IsZero() {
		spare = l.Spare.String()
	}
	return []interp.Field{{Name: "load", Value: math.Round(l.Load*thousandths) / thousandths},
		{Name: "spare_id", Value: spare}, {Name: "others", Value: l.Others}}
}

// showView lists the other rendezvous that a rendezvous knows.
func showView(rdv *rendezvous.Service, self id.Peer, row func(...interp.Field)) {
	view := rdv.PeerView()
	if view == nil {
		return
	}
	up, hasUp := view.Up(self)
	down, hasDown := view.Down(self)
	for _, m := range view.Members() {
		neighbour := ""
		switch {
		case hasUp && m.Peer == up:
			neighbour = "up"
		case hasDown && m.Peer == down:
			neighbour = "down"
		}
		row(interp.Field{Name: "kind", Value: "member"}, interp.Field{Name: "name", Value: m.Name},
			interp.Field{Name: "peer_id", Value: m.Peer.String(), Short: m.Peer.Short()}, interp.Field{Name: "heard", Value: m.Heard},
			interp.Field{Name: "linked", Value: m.Linked}, interp.Field{Name: "neighbour", Value: neighbour})
	}
}

// showLosses lists what the services that spread messages in the group have lost.
func showLosses(p *peergroup.Peer, g *peergroup.Group, row func(...interp.Field)) {
	for _, m := range p.Metrics() {
		if !m.Loss || m.Value == 0 || m.GroupID != g.ID() {
			continue
		}
		switch m.Service {
		case "rendezvous", "peerview", "resolver", "discovery":
			row(interp.Field{Name: "kind", Value: "loss"}, interp.Field{Name: "service", Value: m.Service},
				interp.Field{Name: "name", Value: m.Name}, interp.Field{Name: "value", Value: m.Value})
		}
	}
}
