package resolver

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
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
				for p.run(ctx, func(context.Context) {
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
		if p.run(t.Context(), func(context.Context) { t.Error("taken after close") }) {
			t.Error("a closed pool takes more")
		}
		callers.Wait()
	}
}
