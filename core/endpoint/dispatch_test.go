package endpoint_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/core/transport/memory"
)

// TestGroupsNeverMix: the same service and parameter in three groups, reached in
// every way there is.
func TestGroupsNeverMix(t *testing.T) {
	bubble(t, memory.Config{}, func(t *testing.T, net *memory.Network) {
		a := newPeer(t, net, "a", segment("lan"))
		b := newPeer(t, net, "b", segment("lan"))
		groups := map[string]id.Group{"world": id.WorldGroup, "net": id.NetGroup, "sub": sub}
		boxes := map[string]*inbox{}
		for name, g := range groups {
			boxes[name] = listen(t, b.Scope(g), "echo", "a/b")
		}
		ctx := t.Context()
		l, err := a.Dial(ctx, b.addr)
		if err != nil {
			t.Fatal(err)
		}
		// A router that knows one way: it hands over to the other's Deliver, with
		// the address as a router message carries it.
		a.SetRouter(func(_ context.Context, dst endpoint.Address, msg *message.Message) error {
			b.Deliver(endpoint.Incoming{Message: msg, From: a.Peer(), Dest: dst}, true)
			return nil
		})
		for name, g := range groups {
			s := a.Scope(g)
			if g != s.Group() || s.Peer() != a.Peer() || s.Endpoint() != a.Endpoint {
				t.Error("a scope forgets what it is made of")
			}
			for how, err := range map[string]error{
				"link":      s.SendOn(ctx, l, "echo", "a/b", text(name+" link")),
				"address":   s.SendTo(ctx, b.addr, "echo", "a/b", text(name+" address")),
				"router":    s.Send(ctx, b.Peer(), "echo", "a/b", text(name+" router")),
				"broadcast": s.Broadcast(ctx, "echo", "a/b", text(name+" broadcast")),
			} {
				if err != nil {
					t.Errorf("%s by %s: %v", name, how, err)
				}
			}
		}
		synctest.Wait()
		for name, box := range boxes {
			if len(box.all) != 4 {
				t.Errorf("group %s got %q", name, box.texts())
			}
			for _, in := range box.all {
				if !strings.HasPrefix(in.Message.Text("", "text"), name) {
					t.Errorf("group %s got %q", name, in.Message.Text("", "text"))
				}
				if in.From != a.Peer() || in.Dest.Service != "echo" || in.Dest.Param != "a/b" {
					t.Errorf("from %s to %s", in.From, in.Dest)
				}
				for e := range in.Message.All() {
					if e.Namespace == message.Platform {
						t.Errorf("element %s was not removed", e.Name)
					}
				}
			}
		}
		if s := b.Stats(); s.Delivered != 12 || s.Received != 9 || s.DroppedNoListener != 0 {
			t.Errorf("stats %+v", s)
		}
	})
}

func segment(name string) func(*endpoint.Config, *memory.TransportConfig) {
	return func(_ *endpoint.Config, t *memory.TransportConfig) { t.Segment = name }
}

