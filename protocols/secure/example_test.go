package secure_test

import (
	"context"
	"fmt"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/identity"
	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/core/transport/memory"
	"github.com/juxta-p2p/juxta/protocols/routing"
	"github.com/juxta-p2p/juxta/protocols/secure"
)

// Two peers talk through a third one, which can read nothing of it. A peer of
// package peergroup has all this set up already.
func Example() {
	net := memory.New(memory.Config{})
	start := func(name string) (*endpoint.Endpoint, *routing.Router, *secure.Service) {
		own, err := identity.New(identity.Ed25519)
		check(err)
		ep, err := endpoint.New(endpoint.Config{Peer: own.Peer(), Identity: own})
		check(err)
		check(ep.Add(net.Transport(memory.TransportConfig{Name: name})))
		scope := ep.Scope(id.NetGroup)
		rt, err := routing.New(routing.Config{Scope: scope, Self: func() *advertisements.Route {
			return &advertisements.Route{Dest: own.Peer()} // reachable by others only
		}})
		check(err)
		s, err := secure.New(secure.Config{Scope: scope, Identity: own})
		check(err)
		return ep, rt, s
	}
	ann, annRouter, annSecure := start("ann")
	mid, midRouter, midSecure := start("mid")
	bob, bobRouter, bobSecure := start("bob")
	ctx := context.Background()
	for _, ep := range []*endpoint.Endpoint{ann, bob} {
		_, err := ep.Dial(ctx, mid.Addresses()[0])
		check(err)
	}
	annRouter.Learn(&advertisements.Route{Dest: bob.Peer(), Hops: []advertisements.AccessPoint{{Peer: mid.Peer()}}})

	done := make(chan struct{})
	_, err := bob.Scope(id.NetGroup).Handle("letters", "", func(_ context.Context, in endpoint.Incoming) {
		fmt.Printf("%q, secured: %v, from ann: %v\n", in.Message.Text("", "text"), in.Secured, in.From == ann.Peer())
		close(done)
	})
	check(err)
	check(ann.Scope(id.NetGroup).SendSecure(ctx, bob.Peer(), "letters", "", message.New(message.Text("", "text", "for you alone"))))
	<-done
	check(annSecure.Flush(ctx, bob.Peer()))
	for _, c := range annSecure.Connections() {
		fmt.Println(c.Version, "proven by", c.Proof)
	}

	for _, s := range []*secure.Service{annSecure, bobSecure, midSecure} {
		s.Close()
	}
	for _, r := range []*routing.Router{annRouter, bobRouter, midRouter} {
		r.Close()
	}
	for _, ep := range []*endpoint.Endpoint{ann, bob, mid} {
		check(ep.Close())
	}
	// Output:
	// "for you alone", secured: true, from ann: true
	// TLS 1.3 proven by key
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
