package secure

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/core/transport/memory"
)

// pair runs f with two peers that know each other, under virtual time.
func pair(t *testing.T, f func(t *testing.T, net *memory.Network, a, b *node)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{Latency: 10 * time.Millisecond})
		a, b := newNode(t, net, "a"), newNode(t, net, "b")
		a.knows(b)
		b.knows(a)
		f(t, net, a, b)
	})
}

func TestSendBothWays(t *testing.T) {
	pair(t, func(t *testing.T, _ *memory.Network, a, b *node) {
		atA, atB := a.listen("echo"), b.listen("echo")
		a.send(b, "echo", "one")
		in := atB.next(t)
		want(t, "text", in.Message.Text("", "line"), "one")
		want(t, "elements", in.Message.Len(), 1)
		want(t, "from", in.From, a.id)
		want(t, "secured", in.Secured, true)
		want(t, "source", in.Source, "jxtatls://"+a.id.Unique())
		b.send(a, "echo", "two")
		want(t, "text", atA.line(t), "two")
		a.flush(b)
		b.flush(a)
		list := a.sec.Connections()
		want(t, "connections", len(list), 1)
		i := list[0]
		want(t, "peer", i.Peer, b.id)
		want(t, "version", i.Version, "TLS 1.3")
		want(t, "acked", i.Acked, 1)
		want(t, "received", i.Received, 1)
		want(t, "proof", i.Proof, ByKey)
		want(t, "fingerprint", i.Fingerprint, b.own.Fingerprint())
		want(t, "connections of the other", len(b.sec.Connections()), 1)
		began := time.Now()
		a.sec.Close()
		if d := time.Since(began); d > time.Second {
			t.Errorf("closing took %v", d)
		}
		time.Sleep(time.Second)
		want(t, "left", b.sec.Stats().Connections, 0)
		want(t, "lost", len(a.losses())+len(b.losses()), 0)
		if err := a.try(b, "echo", "late", time.Second); !errors.Is(err, endpoint.ErrNoTransport) {
			t.Errorf("sent after Close: %v", err)
		}
	})
}

// Services of other groups are told apart by the prefix, as everywhere.
func TestGroups(t *testing.T) {
	pair(t, func(t *testing.T, _ *memory.Network, a, b *node) {
		g := id.NewGroup(id.NetGroup)
		got := make(chan string, 1)
		if _, err := b.ep.Scope(g).Handle("echo", "x/y", func(_ context.Context, in endpoint.Incoming) {
			got <- in.Dest.Service + " " + in.Dest.Param
		}); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := a.ep.Scope(g).SendSecure(ctx, b.id, "echo", "x/y", line("one")); err != nil {
			t.Fatal(err)
		}
		want(t, "delivered to", <-got, "echo x/y")
	})
}

func TestManyInOrderBothWays(t *testing.T) {
	pair(t, func(t *testing.T, _ *memory.Network, a, b *node) {
		const many = 3000
		inA, inB := a.listen("n"), b.listen("n")
		for _, x := range [][2]*node{{a, b}, {b, a}} {
			go func() {
				for i := range many {
					x[0].send(x[1], "n", fmt.Sprint(i))
				}
			}()
		}
		for i := range many {
			want(t, "at a", inA.line(t), i)
			want(t, "at b", inB.line(t), i)
		}
		time.Sleep(time.Minute)
		want(t, "connections of a", len(a.sec.Connections()), 1)
		want(t, "connections of b", len(b.sec.Connections()), 1)
		want(t, "lost", len(a.losses())+len(b.losses()), 0)
	})
}

func TestWrongKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{Latency: time.Millisecond})
		a := newNode(t, net, "a")
		liar := startNode(t, net, "liar", newIdentity(t), Config{Identity: newIdentity(t)})
		a.knows(liar)
		liar.knows(a)
		in, back := liar.listen("echo"), a.listen("echo")
		if err := a.try(liar, "echo", "secret", time.Minute); !errors.Is(err, ErrHandshake) {
			t.Errorf("sent to a peer without the key: %v", err)
		}
		_ = liar.try(a, "echo", "lie", time.Minute)
		time.Sleep(time.Minute)
		want(t, "came to the liar", len(in.c), 0)
		want(t, "came from the liar", len(back.c), 0)
		want(t, "connections", a.sec.Stats().Connections, 0)
	})
}

