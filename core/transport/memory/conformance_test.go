package memory_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/transport/memory"
	"github.com/juxta-p2p/juxta/core/transport/transporttest"
)

func TestConformance(t *testing.T) {
	for name, cfg := range map[string]memory.Config{
		"instant": {},
		"latency": {Latency: time.Millisecond, Jitter: time.Millisecond, Seed: 1},
	} {
		t.Run(name, func(t *testing.T) {
			net := memory.New(cfg)
			var n atomic.Int64
			transporttest.Run(t, transporttest.Config{
				New: func(*testing.T) (endpoint.Transport, id.Peer) {
					return net.Transport(memory.TransportConfig{Name: fmt.Sprintf("host-%d", n.Add(1))}), id.NewPeer(id.NetGroup)
				},
				Nobody: func(*testing.T) endpoint.Address { return endpoint.MustParseAddress("mem://nobody") },
				Silent: func(t *testing.T) endpoint.Address {
					net.Partition("far-away")
					t.Cleanup(net.Heal)
					return endpoint.MustParseAddress("mem://far-away")
				},
				Again: func(_ *testing.T, old endpoint.Transport) (endpoint.Transport, id.Peer) {
					return net.Transport(memory.TransportConfig{Name: old.Addresses()[0].Host}), id.NewPeer(id.NetGroup)
				},
			})
		})
	}
}

func TestConformanceOfBroadcast(t *testing.T) {
	for name, cfg := range map[string]memory.Config{
		"instant": {},
		"lossy":   {Latency: time.Millisecond, Loss: 0.3, Seed: 1},
	} {
		t.Run(name, func(t *testing.T) {
			net := memory.New(cfg)
			var n atomic.Int64
			transporttest.RunBroadcast(t, transporttest.BroadcastConfig{
				New: func(t *testing.T) (endpoint.Broadcaster, id.Peer) {
					return net.Transport(memory.TransportConfig{
						Name: fmt.Sprintf("host-%d", n.Add(1)), Segment: t.Name(),
					}), id.NewPeer(id.NetGroup)
				},
			})
		})
	}
}
