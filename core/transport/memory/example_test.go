package memory_test

import (
	"context"
	"fmt"
	"time"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/transport/memory"
)

// A network of two peers, which is cut in two and healed.
func Example() {
	net := memory.New(memory.Config{})
	peer := func(name string) *endpoint.Endpoint {
		e, err := endpoint.New(endpoint.Config{Peer: id.PeerFromSeed(id.NetGroup, []byte(name))})
		if err != nil {
			panic(err)
		}
		if err := e.Add(net.Transport(memory.TransportConfig{Name: name})); err != nil {
			panic(err)
		}
		return e
	}
	ann, bob := peer("ann"), peer("bob")
	defer func() { _ = ann.Close() }()
	defer func() { _ = bob.Close() }()

	dial := func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
		defer cancel()
		_, err := ann.Dial(ctx, bob.Addresses()[0])
		fmt.Println(err)
	}
	net.Partition("bob")
	dial()
	net.Heal()
	dial()
	// Output:
	// dial mem://bob: connect: context deadline exceeded
	// <nil>
}
