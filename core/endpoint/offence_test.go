package endpoint_test

import (
	"fmt"
	"testing"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/transport/memory"
)

// TestOffences: the worst stay and come first, however many there are.
func TestOffences(t *testing.T) {
	bubble(t, memory.Config{}, func(t *testing.T, net *memory.Network) {
		a := newPeer(t, net, "ann")
		for range 1000 {
			a.Offend("192.0.2.66", id.Peer{}, "connections")
		}
		a.Offend("192.0.2.7", bob, "malformed messages")
		a.Offend("192.0.2.7", bob, "malformed messages")
		for i := range 5000 {
			a.Offend(fmt.Sprint("2001:db8::", i), id.Peer{}, "connections")
		}
		all := a.Offences()
		if len(all) != 256 {
			t.Errorf("%d are remembered", len(all))
		}
		want := []endpoint.Offence{{Origin: "192.0.2.66", Limit: "connections", Count: 1000}, {Origin: "192.0.2.7", Peer: bob, Limit: "malformed messages", Count: 2}}
		for i, w := range want {
			if got := all[i]; got.Origin != w.Origin || got.Peer != w.Peer || got.Count != w.Count || got.Limit != w.Limit {
				t.Errorf("number %d is %+v, want %+v", i, got, w)
			}
		}
	})
}