// TestMangledForms: addresses letter by letter, as JXSE writes them.
func TestMangledForms(t *testing.T) {
	e, w := newWire(t, endpoint.Config{})
	c := w.plug(t, &cable{peer: bob})
	var routed endpoint.Address
	e.SetRouter(func(_ context.Context, dst endpoint.Address, _ *message.Message) error { routed = dst; return nil })
	peer := "jxta://" + bob.Unique()
	for _, x := range []struct {
		group          id.Group
		service, param string
		link, router   string
	}{
		{id.NetGroup, "echo", "a/b", "wire://there/EndpointService:jxta-NetGroup/echo/a/b", peer + "/echo/a/b"},
		{id.NetGroup, "EndpointRouter", "", "wire://there/EndpointService:jxta-NetGroup/EndpointRouter", peer + "/EndpointRouter"},
		{
			sub, "echo", "a/b", "wire://there/EndpointService:" + sub.Unique() + "/echo/a/b",
			peer + "/EndpointService:" + sub.Unique() + "/echo/a/b",
		},
		{id.WorldGroup, "echo", "a/b", "wire://there/echo/a/b", peer + "/EndpointService:jxta-WorldGroup/echo/a/b"},
		{id.WorldGroup, "echo", "", "wire://there/echo", peer + "/EndpointService:jxta-WorldGroup/echo"},
		{ // there is one prefix at most
			sub, "EndpointService:jxta-NetGroup", "echo/a", "wire://there/EndpointService:jxta-NetGroup/echo/a",
			peer + "/EndpointService:jxta-NetGroup/echo/a",
		},
	} {
		s := e.Scope(x.group)
		if err := s.SendOn(t.Context(), c, x.service, x.param, text("x")); err != nil {
			t.Fatal(err)
		}
		m, err := message.Decode(c.sent[len(c.sent)-1])
		if err != nil {
			t.Fatal(err)
		}
		if got := m.Text(message.Platform, "EndpointDestinationAddress"); got != x.link {
			t.Errorf("on a link: %s, want %s", got, x.link)
		}
		if got := m.Text(message.Platform, "EndpointSourceAddress"); got != "wire://here" {
			t.Errorf("source %s", got)
		}
		if err := s.Send(t.Context(), bob, x.service, x.param, text("x")); err != nil {
			t.Fatal(err)
		}
		if routed.String() != x.router {
			t.Errorf("by the router: %s, want %s", routed, x.router)
		}
	}
}

// TestLookup: who gets what, with the addresses as they come over a transport.
func TestLookup(t *testing.T) {
	e, w := newWire(t, endpoint.Config{})
	c := w.plug(t, &cable{peer: bob})
	boxes := map[string]*inbox{
		"net echo a/b":  listen(t, e.Scope(id.NetGroup), "echo", "a/b"),
		"net any *":     listen(t, e.Scope(id.NetGroup), "any", ""),
		"net any x":     listen(t, e.Scope(id.NetGroup), "any", "x"),
		"net gluedp":    listen(t, e.Scope(id.NetGroup), "gluedp", ""),
		"world echo *":  listen(t, e.Scope(id.WorldGroup), "echo", ""),
		"sub echo a/b":  listen(t, e.Scope(sub), "echo", "a/b"),
		"net urn:x:y a": listen(t, e.Scope(id.NetGroup), "urn:x:y", "a"),
	}
	const netp, subp = "/EndpointService:jxta-NetGroup", "/EndpointService:"
	for dst, want := range map[string]string{
		"wire://here" + netp + "/echo/a/b":                                     "net echo a/b",
		"wire://here" + netp + "/echo/a":                                       "", // no partial match
		"wire://here" + netp + "/echo/a/b/c":                                   "",
		"wire://here" + netp + "/echo":                                         "",
		"wire://here" + netp + "/Echo/a/b":                                     "", // case counts
		"wire://here" + netp + "/any/a/b":                                      "net any *",
		"wire://here" + netp + "/any":                                          "net any *",
		"wire://here" + netp + "/any/x":                                        "net any x",
		"wire://here" + netp + "/glued/p":                                      "net gluedp",
		"wire://here" + netp + "/gl/uedp":                                      "net gluedp",
		"wire://here" + netp + "/urn:x:y/a":                                    "net urn:x:y a",
		"wire://here" + netp:                                                   "",
		"wire://here/echo/a/b":                                                 "world echo *", // plain over a transport: World only
		"wire://here/any/x":                                                    "",
		"wire://here":                                                          "",
		"wire://here" + subp + sub.Unique() + "/echo/a/b":                      "sub echo a/b",
		"wire://here" + subp + sub.Unique() + "/any/x":                         "",
		"wire://here" + subp + strings.ToLower(sub.Unique()) + "/echo/a/b":     "sub echo a/b",
		"wire://here" + subp + "uuid-59616261646162614E5047205032503302/any/x": "net any x",
		"wire://here" + subp + "not an id/any/x":                               "",
		"wire://here" + subp + "/echo/a/b":                                     "",
		"jxta://uuid-1234" + netp + "/echo/a/b":                                "net echo a/b", // only service and parameter count
		"jxta://" + bob.Unique() + netp + "/echo/a/b":                          "net echo a/b",
		"wire://here" + netp + netp + "/echo/a/b":                              "",
	} {
		before := map[string]int{}
		for name, box := range boxes {
			before[name] = len(box.texts())
		}
		missed := e.Stats().DroppedNoListener + e.Stats().DroppedNoAddress
		if err := w.Receive(c, packet(t, "wire://there", dst)); err != nil {
			t.Fatal(err)
		}
		for name, box := range boxes {
			if got := len(box.texts()) - before[name]; (got == 1) != (name == want) || got > 1 {
				t.Errorf("%s: %q got %d", dst, name, got)
			}
		}
		if now := e.Stats().DroppedNoListener + e.Stats().DroppedNoAddress; (now > missed) != (want == "") {
			t.Errorf("%s is counted as dropped %d times", dst, now-missed)
		}
	}
	if s := e.Stats(); s.DroppedNoAddress != 1 { // the one with blanks
		t.Errorf("stats %+v", s)
	}
}

