package endpoint_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/transport/memory"
)

// TestDialOnce: callers that want the same address at once share an attempt, and
// later ones its link.
func TestDialOnce(t *testing.T) {
	bubble(t, memory.Config{Latency: 50 * time.Millisecond}, func(t *testing.T, net *memory.Network) {
		a, b := newPeer(t, net, "a"), newPeer(t, net, "b")
		var mu sync.Mutex
		got := map[endpoint.Link]int{}
		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() {
				l, err := a.Dial(t.Context(), b.addr.With("service", fmt.Sprint(i)))
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				got[l]++
			})
		}
		wg.Wait()
		first, err := a.Dial(t.Context(), b.addr)
		if err != nil || got[first] != 20 || a.Stats().LinksOpened != 1 || b.Stats().LinksOpened != 1 {
			t.Errorf("links %v, %v", got, err)
		}
		_ = first.Close()
		time.Sleep(time.Second)
		second, err := a.Dial(t.Context(), b.addr)
		if err != nil || second == first {
			t.Errorf("after the link was closed: %v, %v", second, err)
		}
	})
}

// TestDialContext: the attempt goes on as long as one of its callers waits.
func TestDialContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, w := newWire(t, endpoint.Config{})
		addr := endpoint.Address{Protocol: "wire", Host: "slow"}
		attempts, ended := 0, 0
		w.dial = func(ctx context.Context, addr endpoint.Address) (endpoint.Link, error) {
			attempts++
			select {
			case <-time.After(5 * time.Second):
				c := &cable{peer: bob, remote: addr, ours: true}
				return c, w.try(c)
			case <-ctx.Done():
				ended++
				return nil, context.Cause(ctx)
			}
		}
		cause := errors.New("enough")
		dial := func(patience time.Duration) error {
			ctx, cancel := context.WithTimeoutCause(t.Context(), patience, cause)
			defer cancel()
			_, err := e.Dial(ctx, addr)
			return err
		}
		var de *endpoint.DialError
		if err := dial(time.Second); !errors.Is(err, cause) || !errors.As(err, &de) || de.Addr != addr {
			t.Errorf("Dial returned %v", err)
		}
		synctest.Wait()
		if attempts != 1 || ended != 1 {
			t.Errorf("%d attempts, %d ended, when nobody waits any more", attempts, ended)
		}
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := dial(time.Second); !errors.Is(err, cause) {
				t.Errorf("Dial returned %v", err)
			}
		})
		wg.Go(func() {
			if err := dial(time.Minute); err != nil {
				t.Errorf("one who waits lost the attempt that another gave up: %v", err)
			}
		})
		wg.Wait()
		if attempts != 2 || ended != 1 {
			t.Errorf("%d attempts, %d ended", attempts, ended)
		}
		w.dial = func(ctx context.Context, _ endpoint.Address) (endpoint.Link, error) {
			<-ctx.Done()
			return nil, context.Cause(ctx)
		}
		addr.Host = "never"
		start := time.Now()
		if err := dial(time.Hour); err == nil || time.Since(start) != 10*time.Second {
			t.Errorf("an attempt took %v: %v", time.Since(start), err)
		}
	})
}

// TestDialSelf: an address of one's own is found out.
func TestDialSelf(t *testing.T) {
	bubble(t, memory.Config{}, func(t *testing.T, net *memory.Network) {
		a := newPeer(t, net, "a")
		_, err := a.Dial(t.Context(), a.addr)
		var de *endpoint.DialError
		if !errors.As(err, &de) || de.Phase != endpoint.PhaseIdentity || !errors.Is(err, endpoint.ErrSelf) {
			t.Errorf("the error is %v", err)
		}
		if len(a.Links()) != 0 {
			t.Error("a link to oneself")
		}
	})
}

// TestSimultaneousDials: two peers that dial each other at once keep both links,
// and both send on one of them.
func TestSimultaneousDials(t *testing.T) {
	bubble(t, memory.Config{Latency: 10 * time.Millisecond}, func(t *testing.T, net *memory.Network) {
		a, b := newPeer(t, net, "a"), newPeer(t, net, "b")
		boxes := []*inbox{listen(t, a.Scope(id.NetGroup), "x", ""), listen(t, b.Scope(id.NetGroup), "x", "")}
		for range 3 {
			var wg sync.WaitGroup
			for _, p := range [][2]*peer{{a, b}, {b, a}} {
				wg.Go(func() {
					if err := p[0].Scope(id.NetGroup).SendTo(t.Context(), p[1].addr, "x", "", text("x")); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			time.Sleep(time.Second)
		}
		for i, p := range []*peer{a, b} {
			boxes[i].want(t, "x", "x", "x")
			if len(p.Links()) != 2 || p.LinkTo([]*peer{b, a}[i].Peer()) == nil {
				t.Errorf("links %v", p.Links())
			}
		}
	})
}
