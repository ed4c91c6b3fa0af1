package peergroup

import (
	"fmt"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/protocols/diagnose"
	"github.com/juxta-p2p/juxta/protocols/direct"
	"github.com/juxta-p2p/juxta/protocols/relay"
	"github.com/juxta-p2p/juxta/protocols/rendezvous"
)

// startRelay makes the peer a relay, if it is to be one, and a client of others.
func (p *Peer) startRelay() error {
	r := &p.reach
	var err error
	if p.cfg.Roles.Relay {
		r.server, err = relay.NewServer(relay.ServerConfig{
			Scope: p.ep.Scope(p.cfg.Net), Advertisement: p.net.self.Load, MaxClients: p.cfg.MaxClients, Rand: p.chance(), Logger: p.log,
		})
		if err != nil {
			return err
		}
		p.router.SetKeep(r.server.Keep)
		p.router.SetHolds(func(q id.Peer) bool { _, ok := r.server.Client(q); return ok })
		p.undo = append(p.undo, func() error { p.router.SetKeep(nil); p.router.SetHolds(nil); r.server.Close(); return nil })
	}
	if p.cfg.Roles.AdHoc || len(p.cfg.Transports) > 0 && len(p.cfg.Relays) == 0 {
		return nil
	}
	var configured []endpoint.Address
	for _, s := range p.cfg.Relays {
		a, err := parseURL(s)
		if err != nil {
			return fmt.Errorf("peergroup: relay %q: %w", s, err)
		}
		configured = append(configured, a)
	}
	r.client, err = relay.NewClient(relay.ClientConfig{
		Scope: p.ep.Scope(p.cfg.Net), Seeds: func() []endpoint.Address {
			return append(configured[:len(configured):len(configured)], r.relaying()...)
		},
		Connect: p.router.Connect, Changed: r.relayed, Dormant: true, Rand: p.chance(), Logger: p.log,
	})
	if err != nil {
		return err
	}
	p.undo = append(p.undo, func() error { r.client.Close(); return nil })
	stop := p.net.rdv.Watch(func(ev rendezvous.Event) {
		if ev.Kind == rendezvous.Leased {
			r.client.Wake()
		}
	})
	p.undo = append(p.undo, func() error { stop(); return nil })
	r.want()
	return nil
}

// want looks for a relay, or gives back what there is, as others can dial this peer
// or not. As long as that is not known, relays that were configured are asked.
func (r *reach) want() {
	if r.client == nil {
		return
	}
	deaf := len(r.p.ep.Addresses()) == 0
	r.mu.Lock()
	if deaf {
		r.state = ReachPrivate
	}
	state := r.state
	r.mu.Unlock()
	cfg := &r.p.cfg
	switch {
	case state == ReachPrivate:
		r.client.SetWanted(true)
	case state == ReachUnknown:
		r.client.SetWanted(len(cfg.Relays) > 0)
	default:
		r.client.SetWanted(false)
	}
}

// relayFirst looks for a relay at once if others see this peer at another address
// than its own: whether they can dial it there takes seconds to find out.
func (r *reach) relayFirst() {
	if r.client == nil || r.p.Reachability() != ReachUnknown {
		return
	}
	for _, k := range r.observer.Kinds() {
		if k != direct.Open && k != direct.Unknown {
			r.client.SetWanted(true)
		}
	}
}

// relaying are the rendezvous of this peer that are relays too, or may be.
func (r *reach) relaying() []endpoint.Address {
	l, ok := r.p.net.rdv.Lease()
	if !ok {
		return nil
	}
	var all []endpoint.Address
	for _, q := range []id.Peer{l.Peer, l.Spare} {
		if q.IsZero() {
			continue
		}
		adv, known := r.p.advertisement(q)
		link := r.p.ep.LinkTo(q)
		if link != nil && endpoint.IsJuxta(link) && (!known && q != l.Peer || known && adv.IsRelay()) {
			all = append(all, endpoint.PeerAddress(q, "", ""))
		}
	}
	return all
}

// advertisement returns what is known of a peer of the network.
func (p *Peer) advertisement(q id.Peer) (*advertisements.Peer, bool) {
	key := (&advertisements.Peer{ID: q, Group: p.net.adv.ID}).Key()
	rec, ok := p.store.Scope(p.net.adv.ID).Get(advertisements.Peers, key)
	if !ok {
		return nil, false
	}
	adv, err := p.cfg.Advertisements.Parse(rec.Document)
	if err != nil {
		return nil, false
	}
	a, ok := adv.(*advertisements.Peer)
	return a, ok
}

// relayed is told at which relays this peer holds leases.
func (r *reach) relayed(hops []advertisements.AccessPoint) {
	r.mu.Lock()
	r.hops = hops
	r.mu.Unlock()
	r.p.Refresh()
}

// relays are the relays at which this peer holds a lease.
func (r *reach) relays() []id.Peer {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []id.Peer
	for _, h := range r.hops {
		all = append(all, h.Peer)
	}
	return all
}

// relayFacts adds what this peer as a relay knows of another.
func (r *reach) relayFacts(q id.Peer, f *diagnose.Facts) {
	if r.server == nil {
		return
	}
	f.Relays = true
	if c, ok := r.server.Client(q); ok {
		f.Leased, f.Left = true, c.Left
		f.Queued, f.QueueLimit, f.QueueDropped = int64(c.Queued), relay.DefaultQueue, int64(c.Dropped)
	}
}

// RelayClients returns the peers that hold a lease here, if this peer is a relay.
func (p *Peer) RelayClients() []relay.ClientInfo {
	if p.reach.server == nil {
		return nil
	}
	return p.reach.server.Clients()
}

// RelayLeases tells how things stand with the leases of this peer at relays.
func (p *Peer) RelayLeases() relay.Status {
	if p.reach.client == nil {
		return relay.Status{}
	}
	return p.reach.client.Status()
}
