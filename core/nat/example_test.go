package nat_test

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/juxta-p2p/juxta/core/nat"
)

// A machine without a gateway gets no mappings, and is told why. Everything happens
// while the program goes on.
func Example() {
	told := make(chan struct{}, 1)
	m, err := nat.New(nat.Config{
		Ports: []nat.Port{{Protocol: "tcp", Internal: 9701}, {Protocol: "udp", Internal: 9701}},
		Gateway: func() (netip.Addr, error) {
			select {
			case told <- struct{}{}:
			default:
			}
			return netip.Addr{}, nat.ErrNoGateway
		},
		Changed: func(all []nat.Mapping) {
			for _, x := range all {
				fmt.Println(x.Port, "is reached at", x.External)
			}
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	<-told
	_ = m.Close()
	fmt.Println(len(m.Mappings()), errors.Is(m.Status().Err, nat.ErrNoGateway))
	// Output: 0 true
}

func ExamplePublic() {
	for _, a := range []string{"8.8.8.8", "192.168.1.1", "100.64.0.7"} {
		fmt.Println(a, nat.Public(netip.MustParseAddr(a)))
	}
	// Output:
	// 8.8.8.8 true
	// 192.168.1.1 false
	// 100.64.0.7 false
}
