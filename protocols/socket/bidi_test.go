package socket_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/core/xmldoc"
	"github.com/juxta-p2p/juxta/protocols/pipe"
	"github.com/juxta-p2p/juxta/protocols/socket"
)

const bidiSoon = 10 * time.Second

func bidiContext(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), bidiSoon)
	t.Cleanup(cancel)
	return ctx
}

func note(text string) *message.Message { return message.New(message.Text("app", "text", text)) }

// connect opens a bidirectional pipe from b to a listener at a.
func connect(t testing.TB, a, b *bidiNode, lc socket.BidiListenConfig, dc socket.BidiConfig) (at, bt *socket.BidiPipe) {
	t.Helper()
	return connectFor(t, bidiSoon, a, b, lc, dc)
}

func connectFor(t testing.TB, limit time.Duration, a, b *bidiNode, lc socket.BidiListenConfig, dc socket.BidiConfig) (at, bt *socket.BidiPipe) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	adv := bidiAdv(t, advertisements.Unicast)
	l, err := a.sockets.ListenBidiWith(ctx, adv, lc)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	if bt, err = b.sockets.DialBidiWith(ctx, adv, dc); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = bt.Close() })
	if at, err = l.Accept(ctx); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = at.Close() })
	if dc.Credential.IsZero() { // the test of credentials dials again
		_ = l.Close()
	}
	return at, bt
}

// exchange sends numbered messages both ways at once and checks that they come in
// order.
func exchange(t *testing.T, a, b *socket.BidiPipe, count int) {
	t.Helper()
	ctx := bidiContext(t)
	var wg sync.WaitGroup
	for _, way := range [][2]*socket.BidiPipe{{a, b}, {b, a}} {
		wg.Go(func() {
			for n := range count {
				if err := way[0].Send(ctx, note(fmt.Sprint(n))); err != nil {
					t.Error(err)
					return
				}
			}
		})
		wg.Go(func() {
			for n := range count {
				m, err := way[1].Receive(ctx)
				if err != nil {
					t.Error(err)
					return
				}
				if got := m.Text("app", "text"); got != fmt.Sprint(n) {
					t.Errorf("message %d is %q", n, got)
					return
				}
			}
		})
	}
	wg.Wait()
}

