package peergrouptest

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/transport/memory"
	"github.com/juxta-p2p/juxta/peergroup"
)

// Node is one peer of a [Network]. Its methods are safe for concurrent use.
type Node struct {
	net    *Network
	name   string
	place  string
	number int
	peer   *peergroup.Peer
	up     atomic.Bool
	once   sync.Once
	err    error
}

func (d *Node) start(roles peergroup.Roles, seeds []string) error {
	seed := d.net.cfg.Seed
	cfg := peergroup.Config{
		Name: d.name, PeerID: id.PeerFromSeed(id.NetGroup, digest(seed, d.name)), Roles: roles, Seeds: seeds,
		NoLAN: true, NoMulticast: true, Rand: chance(seed, d.name),
		Transports: []endpoint.Transport{d.net.mem.Transport(memory.TransportConfig{Name: d.place})},
	}
	if f := d.net.cfg.Configure; f != nil {
		f(&cfg)
	}
	peer, err := peergroup.Start(context.Background(), cfg)
	if err != nil {
		return err
	}
	d.peer = peer
	d.up.Store(true)
	return nil
}

// Name returns the name of the peer.
func (d *Node) Name() string { return d.name }

// Host returns the name of its host on the network: that of the peer, unless
// [Config.Place] says something else.
func (d *Node) Host() string { return d.place }

// Peer returns the peer.
func (d *Node) Peer() *peergroup.Peer { return d.peer }

// Net returns the peer's place in the net group.
func (d *Node) Net() *peergroup.Group { return d.peer.Net() }

// ID returns the ID of the peer.
func (d *Node) ID() id.Peer { return d.peer.ID() }

// Up reports whether the peer runs: it was neither stopped nor killed.
func (d *Node) Up() bool { return d.up.Load() }

// Stop closes the peer, which says goodbye, and returns when that is done.
func (d *Node) Stop() error { return d.end(false) }

// Kill takes the peer off the network at once, without a goodbye, as a crash or a
// pulled plug does, and returns when nothing of it is left in this process.
func (d *Node) Kill() error { return d.end(true) }

// end waits also if somebody else ends the peer.
func (d *Node) end(crash bool) error {
	d.once.Do(func() {
		d.up.Store(false)
		d.net.gone(d)
		if crash {
			d.net.mem.Crash(d.place)
		}
		d.err = d.peer.Close()
	})
	return d.err
}
