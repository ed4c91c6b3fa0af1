package relay_test

import (
	"fmt"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/core/transport/memory"
	"github.com/juxta-p2p/juxta/protocols/relay"
)

// A peer that others cannot dial takes a lease at a relay. What comes for it while
// it is away is kept, and sent when it is back.
func Example() {
	net := memory.New(memory.Config{})
	start := func(name string, n int, deaf bool) endpoint.Scope {
		e, err := endpoint.New(endpoint.Config{Peer: peerID(n)})
		if err != nil {
			panic(err)
		}
		if err := e.Add(net.Transport(memory.TransportConfig{Name: name, Deaf: deaf})); err != nil {
			panic(err)
		}
		return e.Scope(id.NetGroup)
	}

	at := start("relay", 1, false)
	defer at.Endpoint().Close()
	server, err := relay.NewServer(relay.ServerConfig{Scope: at, Advertisement: func() *advertisements.Peer {
		adv := &advertisements.Peer{ID: at.Peer(), Group: id.NetGroup, Name: "hub"}
		_ = adv.SetRoute(&advertisements.Route{Dest: at.Peer(), Addresses: at.Endpoint().Addresses()})
		return adv
	}})
	if err != nil {
		panic(err)
	}
	defer server.Close()

	ann := start("ann", 2, true)
	hops := make(chan []advertisements.AccessPoint, 1)
	client, err := relay.NewClient(relay.ClientConfig{
		Scope: ann, Relays: 1,
		Seeds:   func() []endpoint.Address { return at.Endpoint().Addresses() },
		Changed: func(now []advertisements.AccessPoint) { hops <- now },
	})
	if err != nil {
		panic(err)
	}
	fmt.Println("ann is reached through", (<-hops)[0].Addresses)

	gone := make(chan struct{})
	at.Endpoint().Watch(func(ev endpoint.LinkEvent) { close(gone) })
	net.Crash("ann")
	<-gone
	hop := endpoint.Address{Service: "EndpointService:" + id.NetGroup.Unique(), Param: "news"}
	fmt.Println("kept:", server.Keep(ann.Peer(), hop, message.New(message.Text("", "text", "hello"))))
	info, _ := server.Client(ann.Peer())
	fmt.Println("waiting:", info.Queued, "lease:", info.Left.Round(time.Hour))
	client.Close()
	ann.Endpoint().Close()
	// Output:
	// ann is reached through [mem://relay]
	// kept: true
	// waiting: 1 lease: 1h0m0s
}
