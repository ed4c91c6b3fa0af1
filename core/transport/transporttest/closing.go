package transporttest

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/juxta-p2p/juxta/core/endpoint"
)

// testDialErrors: the error tells the address and the phase.
func testDialErrors(t *testing.T, cfg Config) {
	a := start(t, cfg)
	bad := map[endpoint.Address]endpoint.Phase{
		cfg.Nobody(t):                         endpoint.PhaseConnect,
		{Protocol: "no-such", Host: "x:9701"}: endpoint.PhaseAddress,
	}
	for addr, phase := range cfg.Bad {
		bad[addr] = phase
	}
	for addr, phase := range bad {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		l, err := a.tr.Dial(ctx, addr)
		var de *endpoint.DialError
		if l != nil || !errors.As(err, &de) || de.Addr != addr || de.Phase != phase {
			t.Errorf("Dial(%s) returned %v, %v; want an error of phase %s", addr, l, err, phase)
		}
		cancel()
	}
}

// testDialCancelled: Dial ends with its context, before it and in it, and with
// the transport.
func testDialCancelled(t *testing.T, cfg Config) {
	a, b := start(t, cfg), start(t, cfg)
	check := func(l endpoint.Link, err, cause error) {
		t.Helper()
		var de *endpoint.DialError
		if l != nil || !errors.As(err, &de) || !errors.Is(err, cause) {
			t.Errorf("Dial returned %v, %v; want a *DialError of %v", l, err, cause)
		}
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errRefused)
	l, err := a.tr.Dial(ctx, b.addr())
	check(l, err, errRefused)
	b.allGone()

	if cfg.Silent == nil {
		t.Skip("the rest needs Config.Silent")
	}
	silent := cfg.Silent(t)
	ctx, cancel = context.WithCancelCause(t.Context())
	defer cancel(nil)
	time.AfterFunc(20*time.Millisecond, func() { cancel(errRefused) })
	l, err = a.tr.Dial(ctx, silent)
	check(l, err, errRefused)

	done := make(chan struct{})
	go func() {
		defer close(done)
		l, err := a.tr.Dial(t.Context(), silent)
		check(l, err, endpoint.ErrClosed)
	}()
	time.AfterFunc(20*time.Millisecond, func() { a.close() })
	within(t, done, "Dial to end with the transport")
	l, err = a.tr.Dial(t.Context(), b.addr())
	check(l, err, endpoint.ErrClosed)
}

func within(t *testing.T, done <-chan struct{}, what string) {
	t.Helper()
	select {
	case <-done:
	case <-time.After(patience):
		t.Fatalf("waited in vain for %s", what)
	}
}

// testDialAndClose: a transport that closes while it is being dialled leaves
// nothing behind, at either side.
func testDialAndClose(t *testing.T, cfg Config) {
	for range 5 {
		a, b := start(t, cfg), start(t, cfg)
		addr := b.addr()
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for range 50 {
					ctx, cancel := context.WithTimeout(context.Background(), patience)
					l, err := a.tr.Dial(ctx, addr)
					cancel()
					if err != nil {
						return
					}
					_ = l.Send(t.Context(), encode(t, "a", 1, 100))
				}
			})
		}
		b.link(3)
		b.close()
		wg.Wait()
		a.allGone()
		a.close()
	}
}

