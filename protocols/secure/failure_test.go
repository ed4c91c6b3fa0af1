package secure

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/core/transport/memory"
)

// A peer that never comes back: what was not acknowledged is reported after four
// minutes, by Flush and by Lost.
func TestGiveUp(t *testing.T) {
	pair(t, func(t *testing.T, net *memory.Network, a, b *node) {
		in := b.listen("echo")
		a.send(b, "echo", "one")
		in.line(t)
		a.flush(b)
		b.kill()
		began := time.Now()
		for i := range 3 {
			a.send(b, "echo", fmt.Sprint(i))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		err := a.sec.Flush(ctx, b.id)
		var lost *LostError
		if !errors.As(err, &lost) || !errors.Is(err, ErrUnanswered) {
			t.Fatalf("flush: %v", err)
		}
		want(t, "messages", lost.Messages, 3)
		if d := time.Since(began); d < giveUp || d > giveUp+10*time.Second {
			t.Errorf("it took %v", d)
		}
		time.Sleep(time.Second)
		all := a.losses()
		if len(all) != 1 || all[0].Messages != 3 || all[0].Peer != b.id || !errors.Is(all[0].Err, ErrUnanswered) {
			t.Errorf("reported: %+v", all)
		}
		want(t, "counted", a.sec.Stats().Lost, 3)
		want(t, "connections", a.sec.Stats().Connections, 0)
	})
}

// A peer that is started anew does not know the connection. A new one takes its
// place, and what was sent into the old one is reported.
func TestRestart(t *testing.T) {
	pair(t, func(t *testing.T, net *memory.Network, a, b *node) {
		in := b.listen("echo")
		a.send(b, "echo", "one")
		in.line(t)
		a.flush(b)
		b.kill()
		a.send(b, "echo", "into the void")
		time.Sleep(10 * time.Second)
		again := startNode(t, net, "b", b.own, Config{})
		in = again.listen("echo")
		a.rt.Reconsider()
		time.Sleep(time.Minute)
		a.send(again, "echo", "two")
		want(t, "text", in.line(t), "two")
		all := a.losses()
		if len(all) != 1 || all[0].Messages != 1 || !errors.Is(all[0].Err, ErrReplaced) {
			t.Errorf("reported: %+v", all)
		}
		want(t, "connections", len(a.sec.Connections()), 1)
	})
}

// The restarted peer itself may be first.
func TestRestartOtherSide(t *testing.T) {
	pair(t, func(t *testing.T, net *memory.Network, a, b *node) {
		back := a.listen("echo")
		in := b.listen("echo")
		a.send(b, "echo", "one")
		in.line(t)
		a.flush(b)
		b.kill()
		again := startNode(t, net, "b", b.own, Config{})
		again.knows(a)
		again.send(a, "echo", "I am back")
		want(t, "text", back.line(t), "I am back")
		time.Sleep(time.Minute)
		want(t, "connections", len(a.sec.Connections()), 1)
		in = again.listen("echo")
		a.send(again, "echo", "two")
		want(t, "text", in.line(t), "two")
		want(t, "losses", len(a.losses()), 0)
	})
}

// A reader that stands still stops the sender and costs no more memory than
// promised; that is no failure, however long it lasts.
func TestStall(t *testing.T) {
	pair(t, func(t *testing.T, net *memory.Network, a, b *node) {
		hold := make(chan struct{})
		var got atomic.Int64
		if _, err := b.scope().Handle("slow", "", func(context.Context, endpoint.Incoming) { <-hold; got.Add(1) }); err != nil {
			t.Fatal(err)
		}
		msg := message.New(message.Bytes("", "body", make([]byte, 100<<10)))
		sent := 0
		for {
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			err := a.scope().SendSecure(ctx, b.id, "slow", "", msg)
			cancel()
			if err != nil {
				if !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("%v", err)
				}
				break
			}
			sent++
		}
		b.sec.mu.Lock()
		c := b.sec.current[a.id]
		b.sec.mu.Unlock()
		c.st.mu.Lock()
		held := c.st.in.held
		c.st.mu.Unlock()
		if held < window/2 || held > window {
			t.Errorf("%d octets are held, the window is %d", held, window)
		}
		time.Sleep(time.Hour)
		close(hold)
		a.send(b, "slow", "end")
		a.flush(b)
		time.Sleep(time.Second)
		want(t, "came", got.Load(), sent+1)
		want(t, "connections", a.sec.Stats().Opened, 1)
		want(t, "memory given back", b.sec.shared.free.Load(), maxShared)
	})
}

// No way for three minutes is no failure either.
func TestNoWayForAWhile(t *testing.T) {
	pair(t, func(t *testing.T, net *memory.Network, a, b *node) {
		in := b.listen("echo")
		a.send(b, "echo", "one")
		in.line(t)
		net.Partition("b")
		a.send(b, "echo", "two")
		time.Sleep(3 * time.Minute)
		net.Heal()
		began := time.Now()
		want(t, "text", in.line(t), "two")
		if d := time.Since(began); d > 40*time.Second { // the router leaves an address alone for 30 s
			t.Errorf("it took %v", d)
		}
		a.flush(b)
	})
}

