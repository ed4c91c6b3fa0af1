package socket

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/core/transport/memory"
	"github.com/juxta-p2p/juxta/core/xmldoc"
	"github.com/juxta-p2p/juxta/protocols/pipe"
)

// The first dial asks who listens; the next one goes straight there, in one round
// trip.
func TestDialTakesOneRoundTrip(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const latency = 10 * time.Millisecond
		network := memory.New(memory.Config{Latency: latency})
		a := newNode(t, "a", nodeConfig{net: network})
		d := newNode(t, "d", nodeConfig{net: network})
		b := newNode(t, "b", nodeConfig{net: network, near: []*node{a, d}})
		adv := unicast("s")
		l := a.listen(adv, ListenConfig{})
		for i, trips := range []time.Duration{2, 1, 1} {
			start := time.Now()
			c := b.dial(adv, DialConfig{})
			want(t, fmt.Sprint("round trips of dial ", i), time.Since(start), trips*2*latency)
			_ = c.Close()
			_ = l.accept(t).Close()
		}
		start := time.Now()
		c := b.dial(adv, DialConfig{Peer: a.id})
		want(t, "of a named peer", time.Since(start), 2*latency)
		_ = c.Close()
		_ = l.accept(t).Close()

		// The listener has gone elsewhere: it is found again.
		_ = l.Close()
		l = d.listen(adv, ListenConfig{})
		c = b.dial(adv, DialConfig{})
		want(t, "peer", c.Peer(), d.id)
		_ = c.Close()
		_ = l.accept(t).Close()
	})
}

func TestDialFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := memory.New(memory.Config{Latency: time.Millisecond})
		a := newNode(t, "a", nodeConfig{net: network})
		b := newNode(t, "b", nodeConfig{net: network, near: []*node{a}})
		dial := func(adv *advertisements.Pipe, cfg DialConfig) (time.Duration, error) {
			t.Helper()
			start := time.Now()
			c, err := b.s.DialWith(t.Context(), adv, cfg)
			if err == nil {
				_ = c.Close()
				t.Fatal("dialled")
			}
			var op *net.OpError
			if !errors.As(err, &op) || op.Op != "dial" || op.Net != "jxta" {
				t.Errorf("%v is not an error of package net", err)
			}
			return time.Since(start), err
		}
		took, err := dial(unicast("nobody"), DialConfig{Timeout: 3 * time.Second})
		want(t, "nobody listens", errors.Is(err, pipe.ErrNoListener), true)
		var ne net.Error
		want(t, "timeout", errors.As(err, &ne) && ne.Timeout(), true)
		want(t, "took", took, 3*time.Second)
		took, err = dial(unicast("nobody"), DialConfig{Peer: a.id})
		want(t, "not there", errors.Is(err, ErrRefused), true)
		want(t, "took", took, 2*time.Millisecond)
		_, err = dial(named("p", advertisements.Propagate), DialConfig{})
		want(t, "type", errors.Is(err, pipe.ErrType), true)
		_, err = dial(nil, DialConfig{})
		want(t, "nothing", errors.Is(err, pipe.ErrType), true)
		_, err = dial(named("s", advertisements.UnicastSecure), DialConfig{})
		want(t, "secure", errors.Is(err, pipe.ErrSecure), true)

		in, err := a.pipes.Listen(t.Context(), unicast("silent")) // no socket
		if err != nil {
			t.Fatal(err)
		}
		defer in.Close()
		took, err = dial(unicast("silent"), DialConfig{})
		want(t, "no answer", errors.Is(err, context.DeadlineExceeded), true)
		want(t, "took", took, dialWait)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err = b.s.Dial(ctx, unicast("silent"))
		want(t, "context", errors.Is(err, context.DeadlineExceeded), true)
		time.Sleep(time.Minute)
		want(t, "left over", b.s.Stats().Open, 0)
		want(t, "failed", b.s.Stats().FailedDials, 4)
		b.s.Close()
		_, err = dial(unicast("silent"), DialConfig{})
		want(t, "closed service", errors.Is(err, net.ErrClosed), true)
		_, err = b.s.Listen(t.Context(), unicast("x"))
		want(t, "closed service", errors.Is(err, net.ErrClosed), true)
	})
}

