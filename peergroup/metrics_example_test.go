package peergroup_test

import (
	"context"
	"fmt"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/transport/memory"
	"github.com/juxta-p2p/juxta/peergroup"
)

func ExamplePeer_Metrics() {
	network := memory.New(memory.Config{})
	peer, err := peergroup.Start(context.Background(), peergroup.Config{
		Name: "ann", NoLAN: true, Transports: []endpoint.Transport{network.Transport(memory.TransportConfig{Name: "ann"})},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer peer.Close()

	// Somebody is called who is not there.
	_, _ = peer.Endpoint().Dial(context.Background(), endpoint.MustParseAddress("mem://bob"))
	for _, m := range peer.Metrics() {
		if m.Loss && m.Value > 0 {
			fmt.Println(m.Service, m.Name, m.Value)
		}
	}
	// Output: endpoint failed_dials 1
}
