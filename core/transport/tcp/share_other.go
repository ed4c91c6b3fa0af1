//go:build !linux && !darwin

package tcp

import (
	"net"
	"syscall"
)

// share does nothing: where sharing a port means that anybody may take it over, as
// on Windows, connections are dialled from other ports.
func share(net.Listener) {}

// controlShared is control: binding to the port fails then.
func controlShared(network, address string, c syscall.RawConn) error {
	return control(network, address, c)
}