// TestRoutedLookup: from the router an unmangled service is one of the net group,
// which may be another than the well-known one.
func TestRoutedLookup(t *testing.T) {
	for _, net := range []id.Group{{}, sub} {
		e, _ := newWire(t, endpoint.Config{Net: net})
		if net.IsZero() {
			net = id.NetGroup
		}
		if e.Net() != net {
			t.Errorf("net group %s", e.Net())
		}
		world, mine := listen(t, e.Scope(id.WorldGroup), "echo", ""), listen(t, e.Scope(net), "echo", "")
		dst := endpoint.PeerAddress(ann, "echo", "p")
		if !e.Deliver(endpoint.Incoming{Message: text("routed"), From: bob, Dest: dst}, true) {
			t.Error("not delivered")
		}
		if !e.Deliver(endpoint.Incoming{Message: text("plain"), From: bob, Dest: dst}, false) {
			t.Error("not delivered")
		}
		if e.Deliver(endpoint.Incoming{Message: text("none"), From: bob, Dest: dst.With("no", "")}, true) {
			t.Error("delivered to nobody")
		}
		mine.want(t, "routed")
		world.want(t, "plain")
		if !e.Scope(net).Deliver(endpoint.Incoming{Message: text("handed on"), From: bob}, "echo", "x") {
			t.Error("not delivered within the scope")
		}
		mine.want(t, "routed", "handed on")
	}
}

// TestTaken: a pair has one handler per group, until it is removed.
func TestTaken(t *testing.T) {
	e, _ := newWire(t, endpoint.Config{})
	s := e.Scope(id.NetGroup)
	none := func(context.Context, endpoint.Incoming) {}
	remove, err := s.Handle("echo", "x", none)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Handle("echo", "x", none); !errors.Is(err, endpoint.ErrTaken) || !strings.Contains(err.Error(), "echo/x") {
		t.Errorf("the error is %v", err)
	}
	listen(t, s, "echo", "")
	listen(t, s, "echo", "y")
	listen(t, e.Scope(sub), "echo", "x")
	remove()
	again := listen(t, s, "echo", "x")
	remove() // of the one before; it must leave the new one alone
	e.Deliver(endpoint.Incoming{Message: text("1"), Dest: endpoint.PeerAddress(ann, "echo", "x")}, true)
	again.want(t, "1")
}

