package lan_test

import (
	"context"
	"fmt"
	"os"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/lan"
)

// Two peers on one machine find each other without any configuration. Here they
// are told a folder of their own, to be among themselves.
func Example() {
	dir, err := os.MkdirTemp("", "juxta")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	start := func(name, addr string) *lan.Service {
		s, err := lan.Start(lan.Config{
			Peer: id.PeerFromSeed(id.NetGroup, []byte(name)), Name: name, Dir: dir, DisableMDNS: true,
			Addresses: func() []endpoint.Address {
				return []endpoint.Address{endpoint.MustParseAddress(addr)}
			},
		})
		if err != nil {
			fmt.Println(err)
		}
		return s
	}
	ann := start("ann", "tcp://0.0.0.0:9701")
	defer ann.Close()
	bob := start("bob", "tcp://0.0.0.0:9702")
	defer bob.Close()

	for e := range bob.Events(context.Background()) {
		fmt.Println(e.Kind, e.Hint.Name, "at", e.Hint.Addresses[0], "by", e.Hint.Source)
		break
	}
	// Output: found ann at tcp://127.0.0.1:9701 by machine
}
