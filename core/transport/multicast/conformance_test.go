package multicast

import (
	"fmt"
	"testing"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/transport/transporttest"
)

func TestConformance(t *testing.T) {
	if !inside(t) {
		return
	}
	n := 0
	transporttest.RunBroadcast(t, transporttest.BroadcastConfig{
		New: func(*testing.T) (endpoint.Broadcaster, id.Peer) {
			n++
			// The list sends faster than the default takes from one address.
			const rate = 1 << 20
			return New(Config{SourceRate: rate, TotalRate: rate}), id.PeerFromSeed(id.NetGroup, fmt.Append(nil, n))
		},
		MaxBody: defaultMaxDatagram - overhead,
	})
}
