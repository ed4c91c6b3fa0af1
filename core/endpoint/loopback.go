package endpoint

import (
	"fmt"
	"sync"
)

// loopback delivers messages of the peer to itself, in order, on one goroutine
// that lives only while there are any.
type loopback struct {
	mu      sync.Mutex
	queue   []Incoming
	running bool
	closed  bool
	wg      sync.WaitGroup
}

// put queues a message. It fails when the queue is full or the endpoint closed.
func (lb *loopback) put(e *Endpoint, in Incoming) error {
	lb.mu.Lock()
	defer lb.mu.Unlock()
	if lb.closed {
		return fmt.Errorf("endpoint: %w", ErrClosed)
	}
	if len(lb.queue) >= maxLoopback {
		e.stats.selfFull.Add(1)
		return fmt.Errorf("endpoint: %w", ErrQueueFull)
	}
	lb.queue = append(lb.queue, in)
	if !lb.running {
		lb.running = true
		lb.wg.Go(func() { lb.run(e) })
	}
	return nil
}

func (lb *loopback) run(e *Endpoint) {
	for {
		lb.mu.Lock()
		if len(lb.queue) == 0 || lb.closed {
			e.stats.selfClosed.Add(uint64(len(lb.queue)))
			lb.running, lb.queue = false, nil
			lb.mu.Unlock()
			return
		}
		in := lb.queue[0]
		lb.queue[0] = Incoming{} // not to be kept alive by the array
		lb.queue = lb.queue[1:]
		lb.mu.Unlock()
		e.Deliver(in, true)
	}
}

// close refuses what comes and returns when nothing is being delivered any more.
func (lb *loopback) close() {
	lb.mu.Lock()
	lb.closed = true
	lb.mu.Unlock()
	lb.wg.Wait()
}
