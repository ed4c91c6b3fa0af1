package pipe_test

import (
	"context"
	"fmt"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/core/transport/memory"
	"github.com/juxta-p2p/juxta/protocols/pipe"
	"github.com/juxta-p2p/juxta/protocols/rendezvous"
	"github.com/juxta-p2p/juxta/protocols/resolver"
	"github.com/juxta-p2p/juxta/protocols/routing"
)

// peer puts together what a pipe service stands on; package peergroup does that
// for applications. It panics where a program would handle errors.
func peer(net *memory.Network, name string) (pipes *pipe.Service, stop func()) {
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
	pipes = must(pipe.New(pipe.Config{Scope: scope, Resolver: res, Self: self, Learn: router.Learn}))
	return pipes, func() {
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

// A unicast pipe leads to one peer that listens.
func Example() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	net := memory.New(memory.Config{})
	ann, stopAnn := peer(net, "ann")
	defer stopAnn()
	bob, stopBob := peer(net, "bob")
	defer stopBob()

	adv := advertisements.NewPipe(id.NetGroup, "mailbox", advertisements.Unicast)
	in := must(ann.Listen(ctx, adv))
	defer in.Close()

	out := must(bob.Dial(ctx, adv)) // bob need not know who listens
	defer out.Close()
	for _, text := range []string{"hello", "ann"} {
		if err := out.Send(ctx, message.New(message.Text("", "text", text))); err != nil {
			panic(err)
		}
	}

	for msg, err := range in.Messages(ctx) {
		if err != nil {
			panic(err)
		}
		fmt.Println(msg.Text("", "text"))
		if msg.Text("", "text") == "ann" {
			break
		}
	}
	// Output:
	// hello
	// ann
}

// A propagate pipe leads to every peer of the group that listens, the sender
// included.
func Example_propagate() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	net := memory.New(memory.Config{})
	chat := advertisements.NewPipe(id.NetGroup, "chat", advertisements.Propagate)
	var inputs []*pipe.Input
	var first *pipe.Service
	for _, name := range []string{"ann", "bob", "eve"} {
		pipes, stop := peer(net, name)
		defer stop()
		inputs = append(inputs, must(pipes.Listen(ctx, chat)))
		if first == nil {
			first = pipes
		}
	}

	out := must(first.Dial(ctx, chat))
	if err := out.Send(ctx, message.New(message.Text("", "text", "hello everybody"))); err != nil {
		panic(err)
	}
	for _, in := range inputs {
		fmt.Println(must(in.Receive(ctx)).Text("", "text"))
	}
	// Output:
	// hello everybody
	// hello everybody
	// hello everybody
}

// Dialling a pipe on which nobody listens tells what was tried.
func ExampleService_Dial() {
	net := memory.New(memory.Config{})
	ann, stop := peer(net, "ann")
	defer stop()
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	adv := advertisements.NewPipe(id.NetGroup, "mailbox", advertisements.Unicast)
	_, err := ann.Dial(ctx, adv)
	fmt.Println(err)
	// Output: pipe: "mailbox": no listener found: nobody answered one query to one peer or network: context deadline exceeded
}
