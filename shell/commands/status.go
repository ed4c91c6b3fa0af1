package commands

import (
	"context"
	"fmt"
	"strings"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/peergroup"
	"github.com/juxta-p2p/juxta/protocols/discovery"
	"github.com/juxta-p2p/juxta/protocols/rendezvous"
	"github.com/juxta-p2p/juxta/shell/interp"
)

func statusCommand(h *Host) *interp.Command {
	return &interp.Command{
		Name: "status", Family: familyPeers, Summary: "tells on one screen who this peer is and how it is doing",
		Complete: nothing,
		Details: "whoami tells more of the peer, rdvstatus of the rendezvous, transports of the links, metrics of\n" +
			"the counters; netcheck tells what is wrong.\n" +
			"JSON: name, peer_id, roles, uptime (seconds), group, group_id, role (in the group), rendezvous\n" +
			"(a name), rendezvous_id, left (of the lease, seconds), clients, groups, peers (known in the\n" +
			"group), near, links, encrypted (of these), sent, received, lost (messages and requests), pipes\n" +
			"(open here), reachability, addresses.",
		Examples: []interp.Example{{Line: "status", Text: "how things are"}, {Line: "status --json", Text: "for programs"}},
		Run: func(_ context.Context, c *interp.Call) error {
			h.showStatus(c)
			return nil
		},
	}
}

// showStatus writes one record.
func (h *Host) showStatus(c *interp.Call) {
	peer, g := h.peer, h.group()
	rdv, traffic := g.Rendezvous(), peer.Endpoint().Stats()
	uptime := peer.Net().PeerInfo().Uptime()
	clients, near := len(rdv.Clients()), len(peer.Neighbours())
	var groups []string
	pipes := 0
	for _, x := range h.joined() {
		groups = append(groups, x.Name())
		pipes += len(x.Pipes().Inputs())
	}
	links, encrypted := peer.Endpoint().Links(), 0
	for _, l := range links {
		if endpoint.Encrypted(l) {
			encrypted++
		}
	}
	var lost uint64
	for _, m := range peer.Metrics() {
		if m.Loss && !strings.Contains(m.Name, "clipped") { // the rest of those goes on
			lost += m.Value
		}
	}
	known := h.knownPeers(g)
	where, name, rdvID := "none; netcheck tells what to do", "", ""
	var left any
	switch lease, leased := rdv.Lease(); {
	case rdv.Role() == rendezvous.Rendezvous:
		where = fmt.Sprintf("this peer; clients: %d", clients)
	case leased:
		name, rdvID, left = lease.Name, lease.Peer.String(), lease.Left
		where = fmt.Sprintf("%s, leased for another %s", h.peerName(lease.Peer), interp.Span(lease.Left))
	}
	losses := "nothing"
	if lost > 0 {
		losses = fmt.Sprintf("%d messages and requests; metrics -l tells which", lost)
	}
	group := g.Name()
	if len(groups) > 1 {
		group += fmt.Sprintf("; in %d groups: %s", len(groups), strings.Join(groups, ", "))
	}
	// Each line of the screen is the short form of one value; the others are for programs.
	c.Detail(interp.Field{Name: "name", Value: peer.Name(), Short: fmt.Sprintf("%s, %s", peer.Name(), peer.ID().Short())},
		interp.Field{Name: "peer_id", Value: peer.ID().String(), Long: true},
		interp.Field{Name: "group", Value: g.Name(), Short: group}, interp.Field{Name: "group_id", Value: g.ID().String(), Long: true},
		interp.Field{Name: "groups", Value: groups, Long: true}, interp.Field{Name: "roles", Value: peer.Roles().String(), Long: true},
		interp.Field{Name: "role", Value: rdv.Role().String()},
		interp.Field{Name: "rendezvous", Value: name, Short: where}, interp.Field{Name: "rendezvous_id", Value: rdvID, Long: true},
		interp.Field{Name: "left", Value: left, Long: true}, interp.Field{Name: "clients", Value: clients, Long: true},
		interp.Field{Name: "peers", Value: known, Short: fmt.Sprintf("%d known in the group, %d near by", known, near)}, interp.Field{Name: "near", Value: near, Long: true},
		interp.Field{Name: "links", Value: len(links), Short: fmt.Sprintf("%d, of which %d encrypted", len(links), encrypted)},
		interp.Field{Name: "encrypted", Value: encrypted, Long: true},
		interp.Field{Name: "sent", Value: traffic.Sent, Short: fmt.Sprintf("%d messages, received %d", traffic.Sent, traffic.Received)},
		interp.Field{Name: "received", Value: traffic.Received, Long: true}, interp.Field{Name: "lost", Value: lost, Short: losses},
		interp.Field{Name: "pipes", Value: pipes, Short: fmt.Sprintf("%d open here", pipes)},
		interp.Field{Name: "reachability", Value: peer.Reachability().String()},
		interp.Field{Name: "addresses", Value: addressTexts(peer.Addresses()), Long: true}, interp.Field{Name: "uptime", Value: uptime})
}

// knownPeers counts the other peers that are known in a group.
func (h *Host) knownPeers(g *peergroup.Group) int {
	n := 0
	for _, r := range g.Discovery().Local(discovery.Query{Kind: advertisements.Peers}) {
		if adv, ok := r.Adv.(*advertisements.Peer); ok && adv.ID != h.peer.ID() {
			n++
		}
	}
	return n
}
