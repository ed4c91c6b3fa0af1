package peergroup

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"time"
)

const (
	// lookAtNetwork is how often a peer looks at the interfaces of its machine.
	lookAtNetwork = 2 * time.Second

	// asleep is how much more time than expected must have passed between two
	// looks for the machine to have slept: connections may then be dead without
	// anybody having told.
	asleep = 30 * time.Second
)

// roam follows the machine through the networks: it notices addresses that come
// and go, and that the machine has slept.
func (p *Peer) roam(ctx context.Context) {
	before := machineAddresses()
	last := time.Now().Round(0) // without the monotonic clock, which may stand still in sleep
	tick := time.NewTicker(lookAtNetwork)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := time.Now().Round(0)
		slept := now.Sub(last) > lookAtNetwork+asleep
		last = now
		after := machineAddresses()
		if slept {
			p.log.Info("the machine has slept")
		}
		if slices.Equal(before, after) && !slept {
			continue
		}
		lost := slices.DeleteFunc(slices.Clone(before), func(a netip.Addr) bool { return slices.Contains(after, a) })
		if !slices.Equal(before, after) {
			p.log.Info("the addresses of this machine have changed", "now", after)
		}
		before = after
		p.moved(lost, slept)
	}
}

// machineAddresses lists the addresses of the interfaces that are up, in order.
func machineAddresses() []netip.Addr {
	all, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	var ips []netip.Addr
	for _, a := range all {
		if p, err := netip.ParsePrefix(a.String()); err == nil && !p.Addr().IsLoopback() {
			ips = append(ips, p.Addr().Unmap().WithZone(""))
		}
	}
	slices.SortFunc(ips, netip.Addr.Compare)
	return slices.Compact(ips)
}

// roamer is a transport that can close the links of an address that is gone.
type roamer interface {
	CloseWhere(func(local netip.Addr) bool)
}

// moved adapts to a change of the network: links that left by an address which is
// gone are closed at once, since nobody would tell for minutes, and everybody who
// needs to know is told where this peer is now. After a sleep every link is doubted.
func (p *Peer) moved(lost []netip.Addr, slept bool) {
	for _, t := range p.ep.Transports() {
		if r, ok := t.(roamer); ok {
			r.CloseWhere(func(local netip.Addr) bool { return slept && !local.IsLoopback() || slices.Contains(lost, local) })
		}
	}
	p.router.Reconsider()
	p.reach.moved()
	p.Refresh()
	if p.lan != nil {
		p.lan.Refresh()
	}
	p.eachGroup(func(g *Group) { g.rdv.TrySeeds() })
}

// Refresh takes the present addresses into the own route and, if they have changed,
// tells the groups. The peer does so by itself when it notices a change.
func (p *Peer) Refresh() {
	if p.refreshRoute() {
		p.router.Reannounce()
		p.eachGroup((*Group).rerouted)
	}
}

// eachGroup calls f for the network and the groups joined in it.
func (p *Peer) eachGroup(f func(*Group)) {
	var walk func(g *Group)
	walk = func(g *Group) {
		f(g)
		for _, c := range g.Groups() {
			walk(c)
		}
	}
	if net := p.started.Load(); net != nil {
		walk(net)
	}
}

// rerouted takes the new route of the peer into its advertisement in the group.
func (g *Group) rerouted() {
	if err := g.describe(g.rdv.Role()); err != nil {
		g.log.Error("the own advertisement could not be changed", "error", err)
		return
	}
	g.Go(g.tellRole)
}
