package socket

import (
	"net"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
)

// Addr is one end of a connection, or a sender or receiver of datagrams: a pipe at a
// peer. It is comparable. A zero Peer stands for every peer.
type Addr struct {
	Peer id.Peer
	Pipe id.Pipe
}

var _ net.Addr = Addr{}

const network = "jxta"

// Network returns "jxta".
func (Addr) Network() string { return network }

// String returns the address as endpoints write it:
// "jxta://uuid-…/PipeService/urn:jxta:uuid-…", or the ID of the pipe alone if the
// address is that of every peer.
func (a Addr) String() string {
	if a.Peer.IsZero() {
		return a.Pipe.String()
	}
	return endpoint.PeerAddress(a.Peer, pipeService, a.Pipe.String()).String()
}
