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
	credit
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
	x := queued{msg: m, size: int64(m.Size())}
	q.mu.Lock()
	gone := q.push(x)
	q.mu.Unlock()
	token(q.data)
	leave(gone)
}

// putFree adds a message that its sender was free to send: there is room for it.
func (q *queue) putFree(m Message, c credit) {
	x := queued{msg: m, size: int64(m.Size()), credit: c}
	q.mu.Lock()
	var gone []queued
	if q.closed {
		gone = []queued{x}
	} else {
		q.append(x)
	}
	q.mu.Unlock()
	token(q.data)
	leave(gone)
}

// putWait is put, but waits for room up to FullWait first.
func (q *queue) putWait(m Message, c credit) {
	x := queued{msg: m, size: int64(m.Size()), credit: c}
	q.mu.Lock()
	var gone []queued
	ok := !q.full(x.size) || q.stalled || q.closed
	if ok {
		gone = q.push(x)
	}
	q.mu.Unlock()
	if !ok {
		ctx, cancel := context.WithTimeout(context.Background(), FullWait)
		defer cancel()
		if q.putBlock(ctx, x) {
			return
		}
		q.mu.Lock()
		q.stalled = q.full(x.size)
		gone = q.push(x)
		q.mu.Unlock()
	}
	token(q.data)
	leave(gone)
}

// leave tells the flows of messages that were dropped.
func leave(gone []queued) {
	for _, x := range gone {
		x.leave(dropped)
	}
}

// putBlock adds a message when there is room. It reports false if ctx ended or
// the queue was closed before.
func (q *queue) putBlock(ctx context.Context, x queued) bool {
	for {
		q.mu.Lock()
		closed, full := q.closed, q.full(x.size)
		if !closed && !full {
			q.append(x)
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

// push adds a message and makes room for it. It returns what was dropped. q.mu is
// held.
func (q *queue) push(x queued) (gone []queued) {
	if q.closed {
		return []queued{x}
	}
	for q.full(x.size) {
		gone = append(gone, q.pop())
		q.dropped++
		q.all.Add(1)
	}
	q.append(x)
	return gone
}

// append adds a message. q.mu is held.
func (q *queue) append(x queued) {
	if q.n == len(q.ring) {
		grown := make([]queued, max(2*len(q.ring), 16))
		for i := range q.n {
			grown[i] = q.ring[(q.first+i)%len(q.ring)]
		}
		q.ring, q.first = grown, 0
	}
	q.ring[(q.first+q.n)%len(q.ring)] = x
	q.n++
	q.bytes += x.size
}

// pop removes the oldest message. q.mu is held and q.n is not 0.
func (q *queue) pop() queued {
	x := q.ring[q.first]
	q.ring[q.first] = queued{}
	q.first = (q.first + 1) % len(q.ring)
	q.n--
	q.bytes -= x.size
	return x
}

// take waits for a message.
func (q *queue) take(ctx context.Context) (Message, error) {
	for {
		q.mu.Lock()
		if q.n > 0 && !q.closed {
			x := q.pop()
			more := q.n > 0
			q.taken++
			q.stalled = false
			q.mu.Unlock()
			token(q.space)
			if more {
				token(q.data) // for other readers
			}
			x.leave(delivered)
			return x.msg, nil
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
	if q.closed {
		q.mu.Unlock()
		return false
	}
	q.closed = true
	var gone []queued
	for q.n > 0 {
		gone = append(gone, q.pop())
	}
	q.ring, q.first, q.bytes = nil, 0, 0
	close(q.done)
	q.mu.Unlock()
	leave(gone)
	return true
}