// Both begin at the same moment, again and again: nothing is lost, and one
// connection is left.
func TestBothBegin(t *testing.T) {
	for seed := range 10 {
		synctest.Test(t, func(t *testing.T) {
			net := memory.New(memory.Config{Latency: 10 * time.Millisecond, Jitter: 20 * time.Millisecond, Seed: uint64(seed)})
			a, b := newNode(t, net, "a"), newNode(t, net, "b")
			a.knows(b)
			b.knows(a)
			inA, inB := a.listen("echo"), b.listen("echo")
			for _, x := range [][2]*node{{a, b}, {b, a}} {
				go func() {
					time.Sleep(time.Duration(seed) * time.Millisecond)
					for i := range 5 {
						x[0].send(x[1], "echo", fmt.Sprint(i))
						time.Sleep(20 * time.Millisecond)
					}
				}()
			}
			for i := range 5 {
				want(t, "at a", inA.line(t), i)
				want(t, "at b", inB.line(t), i)
			}
			time.Sleep(time.Minute)
			want(t, "connections of a", len(a.sec.Connections()), 1)
			want(t, "connections of b", len(b.sec.Connections()), 1)
			want(t, "all connections", a.sec.Stats().Connections+b.sec.Stats().Connections, 2)
			want(t, "losses", len(a.losses())+len(b.losses()), 0)
		})
	}
}

func TestHostileStart(t *testing.T) {
	pair(t, func(t *testing.T, net *memory.Network, a, b *node) {
		in := b.listen("echo")
		a.send(b, "echo", "one")
		in.line(t)
		a.flush(b)
		inject := func(n *node, from *node, m *message.Message) {
			n.sec.receive(t.Context(), endpoint.Incoming{Message: m, From: from.id})
		}
		first := func(n uint64, text string) *message.Message {
			x, tag := numbered{1, []byte(text)}, tag{id: n}
			return message.New(x.element(), tag.element())
		}
		// First blocks in the name of a peer: rubbish, and a hello that leads nowhere.
		for n := range uint64(100) {
			inject(b, a, first(n+1, "\x16\x03\x01\x00\x05rubbish"))
			inject(b, newNode(t, net, fmt.Sprint("x", n)), first(7, "\x16\x03\x01"))
		}
		time.Sleep(time.Second)
		if n := b.sec.Stats().Connections; n > 2*maxPending+1 {
			t.Errorf("%d connections", n)
		}
		a.send(b, "echo", "two")
		want(t, "text", in.line(t), "two")
		// A forged notice that b has forgotten the connection.
		a.sec.mu.Lock()
		c := a.sec.current[b.id]
		a.sec.mu.Unlock()
		gone := tag{kind: kindGone, id: c.id}
		inject(a, b, message.New(gone.element()))
		gone.id++
		inject(a, b, message.New(gone.element()))
		a.send(b, "echo", "three")
		want(t, "text", in.line(t), "three")
		time.Sleep(time.Minute)
		want(t, "pending", b.sec.Stats().Connections, 1)
		want(t, "losses", len(a.losses())+len(b.losses()), 0)
	})
}

// Acknowledgements that somebody on the way makes up change nothing: what has not
// arrived is sent again until it has.
func TestForgedAcknowledgements(t *testing.T) {
	pair(t, func(t *testing.T, net *memory.Network, a, b *node) {
		in := b.listen("echo")
		a.send(b, "echo", "one")
		in.line(t)
		a.flush(b)
		net.Partition("b")
		a.send(b, "echo", "two")
		synctest.Wait()
		a.sec.mu.Lock()
		c := a.sec.current[b.id]
		a.sec.mu.Unlock()
		upTo := c.st.number()
		for _, seal := range [][]byte{nil, make([]byte, sealSize)} {
			forged := ack{upTo: upTo}
			tag := tag{id: c.id, limit: 1 << 40, limited: true, seal: seal}
			a.sec.receive(t.Context(), endpoint.Incoming{From: b.id, Message: message.New(
				message.Element{Namespace: space, Name: nameAck, Type: typeAck, Body: forged.body()}, tag.element(),
			)})
		}
		if i := a.sec.Connections()[0]; i.Acked != 1 {
			t.Errorf("acknowledged: %d, want 1", i.Acked)
		}
		c.st.mu.Lock()
		credit := c.st.out.credit
		c.st.mu.Unlock()
		if credit >= 1<<40 {
			t.Error("a forged limit was believed")
		}
		want(t, "forged", a.sec.Stats().DroppedForged, 1)
		net.Heal()
		want(t, "text", in.line(t), "two")
		a.flush(b)
		// And of what was never sent.
		bad := ack{upTo: upTo + 1000}
		good := tag{id: c.id}
		a.sec.receive(t.Context(), endpoint.Incoming{From: b.id, Message: message.New(
			message.Element{Namespace: space, Name: nameAck, Type: typeAck, Body: bad.body()}, good.element(),
		)})
		want(t, "bad", a.sec.Stats().DroppedBadAcks, 1)
	})
}
