package endpoint_test

import (
	"context"
	"testing"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/message"
)

// FuzzReceive: whatever comes, over a link or as a datagram, is delivered or
// counted as dropped, once.
func FuzzReceive(f *testing.F) {
	origin := message.Text(message.Platform, "EndpointHeaderSrcPeer", bob.String())
	f.Add(packet(f, "tcp://192.0.2.1:9701", "tcp://192.0.2.2:9701/EndpointService:jxta-NetGroup/echo/x"), true)
	f.Add(packet(f, "jxta://"+bob.Unique(), "mcast://224.0.1.85:1234/echo", origin), false)
	f.Add(packet(f, "", "mcast://224.0.1.85:1234/echo"), false)
	f.Add([]byte("jxmg"), true)
	e, w := newWire(f, endpoint.Config{})
	c := w.plug(f, &cable{peer: bob})
	taken := uint64(0)
	for _, g := range []id.Group{id.NetGroup, id.WorldGroup} {
		if _, err := e.Scope(g).Handle("echo", "", func(_ context.Context, in endpoint.Incoming) {
			taken++
			if in.From.IsZero() || in.Message == nil || in.Dest.Service != "echo" {
				f.Errorf("delivered %+v", in)
			}
		}); err != nil {
			f.Fatal(err)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte, onLink bool) {
		var l endpoint.Link
		if onLink {
			l = c
		}
		before := e.Stats()
		taken = 0
		err := w.Receive(l, b)
		s := e.Stats()
		dropped := s.DroppedMalformed + s.DroppedNoAddress + s.DroppedNoListener + s.DroppedOwn -
			before.DroppedMalformed - before.DroppedNoAddress - before.DroppedNoListener - before.DroppedOwn
		if s.Received != before.Received+1 || s.Delivered-before.Delivered != taken || taken+dropped != 1 {
			t.Errorf("%d delivered, %d dropped", taken, dropped)
		}
		if (err != nil) != (s.DroppedMalformed != before.DroppedMalformed) {
			t.Errorf("the error is %v", err)
		}
	})
}
