package commands

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/nat"
	"github.com/juxta-p2p/juxta/peergroup"
	"github.com/juxta-p2p/juxta/protocols/rendezvous"
	"github.com/juxta-p2p/juxta/shell/interp"
)

// worstClock is how far the clock of the rendezvous may be off before netcheck says so:
// advertisements and credentials live for minutes at least.
const worstClock = time.Minute

// Verdicts of netcheck.
const (
	verdictGood    = "good"
	verdictBad     = "bad"
	verdictUnknown = "unknown" // not found out, or not wanted
)

func netcheckCommand(h *Host) *interp.Command {
	return &interp.Command{
		Name: "netcheck", Family: familyPeers, Summary: "examines how this peer is connected, and tells what to do",
		Options:  []interp.Option{interp.WaitOption("how long to wait for the rendezvous to answer (default 3s)")},
		Complete: nothing,
		Details: "One line for each thing looked at: + is good, ! is bad, - is not known or not wanted; below it\n" +
			"stands what to do, if anything. Only the rendezvous is asked; all else the peer knows already.\n" +
			"JSON: check (addresses, near, rendezvous, clock, reachability, router, relay, links, losses),\n" +
			"verdict (good, bad or unknown), detail, next (what to do). Status 3: nobody can be reached.",
		Examples: []interp.Example{{Line: "netcheck", Text: "why the network is not what it should be"}, {Line: "netcheck | where verdict!=good", Text: "without what is good"}},
		Run: func(ctx context.Context, c *interp.Call) error {
			wait, err := c.Duration("w", defaultWait)
			if err != nil {
				return err
			}
			n := netcheck{h: h, c: c, g: h.group()}
			n.addresses()
			n.near()
			n.rendezvous()
			if err := n.clock(ctx, wait); err != nil {
				return err
			}
			n.reachability()
			n.router()
			n.relay()
			n.links()
			n.losses()
			if len(h.peer.Endpoint().Links()) == 0 && len(h.peer.Neighbours()) == 0 {
				return interp.NotFoundf("this peer is alone: it has no link, and knows nobody near by").
					Try("start a second one on this network, or start this one with --seed and the address of a rendezvous")
			}
			return nil
		},
	}
}

// netcheck is one run of the command.
type netcheck struct {
	h *Host
	c *interp.Call
	g *peergroup.Group
}

func (n *netcheck) show(check, verdict, next, format string, args ...any) {
	mark := map[string]string{verdictGood: "+", verdictBad: "!", verdictUnknown: "-"}[verdict]
	detail := fmt.Sprintf(format, args...)
	line := fmt.Sprintf("%s %-13s %s", mark, check+":", detail)
	if next != "" {
		line += "\n                " + next
	}
	n.c.Line(line, interp.Field{Name: "check", Value: check}, interp.Field{Name: "verdict", Value: verdict},
		interp.Field{Name: "detail", Value: detail}, interp.Field{Name: "next", Value: next})
}

func (n *netcheck) addresses() {
	all := addressTexts(n.h.peer.Addresses())
	if len(all) == 0 {
		n.show("addresses", verdictBad, "others can only be dialled from here; --listen URL opens a port", "this peer listens nowhere")
		return
	}
	const most = 4
	text := strings.Join(all[:min(len(all), most)], ", ")
	if len(all) > most {
		text += fmt.Sprintf(" and %d more", len(all)-most)
	}
	n.show("addresses", verdictGood, "", "%s", text)
}

func (n *netcheck) near() {
	looks := slices.ContainsFunc(n.h.peer.Metrics(), func(m peergroup.Metric) bool { return m.Service == "lan" && m.Name == "looks" })
	var names []string
	linked := 0
	for _, x := range n.h.peer.Neighbours() {
		names = append(names, oneLine(x.Name))
		if x.Linked {
			linked++
		}
	}
	switch {
	case !looks:
		n.show("near", verdictUnknown, "--lan on looks for peers near by", "this peer does not look for others near by")
	case len(names) == 0:
		n.show("near", verdictUnknown, "peers of the same network and machine are found by themselves, within seconds", "nobody near by")
	case linked == 0:
		n.show("near", verdictBad, "why "+names[0]+" finds out why", "%s; no link to any", strings.Join(names, ", "))
	default:
		n.show("near", verdictGood, "", "%s; links to %d", strings.Join(names, ", "), linked)
	}
}

func (n *netcheck) rendezvous() {
	rdv := n.g.Rendezvous()
	lease, leased := rdv.Lease()
	switch {
	case rdv.Role() == rendezvous.Rendezvous:
		view := 0
		if v := rdv.PeerView(); v != nil {
			view = v.Size()
		}
		n.show("rendezvous", verdictGood, "", "this peer is one of %s; clients: %d, others in view: %d", n.g.Name(), len(rdv.Clients()), view)
	case leased:
		n.show("rendezvous", verdictGood, "", "%s, leased for another %s; others known: %d", n.h.peerName(lease.Peer), interp.Span(lease.Left), lease.Others)
	case rdv.Role() == rendezvous.Edge:
		n.show("rendezvous", verdictBad, "rdvcontrol edge connect ADDRESS asks one; rdvcontrol rdv start makes this peer one",
			"none in %s: only peers near by can be found", n.g.Name())
	default:
		n.show("rendezvous", verdictUnknown, "", "this peer wants none: its role is %s", rdv.Role())
	}
}

