package relay

import (
	"context"
	"net/netip"
	"slices"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
)

// candidate is a relay to ask: addresses of which each may do.
type candidate struct {
	peer      id.Peer // zero if it is not known who is there
	addresses []endpoint.Address
}

// candidates returns the relays to ask in one round: the seeds, by chance, then
// those that others told of; one that is to be avoided, or kept silent before,
// comes last, and those leased from or asked already are left out.
func (c *Client) candidates(t *term, s *slot, avoid id.Peer) []candidate {
	seeds := c.cfg.Seeds()
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []candidate
	for _, i := range c.rng.Perm(len(seeds)) {
		a := seeds[i].Base()
		p, ok := a.Peer()
		if !ok {
			p = c.where[a]
		}
		if len(all) < maxSeeds {
			all = append(all, candidate{p, []endpoint.Address{a}})
		}
	}
	for _, r := range slices.Backward(c.referred) {
		all = append(all, candidate{r.Peer, r.Addresses})
	}
	all = slices.DeleteFunc(all, func(x candidate) bool {
		return x.peer == c.self || !x.peer.IsZero() && slices.ContainsFunc(t.slots, func(o *slot) bool { return o != s && o.asking == x.peer })
	})
	rank := func(x candidate) int {
		switch {
		case x.peer.IsZero():
			return 0
		case c.silent[x.peer]:
			return 2
		case x.peer == avoid:
			return 1
		}
		return 0
	}
	slices.SortStableFunc(all, func(a, b candidate) int { return rank(a) - rank(b) })
	return all
}

// mute remembers whether a peer kept silent when it was asked, as peers do that are
// no relays. Client.mu is held.
func (c *Client) mute(p id.Peer, silent bool) {
	if !silent {
		delete(c.silent, p)
		return
	}
	if len(c.silent) >= maxSeeds+maxReferred {
		clear(c.silent)
	}
	c.silent[p] = true
}

// refer remembers a relay that another one told of.
func (c *Client) refer(adv *advertisements.Rendezvous) {
	if adv.Peer == c.self || adv.Group != c.scope.Group() {
		return
	}
	hop := hopOf(adv, endpoint.Address{})
	hop.Addresses = slices.DeleteFunc(hop.Addresses, func(a endpoint.Address) bool { return !c.ep.Serves(a.Protocol) })
	if len(hop.Addresses) == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.referred = slices.DeleteFunc(c.referred, func(r advertisements.AccessPoint) bool {
		return r.Peer == hop.Peer || r.Addresses[0] == hop.Addresses[0]
	})
	if len(c.referred) >= maxReferred {
		c.referred = slices.Delete(c.referred, 0, 1)
	}
	c.referred = append(c.referred, hop)
	if c.term != nil {
		for _, s := range c.term.slots {
			if s.holding == nil {
				wake(s.kick)
			}
		}
	}
}

// hopOf returns a relay as it belongs into a route: with its addresses that can be
// dialled, and the one at which it was.
func hopOf(adv *advertisements.Rendezvous, dialled endpoint.Address) advertisements.AccessPoint {
	hop := advertisements.AccessPoint{Peer: adv.Peer}
	if adv.Route != nil {
		for _, a := range adv.Route.Addresses {
			switch a.Protocol {
			case "jxta", "relay", "jxtatls", "cbjx": // they name the peer and no place
			default:
				hop.Addresses = append(hop.Addresses, a.Base())
			}
		}
	}
	if len(hop.Addresses) > maxHopAddresses {
		hop.Addresses = hop.Addresses[:maxHopAddresses]
	}
	if len(hop.Addresses) > 0 && (dialled.IsZero() || isLoopback(dialled)) || slices.Contains(hop.Addresses, dialled) {
		return hop
	}
	if _, named := dialled.Peer(); !named && !dialled.IsZero() {
		hop.Addresses = append(hop.Addresses, dialled)
	}
	return hop
}

func isLoopback(a endpoint.Address) bool {
	host, _, err := a.HostPort()
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// reach returns a link to a relay, and the address at which it was dialled.
func (c *Client) reach(ctx context.Context, x candidate) (l endpoint.Link, at endpoint.Address, err error) {
	err = ErrNoRelay
	for _, a := range x.addresses {
		l, err = c.open(ctx, a)
		if err == nil && !x.peer.IsZero() && l.Peer() != x.peer {
			if _, named := a.Peer(); named || c.known(a) != x.peer {
				err = ErrAnotherPeer
			}
		}
		if err != nil {
			err = &LeaseError{Relay: x.peer, Addr: a, Err: err}
			continue
		}
		if _, named := a.Peer(); named && l.Outgoing() {
			a = l.Remote().Base()
		}
		c.mu.Lock()
		if len(c.where) >= maxSeeds+maxReferred {
			clear(c.where)
		}
		c.where[a] = l.Peer()
		c.mu.Unlock()
		return l, a, nil
	}
	return nil, endpoint.Address{}, err
}

// known returns who answered at an address before.
func (c *Client) known(a endpoint.Address) id.Peer {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.where[a]
}

// open returns a link to an address, an open one if there is one.
func (c *Client) open(ctx context.Context, a endpoint.Address) (endpoint.Link, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	p, named := a.Peer()
	switch {
	case !named:
		return c.ep.Dial(ctx, a)
	case c.cfg.Connect == nil:
		return nil, endpoint.ErrNoTransport
	}
	return c.cfg.Connect(ctx, p)
}
