package quic_test

import (
	"context"
	"fmt"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/identity"
	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/core/transport/quic"
)

// Two peers on this machine: one listens, the other only dials. Each knows for sure
// who the other is.
func Example() {
	peer := func(cfg quic.Config) *endpoint.Endpoint {
		who, err := identity.New(identity.Ed25519)
		if err != nil {
			panic(err)
		}
		e, err := endpoint.New(endpoint.Config{Peer: who.Peer(), Identity: who, RequireSecure: true})
		if err != nil {
			panic(err)
		}
		if err := e.Add(quic.New(cfg)); err != nil {
			panic(err)
		}
		return e
	}
	ann := peer(quic.Config{Listen: []string{"127.0.0.1:0"}})
	bob := peer(quic.Config{ClientOnly: true})
	defer func() { _ = ann.Close() }()
	defer func() { _ = bob.Close() }()

	heard := make(chan string)
	_, _ = ann.Scope(id.NetGroup).Handle("chat", "", func(_ context.Context, in endpoint.Incoming) {
		heard <- fmt.Sprintf("%s, from bob: %t, proven: %t",
			in.Message.Text("", "text"), in.From == bob.Peer(), in.Link.Proven())
	})
	err := bob.Scope(id.NetGroup).SendTo(context.Background(), ann.Addresses()[0], "chat", "",
		message.New(message.Text("", "text", "hello ann")))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(<-heard)
	// Output: hello ann, from bob: true, proven: true
}