// A listener whose answer comes after the dialler has lost patience gets a connection
// that is at its end.
func TestLateAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := memory.New(memory.Config{})
		a := newNode(t, "a", nodeConfig{net: network})
		b := newNode(t, "b", nodeConfig{net: network, near: []*node{a}})
		adv := unicast("s")
		l := a.listen(adv, ListenConfig{Check: func(context.Context, Request) error { time.Sleep(2 * time.Second); return nil }})
		_, err := b.s.DialWith(t.Context(), adv, DialConfig{Timeout: time.Second})
		want(t, "error", errors.Is(err, context.DeadlineExceeded), true)
		c := l.accept(t)
		_ = c.SetDeadline(time.Now().Add(5 * time.Second))
		_, err = c.Write([]byte("hello"))
		if err == nil {
			time.Sleep(time.Second)
			_, err = c.Write([]byte("hello"))
		}
		want(t, "writing", errors.Is(err, ErrHungUp), true)
		_ = c.Close()
		time.Sleep(time.Minute)
		want(t, "left over", a.s.Stats().Open+b.s.Stats().Open, 0)
	})
}

func cred(text string) xmldoc.Node {
	return xmldoc.NewNode("jxta:Cred", "", xmldoc.NewNode("Identity", text)).WithAttr("type", "jxta:Test")
}

// The listener sees the credential and decides; both sides can look at the other's.
func TestCredentials(t *testing.T) {
	a, b := pair(t, "memory")
	adv := unicast("s")
	var seen []Request
	l := a.listen(adv, ListenConfig{Credential: cred("server"), Check: func(_ context.Context, r Request) error {
		seen = append(seen, r)
		name, _ := r.Credential.Child("Identity")
		if name.Text() != "ann" {
			return errors.New("not ann")
		}
		return nil
	}})
	c := b.dial(adv, DialConfig{Credential: cred("ann")})
	defer c.Close()
	s := l.accept(t)
	defer s.Close()
	for what, n := range map[string]xmldoc.Node{"server": c.Credential(), "ann": s.Credential()} {
		name, _ := n.Child("Identity")
		want(t, "credential", name.Text(), what)
	}
	for _, cfg := range []DialConfig{{}, {Credential: cred("eve")}} {
		_, err := b.s.DialWith(t.Context(), adv, cfg)
		want(t, "refused", errors.Is(err, ErrRefused), true)
	}
	want(t, "requests", len(seen), 3)
	want(t, "request", seen[0].Peer == b.id && seen[0].Reliable && seen[0].Juxta && seen[0].Proven, true)
	want(t, "refused", a.s.Stats().RefusedChecked, 2)
	write(t, c, "fine")
	want(t, "read", read(t, s, 4), "fine")
}

// Beyond the backlog diallers are refused, and those within are served.
func TestBacklog(t *testing.T) {
	a, b := pair(t, "memory")
	adv := unicast("s")
	l := a.listen(adv, ListenConfig{Backlog: 2})
	x, y := b.dial(adv, DialConfig{}), b.dial(adv, DialConfig{})
	_, err := b.s.Dial(t.Context(), adv)
	want(t, "refused", errors.Is(err, ErrRefused), true)
	want(t, "refused", a.s.Stats().RefusedFull, 1)
	_ = l.accept(t).Close()
	z := b.dial(adv, DialConfig{})
	_ = l.Close()
	_, err = l.Accept()
	want(t, "accept of a closed one", errors.Is(err, net.ErrClosed), true)
	for _, c := range []*Conn{x, y, z} { // one closed by its other side, two never accepted
		_, err := c.Read(make([]byte, 1))
		want(t, "read", err, io.EOF)
		_ = c.Close()
	}
	eventually(t, "forgotten", func() bool { return a.s.Stats().Open+b.s.Stats().Open == 0 })
}

func TestReliableOnly(t *testing.T) {
	a, b := pair(t, "memory")
	adv := unicast("s")
	a.listen(adv, ListenConfig{ReliableOnly: true})
	_, err := b.s.DialWith(t.Context(), adv, DialConfig{Unreliable: true})
	want(t, "refused", errors.Is(err, ErrRefused), true)
	_ = b.dial(adv, DialConfig{}).Close()
}

// Requests that are being answered are bounded, of one peer and of all together.
func TestHalfOpenBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := memory.New(memory.Config{})
		a := newNode(t, "a", nodeConfig{net: network})
		adv := unicast("s")
		free := make(chan struct{})
		var most, now atomic.Int32
		l := a.listen(adv, ListenConfig{Backlog: 1000, Check: func(context.Context, Request) error {
			most.Store(max(most.Load(), now.Add(1)))
			<-free
			now.Add(-1)
			return nil
		}})
		var diallers []*node
		for i := range 10 {
			diallers = append(diallers, newNode(t, fmt.Sprint("d", i), nodeConfig{net: network, near: []*node{a}}))
		}
		var wg sync.WaitGroup
		var opened atomic.Int32
		for _, d := range diallers {
			for range 10 {
				wg.Go(func() {
					c, err := d.s.DialWith(context.Background(), adv, DialConfig{Peer: a.id, Timeout: 2 * time.Second})
					if err == nil {
						opened.Add(1)
						_ = c.Close()
					}
				})
			}
		}
		time.Sleep(time.Second)
		want(t, "half open", a.s.Stats().HalfOpen, maxHalfOpen)
		close(free)
		wg.Wait()
		want(t, "most at a time", most.Load(), maxHalfOpen)
		if n := opened.Load(); n < maxHalfOpen { // the others came again
			t.Errorf("%d opened", n)
		}
		st := a.s.Stats()
		if st.DroppedOfPeer < 4 || st.DroppedHalfOpen < 4 {
			t.Errorf("%d dropped of one peer, %d of all", st.DroppedOfPeer, st.DroppedHalfOpen)
		}
		want(t, "half open", st.HalfOpen, 0)
		for range opened.Load() {
			_ = l.accept(t).Close()
		}
	})
}