// clock asks the rendezvous, which tells whether it answers, too.
func (n *netcheck) clock(ctx context.Context, wait time.Duration) error {
	lease, leased := n.g.Rendezvous().Lease()
	if !leased {
		n.show("clock", verdictUnknown, "", "nobody to compare it with")
		return nil
	}
	short, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	info, err := n.g.PeerInfo().Ask(short, lease.Peer)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		n.show("clock", verdictUnknown, "", "the rendezvous does not tell its time, as original JXTA peers do not")
		return nil
	}
	off := time.Since(info.Clock) - info.Trip/2
	if off.Abs() > worstClock {
		n.show("clock", verdictBad, "set the clock of this machine, or of that one", "differs from that of the rendezvous by %s", interp.Span(off.Abs()))
		return nil
	}
	n.show("clock", verdictGood, "", "agrees with that of the rendezvous, which answers within %s", tripText(info.Trip))
	return nil
}

func (n *netcheck) reachability() {
	reach, relayed := n.h.peer.Reachability(), len(n.h.peer.RelayLeases().Leases) > 0
	switch {
	case reach == peergroup.ReachPublic:
		n.show("reachability", verdictGood, "", "others can dial this peer")
	case reach == peergroup.ReachPrivate && relayed:
		n.show("reachability", verdictGood, "", "others cannot dial this peer, and reach it through a relay")
	case reach == peergroup.ReachPrivate:
		n.show("reachability", verdictBad, "peers behind translators meet through a relay: --relay ADDRESS", "others cannot dial this peer")
	default:
		n.show("reachability", verdictUnknown, "another peer is asked to try, when there is one that can", "nobody has tried to dial this peer")
	}
}

func (n *netcheck) router() {
	all, status, asked := n.h.peer.PortMappings()
	usable := slices.ContainsFunc(all, func(m nat.Mapping) bool { return m.Usable })
	switch {
	case !asked:
		n.show("router", verdictUnknown, "", "was not asked to let others in")
	case len(all) == 0 && status.Err != nil:
		n.show("router", verdictBad, "forward a port at the router by hand, or use a relay", "lets nobody in: %s", oneError(status.Err))
	case len(all) == 0:
		n.show("router", verdictUnknown, "", "lets nobody in so far")
	case !usable:
		n.show("router", verdictBad, "use a relay, or ask the provider for an address of your own", "%s, but is itself behind address translation", mapping(n.h.peer))
	default:
		n.show("router", verdictGood, "", "%s", mapping(n.h.peer))
	}
}

func (n *netcheck) relay() {
	st, clients := n.h.peer.RelayLeases(), len(n.h.peer.RelayClients())
	var names []string
	for _, l := range st.Leases {
		names = append(names, n.h.peerName(l.Relay))
	}
	switch {
	case len(names) > 0:
		n.show("relay", verdictGood, "", "%s", strings.Join(names, "; "))
	case n.h.peer.Roles().Relay:
		n.show("relay", verdictGood, "", "this peer is one; clients: %d", clients)
	case st.Wanted && st.Err != nil:
		n.show("relay", verdictBad, "relaystatus tells more", "none: %s", oneError(st.Err))
	case st.Wanted:
		n.show("relay", verdictBad, "--relay ADDRESS names one; seeds that are relays are asked too", "none, though one is needed")
	default:
		n.show("relay", verdictUnknown, "", "not needed")
	}
}

func (n *netcheck) links() {
	links, plain := n.h.peer.Endpoint().Links(), 0
	for _, l := range links {
		if !endpoint.Encrypted(l) {
			plain++
		}
	}
	switch {
	case len(links) == 0:
		n.show("links", verdictBad, "", "none")
	case plain > 0:
		n.show("links", verdictUnknown, "transports -l lists them; --secure refuses those", "%d, of which anybody in between can read %d", len(links), plain)
	default:
		n.show("links", verdictGood, "", "%d, all encrypted", len(links))
	}
}

// losses tells what was lost most.
func (n *netcheck) losses() {
	var worst peergroup.Metric
	for _, m := range n.h.peer.Metrics() {
		if m.Loss && m.Value > worst.Value && !strings.Contains(m.Name, "clipped") {
			worst = m
		}
	}
	if worst.Value == 0 {
		n.show("losses", verdictGood, "", "none")
		return
	}
	n.show("losses", verdictUnknown, "metrics -l lists all; limits -m tells which limits were met", "most of all %s.%s: %d", worst.Service, worst.Name, worst.Value)
}
