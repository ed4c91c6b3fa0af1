package http_test

import (
	"context"
	"fmt"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/identity"
	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/core/transport/http"
)

// Two peers on this machine: one serves HTTP, the other only makes requests. Both
// have an identity, so what goes through the tunnel is encrypted.
func Example() {
	peer := func(cfg http.Config) *endpoint.Endpoint {
		who, err := identity.New(identity.Ed25519)
		if err != nil {
			panic(err)
		}
		e, err := endpoint.New(endpoint.Config{Peer: who.Peer(), Identity: who})
		if err != nil {
			panic(err)
		}
		if err := e.Add(http.New(cfg)); err != nil {
			panic(err)
		}
		return e
	}
	ann := peer(http.Config{Listen: []string{"127.0.0.1:0"}})
	bob := peer(http.Config{ClientOnly: true})
	defer func() { _ = ann.Close() }()
	defer func() { _ = bob.Close() }()

	heard := make(chan endpoint.Incoming)
	_, _ = ann.Scope(id.NetGroup).Handle("chat", "", func(_ context.Context, in endpoint.Incoming) { heard <- in })
	err := bob.Scope(id.NetGroup).SendTo(context.Background(), ann.Addresses()[0], "chat", "",
		message.New(message.Text("", "text", "hello ann")))
	if err != nil {
		fmt.Println(err)
		return
	}
	in := <-heard
	fmt.Println(in.Message.Text("", "text"))
	fmt.Println("proven", in.Link.Proven(), "encrypted", endpoint.Encrypted(in.Link))
	// Output:
	// hello ann
	// proven true encrypted true
}
