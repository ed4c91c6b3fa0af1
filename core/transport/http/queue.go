package http

import (
	"context"
	"fmt"
	"sync"

	"github.com/juxta-p2p/juxta/core/endpoint"
)

// queue holds the messages of a link that wait for a request. Its methods are safe
// for concurrent use.
type queue struct {
	max int // octets of a message

	mu      sync.Mutex
	bodies  [][]byte
	bytes   int
	err     error // the link is closed
	changed chan struct{}
}

func newQueue(most int) *queue { return &queue{max: most, changed: make(chan struct{})} }

// wake tells everybody who waits. q.mu is held.
func (q *queue) wake() {
	close(q.changed)
	q.changed = make(chan struct{})
}

// put adds a message, when there is room.
func (q *queue) put(ctx context.Context, body []byte) error {
	if len(body) > q.max {
		return fmt.Errorf("http: a message of %d octets, the limit is %d", len(body), q.max)
	}
	for {
		q.mu.Lock()
		if q.err != nil {
			defer q.mu.Unlock()
			return fmt.Errorf("%w: %w", endpoint.ErrLinkClosed, q.err)
		}
		if len(q.bodies) == 0 || len(q.bodies) < maxQueued && q.bytes+len(body) <= maxQueuedBytes {
			q.bodies = append(q.bodies, append([]byte(nil), body...))
			q.bytes += len(body)
			q.wake()
			q.mu.Unlock()
			return nil
		}
		changed := q.changed
		q.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// first returns the first message without taking it, when there is one.
func (q *queue) first(ctx context.Context) ([]byte, error) {
	for {
		q.mu.Lock()
		body, err, changed := []byte(nil), q.err, q.changed
		if len(q.bodies) > 0 {
			body, err = q.bodies[0], nil
		}
		q.mu.Unlock()
		if body != nil || err != nil {
			return body, err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// taken removes the first message, which was sent.
func (q *queue) taken() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.bodies) > 0 {
		q.bytes -= len(q.bodies[0])
		q.bodies = q.bodies[1:]
		q.wake()
	}
}

// end closes the queue for a reason; the first one stays. It returns how many
// messages are lost, and false if it was closed before.
func (q *queue) end(err error) (lost int, first bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.err != nil {
		return 0, false
	}
	q.err = err
	lost = len(q.bodies)
	q.bodies, q.bytes = nil, 0
	q.wake()
	return lost, true
}

// empty waits until nothing is left, or ctx ends.
func (q *queue) empty(ctx context.Context) {
	for {
		q.mu.Lock()
		done, changed := len(q.bodies) == 0 || q.err != nil, q.changed
		q.mu.Unlock()
		if done {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}
