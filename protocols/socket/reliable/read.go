package reliable

import (
	"context"
	"io"
	"sync/atomic"
	"time"

	"github.com/juxta-p2p/juxta/core/message"
)

// Block is a block that was received.
type Block struct {
	Body []byte // shares memory with the message it came in; read-only
	from *parcel
}

// Release says that Body is not used any more, so that its memory can be used again,
// if the message was handed in by TakeOver. It is never necessary, and to be called
// once at the most.
func (b Block) Release() {
	if b.from != nil {
		b.from.release()
	}
}

// parcel is a message that the Conn may release, and how many use it.
type parcel struct {
	m     *message.Message
	users atomic.Int32
}

func (p *parcel) release() {
	if p.users.Add(-1) == 0 {
		p.m.Release()
	}
}

// ReadBlock returns the next block in order, waiting for it. The memory is that of
// the message the block came in. Taking a block is what lets the other side send
// more.
//
// The error is io.EOF when the other side has ended and all is read, or End was
// called; ctx's cause if nothing is there to be read; or why the Conn broke, behind what had
// come before that unless it was aborted.
func (c *Conn) ReadBlock(ctx context.Context) ([]byte, error) {
	b, err := c.Receive(ctx)
	return b.Body, err
}

// Receive is ReadBlock for readers that give the memory back.
func (c *Conn) Receive(ctx context.Context) (Block, error) {
	for {
		c.mu.Lock()
		now := c.now()
		b, ok, err := c.next(now)
		if ok || err != nil {
			w := c.settle(now)
			c.mu.Unlock()
			c.act(w)
			return b, err
		}
		if ctx.Err() != nil {
			c.mu.Unlock()
			return Block{}, context.Cause(ctx)
		}
		c.readers++
		c.mu.Unlock()
		select {
		case <-c.arrived:
		case <-ctx.Done():
		case <-c.done:
		}
		c.mu.Lock()
		c.readers--
		c.mu.Unlock()
	}
}

// next takes what a reader gets, if there is anything. The lock is held.
func (c *Conn) next(now time.Duration) (Block, bool, error) {
	for {
		b, ok := c.in.take(now)
		switch {
		case ok && b.last:
			c.over = true
		case ok:
			return Block{b.body, b.from}, true, nil
		case c.over:
			return Block{}, false, io.EOF
		default:
			return Block{}, false, c.err
		}
	}
}

// Take hands in a received message. Its elements of namespace "jxtarel" are taken,
// however many, others ignored. It does not block. The memory of the
// bodies may be kept until the blocks are read.
func (c *Conn) Take(m *message.Message) { c.take(m, false) }

// TakeOver is Take of a message that nobody else uses: the Conn releases it when all that was
// taken from it has been read and released.
func (c *Conn) TakeOver(m *message.Message) { c.take(m, true) }

func (c *Conn) take(m *message.Message, own bool) {
	var from *parcel
	c.mu.Lock()
	if c.err == nil {
		now := c.now()
		for e := range m.All() {
			n, kept := c.takeElement(&e, now)
			if !kept || !own {
				continue
			}
			if from == nil {
				from = &parcel{m: m}
				from.users.Store(1) // ours
			}
			from.users.Add(1)
			c.in.at(n).from = from
		}
		if c.slab != nil && c.out.base == c.out.end {
			c.dropSlab()
		}
		w := c.settle(now)
		c.mu.Unlock()
		c.act(w)
	} else {
		c.mu.Unlock()
	}
	switch {
	case from != nil:
		from.release()
	case own:
		m.Release()
	}
}

// takeElement takes one element, and reports whether its body is kept.
func (c *Conn) takeElement(e *message.Element, now time.Duration) (n uint64, kept bool) {
	k := kindOf(e)
	switch {
	case k == foreign:
	case k == block || k == end && c.cfg.Mode == Juxta:
		n, ok := parseNumber(e.Name)
		if !ok || n > c.out.highest {
			c.malformed++
			return 0, false
		}
		if c.over && n > c.in.taken {
			c.in.refused++
			return 0, false
		}
		return n, c.in.put(n, e.Body, k == end, now)
	case k == ack:
		a, ok := parseAck(c.cfg.Mode, e.Body, c.spans)
		if !ok {
			c.malformed++
			return 0, false
		}
		if a.listed != nil {
			c.spans = a.listed[:0]
		}
		c.out.acknowledged(a, now)
	case c.cfg.Mode == Java: // retry says nothing that the number does not
	case k == retry:
		c.in.hurry(now)
	case k == win:
		limit, ok := parseWin(e.Body)
		if !ok {
			c.malformed++
			return 0, false
		}
		c.out.granted(limit, now)
	}
	return 0, false
}
