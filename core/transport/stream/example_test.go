package stream_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/identity"
	"github.com/juxta-p2p/juxta/core/transport/stream"
)

// Two peers make a link of a connection, here one inside the program. Both have an
// identity, so they go over to TLS and know who is at the other end.
func Example() {
	heard := make(chan string)
	peer := func() *stream.Set {
		who, err := identity.New(identity.Ed25519)
		if err != nil {
			panic(err)
		}
		s := stream.New(stream.Config{
			Protocol: "tcp",
			Local:    func(net.Conn) endpoint.Address { return endpoint.MustParseAddress("tcp://192.0.2.1:9701") },
		})
		s.Start(endpoint.Host{
			Peer: who.Peer(), Identity: who, Logger: slog.New(slog.DiscardHandler),
			Opened:  func(endpoint.Link) error { return nil },
			Receive: func(_ endpoint.Link, body []byte) error { heard <- string(body); return nil },
			Closed:  func(endpoint.Link) {},
		})
		return s
	}
	ann, bob := peer(), peer()
	defer ann.Close()
	defer bob.Close()

	here, there := net.Pipe()
	go func() { _, _ = bob.Accepted(context.Background(), there, nil) }()
	link, err := ann.Dialled(context.Background(), here, endpoint.MustParseAddress("tcp://192.0.2.2:9701"))
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := link.Send(context.Background(), []byte("hello bob")); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(<-heard)
	fmt.Println("proven", link.Proven(), "encrypted", endpoint.Encrypted(link))
	// Output:
	// hello bob
	// proven true encrypted true
}
