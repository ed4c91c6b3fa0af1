package tcp_test

import (
	"context"
	"fmt"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/core/transport/tcp"
)

// Two peers on this machine: one listens, the other only dials.
func Example() {
	peer := func(name string, cfg tcp.Config) *endpoint.Endpoint {
		e, err := endpoint.New(endpoint.Config{Peer: id.PeerFromSeed(id.NetGroup, []byte(name))})
		if err != nil {
			panic(err)
		}
		if err := e.Add(tcp.New(cfg)); err != nil {
			panic(err)
		}
		return e
	}
	ann := peer("ann", tcp.Config{Listen: []string{"127.0.0.1:0"}})
	bob := peer("bob", tcp.Config{ClientOnly: true})
	defer func() { _ = ann.Close() }()
	defer func() { _ = bob.Close() }()

	heard := make(chan string)
	_, _ = ann.Scope(id.NetGroup).Handle("chat", "", func(_ context.Context, in endpoint.Incoming) {
		heard <- in.Message.Text("", "text")
	})
	err := bob.Scope(id.NetGroup).SendTo(context.Background(), ann.Addresses()[0], "chat", "",
		message.New(message.Text("", "text", "hello ann")))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(<-heard)
	// Output: hello ann
}
