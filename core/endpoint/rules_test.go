package endpoint_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/core/transport/memory"
)

// outer is under what ID the messages of the group sub travel in these tests.
var outer = id.GroupFromSeed(id.Group{}, []byte("outer"))

// flip stands for sealing.
func flip(b []byte) []byte {
	b = bytes.Clone(b)
	for i := range b {
		b[i] ^= 0xff
	}
	return b
}

// sealed is the view of sub at a peer, which takes what is sealed by others.
func sealed(t *testing.T, p *peer) endpoint.Scope {
	t.Helper()
	s := p.ScopeUnder(sub, endpoint.Rules{
		Admit: func(in endpoint.Incoming) error {
			if !in.Sealed {
				return errors.New("not sealed")
			}
			return nil
		},
		Seal: func(plain []byte) (id.Group, []byte, error) { return outer, flip(plain), nil },
	})
	if _, err := p.Scope(outer).Handle(endpoint.SealedService, "", func(_ context.Context, in endpoint.Incoming) {
		b, ok := endpoint.SealedBody(in)
		if !ok {
			t.Error("nothing is sealed in it")
		}
		if err := s.Unseal(in, flip(b)); err != nil {
			t.Error(err)
		}
	}); err != nil {
		t.Fatal(err)
	}
	return s
}

// TestSealedGroup: sealed messages arrive in every way there is, and nothing of them is
// to be seen on the way.
func TestSealedGroup(t *testing.T) {
	var seen bytes.Buffer
	bubble(t, memory.Config{Tap: func(_, _ string, body []byte) { seen.Write(body) }}, func(t *testing.T, net *memory.Network) {
		a, b := newPeer(t, net, "a", segment("lan")), newPeer(t, net, "b", segment("lan"))
		from, to := sealed(t, a), sealed(t, b)
		box := listen(t, to, "echo", "a/b")
		own := listen(t, from, "echo", "a/b")
		ctx := t.Context()
		l, err := a.Dial(ctx, b.addr)
		if err != nil {
			t.Fatal(err)
		}
		routed(t, a)
		a.SetSecure(func(_ context.Context, dst endpoint.Address, m *message.Message) error {
			b.Deliver(endpoint.Incoming{Message: m.Clone(), From: a.Peer(), Secured: true, Dest: dst}, true)
			return nil
		})
		for how, err := range map[string]error{
			"link":        from.SendOn(ctx, l, "echo", "a/b", text("link")),
			"address":     from.SendTo(ctx, b.addr, "echo", "a/b", text("address")),
			"router":      from.Send(ctx, b.Peer(), "echo", "a/b", text("router")),
			"secure":      from.SendSecure(ctx, b.Peer(), "echo", "a/b", text("secure")),
			"path":        from.Path(b.Peer(), "echo", "a/b", false).Send(ctx, text("path")),
			"secure path": from.Path(b.Peer(), "echo", "a/b", true).Send(ctx, text("secure path")),
			"broadcast":   from.Broadcast(ctx, "echo", "a/b", text("broadcast")),
			"self":        from.Send(ctx, a.Peer(), "echo", "a/b", text("self")),
		} {
			if err != nil {
				t.Errorf("by %s: %v", how, err)
			}
		}
		synctest.Wait()
		if n := len(box.all); n != 7 {
			t.Errorf("%d messages came: %q", n, box.texts())
		}
		for _, in := range box.all {
			if in.From != a.Peer() || !in.Sealed || in.Dest.Service != "echo" || in.Dest.Param != "a/b" || in.Message.Len() != 1 {
				t.Errorf("%q: from %s, sealed %v, for %s, %d elements", in.Message.Text("", "text"), in.From.Short(), in.Sealed, in.Dest, in.Message.Len())
			}
		}
		own.want(t, "self")
		for _, word := range []string{"echo", sub.Unique(), "router"} {
			if bytes.Contains(seen.Bytes(), []byte(word)) {
				t.Errorf("%q is to be read on the way", word)
			}
		}
		// What comes unsealed is not admitted.
		before := b.Stats().DroppedByRule
		if err := a.Scope(sub).SendOn(ctx, l, "echo", "a/b", text("plain")); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if b.Stats().DroppedByRule != before+1 || len(box.all) != 7 {
			t.Error("a message that was not sealed was taken")
		}
		if err := from.Send(ctx, b.Peer(), "echo", "", message.New()); !errors.Is(err, endpoint.ErrEmpty) {
			t.Errorf("an empty message: %v", err)
		}
		if err := from.Send(ctx, b.Peer(), strings.Repeat("x", 1<<17), "", text("x")); !errors.Is(err, message.ErrTooLarge) {
			t.Errorf("a service with an endless name: %v", err)
		}
	})
}