// testSendAfterClose: Send fails with ErrLinkClosed at once at the side that
// closed, and soon at the other; Close is idempotent.
func testSendAfterClose(t *testing.T, cfg Config) {
	a, b, ab, ba := pair(t, cfg)
	body := encode(t, "a", 1, 100)
	for range 2 {
		if err := ab.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
	if err := ab.Send(t.Context(), body); !errors.Is(err, endpoint.ErrLinkClosed) {
		t.Errorf("Send on a closed link returned %v", err)
	}
	a.gone(ab)
	b.gone(ba)
	if err := ba.Send(t.Context(), body); !errors.Is(err, endpoint.ErrLinkClosed) {
		t.Errorf("Send on a link closed by the other side returned %v", err)
	}
	if n := a.count() + b.count(); n != 0 {
		t.Errorf("%d messages arrived on a closed link", n)
	}
	_ = ba.Close()
}

// testCloseIsToldAfterMessages: what was sent before an orderly Close arrives.
func testCloseIsToldAfterMessages(t *testing.T, cfg Config) {
	const n = 20
	_, b, ab, ba := pair(t, cfg)
	for i := range n {
		send(t, ab, encode(t, "a", i, 1000))
	}
	_ = ab.Close()
	b.gone(ba)
	b.messages(n)
}

// newGate makes a gate to wait at, and what opens it, once or more often. Tests
// defer that, so that no transport hangs after they have failed.
func newGate() (gate chan struct{}, release func()) {
	gate = make(chan struct{})
	return gate, sync.OnceFunc(func() { close(gate) })
}

// testCloseWhileSending: whoever sends when a link is closed, from either side,
// gets an error and does not hang, even if nobody reads.
func testCloseWhileSending(t *testing.T, cfg Config) {
	for _, side := range []string{"sender closes", "receiver closes", "receiver closes, sender busy"} {
		t.Run(side, func(t *testing.T) {
			var once sync.Once
			reached, busy := make(chan struct{}), make(chan struct{})
			gate, release := newGate()
			defer release()
			a := start(t, cfg, func(s *station) {
				s.onReceive = func(endpoint.Link, []byte) error {
					close(busy)
					<-gate
					return nil
				}
			})
			b := start(t, cfg, func(s *station) {
				s.onReceive = func(endpoint.Link, []byte) error {
					once.Do(func() { close(reached) })
					<-gate
					return nil
				}
			})
			ab := a.dial(b)
			ba := b.link(1)
			if side == "receiver closes, sender busy" { // and does not read of it
				send(t, ba, encode(t, "b", 1, 1))
				within(t, busy, "a message")
			}
			body := encode(t, "a", 1, 64<<10)
			if err := fill(t, ab, func(int) []byte { return body }, nil); !errors.Is(err, errRefused) {
				t.Errorf("Send: %v", err)
			}
			within(t, reached, "a message")
			var wg sync.WaitGroup
			for range 4 {
				wg.Go(func() {
					for {
						if err := ab.Send(context.Background(), body); err != nil {
							if !errors.Is(err, endpoint.ErrLinkClosed) {
								t.Errorf("Send: %v", err)
							}
							return
						}
					}
				})
			}
			<-time.After(20 * time.Millisecond) // for them to wait; nothing tells that they do
			if side == "sender closes" {
				_ = ab.Close()
			} else {
				_ = ba.Close()
			}
			done := make(chan struct{})
			go func() { wg.Wait(); close(done) }()
			within(t, done, "senders to notice that the link is closed")
			release()
			a.allGone()
			b.allGone()
		})
	}
}

// testCloseInReceive: a handler may close its own link; nothing comes after.
func testCloseInReceive(t *testing.T, cfg Config) {
	a := start(t, cfg)
	b := start(t, cfg, func(s *station) {
		s.onReceive = func(l endpoint.Link, _ []byte) error { return l.Close() }
	})
	ab := a.dial(b)
	for i := range 50 {
		if ab.Send(t.Context(), encode(t, "a", i, 10)) != nil {
			break
		}
	}
	a.gone(ab)
	b.gone(b.link(1))
	b.messages(1)
}

// fill sends until Send waits, and then ends it by its context. It returns the
// error of that, and counts in sent, if not nil, what was sent before.
func fill(t *testing.T, l endpoint.Link, body func(n int) []byte, sent *int) error {
	t.Helper()
	octets := 0
	for n := 0; octets <= flood; n++ {
		b := body(n)
		ctx, cancel := context.WithTimeoutCause(t.Context(), 100*time.Millisecond, errRefused)
		err := l.Send(ctx, b)
		cancel()
		if err != nil {
			return err
		}
		octets += len(b)
		if sent != nil {
			*sent = n + 1
		}
	}
	t.Fatalf("%d MiB sent to a receiver that takes nothing, and Send does not wait", flood>>20)
	return nil
}

// testBackPressure: a receiver that takes nothing makes the sender wait, not
// longer than its context, and nothing that was sent gets lost or doubled.
func testBackPressure(t *testing.T, cfg Config) {
	gate, release := newGate()
	defer release()
	a := start(t, cfg)
	b := start(t, cfg, func(s *station) {
		s.onReceive = func(endpoint.Link, []byte) error { <-gate; return nil }
	})
	ab := a.dial(b)
	const size = 16 << 10
	sent := 0
	err := fill(t, ab, func(n int) []byte { return encode(t, "a", n, size) }, &sent)
	if !errors.Is(err, errRefused) {
		t.Fatalf("a waiting Send ended with %v, want the cause of its context", err)
	}
	// Others that wait go on when there is room, in any order among them.
	const waiters = 5
	var wg sync.WaitGroup
	for i := range waiters {
		wg.Go(func() { send(t, ab, encode(t, "waiter", i, size)) })
	}
	release()
	wg.Wait()
	seen := map[string]int{}
	for i, m := range b.messages(sent + waiters) {
		if i < sent && !bytes.Equal(m.body, encode(t, "a", i, size)) {
			t.Fatalf("message %d of %d is another one, or damaged", i, sent)
		}
		seen[string(m.body)]++
	}
	for i := range waiters {
		if seen[string(encode(t, "waiter", i, size))] != 1 {
			t.Errorf("the message of waiter %d came %d times", i, seen[string(encode(t, "waiter", i, size))])
		}
	}
}

// testOneSlowLink: a handler that takes its time stops its own link only.
func testOneSlowLink(t *testing.T, cfg Config) {
	reached := make(chan struct{})
	gate, release := newGate()
	defer release()
	var slow atomic.Value
	b := start(t, cfg, func(s *station) {
		s.onReceive = func(l endpoint.Link, _ []byte) error {
			if l.Peer() == slow.Load() {
				close(reached)
				<-gate
			}
			return nil
		}
	})
	a, c := start(t, cfg), start(t, cfg)
	slow.Store(a.id)
	send(t, a.dial(b), encode(t, "a", 1, 1))
	within(t, reached, "the first message")
	cb := c.dial(b)
	for i := range 10 {
		send(t, cb, encode(t, "c", i, 1))
	}
	b.messages(10) // all from c: those of a are not through yet
	release()
	b.messages(11)
}

// testMalformed: when Receive says that something was no message, the link ends.
func testMalformed(t *testing.T, cfg Config) {
	a := start(t, cfg)
	b := start(t, cfg, func(s *station) { s.onReceive = func(endpoint.Link, []byte) error { return errRefused } })
	ab := a.dial(b)
	for range 10 {
		if ab.Send(t.Context(), []byte("this is no message")) != nil {
			break
		}
	}
	b.gone(b.link(1))
	a.gone(ab)
	b.messages(1)
}

// testTransportClose: Close ends every link, dialled or accepted, in use or
// not, and returns when nothing of the transport is left. The other sides notice.
func testTransportClose(t *testing.T, cfg Config) {
	a, b, c := start(t, cfg), start(t, cfg), start(t, cfg)
	ab, ca := a.dial(b), c.dial(a)
	ac := a.link(2)
	links := []endpoint.Link{ab, ac, ca, b.link(1)}
	var wg sync.WaitGroup
	for _, l := range links {
		for range 2 {
			wg.Go(func() {
				for i := 0; ; i++ {
					if err := l.Send(context.Background(), encode(t, "x", i, i%5000)); err != nil {
						if !errors.Is(err, endpoint.ErrLinkClosed) {
							t.Errorf("Send: %v", err)
						}
						return
					}
				}
			})
		}
	}
	a.wait("traffic", func() bool { return len(a.all) > 50 })
	a.close()
	a.close()
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	within(t, done, "senders to notice")
	b.allGone()
	c.allGone()
	if l, err := a.tr.Dial(t.Context(), b.addr()); l != nil || !errors.Is(err, endpoint.ErrClosed) {
		t.Errorf("Dial after Close returned %v, %v", l, err)
	}
}

// testPlaceIsFreeAgain: after Close another may listen at the same place, even
// if there were links.
func testPlaceIsFreeAgain(t *testing.T, cfg Config) {
	if cfg.Again == nil {
		t.Skip("needs Config.Again")
	}
	a, b, _, _ := pair(t, cfg)
	addr := b.addr()
	b.close()
	a.allGone()
	tr, peer := cfg.Again(t, b.tr)
	again := cfg.station(t, tr, peer)
	again.start()
	if again.addr() != addr {
		t.Errorf("it listens on %s, want %s", again.addr(), addr)
	}
	send(t, a.dial(again), encode(t, "a", 1, 1))
	again.messages(1)
}
