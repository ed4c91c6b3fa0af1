package peergroup

import (
	"sync"

	"github.com/juxta-p2p/juxta/advertisements"
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
