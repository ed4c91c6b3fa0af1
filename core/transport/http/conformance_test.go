package http

import (
	"net"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/identity"
	"github.com/juxta-p2p/juxta/core/transport/transporttest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// conformance is the list for transports of a configuration.
func conformance(cfg Config) transporttest.Config {
	cfg.Listen = []string{"127.0.0.1:0"}
	return transporttest.Config{
		New:    func(*testing.T) (endpoint.Transport, id.Peer) { return fast(New(cfg)), id.NewPeer(id.NetGroup) },
		Nobody: func(t *testing.T) endpoint.Address { return at(closedPort(t)) },
		Bad: map[endpoint.Address]endpoint.Phase{
			{Protocol: "http", Host: "127.0.0.1"}:        endpoint.PhaseAddress,
			{Protocol: "http", Host: "127.0.0.1:0"}:      endpoint.PhaseAddress,
			{Protocol: "http", Host: "127.0.0.1:65536"}:  endpoint.PhaseAddress,
			{Protocol: "http", Host: ":9700"}:            endpoint.PhaseAddress,
			{Protocol: "tcp", Host: "127.0.0.1:9701"}:    endpoint.PhaseAddress,
			{Protocol: "http", Host: "no..such.host:80"}: endpoint.PhaseResolve,
		},
		Silent: func(t *testing.T) endpoint.Address { return at(silent(t)) },
		Again: func(_ *testing.T, old endpoint.Transport) (endpoint.Transport, id.Peer) {
			again := cfg
			again.Listen = []string{old.Addresses()[0].Host}
			return fast(New(again)), id.NewPeer(id.NetGroup)
		},
	}
}

func TestConformance(t *testing.T) { transporttest.Run(t, conformance(Config{})) }

// TestConformanceEncrypted: the same with peers that can prove their IDs.
func TestConformanceEncrypted(t *testing.T) {
	idents := map[id.Peer]*identity.Identity{}
	c := conformance(Config{})
	plain := c.New
	fresh := func(t *testing.T, tr endpoint.Transport) (endpoint.Transport, id.Peer) {
		i, err := identity.New(identity.Ed25519)
		if err != nil {
			t.Fatal(err)
		}
		idents[i.Peer()] = i
		return tr, i.Peer()
	}
	again := c.Again
	c.New = func(t *testing.T) (endpoint.Transport, id.Peer) { tr, _ := plain(t); return fresh(t, tr) }
	c.Again = func(t *testing.T, old endpoint.Transport) (endpoint.Transport, id.Peer) {
		tr, _ := again(t, old)
		return fresh(t, tr)
	}
	c.Identity = func(p id.Peer) *identity.Identity { return idents[p] }
	transporttest.Run(t, c)
}

// TestConformanceOriginal: the same in the open, with polls.
func TestConformanceOriginal(t *testing.T) { transporttest.Run(t, conformance(Config{Original: true})) }

// fast shortens the times of a transport.
func fast(tr *Transport) *Transport {
	tr.times.again, tr.times.gone = 20*time.Millisecond, 300*time.Millisecond
	return tr
}

func at(hostport string) endpoint.Address {
	return endpoint.Address{Protocol: Protocol, Host: hostport}
}

// closedPort returns a place where a moment ago somebody listened.
func closedPort(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	return ln.Addr().String()
}

// silent returns a place where connections are accepted by the system, and nobody
// ever says anything.
func silent(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	return ln.Addr().String()
}