// TestAllow: nothing is sent to a peer that the rules forbid, and the error says why.
func TestAllow(t *testing.T) {
	bubble(t, memory.Config{}, func(t *testing.T, net *memory.Network) {
		a, b := newPeer(t, net, "a"), newPeer(t, net, "b")
		out := errors.New("b is out")
		var forbidden bool
		s := a.ScopeUnder(sub, endpoint.Rules{Allow: func(p id.Peer) error {
			if forbidden && p == b.Peer() {
				return out
			}
			return nil
		}})
		box := listen(t, b.Scope(sub), "echo", "")
		l, err := a.Dial(t.Context(), b.addr)
		if err != nil {
			t.Fatal(err)
		}
		routed(t, a)
		path := s.Path(b.Peer(), "echo", "", false)
		for range 3 {
			if err := path.Send(t.Context(), text("ok")); err != nil {
				t.Fatal(err)
			}
		}
		forbidden = true
		for how, err := range map[string]error{
			"link": s.SendOn(t.Context(), l, "echo", "", text("no")), "router": s.Send(t.Context(), b.Peer(), "echo", "", text("no")),
			"path": path.Send(t.Context(), text("no")), "secure": s.SendSecure(t.Context(), b.Peer(), "echo", "", text("no")),
		} {
			if !errors.Is(err, out) {
				t.Errorf("by %s: %v", how, err)
			}
		}
		synctest.Wait()
		box.want(t, "ok", "ok", "ok")
	})
}

// TestUnsealHostile: what a member can seal that is not in order is refused.
func TestUnsealHostile(t *testing.T) {
	bubble(t, memory.Config{}, func(t *testing.T, net *memory.Network) {
		a := newPeer(t, net, "a")
		var plain []byte
		s := a.ScopeUnder(sub, endpoint.Rules{Seal: func(b []byte) (id.Group, []byte, error) { plain = bytes.Clone(b); return outer, b, nil }})
		box := listen(t, s, "echo", "p")
		if err := s.Send(t.Context(), a.Peer(), "echo", "p", text("hello")); err != nil {
			t.Fatal(err)
		}
		in := endpoint.Incoming{From: a.Peer()}
		if err := s.Unseal(in, bytes.Clone(plain)); err != nil {
			t.Fatal(err)
		}
		box.want(t, "hello")
		for i := range plain {
			if err := s.Unseal(in, bytes.Clone(plain[:i])); !errors.Is(err, endpoint.ErrSealed) {
				t.Errorf("cut at %d: %v", i, err)
			}
		}
		in.From = bob
		if err := s.Unseal(in, bytes.Clone(plain)); !errors.Is(err, endpoint.ErrSealed) {
			t.Errorf("of another sender: %v", err)
		}
		in.From = a.Peer()
		if err := s.Send(t.Context(), a.Peer(), "EndpointService:"+id.NetGroup.Unique(), "echo/p", text("other group")); err != nil {
			t.Fatal(err)
		}
		if err := s.Unseal(in, bytes.Clone(plain)); !errors.Is(err, endpoint.ErrSealed) {
			t.Errorf("for another group: %v", err)
		}
		synctest.Wait()
		box.want(t, "hello")
	})
}

func FuzzUnseal(f *testing.F) {
	net := memory.New(memory.Config{})
	a := newPeer(f, net, "a")
	s := a.ScopeUnder(sub, endpoint.Rules{Seal: func(b []byte) (id.Group, []byte, error) { f.Add(bytes.Clone(b)); return outer, b, nil }})
	if _, err := s.Handle("echo", "", func(context.Context, endpoint.Incoming) {}); err != nil {
		f.Fatal(err)
	}
	_ = s.Send(f.Context(), a.Peer(), "echo", "p", text("hello"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if err := s.Unseal(endpoint.Incoming{From: a.Peer()}, b); err != nil && !errors.Is(err, endpoint.ErrSealed) {
			t.Error(err)
		}
	})
}
