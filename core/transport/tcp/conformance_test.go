package tcp

import (
	"net"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/identity"
	"github.com/juxta-p2p/juxta/core/transport/transporttest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestConformance(t *testing.T) { transporttest.Run(t, conformance(Protocol)) }

// TestConformanceUpgraded: peers with an identity meet under tcp:// addresses.
func TestConformanceUpgraded(t *testing.T) { transporttest.Run(t, identified(conformance(Protocol))) }

// TestConformanceSecured: they meet under tls:// addresses.
func TestConformanceSecured(t *testing.T) { transporttest.Run(t, identified(conformance(Secured))) }

// conformance is for transports dialled under addresses of the protocol.
func conformance(protocol string) transporttest.Config {
	place := func(hostport string) endpoint.Address {
		return endpoint.Address{Protocol: protocol, Host: hostport}
	}
	return transporttest.Config{
		New: func(*testing.T) (endpoint.Transport, id.Peer) {
			return New(Config{Listen: []string{"127.0.0.1:0"}}), id.NewPeer(id.NetGroup)
		},
		Protocol: protocol,
		Nobody:   func(t *testing.T) endpoint.Address { return place(closedPort(t)) },
		Bad: map[endpoint.Address]endpoint.Phase{
			place("127.0.0.1"):                         endpoint.PhaseAddress,
			place("127.0.0.1:0"):                       endpoint.PhaseAddress,
			place("127.0.0.1:65536"):                   endpoint.PhaseAddress,
			place("127.0.0.1:http"):                    endpoint.PhaseAddress,
			place(":9701"):                             endpoint.PhaseAddress,
			{Protocol: "http", Host: "127.0.0.1:9701"}: endpoint.PhaseAddress,
			place("no..such.host:80"):                  endpoint.PhaseResolve,
		},
		Silent: func(t *testing.T) endpoint.Address { return place(silent(t)) },
		Again: func(_ *testing.T, old endpoint.Transport) (endpoint.Transport, id.Peer) {
			return New(Config{Listen: []string{old.Addresses()[0].Host}}), id.NewPeer(id.NetGroup)
		},
	}
}

// identified gives every peer of a configuration an identity.
func identified(cfg transporttest.Config) transporttest.Config {
	var known sync.Map
	fresh := func() id.Peer {
		i := newIdentity()
		known.Store(i.Peer(), i)
		return i.Peer()
	}
	plain, again := cfg.New, cfg.Again
	cfg.New = func(t *testing.T) (endpoint.Transport, id.Peer) {
		tr, _ := plain(t)
		return tr, fresh()
	}
	cfg.Again = func(t *testing.T, old endpoint.Transport) (endpoint.Transport, id.Peer) {
		tr, _ := again(t, old)
		return tr, fresh()
	}
	cfg.Identity = func(p id.Peer) *identity.Identity {
		i, _ := known.Load(p)
		return i.(*identity.Identity)
	}
	return cfg
}

func newIdentity() *identity.Identity {
	i, err := identity.New(identity.Ed25519)
	if err != nil {
		panic(err)
	}
	return i
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

// silent returns a place where connections are accepted by the system, and
// nobody ever says anything.
func silent(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	return ln.Addr().String()
}
