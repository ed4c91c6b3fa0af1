package endpoint_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/core/transport/memory"
)

// TestSendAndReceive: the first message opens a link, answers come back over it,
// and both sides count.
func TestSendAndReceive(t *testing.T) {
	bubble(t, memory.Config{Latency: 10 * time.Millisecond}, func(t *testing.T, net *memory.Network) {
		a, b := newPeer(t, net, "a"), newPeer(t, net, "b")
		answers := listen(t, a.Scope(id.NetGroup), "answer", "")
		if _, err := b.Scope(id.NetGroup).Handle("ask", "", func(ctx context.Context, in endpoint.Incoming) {
			if err := b.Scope(id.NetGroup).SendOn(ctx, in.Link, "answer", in.Dest.Param, in.Message); err != nil {
				t.Error(err)
			}
		}); err != nil {
			t.Fatal(err)
		}
		m := text("hello")
		for i := range 20 {
			if err := a.Scope(id.NetGroup).SendTo(t.Context(), b.addr, "ask", fmt.Sprint(i), m); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Second)
		if got := answers.texts(); len(got) != 20 || m.Len() != 1 {
			t.Errorf("got %q; the message has %d elements", got, m.Len())
		}
		for i, in := range answers.all {
			if in.Dest.Param != fmt.Sprint(i) || in.From != b.Peer() || in.Source != b.addr || !in.Link.Outgoing() {
				t.Errorf("answer %d: %+v", i, in)
			}
		}
		if s := a.Stats(); s.Sent != 20 || s.Received != 20 || s.Delivered != 20 || s.LinksOpened != 1 || s.UnsentLink != 0 {
			t.Errorf("stats %+v", s)
		}
		if len(a.Links()) != 1 || len(b.Links()) != 1 || a.LinkTo(b.Peer()) != a.Links()[0] || a.LinkTo(eve) != nil {
			t.Errorf("links %v and %v", a.Links(), b.Links())
		}
		if l := b.LinkTo(a.Peer()); l == nil || l.Outgoing() {
			t.Errorf("the acceptor has %v", l)
		}
		if !slices.Equal(a.Addresses(), []endpoint.Address{a.addr}) || len(a.Transports()) != 1 || !a.Serves("mem") || a.Serves("tcp") {
			t.Errorf("addresses %v, transports %v", a.Addresses(), a.Transports())
		}
	})
}

// TestSendErrors: each cause can be told.
func TestSendErrors(t *testing.T) {
	e, w := newWire(t, endpoint.Config{})
	s := e.Scope(id.NetGroup)
	var de *endpoint.DialError
	for name, c := range map[string]struct{ got, want error }{
		"no router":    {s.Send(t.Context(), bob, "x", "", text("x")), endpoint.ErrNoRoute},
		"no transport": {s.SendTo(t.Context(), endpoint.MustParseAddress("tcp://h:1"), "x", "", text("x")), endpoint.ErrNoTransport},
		"empty":        {s.Send(t.Context(), bob, "x", "", text("x").Clone().Add()), endpoint.ErrNoRoute},
	} {
		if !errors.Is(c.got, c.want) {
			t.Errorf("%s: %v", name, c.got)
		}
	}
	empty := text("x")
	empty.Remove("", "text")
	c := w.plug(t, &cable{peer: bob})
	for _, err := range []error{
		s.Send(t.Context(), bob, "x", "", empty), s.Send(t.Context(), ann, "x", "", empty), s.SendOn(t.Context(), c, "x", "", empty),
	} {
		if !errors.Is(err, endpoint.ErrEmpty) {
			t.Errorf("an empty message: %v", err)
		}
	}
	if err := s.SendTo(t.Context(), endpoint.MustParseAddress("wire://nobody"), "x", "", text("x")); !errors.As(err, &de) {
		t.Errorf("nobody there: %v", err)
	}
	_ = c.Close()
	if err := s.SendOn(t.Context(), c, "x", "", text("x")); !errors.Is(err, endpoint.ErrLinkClosed) {
		t.Errorf("a closed link: %v", err)
	}
	if st := e.Stats(); st.UnsentLink != 1 || st.Sent != 0 {
		t.Errorf("stats %+v", st)
	}
	if _, err := endpoint.New(endpoint.Config{}); err == nil {
		t.Error("an endpoint without a peer was made")
	}
	e.SetRouter(func(context.Context, endpoint.Address, *message.Message) error { return nil })
	e.SetRouter(nil)
	if err := s.Send(t.Context(), bob, "x", "", text("x")); !errors.Is(err, endpoint.ErrNoRoute) {
		t.Errorf("after removing the router: %v", err)
	}
}