// TestLoopback: a message to oneself comes later, in order, as one of one's own,
// and is not shared with the sender.
func TestLoopback(t *testing.T) {
	bubble(t, memory.Config{}, func(t *testing.T, net *memory.Network) {
		a := newPeer(t, net, "a")
		var want []string
		in := &inbox{}
		inHandler := make(chan struct{}, 1)
		if _, err := a.Scope(sub).Handle("echo", "", func(ctx context.Context, m endpoint.Incoming) {
			select {
			case inHandler <- struct{}{}: // a handler may send to itself
				if err := a.Scope(sub).Send(ctx, a.Peer(), "echo", "", text("again")); err != nil {
					t.Error(err)
				}
			default:
			}
			m.Message.Add(message.Text("", "mine", "x"))
			in.handle(ctx, m)
		}); err != nil {
			t.Fatal(err)
		}
		m := text("")
		for i := range 100 {
			m.Replace(message.Text("", "text", fmt.Sprint(i)))
			want = append(want, fmt.Sprint(i))
			if err := a.Scope(sub).Send(t.Context(), a.Peer(), "echo", "p", m); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		got := in.texts()
		if len(got) != 101 || m.Len() != 1 {
			t.Fatalf("got %q; the message has %d elements", got, m.Len())
		}
		n := 0
		for _, s := range got {
			if s == "again" {
				continue
			}
			if s != want[n] {
				t.Fatalf("got %q", got)
			}
			n++
		}
		if x := in.all[0]; x.From != a.Peer() || x.Link != nil || x.Source != endpoint.PeerAddress(a.Peer(), "", "") ||
			x.Dest != endpoint.PeerAddress(a.Peer(), "echo", "p") {
			t.Errorf("it came as %+v", x)
		}
		if err := a.Close(); err != nil {
			t.Error(err)
		}
		if err := a.Scope(sub).Send(t.Context(), a.Peer(), "echo", "", m); !errors.Is(err, endpoint.ErrClosed) {
			t.Errorf("Send after Close returned %v", err)
		}
	})
}

// TestLoopbackIsBounded: a handler that does not come along is no reason to
// remember everything.
func TestLoopbackIsBounded(t *testing.T) {
	e, _ := newWire(t, endpoint.Config{})
	gate := make(chan struct{})
	if _, err := e.Scope(id.NetGroup).Handle("slow", "", func(context.Context, endpoint.Incoming) { <-gate }); err != nil {
		t.Fatal(err)
	}
	var err error
	n := 0
	for ; err == nil && n < 10000; n++ {
		err = e.Scope(id.NetGroup).Send(t.Context(), ann, "slow", "", text("x"))
	}
	if !errors.Is(err, endpoint.ErrQueueFull) {
		t.Errorf("after %d messages: %v", n, err)
	}
	close(gate)
}

// TestMissingAddresses: such messages are dropped and counted, and the link stays;
// what is no message at all is an error, for which the transport closes the link.
func TestMissingAddresses(t *testing.T) {
	e, w := newWire(t, endpoint.Config{})
	c := w.plug(t, &cable{peer: bob})
	in := listen(t, e.Scope(id.WorldGroup), "echo", "")
	for _, b := range [][]byte{
		packet(t, "", "wire://here/echo"),
		packet(t, "wire://there", ""),
		packet(t, "", ""),
		packet(t, "nothing", "wire://here/echo"),
		packet(t, "wire://there", "wire://he re/echo"),
		packet(t, "wire://there", "wire://here/echo", message.Text(message.Platform, "EndpointHeaderSrcPeer", "nobody")),
	} {
		if err := w.Receive(c, b); err != nil {
			t.Errorf("%v", err)
		}
	}
	if s := e.Stats(); s.DroppedNoAddress != 6 || s.Received != 6 || s.Delivered != 0 || c.isClosed() {
		t.Errorf("stats %+v", s)
	}
	if err := w.Receive(c, []byte("no message")); err == nil {
		t.Error("no error for what is no message")
	}
	if s := e.Stats(); s.DroppedMalformed != 1 {
		t.Errorf("stats %+v", s)
	}
	// The first of several counts, and all go.
	again := message.Text(message.Platform, "EndpointDestinationAddress", "wire://here/other")
	b, err := text("first").Add(message.Text(message.Platform, "EndpointSourceAddress", "wire://there"),
		message.Text(message.Platform, "EndpointDestinationAddress", "wire://here/echo"), again).MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Receive(c, b); err != nil {
		t.Fatal(err)
	}
	in.want(t, "first")
	if in.all[0].Message.Len() != 1 {
		t.Errorf("%d elements", in.all[0].Message.Len())
	}
}

// TestBroadcast reaches the segment, and not its sender even if the network gives
// datagrams back.
func TestBroadcast(t *testing.T) {
	bubble(t, memory.Config{}, func(t *testing.T, net *memory.Network) {
		a, b := newPeer(t, net, "a", segment("one")), newPeer(t, net, "b", segment("one"))
		c, d := newPeer(t, net, "c", segment("two")), newPeer(t, net, "d")
		mirror := net.Transport(memory.TransportConfig{Name: "mirror", Segment: "one"})
		err := mirror.Start(endpoint.Host{Receive: func(_ endpoint.Link, body []byte) error {
			return mirror.Broadcast(t.Context(), body)
		}})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = mirror.Close() }()
		boxes := map[*peer]*inbox{}
		for _, p := range []*peer{a, b, c, d} {
			boxes[p] = listen(t, p.Scope(id.NetGroup), "news", "")
		}
		if err := a.Scope(id.NetGroup).Broadcast(t.Context(), "news", "today", text("x")); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		boxes[a].want(t)
		boxes[b].want(t, "x", "x") // once from the mirror
		boxes[c].want(t)
		boxes[d].want(t)
		in := boxes[b].all[0]
		if in.From != a.Peer() || in.Link != nil || in.Source != endpoint.PeerAddress(a.Peer(), "", "") || in.Dest.Param != "today" {
			t.Errorf("it came as %+v", in)
		}
		if s := a.Stats(); s.DroppedOwn != 1 || s.DroppedNoAddress != 0 || s.Sent != 1 {
			t.Errorf("stats %+v", s)
		}
		if err := d.Scope(id.NetGroup).Broadcast(t.Context(), "news", "", text("x")); err == nil {
			t.Error("no error from a host in no segment")
		}
		if err := a.Broadcast(t.Context(), "news", "", message.New()); !errors.Is(err, endpoint.ErrEmpty) {
			t.Errorf("an empty message: %v", err)
		}
		_ = a.Close()
		if err := a.Broadcast(t.Context(), "news", "", text("x")); !errors.Is(err, endpoint.ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
	})
	e, _ := newWire(t, endpoint.Config{})
	if err := e.Broadcast(t.Context(), "news", "", text("x")); !errors.Is(err, endpoint.ErrNoTransport) {
		t.Errorf("without a transport that can: %v", err)
	}
}

// TestDatagrams: who sent one, and which are dropped.
func TestDatagrams(t *testing.T) {
	e, w := newWire(t, endpoint.Config{})
	c := w.plug(t, &cable{peer: eve})
	in := listen(t, e.Scope(id.WorldGroup), "echo", "")
	origin := func(p id.Peer) message.Element {
		return message.Text(message.Platform, "EndpointHeaderSrcPeer", p.String())
	}
	for _, x := range []struct {
		link endpoint.Link
		body []byte
		from id.Peer // zero: dropped
	}{
		{nil, packet(t, "jxta://"+bob.Unique(), "mcast://x:1/echo"), bob},
		{nil, packet(t, "jxta://"+bob.Unique(), "mcast://x:1/echo", origin(bob)), bob},
		{nil, packet(t, "tcp://h:1", "mcast://x:1/echo", origin(bob)), bob},
		{nil, packet(t, "tcp://h:1", "mcast://x:1/echo"), id.Peer{}},
		{nil, packet(t, "jxta://"+ann.Unique(), "mcast://x:1/echo"), id.Peer{}},
		{nil, packet(t, "jxta://"+bob.Unique(), "mcast://x:1/echo", origin(ann)), id.Peer{}},
		{nil, packet(t, "jxta://uuid-12", "mcast://x:1/echo"), id.Peer{}},
		// On a link the other side is the sender, whatever it says; one's own
		// come back are dropped there too.
		{c, packet(t, "tcp://h:1", "wire://here/echo", origin(bob)), eve},
		{c, packet(t, "tcp://h:1", "wire://here/echo", origin(ann)), id.Peer{}},
	} {
		before := len(in.all)
		if err := w.Receive(x.link, x.body); err != nil {
			t.Fatal(err)
		}
		switch got := in.all[before:]; {
		case x.from.IsZero() && len(got) != 0:
			t.Errorf("delivered as from %s, want dropped", got[0].From)
		case !x.from.IsZero() && (len(got) != 1 || got[0].From != x.from || got[0].Message.Len() != 1):
			t.Errorf("got %+v, want one from %s", got, x.from)
		}
	}
	if s := e.Stats(); s.DroppedOwn != 3 || s.DroppedNoAddress != 2 {
		t.Errorf("stats %+v", s)
	}
}
