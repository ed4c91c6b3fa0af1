// Package event spreads typed events from one owner to any number of readers.
//
// Guarantees: every reader sees the events published after it subscribed, in
// order of publication, except that a reader that lags more than [Buffer]
// events loses the oldest ones, which [Hub.Lost] counts. Publishing does not
// wait for readers. A watcher is called by the publisher itself, in the same
// order, and loses nothing.
package event

import (
	"context"
	"iter"
	"slices"
	"sync"
	"sync/atomic"
)

// Buffer is how many events a reader may lag.
const Buffer = 256

// Hub is where events of one type are published. The zero value is ready for
// use; all methods are safe for concurrent use. A hub needs no closing: readers
// end with their contexts.
type Hub[T any] struct {
	turn sync.Mutex // held while one event is given out; taken before mu

	mu       sync.Mutex
	readers  []*reader[T]
	watchers []*func(T) // replaced, never changed
	lost     atomic.Uint64
}

type reader[T any] struct {
	ctx   context.Context
	queue []T
	wake  chan struct{}
}

// Publish hands the event to every present reader and watcher.
func (h *Hub[T]) Publish(v T) {
	h.turn.Lock()
	defer h.turn.Unlock()
	for _, f := range h.queue(v) {
		(*f)(v)
	}
}

// queue gives the event to the readers and returns the watchers.
func (h *Hub[T]) queue(v T) []*func(T) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.sweep()
	for _, r := range h.readers {
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
	return h.watchers
}

// sweep forgets the readers that have ended. h.mu is held.
func (h *Hub[T]) sweep() {
	h.readers = slices.DeleteFunc(h.readers, func(r *reader[T]) bool { return r.ctx.Err() != nil })
}

// Watch has f called with each event published from now on, on the publishing
// goroutine, until stop is called; a call that is under way then may still end
// later. It costs no goroutine. f must not wait and must not publish to the hub.
func (h *Hub[T]) Watch(f func(T)) (stop func()) {
	mine := &f
	h.mu.Lock()
	defer h.mu.Unlock()
	h.watchers = append(slices.Clone(h.watchers), mine)
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.watchers = slices.DeleteFunc(slices.Clone(h.watchers), func(w *func(T)) bool { return w == mine })
	}
}

// Lost returns how many events readers have lost by lagging.
func (h *Hub[T]) Lost() uint64 { return h.lost.Load() }

// Subscribe returns the events published from now on, until ctx ends. Breaking
// out of the loop ends the subscription too. The sequence is single-use. It holds
// at most [Buffer] events; one that is never ranged over is freed when, after the
// end of ctx, the hub is used the next time.
func (h *Hub[T]) Subscribe(ctx context.Context) iter.Seq[T] {
	r := &reader[T]{ctx: ctx, wake: make(chan struct{}, 1)}
	h.mu.Lock()
	h.sweep()
	h.readers = append(h.readers, r)
	h.mu.Unlock()
	drop := func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.readers = slices.DeleteFunc(h.readers, func(o *reader[T]) bool { return o == r })
		r.queue = nil
	}
	return func(yield func(T) bool) {
		defer drop()
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