// TestPreference: which of several links to a peer is used. Plain JXTA proves
// nothing, so a stranger that claims the ID of a peer must not get its traffic
// while the peer is there.
func TestPreference(t *testing.T) {
	const (
		home      = "192.0.2.1"
		elsewhere = "198.51.100.66"
	)
	type kind struct {
		origin       string
		ours, proven bool
	}
	type step struct {
		after time.Duration
		open  kind
		heard bool   // something comes on the first link
		want  string // the link preferred then
	}
	for name, steps := range map[string][]step{
		"newest from the same place": {
			{open: kind{origin: home}, want: home},
			{open: kind{origin: home, ours: true}, want: "192.0.2.1 ours"},
			{open: kind{origin: home}, want: home},
		},
		"a claim from elsewhere waits until the link is silent": {
			{open: kind{origin: home}, want: home},
			{open: kind{origin: elsewhere}, want: home},
			{after: 29 * time.Second, want: home},
			{after: 2 * time.Second, want: elsewhere},
		},
		"and loses it when the peer is heard again": {
			{open: kind{origin: home}, want: home},
			{open: kind{origin: elsewhere}, want: home},
			{after: 31 * time.Second, want: elsewhere},
			{heard: true, want: home},
		},
		"one that we dialled is also only a claim": {
			{open: kind{origin: home}, want: home},
			{open: kind{origin: elsewhere, ours: true}, want: home},
		},
		"proven beats claimed, old or new": {
			{open: kind{origin: home, proven: true}, want: "192.0.2.1 proven"},
			{after: time.Hour, open: kind{origin: home}, want: "192.0.2.1 proven"},
			{open: kind{origin: elsewhere}, want: "192.0.2.1 proven"},
			{open: kind{origin: "192.0.2.3", proven: true}, want: "192.0.2.3 proven"},
		},
		"a new proven link at once": {
			{open: kind{origin: elsewhere}, want: elsewhere},
			{open: kind{origin: home, proven: true}, want: "192.0.2.1 proven"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e, w := newWire(t, endpoint.Config{IdleTimeout: -1})
				for i, s := range steps {
					time.Sleep(s.after)
					if s.open.origin != "" {
						w.plug(t, &cable{peer: bob, origin: s.open.origin, proven: s.open.proven, ours: s.open.ours})
					}
					if s.heard {
						if err := w.Receive(w.links[0], packet(t, "wire://there", "wire://here/x")); err != nil {
							t.Fatal(err)
						}
					}
					l := e.LinkTo(bob)
					got := l.Origin()
					if l.Outgoing() {
						got += " ours"
					}
					if l.Proven() {
						got += " proven"
					}
					if got != s.want {
						t.Errorf("step %d: prefers %s, want %s", i, got, s.want)
					}
				}
				for _, c := range w.links { // whatever is left is used
					_ = c.Close()
					if rest := len(e.Links()); (e.LinkTo(bob) == nil) != (rest == 0) {
						t.Errorf("%d links left, LinkTo returns %v", rest, e.LinkTo(bob))
					}
				}
			})
		})
	}
}

// TestIdle: a link that carries nothing is closed after 15 minutes; anything in
// either direction keeps it.
func TestIdle(t *testing.T) {
	bubble(t, memory.Config{}, func(t *testing.T, net *memory.Network) {
		never := func(c *endpoint.Config, _ *memory.TransportConfig) { c.IdleTimeout = -1 }
		a, b, c := newPeer(t, net, "a"), newPeer(t, net, "b", never), newPeer(t, net, "c", never)
		for _, p := range []*peer{b, c} {
			if _, err := a.Dial(t.Context(), p.addr); err != nil {
				t.Fatal(err)
			}
		}
		start := time.Now()
		for range 10 {
			if err := a.Scope(id.NetGroup).SendOn(t.Context(), a.LinkTo(b.Peer()), "x", "", text("x")); err != nil {
				t.Fatal(err)
			}
			if time.Since(start) < 15*time.Minute && a.LinkTo(c.Peer()) == nil {
				t.Fatalf("the idle link was closed after %v", time.Since(start))
			}
			time.Sleep(5 * time.Minute)
		}
		if a.LinkTo(c.Peer()) != nil || c.LinkTo(a.Peer()) != nil {
			t.Error("an idle link is still open")
		}
		time.Sleep(time.Until(start.Add(59 * time.Minute)))
		l := b.LinkTo(a.Peer())
		if l == nil {
			t.Fatal("a link in use was closed")
		}
		if err := b.Scope(id.NetGroup).SendOn(t.Context(), l, "x", "", text("x")); err != nil { // receiving counts as well
			t.Fatal(err)
		}
		time.Sleep(14 * time.Minute)
		if a.LinkTo(b.Peer()) == nil {
			t.Error("a link on which something came was closed")
		}
		time.Sleep(3 * time.Minute)
		if len(a.Links())+len(b.Links()) != 0 {
			t.Error("an idle link is still open")
		}
	})
}

