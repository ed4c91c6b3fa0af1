package socket_test

import (
	"context"
	"testing"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/transport/memory"
	"github.com/juxta-p2p/juxta/protocols/pipe"
	"github.com/juxta-p2p/juxta/protocols/rendezvous"
	"github.com/juxta-p2p/juxta/protocols/resolver"
	"github.com/juxta-p2p/juxta/protocols/routing"
	"github.com/juxta-p2p/juxta/protocols/socket"
)

// bidiNode is a peer as far as bidirectional pipes need one.
type bidiNode struct {
	id      id.Peer
	ep      *endpoint.Endpoint
	adv     *advertisements.Peer
	pipes   *pipe.Service
	sockets *socket.Service
	stop    func()
}

// newBidiNode starts a peer; without rendezvous it becomes one.
func newBidiNode(t testing.TB, net *memory.Network, name string, rdv *bidiNode) *bidiNode {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	n := &bidiNode{id: id.PeerFromSeed(id.NetGroup, []byte(name))}
	var err error
	n.ep, err = endpoint.New(endpoint.Config{Peer: n.id})
	must(err)
	must(n.ep.Add(net.Transport(memory.TransportConfig{Name: name})))
	scope := n.ep.Scope(id.NetGroup)
	self := func() *advertisements.Route {
		return &advertisements.Route{Dest: n.id, Addresses: n.ep.Addresses()}
	}
	rt, err := routing.New(routing.Config{Scope: scope, Self: self})
	must(err)
	role := rendezvous.Edge
	if rdv == nil {
		role = rendezvous.Rendezvous
	}
	n.adv = &advertisements.Peer{ID: n.id, Group: id.NetGroup, Name: name}
	n.adv.SetRendezvous(rdv == nil)
	must(n.adv.SetRoute(self()))
	rv, err := rendezvous.New(rendezvous.Config{
		Connect: rt.Connect, Learn: rt.Learn, Hear: rt.Hear, Scope: scope, Role: role,
		Advertisement: func() *advertisements.Peer { return n.adv },
		Seeds: func() []endpoint.Address {
			if rdv == nil {
				return nil
			}
			return rdv.ep.Addresses()
		},
		Met: func(adv *advertisements.Peer, _ time.Duration) {
			if r, ok := adv.Route(); ok {
				rt.Learn(r)
			}
		},
	})
	must(err)
	res, err := resolver.New(resolver.Config{Scope: scope, Rendezvous: rv, Route: self, Learn: rt.Learn, Hear: rt.Hear})
	must(err)
	must(rt.Ask(context.Background(), res))
	me := func() *advertisements.Peer { return n.adv }
	n.pipes, err = pipe.New(pipe.Config{Scope: scope, Resolver: res, Self: me, Learn: rt.Learn})
	must(err)
	n.sockets, err = socket.New(socket.Config{Scope: scope, Pipes: n.pipes, Self: me, Learn: rt.Learn})
	must(err)
	stopped := false
	n.stop = func() {
		if stopped {
			return
		}
		stopped = true
		n.sockets.Close()
		n.pipes.Close()
		res.Close()
		rv.Close()
		rt.Close()
		if err := n.ep.Close(); err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(n.stop)
	if rdv != nil {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		must(rv.WaitConnected(ctx))
	}
	return n
}

// bidiPair is two peers that find each other.
func bidiPair(t testing.TB) (a, b *bidiNode) {
	t.Helper()
	net := memory.New(memory.Config{})
	a = newBidiNode(t, net, "a", nil)
	return a, newBidiNode(t, net, "b", a)
}

func bidiAdv(t testing.TB, typ advertisements.PipeType) *advertisements.Pipe {
	return advertisements.NewPipe(id.NetGroup, t.Name(), typ)
}
