package quic

import (
	"net"
	"testing"

	"go.uber.org/goleak"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/identity"
	"github.com/juxta-p2p/juxta/core/transport/transporttest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestConformance(t *testing.T) {
	transporttest.Run(t, transporttest.Config{
		New: func(t *testing.T) (endpoint.Transport, id.Peer) {
			return proven(t, Config{Listen: []string{"127.0.0.1:0"}})
		},
		Nobody: func(t *testing.T) endpoint.Address { return at(closedPort(t)) },
		Bad: map[endpoint.Address]endpoint.Phase{
			{Protocol: "quic", Host: "127.0.0.1"}:        endpoint.PhaseAddress,
			{Protocol: "quic", Host: "127.0.0.1:0"}:      endpoint.PhaseAddress,
			{Protocol: "quic", Host: "127.0.0.1:65536"}:  endpoint.PhaseAddress,
			{Protocol: "quic", Host: "127.0.0.1:http"}:   endpoint.PhaseAddress,
			{Protocol: "quic", Host: ":9701"}:            endpoint.PhaseAddress,
			{Protocol: "tcp", Host: "127.0.0.1:9701"}:    endpoint.PhaseAddress,
			{Protocol: "quic", Host: "no..such.host:80"}: endpoint.PhaseResolve,
		},
		Silent: func(t *testing.T) endpoint.Address { return at(silent(t)) },
		Again: func(t *testing.T, old endpoint.Transport) (endpoint.Transport, id.Peer) {
			return proven(t, Config{Listen: []string{old.Addresses()[0].Host}})
		},
	})
}

// prover is a transport that is started with its own identity, whatever the test
// suite, which knows of none, gives it.
type prover struct {
	*Transport
	who *identity.Identity
}

func (p prover) Start(h endpoint.Host) error {
	h.Identity = p.who
	return p.Transport.Start(h)
}

func proven(t testing.TB, cfg Config) (endpoint.Transport, id.Peer) {
	t.Helper()
	who, err := identity.New(identity.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	return prover{New(cfg), who}, who.Peer()
}

func at(hostport string) endpoint.Address {
	return endpoint.Address{Protocol: Protocol, Host: hostport}
}

// closedPort returns a place where a moment ago somebody had a socket.
func closedPort(t *testing.T) string {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	return c.LocalAddr().String()
}

// silent returns a place where packets are taken and never answered.
func silent(t *testing.T) string {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c.LocalAddr().String()
}
