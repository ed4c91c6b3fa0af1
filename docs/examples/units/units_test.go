package units_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/transport/memory"
	"github.com/juxta-p2p/juxta/core/xmldoc"
	"github.com/juxta-p2p/juxta/docs/examples/units"
	"github.com/juxta-p2p/juxta/peergroup"
)

// program starts a peer of a program that can run the service, or not.
func program(network *memory.Network, name string, serves bool) *peergroup.Peer {
	cfg := peergroup.Config{
		Name: name, NoLAN: true,
		Transports: []endpoint.Transport{network.Transport(memory.TransportConfig{Name: name, Segment: "lan"})},
	}
	if serves {
		cfg.Implementations = map[id.ModuleSpec]peergroup.Implementation{units.Spec: units.Implementation()}
	}
	p, err := peergroup.Start(context.Background(), cfg)
	if err != nil {
		panic(err)
	}
	return p
}

// The maker of a group lists the service with its parameters; members whose program has
// it serve, the others call.
func Example() {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	network := memory.New(memory.Config{})
	ann, bob := program(network, "ann", true), program(network, "bob", false)
	defer ann.Close()
	defer bob.Close()

	ships, err := ann.Net().Create(ctx, peergroup.Spec{Name: "ships", Services: []peergroup.GroupService{{
		Spec: units.Spec, Params: xmldoc.NewNode("Parm", "", xmldoc.NewNode("fathom", "1.8288"), xmldoc.NewNode("league", "5556")),
	}}})
	if err != nil {
		fmt.Println(err)
		return
	}
	crew, err := bob.Net().Join(ctx, ships.Advertisement())
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, m := range crew.Modules() {
		if !m.Standard {
			fmt.Println("module:", m.State)
		}
	}
	depth, by, err := units.Metres.Call(ctx, crew, &units.Length{Number: "20", Unit: "fathom"})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(depth.Number, depth.Unit, by == ann.ID())
	_, _, err = units.Metres.Call(ctx, crew, &units.Length{Number: "3", Unit: "parsec"})
	var failed *peergroup.CallError
	fmt.Println(errors.As(err, &failed), failed.Code, failed.Words)
	// Output:
	// module: missing
	// 36.576 metre true
	// true unit nobody measures in that
}
