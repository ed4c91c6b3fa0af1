package peergroup_test

import (
	"errors"
	"testing"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/peergroup"
)

// TestProbe: a probe tells who answers and leaves no link that messages could take.
func TestProbe(t *testing.T) {
	a, b := start(t, onLoopback("ann")), start(t, onLoopback("bob"))
	at := b.Addresses()[0]
	if at.Protocol != "tls" {
		t.Fatalf("the first address is %s", at)
	}
	p, err := a.Endpoint().Probe(t.Context(), at)
	if err != nil || p != b.ID() {
		t.Errorf("%v, %v", p, err)
	}
	if len(a.Endpoint().Links())+len(b.Endpoint().Links()) != 0 {
		t.Error("a link is left")
	}
	var de *endpoint.DialError
	if _, err := a.Endpoint().Probe(t.Context(), endpoint.MustParseAddress("tls"+closedPlace(t)[len("tcp"):])); !errors.As(err, &de) || de.Phase != endpoint.PhaseConnect {
		t.Errorf("nobody there: %v", err)
	}
	if _, err := a.Endpoint().Dial(t.Context(), at); err != nil {
		t.Errorf("then they can connect: %v", err)
	}
	eventually(t, "both have the link", func() bool { return b.Endpoint().LinkTo(a.ID()) != nil })
}

// TestRelayRole: a relay leases to who asks, and its clients tell their way through
// it.
func TestRelayRole(t *testing.T) {
	cfg := onLoopback("relay")
	cfg.Roles = peergroup.Roles{Rendezvous: true, Relay: true}
	relay := start(t, cfg)
	cfg = onLoopback("ann")
	cfg.Listen, cfg.ClientOnly = nil, true
	cfg.Seeds = []string{seeded(relay)}
	a := start(t, cfg)
	eventually(t, "the peer that nobody can dial has a lease", func() bool {
		return len(relay.RelayClients()) == 1 && len(a.RelayLeases().Leases) == 1
	})
	eventually(t, "its route leads through the relay", func() bool {
		r := a.Route()
		return len(r.Hops) == 1 && r.Hops[0].Peer == relay.ID()
	})
	if c := relay.RelayClients()[0]; c.Peer != a.ID() || !c.Proven || c.Left <= 0 {
		t.Errorf("%+v", c)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it gives the lease back", func() bool { return len(relay.RelayClients()) == 0 })
}