func TestUnprovable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{})
		a := newNode(t, net, "a")
		ctx := t.Context()
		if err := a.scope().SendSecure(ctx, id.NewPeer(id.NetGroup), "echo", "", line("x")); !errors.Is(err, ErrUnproven) {
			t.Errorf("a made-up ID: %v", err)
		}
		began := time.Now()
		if err := a.scope().SendSecure(ctx, newIdentity(t).Peer(), "echo", "", line("x")); !errors.Is(err, endpoint.ErrNoRoute) {
			t.Errorf("nobody knows the peer: %v", err)
		}
		want(t, "took", time.Since(began), "0s")
		if err := a.scope().SendSecure(ctx, a.id, "echo", "", message.New()); !errors.Is(err, endpoint.ErrEmpty) {
			t.Errorf("an empty message: %v", err)
		}
		in := a.listen("echo")
		a.send(a, "echo", "to myself")
		want(t, "text", in.line(t), "to myself")
	})
}

// What carries messages trusts the links they come on, and gets none this way.
func TestCarriersAreNotCarried(t *testing.T) {
	pair(t, func(t *testing.T, _ *memory.Network, a, b *node) {
		in := b.listen("echo")
		for _, service := range []string{routerName, serviceName} {
			a.send(b, service, "x")
			dst := endpoint.PeerAddress(b.id, groupPrefix+id.NetGroup.Unique(), service+"/x")
			dst.Protocol = protocol
			if err := a.ep.Send(t.Context(), dst, line("x")); err != nil {
				t.Fatal(err)
			}
		}
		a.send(b, "echo", "end")
		in.line(t)
		want(t, "dropped", b.sec.Stats().DroppedMisaddressed, 4)
	})
}

func TestIdle(t *testing.T) {
	pair(t, func(t *testing.T, _ *memory.Network, a, b *node) {
		in := b.listen("echo")
		a.send(b, "echo", "one")
		in.line(t)
		time.Sleep(defaultIdle - sweepEvery)
		want(t, "connections", len(a.sec.Connections()), 1)
		time.Sleep(2*sweepEvery + closeWait)
		want(t, "connections after a while", a.sec.Stats().Connections+b.sec.Stats().Connections, 0)
		a.send(b, "echo", "two")
		want(t, "text", in.line(t), "two")
		want(t, "losses", len(a.losses())+len(b.losses()), 0)
	})
}

// A connection that has made enough blocks is replaced by another one, and
// nothing is lost or changes places.
func TestRetire(t *testing.T) {
	pair(t, func(t *testing.T, _ *memory.Network, a, b *node) {
		a.sec.retire = 20
		in := b.listen("n")
		for i := range 200 {
			a.send(b, "n", fmt.Sprint(i))
			if i%10 == 0 {
				a.flush(b)
			}
		}
		for i := range 200 {
			want(t, "number", in.line(t), i)
		}
		if n := a.sec.Stats().Opened; n < 2 {
			t.Errorf("%d connections were opened", n)
		}
		want(t, "losses", len(a.losses())+len(b.losses()), 0)
	})
}

func TestTooMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{Latency: time.Millisecond})
		a := startNode(t, net, "a", newIdentity(t), Config{MaxConnections: 2})
		var others []*node
		for i := range 3 {
			n := newNode(t, net, fmt.Sprint("n", i))
			a.knows(n)
			others = append(others, n)
		}
		in := others[2].listen("echo")
		a.send(others[0], "echo", "x")
		a.send(others[1], "echo", "x")
		if err := a.try(others[2], "echo", "x", time.Second); !errors.Is(err, ErrBusy) {
			t.Errorf("a third connection: %v", err)
		}
		time.Sleep(restartAfter)
		a.send(others[2], "echo", "later")
		want(t, "text", in.line(t), "later")
	})
}
