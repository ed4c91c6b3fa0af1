//go:build linux

package reachtest

import "github.com/juxta-p2p/juxta/core/endpoint"

// extra makes the further transports of a peer.
func extra(config) []endpoint.Transport { return nil }
