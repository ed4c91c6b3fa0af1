package routing_test

import (
	"context"
	"fmt"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/core/transport/memory"
	"github.com/juxta-p2p/juxta/protocols/routing"
)

// start makes a peer with a router on a network in memory.
func start(net *memory.Network, name string, deaf bool) (*endpoint.Endpoint, *routing.Router) {
	ep, err := endpoint.New(endpoint.Config{Peer: id.PeerFromSeed(id.NetGroup, []byte(name))})
	if err == nil {
		err = ep.Add(net.Transport(memory.TransportConfig{Name: name, Deaf: deaf}))
	}
	if err != nil {
		panic(err)
	}
	r, err := routing.New(routing.Config{Scope: ep.Scope(id.NetGroup), Self: func() *advertisements.Route {
		return &advertisements.Route{Dest: ep.Peer(), Addresses: ep.Addresses()}
	}})
	if err != nil {
		panic(err)
	}
	return ep, r
}

// A message to a peer that nobody can dial goes through one that has a link to it.
func Example() {
	ctx := context.Background()
	net := memory.New(memory.Config{})
	ann, ways := start(net, "ann", false)
	mid, between := start(net, "mid", false)
	bob, back := start(net, "bob", true)
	defer func() {
		for _, r := range []*routing.Router{ways, between, back} {
			r.Close()
		}
		for _, ep := range []*endpoint.Endpoint{ann, mid, bob} {
			_ = ep.Close()
		}
	}()

	got := make(chan string, 1)
	if _, err := bob.Scope(id.NetGroup).Handle("chat", "", func(_ context.Context, in endpoint.Incoming) {
		got <- in.Message.Text("", "text")
	}); err != nil {
		panic(err)
	}
	for _, ep := range []*endpoint.Endpoint{ann, bob} {
		if _, err := ep.Dial(ctx, endpoint.MustParseAddress("mem://mid")); err != nil {
			panic(err)
		}
	}
	ways.Learn(&advertisements.Route{Dest: bob.Peer(), Hops: []advertisements.AccessPoint{{Peer: mid.Peer()}}})
	if err := ann.Scope(id.NetGroup).Send(ctx, bob.Peer(), "chat", "", message.New(message.Text("", "text", "hello"))); err != nil {
		panic(err)
	}
	select {
	case text := <-got:
		fmt.Println(text)
	case <-time.After(time.Minute):
	}
	known, _ := ways.Route(bob.Peer())
	fmt.Println(known.Kind, len(known.Hops))
	// Output:
	// hello
	// hops 1
}
