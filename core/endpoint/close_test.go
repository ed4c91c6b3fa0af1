package endpoint_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/transport/memory"
)

// TestClose leaves nothing, is idempotent, and ends all that waits.
func TestClose(t *testing.T) {
	bubble(t, memory.Config{}, func(t *testing.T, net *memory.Network) {
		a, b := newPeer(t, net, "a"), newPeer(t, net, "b")
		entered := make(chan struct{})
		if _, err := a.Scope(id.NetGroup).Handle("wait", "", func(ctx context.Context, _ endpoint.Incoming) {
			close(entered)
			<-ctx.Done()
			if !errors.Is(context.Cause(ctx), endpoint.ErrClosed) {
				t.Errorf("the context ended with %v", context.Cause(ctx))
			}
		}); err != nil {
			t.Fatal(err)
		}
		if err := b.Scope(id.NetGroup).SendTo(t.Context(), a.addr, "wait", "", text("x")); err != nil {
			t.Fatal(err)
		}
		<-entered
		net.Partition("nowhere")
		dialled := make(chan error, 1)
		go func() {
			_, err := a.Dial(t.Context(), endpoint.MustParseAddress("mem://nowhere"))
			dialled <- err
		}()
		synctest.Wait()
		for range 2 {
			if err := a.Close(); err != nil {
				t.Error(err)
			}
		}
		if err := <-dialled; !errors.Is(err, endpoint.ErrClosed) {
			t.Errorf("a waiting Dial ended with %v", err)
		}
		synctest.Wait()
		if len(a.Links())+len(b.Links()) != 0 {
			t.Error("links are left")
		}
		if _, err := a.Dial(t.Context(), b.addr); !errors.Is(err, endpoint.ErrClosed) {
			t.Errorf("Dial after Close: %v", err)
		}
		late := &closable{wire: &wire{}}
		if err := a.Add(late); !errors.Is(err, endpoint.ErrClosed) || !late.closed {
			t.Errorf("Add after Close: %v; the transport is closed: %t", err, late.closed)
		}
	})
}

// closable is a wire that knows whether it was closed, and may fail to start.
type closable struct {
	*wire
	closed  bool
	failing error
	begun   func()
}

func (c *closable) Start(h endpoint.Host) error {
	if c.begun != nil {
		c.begun()
	}
	if c.failing != nil {
		return c.failing
	}
	return c.wire.Start(h)
}

func (c *closable) Close() error { c.closed = true; return c.wire.Close() }

// TestAdd: a transport that cannot be started, or starts while the endpoint
// closes, is closed.
func TestAdd(t *testing.T) {
	e, _ := newWire(t, endpoint.Config{})
	bad := &closable{wire: &wire{}, failing: errors.New("no")}
	if err := e.Add(bad); !errors.Is(err, bad.failing) || !bad.closed || len(e.Transports()) != 1 {
		t.Errorf("Add: %v", err)
	}
	late := &closable{wire: &wire{}, begun: func() { _ = e.Close() }}
	if err := e.Add(late); !errors.Is(err, endpoint.ErrClosed) || !late.closed {
		t.Errorf("Add while closing: %v", err)
	}
	if err := late.try(&cable{peer: bob}); !errors.Is(err, endpoint.ErrClosed) {
		t.Errorf("a link after Close: %v", err)
	}
}

// TestCloseAcrossTransports: a handler that waits for a link of one transport does
// not keep another from closing.
func TestCloseAcrossTransports(t *testing.T) {
	bubble(t, memory.Config{}, func(t *testing.T, one *memory.Network) {
		two := memory.New(memory.Config{})
		a, b, c := newPeer(t, one, "a"), newPeer(t, one, "b"), newPeer(t, two, "c")
		if err := a.Add(two.Transport(memory.TransportConfig{Name: "a2"})); err != nil {
			t.Fatal(err)
		}
		gate := make(chan struct{})
		if _, err := c.Scope(id.NetGroup).Handle("x", "", func(context.Context, endpoint.Incoming) { <-gate }); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Dial(t.Context(), endpoint.MustParseAddress("mem://a2")); err != nil {
			t.Fatal(err)
		}
		back := a.LinkTo(c.Peer())
		if _, err := a.Scope(id.NetGroup).Handle("x", "", func(context.Context, endpoint.Incoming) {
			for { // until the link is closed, whatever the handler's context says
				if a.Scope(id.NetGroup).SendOn(context.Background(), back, "x", "", text("x")) != nil {
					return
				}
			}
		}); err != nil {
			t.Fatal(err)
		}
		if err := b.Scope(id.NetGroup).SendTo(t.Context(), a.addr, "x", "", text("x")); err != nil {
			t.Fatal(err)
		}
		synctest.Wait() // the handler waits for c, who takes nothing
		start := time.Now()
		if err := a.Close(); err != nil {
			t.Error(err)
		}
		if got := time.Since(start); got != 0 {
			t.Errorf("Close took %v", got)
		}
		close(gate)
	})
}
