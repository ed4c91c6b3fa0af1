package reliable

import (
	"context"

	"github.com/juxta-p2p/juxta/core/message"
)

// WriteBlock queues one block, which is copied, and has it sent. It waits for room;
// concurrent calls that wait are served one after the other. A nil error
// means that the block is on its way, not that it has arrived; see Flush. An
// empty block is not sent, since readers of JXSE take it for the end.
//
// The error is ErrClosed after CloseWrite, ErrTooLarge, ErrExhausted, ctx's cause or
// why the Conn broke; the block is not queued then.
func (c *Conn) WriteBlock(ctx context.Context, b []byte) error {
	if len(b) > MaxBlock {
		return ErrTooLarge
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	var mem *message.Memory
	if len(b) > slabBlock { // copied outside of the lock
		mem = message.NewMemory(len(b))
		b = mem.Bytes()[:copy(mem.Bytes(), b)]
	}
	err := c.write(ctx, b, mem, false)
	if err != nil && mem != nil {
		mem.Release()
	}
	return err
}

// CloseWrite ends this direction: in mode Juxta, ReadBlock of the other side gives
// io.EOF behind the last block. It waits only for writers that wait for room, and
// further calls do nothing. Flush waits until the end has arrived. In mode Java it is
// ErrNoHalf: the close message of the socket ends both directions there.
func (c *Conn) CloseWrite(ctx context.Context) error {
	if c.cfg.Mode == Java {
		return ErrNoHalf
	}
	err := c.write(ctx, nil, nil, true)
	if err == ErrClosed && c.broken() == nil {
		return nil
	}
	return err
}

// write queues a block, which lies in mem if that is not nil, or the end.
func (c *Conn) write(ctx context.Context, b []byte, mem *message.Memory, last bool) error {
	c.mu.Lock()
	if c.writers == 0 && c.writable(len(b), last) {
		w, err := c.queue(b, mem, last)
		c.mu.Unlock()
		c.act(w)
		return err
	}
	c.writers++
	c.mu.Unlock()
	w, err := c.writeInTurn(ctx, b, mem, last)
	c.act(w)
	return err
}

// writeInTurn is write for those that have to wait, one after the other.
func (c *Conn) writeInTurn(ctx context.Context, b []byte, mem *message.Memory, last bool) (wakes, error) {
	var err error
	select {
	case c.turn <- struct{}{}:
		err = c.awaitRoom(ctx, len(b), last)
		defer func() { <-c.turn }()
	case <-ctx.Done():
		err = context.Cause(ctx)
	case <-c.done:
		err = c.broken()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.writers--
	if err != nil {
		return wakes{}, err
	}
	return c.queue(b, mem, last)
}

// awaitRoom waits until a block of n octets can be written. As only one waits at a
// time, and others wait for their turn, it still can be when awaitRoom has returned.
func (c *Conn) awaitRoom(ctx context.Context, n int, last bool) error {
	for {
		c.mu.Lock()
		if c.writable(n, last) {
			c.mu.Unlock()
			return nil
		}
		c.need = n
		c.out.wantRoom()
		w := c.settle(c.now())
		c.mu.Unlock()
		c.act(w)
		select {
		case <-c.room:
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-c.done:
			return c.broken()
		}
	}
}

// queue queues a block, for which there is room, under the lock.
func (c *Conn) queue(b []byte, mem *message.Memory, last bool) (wakes, error) {
	if err := c.refusal(); err != nil {
		return wakes{}, err
	}
	if len(b) == 0 && !last {
		return wakes{}, nil
	}
	if mem == nil && !last {
		b, mem = c.inSlab(b)
	}
	c.out.push(b, mem, last)
	return c.settle(c.now()), nil
}

// refusal tells why nothing can be written, under the lock.
func (c *Conn) refusal() error {
	switch {
	case c.err != nil:
		return c.err
	case c.out.ended:
		return ErrClosed
	case c.out.end > c.out.highest:
		return ErrExhausted
	}
	return nil
}

// writable reports whether a writer of n octets, or of the end, need not wait.
func (c *Conn) writable(n int, last bool) bool {
	return last || c.out.hasRoom(n) || c.refusal() != nil
}

// inSlab copies a small block into shared memory.
func (c *Conn) inSlab(b []byte) ([]byte, *message.Memory) {
	if c.slab == nil || slabSize-c.slabAt < len(b) {
		c.dropSlab()
		c.slab = message.NewMemory(slabSize)
	}
	to := c.slab.Bytes()[c.slabAt : c.slabAt+len(b) : c.slabAt+len(b)]
	copy(to, b)
	c.slabAt += len(b)
	c.slab.Hold()
	return to, c.slab
}

func (c *Conn) dropSlab() {
	if c.slab != nil {
		c.slab.Release()
	}
	c.slab, c.slabAt = nil, 0
}

// Flush waits until everything written before is acknowledged, in mode Java that is
// until the reader of the other side has taken it. The error is ctx's cause or why
// the Conn broke.
func (c *Conn) Flush(ctx context.Context) error {
	c.mu.Lock()
	if c.err != nil {
		defer c.mu.Unlock()
		return c.err
	}
	if c.out.base == c.out.end {
		c.mu.Unlock()
		return nil
	}
	f := flush{c.out.end, make(chan struct{})}
	c.flushes = append(c.flushes, f)
	c.out.ask = c.cfg.Mode == Juxta
	w := c.settle(c.now())
	c.mu.Unlock()
	c.act(w)
	select {
	case <-f.done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-c.done:
		select {
		case <-f.done:
			return nil
		default:
		}
		return c.broken()
	}
}
