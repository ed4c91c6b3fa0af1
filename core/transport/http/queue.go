package http

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/juxta-p2p/juxta/core/endpoint"
)

// queue holds the messages of a link that wait for a request. Its methods are safe
// for concurrent use; one at a time takes from it.
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

// put adds a message, of which it keeps a copy, when there is room.
func (q *queue) put(ctx context.Context, body []byte) error {
	if len(body) > q.max {
		return fmt.Errorf("http: a message of %d octets, the limit is %d", len(body), q.max)
	}
	for {
		q.mu.Lock()
		if err := q.err; err != nil {
			q.mu.Unlock()
			if errors.Is(err, endpoint.ErrLinkClosed) {
				return err
			}
			return fmt.Errorf("%w: %w", endpoint.ErrLinkClosed, err)
		}
		if len(q.bodies) == 0 || len(q.bodies) < maxQueued && q.bytes+len(body) <= maxQueuedBytes {
			q.bodies = append(q.bodies, bytes.Clone(body))
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

var errNothing = errors.New("nothing came in time")

// first returns the first message without taking it, as soon as there is one. It
// waits until the time is over, if that is not zero, or ctx ends.
func (q *queue) first(ctx context.Context, by time.Time) ([]byte, error) {
	var late <-chan time.Time
	if !by.IsZero() {
		timer := time.NewTimer(time.Until(by))
		defer timer.Stop()
		late = timer.C
	}
	for {
		q.mu.Lock()
		var body []byte
		n, err, changed := len(q.bodies), q.err, q.changed
		if n > 0 {
			body = q.bodies[0]
		}
		q.mu.Unlock()
		switch {
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case n > 0 || err != nil:
			return body, err
		}
		select {
		case <-changed:
		case <-late:
			return nil, errNothing
		case <-ctx.Done():
		}
	}
}

// taken removes the first message, which was sent.
func (q *queue) taken() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.bodies) > 0 {
		q.bytes -= len(q.bodies[0])
		q.bodies[0] = nil
		q.bodies = q.bodies[1:]
		q.wake()
	}
}

// end closes the queue for a reason; the first one stays. It returns how many
// messages are lost.
func (q *queue) end(err error) (lost int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.err != nil {
		return 0
	}
	q.err = err
	lost = len(q.bodies)
	q.bodies, q.bytes = nil, 0
	q.wake()
	return lost
}

// drain waits until nothing is left, or the time is over.
func (q *queue) drain(by time.Time) {
	timer := time.NewTimer(time.Until(by))
	defer timer.Stop()
	for {
		q.mu.Lock()
		done, changed := len(q.bodies) == 0 || q.err != nil, q.changed
		q.mu.Unlock()
		if done {
			return
		}
		select {
		case <-changed:
		case <-timer.C:
			return
		}
	}
}
