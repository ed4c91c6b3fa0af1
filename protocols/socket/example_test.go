package socket_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
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

// peer puts together what sockets stand on; package peergroup does that for
// applications, and Group.Sockets returns them. It panics where a program would
// handle errors.
func peer(net *memory.Network, name string) (sockets *socket.Service, stop func()) {
	ep := must(endpoint.New(endpoint.Config{Peer: id.PeerFromSeed(id.NetGroup, []byte(name))}))
	if err := ep.Add(net.Transport(memory.TransportConfig{Name: name, Segment: "lan"})); err != nil {
		panic(err)
	}
	scope := ep.Scope(id.NetGroup)
	route := func() *advertisements.Route {
		return &advertisements.Route{Dest: ep.Peer(), Addresses: ep.Addresses()}
	}
	adv := &advertisements.Peer{ID: ep.Peer(), Group: id.NetGroup, Name: name}
	if err := adv.SetRoute(route()); err != nil {
		panic(err)
	}
	self := func() *advertisements.Peer { return adv }
	router := must(routing.New(routing.Config{Scope: scope, Self: route}))
	rdv := must(rendezvous.New(rendezvous.Config{Scope: scope, Role: rendezvous.AdHoc, Advertisement: self}))
	res := must(resolver.New(resolver.Config{Scope: scope, Rendezvous: rdv, Route: route, Learn: router.Learn}))
	pipes := must(pipe.New(pipe.Config{Scope: scope, Resolver: res, Self: self, Learn: router.Learn}))
	sockets = must(socket.New(socket.Config{Scope: scope, Pipes: pipes, Self: self, Learn: router.Learn}))
	return sockets, func() {
		sockets.Close()
		pipes.Close()
		res.Close()
		rdv.Close()
		router.Close()
		_ = ep.Close()
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// Any code that works on connections of package net works on those over pipes.
func Example() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	network := memory.New(memory.Config{})
	ann, stopAnn := peer(network, "ann")
	defer stopAnn()
	bob, stopBob := peer(network, "bob")
	defer stopBob()

	adv := advertisements.NewPipe(id.NetGroup, "shouting", advertisements.Unicast)
	var l net.Listener = must(ann.Listen(ctx, adv))
	defer l.Close()
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		for lines := bufio.NewScanner(c); lines.Scan(); {
			fmt.Fprintf(c, "%s!\n", lines.Text())
		}
	}()

	c := must(bob.Dial(ctx, adv)) // bob need not know who listens
	defer c.Close()
	fmt.Fprintln(c, "hello")
	fmt.Fprintln(c, "ann")
	if err := c.CloseWrite(); err != nil {
		panic(err)
	}
	fmt.Print(string(must(io.ReadAll(c))))
	// Output:
	// hello!
	// ann!
}

// Datagrams on a propagate pipe reach every peer of the group that has a socket on it,
// the sender included.
func ExampleService_Multicast() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	network := memory.New(memory.Config{})
	adv := advertisements.NewPipe(id.NetGroup, "news", advertisements.Propagate)
	var all []net.PacketConn
	for _, name := range []string{"ann", "bob", "eve"} {
		sockets, stop := peer(network, name)
		defer stop()
		all = append(all, must(sockets.Multicast(ctx, adv)))
	}

	if _, err := all[0].WriteTo([]byte("hello everybody"), nil); err != nil {
		panic(err)
	}
	buf := make([]byte, 100)
	for _, m := range all {
		n, from, err := m.ReadFrom(buf)
		if err != nil {
			panic(err)
		}
		fmt.Println(string(buf[:n]), from.(socket.Addr).Peer == id.PeerFromSeed(id.NetGroup, []byte("ann")))
	}
	// Output:
	// hello everybody true
	// hello everybody true
	// hello everybody true
}
