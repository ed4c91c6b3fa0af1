package tcp

import (
	"net"
	"testing"

	"go.uber.org/goleak"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/transport/transporttest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestConformance(t *testing.T) {
	transporttest.Run(t, transporttest.Config{
		New: func(*testing.T) (endpoint.Transport, id.Peer) {
			return New(Config{Listen: []string{"127.0.0.1:0"}}), id.NewPeer(id.NetGroup)
		},
		Nobody: func(t *testing.T) endpoint.Address { return at(closedPort(t)) },
		Bad: map[endpoint.Address]endpoint.Phase{
			{Protocol: "tcp", Host: "127.0.0.1"}:        endpoint.PhaseAddress,
			{Protocol: "tcp", Host: "127.0.0.1:0"}:      endpoint.PhaseAddress,
			{Protocol: "tcp", Host: "127.0.0.1:65536"}:  endpoint.PhaseAddress,
			{Protocol: "tcp", Host: "127.0.0.1:http"}:   endpoint.PhaseAddress,
			{Protocol: "tcp", Host: ":9701"}:            endpoint.PhaseAddress,
			{Protocol: "http", Host: "127.0.0.1:9701"}:  endpoint.PhaseAddress,
			{Protocol: "tcp", Host: "no..such.host:80"}: endpoint.PhaseResolve,
		},
		Silent: func(t *testing.T) endpoint.Address { return at(silent(t)) },
		Again: func(_ *testing.T, old endpoint.Transport) (endpoint.Transport, id.Peer) {
			return New(Config{Listen: []string{old.Addresses()[0].Host}}), id.NewPeer(id.NetGroup)
		},
	})
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
