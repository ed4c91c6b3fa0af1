//go:build linux

package reachtest

import (
	"fmt"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/transport/quic"
)

// extra makes the further transports of a peer.
func extra(c config) []endpoint.Transport {
	if !c.QUIC {
		return nil
	}
	return []endpoint.Transport{quic.New(quic.Config{Listen: []string{fmt.Sprint("0.0.0.0:", tcpPort)}})}
}
