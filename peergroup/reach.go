package peergroup

import (
	"sync"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/protocols/diagnose"
)

// reach is how this peer can be reached beside the addresses it listens on.
type reach struct {
	p *Peer

	mu   sync.Mutex
	hops []advertisements.AccessPoint // relays at which it holds a lease
}

// extend adds what is known to the own route.
func (r *reach) extend(own *advertisements.Route) {
	r.mu.Lock()
	defer r.mu.Unlock()
	own.Hops = append(own.Hops, r.hops...)
}

// moved is told that the network is another one.
func (r *reach) moved() {}

// words tells how this peer is connected to the world.
func (r *reach) words() string { return "" }

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
func (r *reach) relayFacts(q id.Peer, f *diagnose.Facts) {}
