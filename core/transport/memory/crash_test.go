package memory_test

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/transport/memory"
)

// TestCrash: the host is gone at once, the others find out one latency later, what
// it had sent arrives, and its name is free.
func TestCrash(t *testing.T) {
	bubble(t, memory.Config{Latency: 10 * time.Millisecond}, func(t *testing.T, net *memory.Network, a, b *host, ab, ba endpoint.Link) {
		now := func() time.Duration { return time.Since(a.start) }
		a.send(t, ab, "last words")
		b.send(t, ba, "never heard")
		crashed := now()
		if !net.Crash("A") || net.Crash("nobody") {
			t.Error("Crash does not tell hosts from others")
		}
		synctest.Wait()
		if s := a.seen(); !slices.Equal(s.closed, []time.Duration{crashed}) {
			t.Errorf("its own links closed at %v", s.closed)
		}
		if err := ab.Send(t.Context(), []byte("x")); !errors.Is(err, endpoint.ErrLinkClosed) {
			t.Errorf("Send returned %v", err)
		}
		if _, err := a.Dial(t.Context(), b.addr); !errors.Is(err, endpoint.ErrClosed) {
			t.Errorf("it dials: %v", err)
		}
		if n := len(b.seen().closed); n != 0 {
			t.Error("the other knows already")
		}
		pass(time.Second)
		if s := b.seen(); !slices.Equal(s.closed, []time.Duration{crashed + 10*time.Millisecond}) || !slices.Equal(s.bodies, []string{"last words"}) {
			t.Errorf("the other got %q and closed at %v", s.bodies, s.closed)
		}
		if len(a.seen().bodies) != 0 {
			t.Errorf("it got %q", a.seen().bodies)
		}
		var de *endpoint.DialError
		if _, err := b.Dial(t.Context(), a.addr); !errors.As(err, &de) || de.Phase != endpoint.PhaseConnect {
			t.Errorf("it can be dialled: %v", err)
		}
		again := start(t, net, memory.TransportConfig{Name: "a"})
		if err := a.Close(); err != nil { // does not take the name from who has it now
			t.Error(err)
		}
		if _, err := b.Dial(t.Context(), again.addr); err != nil {
			t.Error(err)
		}
	})
}

// TestCrashLetsDiallersGo: a host that crashes while it dials gives up at once.
func TestCrashLetsDiallersGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{Latency: time.Second})
		a, b := start(t, net, memory.TransportConfig{Name: "a"}), start(t, net, memory.TransportConfig{Name: "b"})
		time.AfterFunc(100*time.Millisecond, func() { net.Crash("a") })
		if _, err := a.Dial(t.Context(), b.addr); !errors.Is(err, endpoint.ErrClosed) || time.Since(a.start) != 100*time.Millisecond {
			t.Errorf("Dial ended after %v with %v", time.Since(a.start), err)
		}
		pass(time.Minute)
		if len(b.links) != 0 {
			t.Error("there is a link")
		}
	})
}
