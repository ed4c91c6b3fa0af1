package secure

import (
	"context"
	"errors"
	"sync"

	"github.com/juxta-p2p/juxta/core/message"
)

// errOver: the connection takes no more messages; there may be another one.
var errOver = errors.New("the connection is over")

// outbox holds the messages that wait to be encrypted, one behind the other.
type outbox struct {
	mu      sync.Mutex
	buf     []byte
	spare   []byte        // for the next buf
	n       uint64        // messages in buf
	writing uint64        // messages being encrypted
	queued  uint64        // messages taken ever
	done    uint64        // messages encrypted
	came    uint64        // messages acknowledged, as far as settled
	marks   []mark        // where in the stream they end, as far as not acknowledged
	closed  bool          // no more are taken
	moved   chan struct{} // closed when done moves; nil if nobody waits
	data    chan struct{} // a token while there may be something, or it is closed
	room    chan struct{} // a token while there may be room, or it is closed
}

// mark says that the first so many messages end there in the stream.
type mark struct{ messages, end uint64 }

func (o *outbox) init() { o.data, o.room = make(chan struct{}, 1), make(chan struct{}, 1) }

func token(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// put adds a message with the addresses; it waits for room until ctx ends. The
// error is errOver if the outbox is closed.
func (o *outbox) put(ctx context.Context, msg *message.Message, addrs [2]message.Element) error {
	size := msg.Size() + len(addrs[0].Body) + len(addrs[1].Body)
	for {
		full, err := o.try(msg, size, addrs)
		if !full {
			return err
		}
		select {
		case <-o.room:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (o *outbox) try(msg *message.Message, size int, addrs [2]message.Element) (full bool, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		token(o.room) // for the next who waits
		return false, errOver
	}
	if len(o.buf) > 0 && len(o.buf)+size > maxOutbox {
		return true, nil
	}
	if o.buf, err = msg.AppendTo(o.buf, addrs[:]...); err != nil {
		return false, err
	}
	o.n++
	o.queued++
	token(o.data)
	if len(o.buf) < maxOutbox {
		token(o.room)
	}
	return false, nil
}

// take waits for messages and returns them all. It returns nil when the outbox is
// closed and empty, or ctx ends.
func (o *outbox) take(ctx context.Context) []byte {
	for {
		o.mu.Lock()
		if o.n > 0 {
			b := o.buf
			o.buf, o.spare = o.spare[:0], nil
			o.writing, o.n = o.n, 0
			o.mu.Unlock()
			token(o.room)
			return b
		}
		closed := o.closed
		o.mu.Unlock()
		if closed {
			return nil
		}
		select {
		case <-o.data:
		case <-ctx.Done():
			return nil
		}
	}
}

// written notes that what take returned ends there in the stream, of which so much
// is acknowledged.
func (o *outbox) written(b []byte, end, acked uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.done += o.writing
	o.writing = 0
	if cap(b) <= 2*maxOutbox {
		o.spare = b[:0]
	}
	o.settle(acked)
	o.marks = append(o.marks, mark{o.done, end})
	if o.moved != nil {
		close(o.moved)
		o.moved = nil
	}
}

// settle forgets what is acknowledged. o.mu is held.
func (o *outbox) settle(acked uint64) {
	n := 0
	for n < len(o.marks) && o.marks[n].end <= acked {
		o.came = o.marks[n].messages
		n++
	}
	o.marks = append(o.marks[:0], o.marks[n:]...)
}

// close takes no more messages; those that are there are still sent.
func (o *outbox) close() {
	o.mu.Lock()
	o.closed = true
	o.mu.Unlock()
	token(o.data)
	token(o.room)
}

// unacknowledged counts the messages of which it is not known that they came.
func (o *outbox) unacknowledged(acked uint64) uint64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.settle(acked)
	return o.queued - o.came
}

// encrypted waits until all messages that are there now are in the stream, and
// returns where the last one ends.
func (o *outbox) encrypted(ctx, life context.Context) (end uint64, err error) {
	o.mu.Lock()
	goal := o.queued
	for {
		if o.done >= goal {
			if len(o.marks) > 0 {
				end = o.marks[len(o.marks)-1].end
			}
			o.mu.Unlock()
			return end, nil
		}
		if o.moved == nil {
			o.moved = make(chan struct{})
		}
		moved := o.moved
		o.mu.Unlock()
		select {
		case <-moved:
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		case <-life.Done():
			return 0, context.Cause(life)
		}
		o.mu.Lock()
	}
}
