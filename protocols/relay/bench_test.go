package relay

import (
	"fmt"
	"testing"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/message"
)

// BenchmarkKeep is taking one message of 1 KiB for one of 1,000 clients that are
// away: when there is room, and when as much is kept for all as may be.
func BenchmarkKeep(b *testing.B) {
	for name, total := range map[string]int{"room": 1 << 30, "full": 1 << 20} {
		b.Run(name, func(b *testing.B) {
			self := must(id.ParsePeer("urn:jxta:uuid-59616261646162614E5047205032503300000000000000000000000000000001" + "03"))
			e := must(endpoint.New(endpoint.Config{Peer: self}))
			defer e.Close()
			s := must(NewServer(ServerConfig{Scope: e.Scope(id.NetGroup), Advertisement: func() *advertisements.Peer { return nil }, Queue: MaxQueue, TotalBytes: total}))
			defer s.Close()
			var peers []*client
			for i := range DefaultMaxClients {
				c := &client{peer: must(id.ParsePeer(fmt.Sprintf("urn:jxta:uuid-59616261646162614E50472050325033%032X03", i+2))), until: time.Now().Add(time.Hour)}
				s.clients[c.peer] = c
				peers = append(peers, c)
			}
			hop := endpoint.Address{Service: "EndpointService:jxta-NetGroup", Param: "app"}
			msg := message.New(message.Bytes("", "b", make([]byte, 1024)))
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				c := peers[i%len(peers)]
				if len(c.queue) == MaxQueue {
					s.mu.Lock()
					s.clear(c)
					s.mu.Unlock()
				}
				s.Keep(c.peer, hop, msg)
			}
		})
	}
}