// Many dials of one peer at a time come through, although only some are answered at
// once.
func TestDialMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := memory.New(memory.Config{})
		a := newNode(t, "a", nodeConfig{net: network})
		b := newNode(t, "b", nodeConfig{net: network, near: []*node{a}})
		adv := unicast("s")
		l := a.listen(adv, ListenConfig{Backlog: 1000, Check: func(context.Context, Request) error {
			time.Sleep(50 * time.Millisecond)
			return nil
		}})
		var wg sync.WaitGroup
		for range 40 {
			wg.Go(func() {
				c, err := b.s.Dial(t.Context(), adv)
				if err != nil {
					t.Error(err)
					return
				}
				_ = c.Close()
			})
		}
		wg.Wait()
		for range 40 {
			_ = l.accept(t).Close()
		}
		want(t, "connections", a.s.Stats().Accepted, 40)
	})
}

// A request that comes again while it is looked at is looked at once.
func TestRequestRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := memory.New(memory.Config{})
		a := newNode(t, "a", nodeConfig{net: network})
		b := newNode(t, "b", nodeConfig{net: network, near: []*node{a}})
		adv := unicast("s")
		var checks atomic.Int32
		l := a.listen(adv, ListenConfig{Check: func(context.Context, Request) error {
			checks.Add(1)
			time.Sleep(10 * time.Second)
			return nil
		}})
		c := b.dial(adv, DialConfig{Peer: a.id})
		want(t, "checks", checks.Load(), 1)
		_ = c.Close()
		_ = l.accept(t).Close()
		// Closing the listener ends what waits in Check.
		_, err := b.s.DialWith(t.Context(), adv, DialConfig{Timeout: time.Second})
		want(t, "too slow", errors.Is(err, context.DeadlineExceeded), true)
		_ = l.Close()
	})
}

// forge sends a message to a pipe of another node as if it came from this one.
func (n *node) forge(to *node, p id.Pipe, m *message.Message) {
	n.t.Helper()
	if err := n.s.scope.Send(n.t.Context(), to.id, pipeService, p.String(), m); err != nil {
		n.t.Fatal(err)
	}
}

// Handshakes that lie, or cannot be read, open nothing.
func TestHostileHandshakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := memory.New(memory.Config{})
		a := newNode(t, "a", nodeConfig{net: network})
		b := newNode(t, "b", nodeConfig{net: network, near: []*node{a}})
		adv := unicast("s")
		a.listen(adv, ListenConfig{})
		pipeAdv := unicast("mine")
		request := func(change func(h *hello)) *message.Message {
			h := &hello{Pipe: pipeAdv, Peer: b.adv, Stream: true}
			change(h)
			doc, err := advertisements.Marshal(h.Peer)
			if err != nil {
				t.Fatal(err)
			}
			m, err := h.message(doc)
			if err != nil {
				t.Fatal(err)
			}
			return m
		}
		fine := request(func(*hello) {})
		replaced := func(name, body string) *message.Message {
			m := fine.Clone()
			m.Replace(message.XML(namespace, name, []byte(body)))
			return m
		}
		bad := []*message.Message{
			message.New(message.Text("", "hello", "world")),
			control(elemClose, closeRequest),
			request(func(h *hello) { h.Peer = a.adv }), // in the name of another peer
			request(func(h *hello) { h.Pipe = named("mine", advertisements.UnicastSecure) }),
			request(func(h *hello) { h.Pipe = named("mine", advertisements.Propagate) }),
			replaced(elemRequest, "<x/>"),
			replaced(elemRequest, "no XML"),
			replaced(elemPeer, ""),
			replaced(elemCred, "<a"),
		}
		for i, m := range bad {
			b.forge(a, adv.ID, m)
			synctest.Wait()
			want(t, fmt.Sprint("malformed, message ", i), a.s.Stats().DroppedMalformed, i+1)
		}
		want(t, "open", a.s.Stats().Open, 0)
		b.forge(a, adv.ID, fine)
		synctest.Wait()
		want(t, "open", a.s.Stats().Open, 1)
		b.forge(a, adv.ID, fine) // the same again, as JXSE would not
		synctest.Wait()
		want(t, "open", a.s.Stats().Open, 1)
	})
}

