package pipe

import (
	"context"
	"sync"
	"sync/atomic"
)

// queue is the bounded queue of an input pipe. One mutex guards it; data and
// space hold a token while somebody may have something to do.
type queue struct {
	maxLen   int
	maxBytes int64
	data     chan struct{} // a message may be there
	space    chan struct{} // there may be room
	done     chan struct{} // closed with closed

	mu      sync.Mutex
	ring    []queued
	first   int
	n       int
	bytes   int64
	stalled bool // waiting for room was in vain, and nothing was taken since
	closed  bool
	dropped uint64
	all     *atomic.Uint64 // dropped in all queues of the service
	taken   uint64
}

type queued struct {
	msg  Message
	size int64
}

func newQueue(maxLen int, maxBytes int64, all *atomic.Uint64) *queue {
	return &queue{
		all:    all,
		maxLen: maxLen, maxBytes: maxBytes,
		data: make(chan struct{}, 1), space: make(chan struct{}, 1), done: make(chan struct{}),
	}
}

func token(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// full reports whether a message of that size must wait. q.mu is held.
func (q *queue) full(size int64) bool {
	return q.n > 0 && (q.n >= q.maxLen || q.bytes+size > q.maxBytes)
}

// put adds a message, dropping the oldest ones if there is no room.
func (q *queue) put(m Message) {
	size := int64(m.Size())
	q.mu.Lock()
	q.push(m, size)
	q.mu.Unlock()
	token(q.data)
}

// putWait is put, but waits for room up to FullWait first.
func (q *queue) putWait(m Message) {
	size := int64(m.Size())
	q.mu.Lock()
	ok := !q.full(size) || q.stalled || q.closed
	if ok {
		q.push(m, size)
	}
	q.mu.Unlock()
	if !ok {
		ctx, cancel := context.WithTimeout(context.Background(), FullWait)
		defer cancel()
		if q.putBlock(ctx, m) {
			return
		}
		q.mu.Lock()
		q.stalled = q.full(size)
		q.push(m, size)
		q.mu.Unlock()
	}
	token(q.data)
}

// putBlock adds a message when there is room. It reports false if ctx ended or
// the queue was closed before.
func (q *queue) putBlock(ctx context.Context, m Message) bool {
	size := int64(m.Size())
	for {
		q.mu.Lock()
		closed, full := q.closed, q.full(size)
		if !closed && !full {
			q.push(m, size)
		}
		more := q.n < q.maxLen
		q.mu.Unlock()
		switch {
		case closed:
			return false
		case !full:
			token(q.data)
			if more {
				token(q.space) // for others who wait
			}
			return true
		}
		select {
		case <-q.space:
		case <-q.done:
		case <-ctx.Done():
			return false
		}
	}
}

// push adds a message and makes room for it. q.mu is held.
func (q *queue) push(m Message, size int64) {
	if q.closed {
		return
	}
	for q.full(size) {
		q.pop()
		q.dropped++
		q.all.Add(1)
	}
	if q.n == len(q.ring) {
		grown := make([]queued, min(max(2*len(q.ring), 16), max(q.maxLen, 1)))
		for i := range q.n {
			grown[i] = q.ring[(q.first+i)%len(q.ring)]
		}
		q.ring, q.first = grown, 0
	}
	q.ring[(q.first+q.n)%len(q.ring)] = queued{m, size}
	q.n++
	q.bytes += size
}

// pop removes the oldest message. q.mu is held and q.n is not 0.
func (q *queue) pop() Message {
	x := q.ring[q.first]
	q.ring[q.first] = queued{}
	q.first = (q.first + 1) % len(q.ring)
	q.n--
	q.bytes -= x.size
	return x.msg
}

// take waits for a message.
func (q *queue) take(ctx context.Context) (Message, error) {
	for {
		q.mu.Lock()
		if q.n > 0 && !q.closed {
			m := q.pop()
			more := q.n > 0
			q.taken++
			q.stalled = false
			q.mu.Unlock()
			token(q.space)
			if more {
				token(q.data) // for other readers
			}
			return m, nil
		}
		closed := q.closed
		q.mu.Unlock()
		if closed {
			return Message{}, ErrClosed
		}
		select {
		case <-q.data:
		case <-q.done:
		case <-ctx.Done():
			return Message{}, context.Cause(ctx)
		}
	}
}

// close drops what waits and wakes everybody. It reports whether it was open.
func (q *queue) close() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return false
	}
	q.closed = true
	q.ring, q.first, q.n, q.bytes = nil, 0, 0, 0
	close(q.done)
	return true
}