// TestMaxLinks: at the limit a new link takes the place of one that is unused, the
// one unused for longest first, and is refused if there is none.
func TestMaxLinks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, w := newWire(t, endpoint.Config{MaxLinks: 3})
		id := func(i int) id.Peer { return id.PeerFromSeed(id.NetGroup, []byte{byte(i)}) }
		var all []*cable
		for i := range 3 {
			all = append(all, w.plug(t, &cable{peer: id(i)}))
			time.Sleep(time.Second)
		}
		if err := w.try(&cable{peer: id(3)}); !errors.Is(err, endpoint.ErrTooManyLinks) {
			t.Errorf("the error is %v", err)
		}
		time.Sleep(28 * time.Second) // the first is unused for 31 s
		if err := w.Receive(all[0], packet(t, "wire://there", "wire://here/x")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		w.plug(t, &cable{peer: id(4)})
		if all[0].isClosed() || !all[1].isClosed() || all[2].isClosed() || len(e.Links()) != 3 {
			t.Errorf("closed: %t %t %t", all[0].isClosed(), all[1].isClosed(), all[2].isClosed())
		}
		w.plug(t, &cable{peer: id(5)})
		if !all[2].isClosed() || len(e.Links()) != 3 {
			t.Error("the next one was not closed")
		}
		if err := w.try(&cable{peer: id(6)}); !errors.Is(err, endpoint.ErrTooManyLinks) {
			t.Errorf("the error is %v", err)
		}
	})
}

// TestMaxLinksPerPeer: of five links to one peer from one place the one unused for
// longest goes; who claims the peer's ID elsewhere, or cannot prove it, pushes out
// only his own.
func TestMaxLinksPerPeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, w := newWire(t, endpoint.Config{})
		var all []*cable
		proven := w.plug(t, &cable{peer: bob, origin: "192.0.2.1", proven: true})
		for range 4 {
			time.Sleep(time.Second)
			all = append(all, w.plug(t, &cable{peer: bob, origin: "192.0.2.1"}))
		}
		for range 10 {
			time.Sleep(time.Second)
			w.plug(t, &cable{peer: bob, origin: "198.51.100.66"})
		}
		if slices.ContainsFunc(all, (*cable).isClosed) || proven.isClosed() || len(e.Links()) != 9 {
			t.Errorf("%d links", len(e.Links()))
		}
		if err := w.Receive(all[0], packet(t, "wire://there", "wire://here/x")); err != nil {
			t.Fatal(err)
		}
		w.plug(t, &cable{peer: bob, origin: "192.0.2.1"})
		if all[0].isClosed() || !all[1].isClosed() || proven.isClosed() || len(e.Links()) != 9 {
			t.Error("another one than the oldest unused was closed")
		}
	})
}

// TestWatch: every link is announced once when it comes and once when it goes.
func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, w := newWire(t, endpoint.Config{})
		var got []string
		stop := e.Watch(func(ev endpoint.LinkEvent) {
			if ev.Up && e.LinkTo(ev.Link.Peer()) == nil {
				t.Error("a link is announced that LinkTo does not know")
			}
			got = append(got, fmt.Sprintf("%s up=%t last=%t", ev.Link.Origin(), ev.Up, ev.Last))
		})
		one := w.plug(t, &cable{peer: bob, origin: "one"})
		two := w.plug(t, &cable{peer: bob, origin: "two"})
		_ = one.Close()
		_ = one.Close()
		_ = two.Close()
		if err := w.try(&cable{peer: ann}); !errors.Is(err, endpoint.ErrSelf) {
			t.Errorf("a link of one's own: %v", err)
		}
		stop()
		stop()
		w.plug(t, &cable{peer: bob, origin: "three"})
		want := []string{"one up=true last=false", "two up=true last=false", "one up=false last=false", "two up=false last=true"}
		if !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

// TestHalfDeadLink: when the network between two peers vanishes, both find the
// link dead after a while, and a new one is opened when it is back. A short
// interruption costs nothing.
func TestHalfDeadLink(t *testing.T) {
	bubble(t, memory.Config{Latency: time.Millisecond}, func(t *testing.T, net *memory.Network) {
		a, b := newPeer(t, net, "a"), newPeer(t, net, "b")
		in := listen(t, b.Scope(id.NetGroup), "x", "")
		send := func(s string, patience time.Duration) error {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			return a.Scope(id.NetGroup).SendTo(ctx, b.addr, "x", "", text(s))
		}
		if err := send("1", time.Minute); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		net.Partition("b")
		if err := send("2", time.Minute); err != nil {
			t.Errorf("a link looks dead before anybody can know: %v", err)
		}
		time.Sleep(10 * time.Second)
		in.want(t, "1")
		net.Heal()
		time.Sleep(time.Second)
		in.want(t, "1", "2")

		net.Partition("b")
		_ = send("lost", time.Minute)
		time.Sleep(memory.BreakAfter + time.Second)
		if len(a.Links())+len(b.Links()) != 0 {
			t.Errorf("links %v and %v are still open", a.Links(), b.Links())
		}
		if err := send("3", time.Second); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("sending into the void: %v", err)
		}
		net.Heal()
		if err := send("4", time.Minute); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		in.want(t, "1", "2", "4")
	})
}
