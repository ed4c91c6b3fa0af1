package pipe

import (
	"context"
	"sync"
	"time"
)

// patience is a context that ends some time after somebody began to wait for
// its end: mostly nobody does, and then it costs no timer.
type patience struct {
	context.Context
	d time.Duration

	mu     sync.Mutex
	ctx    context.Context
	cancel context.CancelFunc
}

var patiences = sync.Pool{New: func() any { return new(patience) }}

func patient(ctx context.Context, d time.Duration) *patience {
	p := patiences.Get().(*patience)
	p.Context, p.d = ctx, d
	return p
}

// Done implements [context.Context].
func (p *patience) Done() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ctx == nil {
		p.ctx, p.cancel = context.WithTimeout(p.Context, p.d)
	}
	return p.ctx.Done()
}

// Err implements [context.Context].
func (p *patience) Err() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ctx == nil {
		return p.Context.Err()
	}
	return p.ctx.Err()
}

// stop frees what Done has made. The context must not be used after it.
func (p *patience) stop() {
	p.mu.Lock()
	cancel := p.cancel
	p.mu.Unlock()
	if cancel != nil {
		cancel()
		return
	}
	// Nobody has asked for its end, so nobody can still be waiting for it.
	p.Context = nil
	patiences.Put(p)
}
