package endpoint_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/identity"
	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/core/transport/framing"
	"github.com/juxta-p2p/juxta/core/transport/memory"
)

// routed counts what goes through the router, and sends it over the link to the peer.
func routed(t *testing.T, p *peer) *int {
	t.Helper()
	n := new(int)
	p.SetRouter(func(ctx context.Context, dst endpoint.Address, m *message.Message) error {
		*n++
		to, _ := dst.Peer()
		l := p.LinkTo(to)
		if l == nil {
			return endpoint.ErrNoRoute
		}
		return p.Scope(id.NetGroup).SendOn(ctx, l, dst.Service, dst.Param, m)
	})
	return n
}

// TestPathGoesStraight: after the first message the router is not asked, until the
// links change or a minute has passed; the receiver sees no difference.
func TestPathGoesStraight(t *testing.T) {
	bubble(t, memory.Config{}, func(t *testing.T, net *memory.Network) {
		a, b := newPeer(t, net, "ann"), newPeer(t, net, "bob")
		var got inbox
		if _, err := b.Scope(id.NetGroup).Handle("PipeService", "p", got.handle); err != nil {
			t.Fatal(err)
		}
		n := routed(t, a)
		path := a.Scope(id.NetGroup).Path(bob, "PipeService", "p", false)
		say := func(text string) {
			t.Helper()
			if err := path.Send(t.Context(), message.New(message.Text("", "text", text))); err != nil {
				t.Fatal(err)
			}
		}
		if err := path.Send(t.Context(), message.New(message.Text("", "text", "x"))); !errors.Is(err, endpoint.ErrNoRoute) || path.Direct() != nil {
			t.Errorf("sent without a way: %v", err)
		}
		*n = 0
		l, err := a.Dial(t.Context(), b.addr)
		if err != nil {
			t.Fatal(err)
		}
		for range 5 {
			say("a")
		}
		if *n != 1 || path.Direct() != l {
			t.Errorf("%d of 5 messages went through the router", *n)
		}
		time.Sleep(2 * time.Minute)
		say("b")
		say("b")
		if *n != 2 {
			t.Errorf("the router was asked %d times after some minutes", *n)
		}
		_ = l.Close()
		synctest.Wait()
		if path.Direct() != nil {
			t.Error("a closed link is still taken")
		}
		if err := path.Send(t.Context(), message.New(message.Text("", "text", "x"))); !errors.Is(err, endpoint.ErrNoRoute) {
			t.Errorf("sent over a closed link: %v", err)
		}
		if err := path.Send(t.Context(), message.New()); !errors.Is(err, endpoint.ErrEmpty) {
			t.Errorf("an empty message: %v", err)
		}
		synctest.Wait()
		if n := len(got.texts()); n != 7 {
			t.Errorf("%d messages arrived, want 7", n)
		}
		for _, in := range got.all {
			if in.From != ann || in.Dest.Service != "PipeService" || in.Dest.Param != "p" || in.Message.Len() != 1 {
				t.Errorf("from %s for %s, %d elements", in.From.Short(), in.Dest, in.Message.Len())
			}
		}
	})
}

// keyed is a peer with an ID made of a key.
func keyed(t *testing.T, net *memory.Network, name string) *peer {
	t.Helper()
	own, err := identity.New(identity.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	return newPeer(t, net, name, func(cfg *endpoint.Config, _ *memory.TransportConfig) { cfg.Peer, cfg.Identity = own.Peer(), own })
}

// TestSecurePath: straight over a private link from the first message on, and never
// again once a message was encrypted from end to end.
func TestSecurePath(t *testing.T) {
	bubble(t, memory.Config{}, func(t *testing.T, net *memory.Network) {
		a, b := keyed(t, net, "ann"), keyed(t, net, "bob")
		tunnelled := 0
		a.SetSecure(func(context.Context, endpoint.Address, *message.Message) error { tunnelled++; return nil })
		send := func(path *endpoint.Path, want int) {
			t.Helper()
			if err := path.Send(t.Context(), message.New(message.Text("", "text", "x"))); err != nil || tunnelled != want {
				t.Errorf("%d messages were encrypted from end to end, want %d: %v", tunnelled, want, err)
			}
		}
		before := a.Scope(id.NetGroup).Path(b.Peer(), "PipeService", "p", true)
		send(before, 1)
		if _, err := a.Dial(t.Context(), b.addr); err != nil {
			t.Fatal(err)
		}
		send(before, 2)
		send(a.Scope(id.NetGroup).Path(b.Peer(), "PipeService", "p", true), 2)
		eve := newPeer(t, net, "eve") // has no key
		if _, err := a.Dial(t.Context(), eve.addr); err != nil {
			t.Fatal(err)
		}
		send(a.Scope(id.NetGroup).Path(eve.Peer(), "PipeService", "p", true), 3)
	})
}

// TestOverhead bounds what a pipe message between neighbours has around its payload
// on the wire, the header of the transport included. The hosts have names as long as
// addresses of TCP.
func TestOverhead(t *testing.T) {
	const payload, most = 64, 400
	last := 0
	tap := func(_, _ string, body []byte) { last = len(body) + framing.HeaderSize }
	bubble(t, memory.Config{Tap: tap}, func(t *testing.T, net *memory.Network) {
		a, b := newPeer(t, net, "192.168.100.100:9701"), newPeer(t, net, "192.168.100.101:9701")
		routed(t, a)
		if _, err := a.Dial(t.Context(), b.addr); err != nil {
			t.Fatal(err)
		}
		path := a.Scope(id.NetGroup).Path(b.Peer(), "PipeService", id.PipeFromSeed(id.NetGroup, []byte("a pipe")).String(), false)
		for range 2 {
			if err := path.Send(t.Context(), message.New(message.Bytes("", "data", make([]byte, payload)))); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if path.Direct() == nil {
			t.Fatal("it did not go straight")
		}
		if got := last - payload; got > most || got < 300 {
			t.Errorf("%d octets around a payload, want %d at most", got, most)
		} else {
			t.Logf("%d octets around a payload", got)
		}
	})
}
