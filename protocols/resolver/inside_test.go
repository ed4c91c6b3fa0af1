package resolver

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/juxta-p2p/juxta/core/id"
)

// TestClosedPoolTakesNothing: what comes while a pool closes is done before close
// returns, or refused; under the race detector also that both may happen at once.
func TestClosedPoolTakesNothing(t *testing.T) {
	for range 200 {
		p := pool{workers: 2}
		ctx, cancel := context.WithCancel(t.Context())
		var closed atomic.Bool
		var callers sync.WaitGroup
		for range 4 {
			callers.Go(func() {
				for p.run(ctx, 1, func(context.Context) {
					if closed.Load() {
						t.Error("ran after close")
					}
				}) {
					if ctx.Err() != nil {
						return
					}
				}
			})
		}
		cancel()
		p.close()
		closed.Store(true)
		if p.run(t.Context(), 1, func(context.Context) { t.Error("taken after close") }) {
			t.Error("a closed pool takes more")
		}
		callers.Wait()
	}
}

// What waits is bounded in octets as well as in number.
func TestPoolIsBoundedInOctets(t *testing.T) {
	p := pool{workers: 1}
	hold := make(chan struct{})
	began := make(chan struct{})
	p.run(t.Context(), maxWaitingBytes, func(context.Context) { close(began); <-hold })
	<-began
	if !p.run(t.Context(), maxWaitingBytes-1, func(context.Context) {}) || !p.run(t.Context(), 1, func(context.Context) {}) {
		t.Error("refused although there is room")
	}
	if p.run(t.Context(), 1, func(context.Context) {}) {
		t.Error("taken although there is none")
	}
	close(hold)
	p.close()
	if p.bytes != 0 {
		t.Errorf("%d octets left", p.bytes)
	}
}

// The oldest queries are forgotten when too many come, and counted.
func TestMemoryIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &Service{}
		first := &RawQuery{ID: 1}
		s.remember(first)
		for i := range maxRemembered {
			s.remember(&RawQuery{ID: int32(i + 2)})
		}
		if n := s.stats.forgotten.Load(); n != 1 || len(s.memory.known) != maxRemembered || len(s.memory.order) != maxRemembered {
			t.Errorf("%d forgotten, %d and %d left", n, len(s.memory.known), len(s.memory.order))
		}
		if s.remember(&RawQuery{ID: 1}); s.stats.repeated.Load() != 0 {
			t.Error("the first one is remembered, though there was no room")
		}
		if s.remember(&RawQuery{ID: 3}); s.stats.repeated.Load() != 1 {
			t.Error("a later one is not remembered")
		}
		time.Sleep(rememberFor)
		if s.remember(first); len(s.memory.known) != 1 || s.stats.forgotten.Load() != 2 {
			t.Errorf("%d after their time, %d forgotten", len(s.memory.known), s.stats.forgotten.Load())
		}
		m := &memo{}
		for range maxTold {
			if first, room := m.tell(id.NewPeer(id.NetGroup)); !first || !room {
				t.Fatal("not told")
			}
		}
		if first, room := m.tell(id.NewPeer(id.NetGroup)); first || room {
			t.Error("more peers than are remembered")
		}
	})
}
