// Package event spreads typed events from one owner to any number of readers.
//
// Guarantees: every reader sees the events published after it subscribed, in
// order of publication, except that a reader that lags more than [Buffer]
// events loses the oldest ones, which its owner can count. Publishing never
// waits.
package event

import (
	"context"
	"iter"
	"sync"
	"sync/atomic"
)

// Buffer is how many events a reader may lag.
const Buffer = 256

// Hub is where events of one type are published. The zero value is ready for
// use; all methods are safe for concurrent use. A hub needs no closing: readers
// end with their contexts.
type Hub[T any] struct {
	mu      sync.Mutex
	readers map[*reader[T]]struct{}
	lost    atomic.Uint64
}

type reader[T any] struct {
	queue []T
	wake  chan struct{}
}

// Publish hands the event to every present reader.
func (h *Hub[T]) Publish(v T) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for r := range h.readers {
		if len(r.queue) == Buffer {
			r.queue = r.queue[1:]
			h.lost.Add(1)
		}
		r.queue = append(r.queue, v)
		select {
		case r.wake <- struct{}{}:
		default:
		}
	}
}

// Lost returns how many events readers have lost by lagging.
func (h *Hub[T]) Lost() uint64 { return h.lost.Load() }

// Subscribe returns the events published from now on, until ctx ends. Breaking
// out of the loop ends the subscription too. The sequence is single-use; a
// sequence that is never ranged over is freed with ctx.
func (h *Hub[T]) Subscribe(ctx context.Context) iter.Seq[T] {
	r := &reader[T]{wake: make(chan struct{}, 1)}
	h.mu.Lock()
	if h.readers == nil {
		h.readers = map[*reader[T]]struct{}{}
	}
	h.readers[r] = struct{}{}
	h.mu.Unlock()
	drop := func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.readers, r)
	}
	stop := context.AfterFunc(ctx, drop)
	return func(yield func(T) bool) {
		defer drop()
		defer stop()
		for {
			h.mu.Lock()
			batch := r.queue
			r.queue = nil
			h.mu.Unlock()
			for _, v := range batch {
				if ctx.Err() != nil || !yield(v) {
					return
				}
			}
			if len(batch) > 0 {
				continue
			}
			select {
			case <-r.wake:
			case <-ctx.Done():
				return
			}
		}
	}
}
