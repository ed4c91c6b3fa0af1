package routing

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/core/xmldoc"
)

// sink is a transport whose links lead to peers that read and say nothing: the
// address sink://name is that of the peer made of the name.
type sink struct{ host endpoint.Host }

func (s *sink) Protocol() string              { return "sink" }
func (s *sink) Start(h endpoint.Host) error   { s.host = h; return nil }
func (s *sink) Addresses() []endpoint.Address { return nil }
func (s *sink) Close() error                  { return nil }
func (s *sink) Dial(_ context.Context, a endpoint.Address) (endpoint.Link, error) {
	l := &sinkLink{peer: id.PeerFromSeed(id.NetGroup, []byte(a.Host)), at: a}
	return l, s.host.Opened(l)
}

type sinkLink struct {
	peer id.Peer
	at   endpoint.Address
}

func (l *sinkLink) Peer() id.Peer                      { return l.peer }
func (l *sinkLink) Proven() bool                       { return true }
func (l *sinkLink) Local() endpoint.Address            { return endpoint.Address{Protocol: "sink", Host: "me"} }
func (l *sinkLink) Remote() endpoint.Address           { return l.at }
func (l *sinkLink) Outgoing() bool                     { return true }
func (l *sinkLink) Origin() string                     { return l.at.Host }
func (l *sinkLink) Send(context.Context, []byte) error { return nil }
func (l *sinkLink) Close() error                       { return nil }

// sinkRouter is a router with links to peers that take everything.
func sinkRouter(b *testing.B, names ...string) (*Router, map[string]endpoint.Link) {
	b.Helper()
	self := id.PeerFromSeed(id.NetGroup, []byte("self"))
	ep, err := endpoint.New(endpoint.Config{Peer: self})
	if err != nil {
		b.Fatal(err)
	}
	route := &advertisements.Route{Dest: self}
	r, err := New(Config{Scope: ep.Scope(id.NetGroup), Self: func() *advertisements.Route { return route }, ForwardRate: -1, ForwardAll: -1})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { r.Close(); _ = ep.Close() })
	if err := ep.Add(&sink{}); err != nil {
		b.Fatal(err)
	}
	links := map[string]endpoint.Link{}
	for _, n := range names {
		l, err := ep.Dial(b.Context(), endpoint.MustParseAddress("sink://"+n))
		if err != nil {
			b.Fatal(err)
		}
		links[n] = l
	}
	return r, links
}

func seeded(name string) id.Peer { return id.PeerFromSeed(id.NetGroup, []byte(name)) }

// BenchmarkSend is the cost of sending to a neighbour, and to a peer behind one.
func BenchmarkSend(b *testing.B) {
	r, _ := sinkRouter(b, "near", "hop")
	r.Learn(&advertisements.Route{Dest: seeded("far"), Hops: []advertisements.AccessPoint{{Peer: seeded("hop")}}})
	msg := message.New(message.Bytes("app", "body", []byte(strings.Repeat("x", 1024))))
	for _, to := range []string{"near", "far"} {
		b.Run(to, func(b *testing.B) {
			dst := endpoint.PeerAddress(seeded(to), "svc", "p")
			b.ReportAllocs()
			for b.Loop() {
				if err := r.Send(b.Context(), dst, msg); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkReceive is the cost of a message for this peer, of one that came
// through another, and of one to be passed on.
func BenchmarkReceive(b *testing.B) {
	r, links := sinkRouter(b, "near", "hop")
	if _, err := r.ep.Scope(id.NetGroup).Handle("svc", "", func(context.Context, endpoint.Incoming) {}); err != nil {
		b.Fatal(err)
	}
	me, near, hop, far := r.self, seeded("near"), seeded("hop"), seeded("far")
	for _, c := range []struct {
		name      string
		src, dest id.Peer
		rvs       []id.Peer
	}{{"neighbour", hop, me, nil}, {"far", far, me, []id.Peer{hop}}, {"forward", far, near, []id.Peer{hop}}} {
		doc, err := xmldoc.Marshal(&header{
			Src: endpoint.PeerAddress(c.src, "", ""), Dest: endpoint.PeerAddress(c.dest, "svc", "p"),
			Last: endpoint.PeerAddress(hop, "", ""), Rvs: c.rvs,
		})
		if err != nil {
			b.Fatal(err)
		}
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			n := 0
			body := []byte(strings.Repeat("x", 1024))
			for b.Loop() {
				n++
				body[0], body[1], body[2], body[3] = byte(n), byte(n>>8), byte(n>>16), byte(n>>24)
				m := message.New(message.Bytes("app", "body", body), message.XML(message.Platform, elemHeader, doc))
				r.receive(b.Context(), endpoint.Incoming{Message: m, From: hop, Link: links["hop"]})
			}
			if s := r.Stats(); fmt.Sprint(s.DroppedMalformed, s.DroppedForged, s.DroppedLoop, s.DroppedNoRoute) != "0 0 0 0" {
				b.Errorf("%+v", s)
			}
		})
	}
}
