package socket

import (
	"context"
	"io"
	"sync"
)

// loose is what an unreliable connection has received: some elements, beyond which
// what comes is dropped.
type loose struct {
	data chan struct{} // holds a token while something may be there

	mu    sync.Mutex
	queue [][]byte
	err   error // what comes behind the queue
}

func newLoose() *loose { return &loose{data: make(chan struct{}, 1)} }

// put adds an element. It reports false if there is no room.
func (l *loose) put(b []byte) bool {
	l.mu.Lock()
	ok := l.err == nil && len(l.queue) < looseQueue
	if ok {
		l.queue = append(l.queue, b)
	}
	l.mu.Unlock()
	l.wake()
	return ok
}

func (l *loose) wake() {
	select {
	case l.data <- struct{}{}:
	default:
	}
}

// take waits for an element.
func (l *loose) take(ctx context.Context) ([]byte, error) {
	for {
		l.mu.Lock()
		if len(l.queue) > 0 {
			b := l.queue[0]
			l.queue = l.queue[1:]
			l.mu.Unlock()
			return b, nil
		}
		err := l.err
		l.mu.Unlock()
		if err != nil {
			l.wake() // whoever reads next
			return nil, err
		}
		select {
		case <-l.data:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// finish says that nothing else comes.
func (l *loose) finish() {
	l.mu.Lock()
	if l.err == nil {
		l.err = io.EOF
	}
	l.mu.Unlock()
	l.wake()
}

// fail throws away what is there.
func (l *loose) fail(cause error) {
	l.mu.Lock()
	l.queue, l.err = nil, cause
	l.mu.Unlock()
	l.wake()
}