func TestBidi(t *testing.T) {
	for _, c := range []struct {
		name       string
		unreliable bool
	}{{"reliable", false}, {"unreliable", true}} {
		t.Run(c.name, func(t *testing.T) {
			a, b := bidiPair(t)
			at, bt := connect(t, a, b, socket.BidiListenConfig{}, socket.BidiConfig{Unreliable: c.unreliable})
			if at.Peer() != b.id || bt.Peer() != a.id || at.Reliable() == c.unreliable || bt.Reliable() == c.unreliable {
				t.Errorf("peers %v %v, reliable %v %v", at.Peer(), bt.Peer(), at.Reliable(), bt.Reliable())
			}
			exchange(t, at, bt, 500)
			if st := at.Stats(); st.Sent != 500 || st.Received != 500 || st.DroppedMalformed+st.DroppedForeign != 0 {
				t.Errorf("stats %+v", st)
			}

			// The other side receives what was sent before the close, and its end.
			ctx := bidiContext(t)
			if err := bt.Send(ctx, note("last")); err != nil {
				t.Fatal(err)
			}
			done := make(chan error, 1)
			go func() { done <- bt.Close() }()
			if m, err := at.Receive(ctx); err != nil || m.Text("app", "text") != "last" {
				t.Fatalf("%v, %v", m, err)
			}
			if _, err := at.Receive(ctx); err != io.EOF {
				t.Fatalf("after the close: %v", err)
			}
			if err := <-done; err != nil {
				t.Error(err)
			}
			if _, err := at.Receive(ctx); err != io.EOF {
				t.Errorf("again: %v", err)
			}
			if err := at.Send(ctx, note("late")); !errors.Is(err, socket.ErrHungUp) {
				t.Errorf("sending to nobody: %v", err)
			}
			if err := at.Close(); err != nil {
				t.Error(err)
			}
			for _, p := range []*socket.BidiPipe{at, bt} {
				if err := p.Send(ctx, note("late")); err == nil {
					t.Error("a closed pipe sends")
				}
				if _, err := p.Receive(ctx); !errors.Is(err, net.ErrClosed) {
					t.Errorf("receiving from a closed pipe: %v", err)
				}
				if err := p.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// TestBidiHalf: one side ends sending and goes on receiving.
func TestBidiHalf(t *testing.T) {
	a, b := bidiPair(t)
	at, bt := connect(t, a, b, socket.BidiListenConfig{}, socket.BidiConfig{})
	ctx := bidiContext(t)
	if err := bt.Send(ctx, note("question")); err != nil {
		t.Fatal(err)
	}
	if err := bt.CloseWrite(ctx); err != nil {
		t.Fatal(err)
	}
	var got []string
	for m, err := range at.Messages(ctx) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, m.Text("app", "text"))
	}
	if len(got) != 1 || got[0] != "question" {
		t.Fatalf("received %q", got)
	}
	if err := at.Send(ctx, note("answer")); err != nil {
		t.Fatal(err)
	}
	if m, err := bt.Receive(ctx); err != nil || m.Text("app", "text") != "answer" {
		t.Fatalf("%v, %v", m, err)
	}
	if err := bt.Send(ctx, note("more")); err == nil {
		t.Error("sent after CloseWrite")
	}
}

// TestBidiNoReader: who sends to a peer that does not read waits, and learns of
// its close.
func TestBidiNoReader(t *testing.T) {
	a, b := bidiPair(t)
	at, bt := connect(t, a, b, socket.BidiListenConfig{}, socket.BidiConfig{})
	big := message.New(message.Bytes("app", "b", make([]byte, 64<<10)))
	failed := make(chan error, 1)
	go func() {
		for {
			if err := at.Send(context.Background(), big); err != nil {
				failed <- err
				return
			}
		}
	}()
	select {
	case err := <-failed:
		t.Fatal(err)
	case <-time.After(100 * time.Millisecond): // long enough for any window to be full
	}
	if err := bt.Close(); err != nil {
		t.Log(err)
	}
	select {
	case err := <-failed:
		if !errors.Is(err, socket.ErrHungUp) {
			t.Error(err)
		}
	case <-time.After(bidiSoon):
		t.Fatal("the sender waits for ever")
	}
}

func TestBidiCredential(t *testing.T) {
	a, b := bidiPair(t)
	badge := func(name string) xmldoc.Node {
		return xmldoc.NewNode("jxta:Cred", "", xmldoc.NewNode("Identity", name))
	}
	var seen []socket.BidiRequest
	var mu sync.Mutex
	check := func(_ context.Context, r socket.BidiRequest) error {
		mu.Lock()
		defer mu.Unlock()
		seen = append(seen, r)
		if who, _ := r.Credential.Child("Identity"); who.Text() != "bob" {
			return errors.New("not bob")
		}
		return nil
	}
	lc := socket.BidiListenConfig{Check: check, Credential: badge("alice")}
	at, bt := connect(t, a, b, lc, socket.BidiConfig{Credential: badge("bob"), Peer: a.id})
	if !at.Credential().Equal(badge("bob")) || !bt.Credential().Equal(badge("alice")) {
		t.Errorf("credentials %v, %v", at.Credential(), bt.Credential())
	}
	begin := time.Now()
	if _, err := b.sockets.DialBidiWith(bidiContext(t), at.Pipe(), socket.BidiConfig{Credential: badge("eve")}); !errors.Is(err, socket.ErrRefused) {
		t.Errorf("refused with %v", err)
	}
	if d := time.Since(begin); d > time.Second {
		t.Errorf("refused after %v", d)
	}
	mu.Lock()
	defer mu.Unlock()
	if len(seen) != 2 || seen[0].Peer != b.id || !seen[0].Reliable || !seen[0].Juxta {
		t.Errorf("requests %+v", seen)
	}
}

// TestBidiBacklog: who dials beyond the backlog is told so, and a closed listener
// closes what nobody accepted.
func TestBidiBacklog(t *testing.T) {
	a, b := bidiPair(t)
	ctx := bidiContext(t)
	adv := bidiAdv(t, advertisements.Unicast)
	l, err := a.sockets.ListenBidiWith(ctx, adv, socket.BidiListenConfig{Backlog: 2})
	if err != nil {
		t.Fatal(err)
	}
	var open []*socket.BidiPipe
	for range 2 {
		p, err := b.sockets.DialBidi(ctx, adv)
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, p)
	}
	if _, err := b.sockets.DialBidi(ctx, adv); !errors.Is(err, socket.ErrRefused) {
		t.Errorf("the third is told %v", err)
	}
	if st := l.Stats(); st.Waiting != 2 || st.DroppedFull != 1 {
		t.Errorf("stats %+v", st)
	}
	got := make(chan error, len(open))
	for _, p := range open {
		go func() { _, err := p.Receive(ctx); got <- err }()
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	for range open {
		if err := <-got; err != io.EOF {
			t.Errorf("not accepted: %v", err)
		}
	}
	for _, p := range open {
		_ = p.Close()
	}
	if _, err := l.Accept(ctx); !errors.Is(err, net.ErrClosed) {
		t.Errorf("a closed listener: %v", err)
	}
	short, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := b.sockets.DialBidi(short, adv); !errors.Is(err, pipe.ErrNoListener) {
		t.Errorf("nobody listens: %v", err)
	}
	if _, err := a.sockets.ListenBidi(ctx, bidiAdv(t, advertisements.Propagate)); !errors.Is(err, pipe.ErrType) {
		t.Errorf("a propagate pipe: %v", err)
	}
}

// TestBidiCloseEndsReceive: who waits for a message is told that the pipe was closed
// here, whatever context it waits with.
func TestBidiCloseEndsReceive(t *testing.T) {
	a, b := bidiPair(t)
	for _, ctx := range []context.Context{context.Background(), bidiContext(t)} {
		at, bt := connect(t, a, b, socket.BidiListenConfig{}, socket.BidiConfig{})
		got := make(chan error, 1)
		go func() { _, err := bt.Receive(ctx); got <- err }()
		time.Sleep(10 * time.Millisecond) // for it to wait; it may also come later
		if err := bt.Close(); err != nil {
			t.Error(err)
		}
		select {
		case err := <-got:
			if !errors.Is(err, net.ErrClosed) {
				t.Errorf("told %v", err)
			}
		case <-time.After(bidiSoon):
			t.Fatal("Receive waits for ever")
		}
		_ = at.Close()
	}
}

// TestBidiCloseBoth: who closes does not wait for a side that closes as soon as it is
// told, or at the same time.
func TestBidiCloseBoth(t *testing.T) {
	a, b := bidiPair(t)
	for _, told := range []bool{true, false} {
		for range 20 {
			at, bt := connect(t, a, b, socket.BidiListenConfig{}, socket.BidiConfig{})
			begin := time.Now()
			var wg sync.WaitGroup
			wg.Go(func() {
				if told {
					if _, err := at.Receive(bidiContext(t)); err != io.EOF {
						t.Error(err)
					}
				}
				if err := at.Close(); err != nil {
					t.Error(err)
				}
			})
			if err := bt.Close(); err != nil {
				t.Error(err)
			}
			wg.Wait()
			if d := time.Since(begin); d > time.Second {
				t.Fatalf("told %v: closing took %v", told, d)
			}
		}
	}
}

// TestBidiHostile: requests and answers that lie are dropped and counted, and cost
// nobody anything.
func TestBidiHostile(t *testing.T) {
	a, b := bidiPair(t)
	ctx := bidiContext(t)
	adv := bidiAdv(t, advertisements.Unicast)
	l, err := a.sockets.ListenBidi(ctx, adv)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	out, err := b.pipes.Dial(ctx, adv)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	mine := xmlText(t, advertisements.NewPipe(id.NetGroup, "x", advertisements.Unicast))
	secure := xmlText(t, advertisements.NewPipe(id.NetGroup, "x", advertisements.UnicastSecure))
	for _, m := range []*message.Message{
		note("no request"),
		message.New(message.XML("JXTABIP", "reqPipe", mine)),
		message.New(message.XML("JXTABIP", "reqPipe", []byte("<a")), message.XML("JXTABIP", "remPeer", xmlText(t, b.adv))),
		message.New(message.XML("JXTABIP", "reqPipe", mine), message.XML("JXTABIP", "remPeer", []byte("<a"))),
		message.New(message.XML("JXTABIP", "reqPipe", mine), message.XML("JXTABIP", "remPeer", xmlText(t, a.adv))),
		message.New(message.XML("JXTABIP", "reqPipe", secure), message.XML("JXTABIP", "remPeer", xmlText(t, b.adv))),
		message.New(message.XML("JXTABIP", "Cred", []byte("<!DOCTYPE x [<!ENTITY a 'b'>]><x>&a;</x>")),
			message.XML("JXTABIP", "reqPipe", mine), message.XML("JXTABIP", "remPeer", xmlText(t, b.adv))),
		message.New(message.XML("JXTABIP", "reqPipe", []byte(strings.Repeat(" ", 100<<10)+string(mine))),
			message.XML("JXTABIP", "remPeer", xmlText(t, b.adv))),
	} {
		before := l.Stats().DroppedMalformed
		if err := out.Send(ctx, m); err != nil {
			t.Fatal(err)
		}
		for l.Stats().DroppedMalformed == before {
			if ctx.Err() != nil {
				t.Fatalf("message %v is not counted: %+v", m, l.Stats())
			}
			time.Sleep(time.Millisecond)
		}
	}
	p, err := b.sockets.DialBidi(ctx, adv)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = p.Close() }()
	got, err := l.Accept(ctx)
	if err != nil || got.Peer() != b.id {
		t.Fatal(err)
	}
	defer func() { _ = got.Close() }()
	exchange(t, got, p, 10)
	if err := p.Send(ctx, message.New(message.Text("JXTABIP", "close", "close"))); err == nil {
		t.Error("an application can say goodbye by mistake")
	}
	if err := p.Send(ctx, message.New()); err == nil {
		t.Error("an empty message was sent")
	}
}

// TestBidiBusy: a listener answers so many requests of a peer at a time.
func TestBidiBusy(t *testing.T) {
	a, b := bidiPair(t)
	ctx := bidiContext(t)
	adv := bidiAdv(t, advertisements.Unicast)
	hold := make(chan struct{})
	l, err := a.sockets.ListenBidiWith(ctx, adv, socket.BidiListenConfig{Check: func(context.Context, socket.BidiRequest) error { <-hold; return errors.New("no") }})
	if err != nil {
		t.Fatal(err)
	}
	out, err := b.pipes.Dial(ctx, adv)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	mine := xmlText(t, advertisements.NewPipe(id.NetGroup, "x", advertisements.Unicast))
	for range 20 {
		err := out.Send(ctx, message.New(message.XML("JXTABIP", "reqPipe", mine), message.XML("JXTABIP", "remPeer", xmlText(t, b.adv))))
		if err != nil {
			t.Fatal(err)
		}
	}
	for l.Stats().DroppedBusy < 12 && ctx.Err() == nil {
		time.Sleep(time.Millisecond)
	}
	if st := l.Stats(); st.DroppedBusy != 12 {
		t.Errorf("stats %+v", st)
	}
	close(hold)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if st := l.Stats(); st.Refused != 8 {
		t.Errorf("stats %+v", st)
	}
}

func TestBidiServiceClose(t *testing.T) {
	a, b := bidiPair(t)
	at, bt := connect(t, a, b, socket.BidiListenConfig{}, socket.BidiConfig{})
	b.stop()
	if _, err := bt.Receive(t.Context()); !errors.Is(err, net.ErrClosed) {
		t.Errorf("here: %v", err)
	}
	if _, err := at.Receive(bidiContext(t)); err != io.EOF {
		t.Errorf("there: %v", err)
	}
}
