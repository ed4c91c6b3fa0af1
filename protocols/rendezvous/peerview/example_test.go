package peerview_test

import (
	"fmt"
	"log"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/transport/memory"
	"github.com/juxta-p2p/juxta/protocols/rendezvous/peerview"
	"github.com/juxta-p2p/juxta/protocols/routing"
)

// Three rendezvous, of which two know the address of the first, see each other.
func ExampleView() {
	net := memory.New(memory.Config{Latency: time.Millisecond})
	seeds := func() []endpoint.Address { return []endpoint.Address{endpoint.MustParseAddress("mem://anna")} }
	complete := make(chan string, 3)
	for _, name := range []string{"anna", "bert", "cora"} {
		peer := id.NewPeer(id.NetGroup)
		ep, err := endpoint.New(endpoint.Config{Peer: peer})
		if err != nil {
			log.Fatal(err)
		}
		defer ep.Close()
		if err := ep.Add(net.Transport(memory.TransportConfig{Name: name})); err != nil {
			log.Fatal(err)
		}
		route := func() *advertisements.Route {
			return &advertisements.Route{Dest: peer, Addresses: ep.Addresses()}
		}
		router, err := routing.New(routing.Config{Scope: ep.Scope(id.NetGroup), Self: route})
		if err != nil {
			log.Fatal(err)
		}
		defer router.Close()
		view, err := peerview.New(peerview.Config{
			Scope: ep.Scope(id.NetGroup), Seeds: seeds, Connect: router.Connect, Learn: router.Learn, Hear: router.Hear,
			Self: func() *advertisements.Rendezvous {
				return &advertisements.Rendezvous{
					Group: id.NetGroup, Peer: peer, Service: advertisements.RendezvousService(id.NetGroup), Name: name, Route: route(),
				}
			},
		})
		if err != nil {
			log.Fatal(err)
		}
		defer view.Close()
		view.Watch(func(ev peerview.Event) {
			if view.Size() == 2 {
				complete <- name
			}
		})
	}
	for range 3 {
		<-complete
	}
	fmt.Println("all see each other")
	// Output:
	// all see each other
}
