package multicast_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/transport/multicast"
)

// Multicast reaches the whole neighbourhood, never one peer.
func Example() {
	t := multicast.New(multicast.Config{})
	defer t.Close()

	_, err := t.Dial(context.Background(), endpoint.MustParseAddress("mcast://192.0.2.1:1234"))
	fmt.Println(t.Group(), len(t.Addresses()), errors.Is(err, multicast.ErrNoLinks))
	// Output: mcast://224.0.1.85:1234 0 true
}