// Answers and data of others than the listener are not taken.
func TestForeignMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := memory.New(memory.Config{})
		a := newNode(t, "a", nodeConfig{net: network})
		b := newNode(t, "b", nodeConfig{net: network, near: []*node{a}})
		e := newNode(t, "e", nodeConfig{net: network, near: []*node{a, b}})
		x, y := conns(t, a, b, "s", DialConfig{})
		defer y.Close()
		e.forge(b, x.local, control(elemClose, closeRequest))
		synctest.Wait()
		want(t, "foreign", b.s.Stats().DroppedForeign, 1)
		_ = e.s.note(t.Context(), noteReset, b.id, x.local, x.remote, false)
		synctest.Wait()
		write(t, x, "still open")
		want(t, "read", read(t, y, 10), "still open")
		want(t, "resets", b.s.Stats().ResetsReceived, 0)

		adv := unicast("slow")
		var asked atomic.Bool
		in, err := a.pipes.ListenWith(t.Context(), adv, pipe.ListenConfig{Handle: func(m pipe.Message) {
			h, err := readHello(m.Message, false, false)
			if err != nil || asked.Swap(true) {
				return
			}
			for i, h := range []*hello{
				{Answer: true, Pipe: h.Pipe, Peer: e.adv, Stream: true},
				{Answer: true, Pipe: named("mine", advertisements.UnicastSecure), Peer: a.adv, Stream: true},
				{Answer: true, Pipe: unicast("mine"), Peer: a.adv},
			} {
				doc, _ := advertisements.Marshal(h.Peer)
				answer, _ := h.message(doc)
				go func() {
					time.Sleep(time.Duration(i) * time.Second)
					a.forge(b, m2pipe(m), answer)
				}()
			}
		}})
		if err != nil {
			t.Fatal(err)
		}
		defer in.Close()
		before := b.s.Stats().DroppedMalformed
		_, err = b.s.Dial(t.Context(), adv)
		want(t, "a listener that offers less", errors.Is(err, errNotStream), true)
		want(t, "malformed", b.s.Stats().DroppedMalformed-before, 2)
		_ = x.Close()
	})
}

func m2pipe(m pipe.Message) id.Pipe {
	h, err := readHello(m.Message, false, false)
	if err != nil {
		return id.Pipe{}
	}
	return h.Pipe.ID
}

// On a secure pipe only what came encrypted from end to end counts.
func TestSecure(t *testing.T) {
	a, b := pair(t, "secure")
	adv := named("s", advertisements.UnicastSecure)
	l := a.listen(adv, ListenConfig{})
	c := b.dial(adv, DialConfig{})
	defer c.Close()
	s := l.accept(t)
	defer s.Close()
	want(t, "proven", c.Proven() && s.Proven(), true)
	write(t, c, "secret")
	want(t, "read", read(t, s, 6), "secret")
	a.ep.Deliver(endpoint.Incoming{
		Message: control(elemClose, closeRequest), From: b.id, Dest: endpoint.PeerAddress(a.id, pipeService, s.local.String()),
	}, true)
	want(t, "dropped", a.s.Stats().DroppedPlain, 1)
	write(t, c, "more")
	want(t, "read", read(t, s, 4), "more")
}

// A peer may dial itself.
func TestDialSelf(t *testing.T) {
	a, _ := pair(t, "memory")
	adv := unicast("s")
	l := a.listen(adv, ListenConfig{})
	x := a.dial(adv, DialConfig{})
	y := l.accept(t)
	var wg sync.WaitGroup
	wg.Go(func() { _, _ = io.Copy(x, &pattern{end: 1 << 20}); _ = x.Close() })
	got, err := io.ReadAll(y)
	want(t, "error", err, nil)
	wanted, _ := io.ReadAll(&pattern{end: 1 << 20})
	want(t, "equal", bytes.Equal(got, wanted), true)
	_ = y.Close()
	wg.Wait()
	eventually(t, "forgotten", func() bool { return a.s.Stats().Open == 0 })
}

// What is written to oneself without reliability is not read from the memory of the
// writer.
func TestUnreliableSelf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newNode(t, "a", nodeConfig{net: memory.New(memory.Config{})})
		x, y := conns(t, a, a, "s", DialConfig{Unreliable: true})
		buf := []byte("once")
		if _, err := x.Write(buf); err != nil {
			t.Fatal(err)
		}
		copy(buf, "then")
		want(t, "read", read(t, y, 4), "once")
		_ = x.Close()
		_ = y.Close()
	})
}
