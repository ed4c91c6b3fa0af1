package reliable

import (
	"encoding/binary"
	"strconv"
	"time"

	"github.com/juxta-p2p/juxta/core/message"
)

// departure is a block in the message that is just being sent.
type departure struct {
	n   uint64
	mem *message.Memory
}

// pump sends until there is nothing to send.
func (c *Conn) pump() {
	defer c.wg.Done()
	c.mu.Lock()
	for {
		now := c.now()
		m := c.compose(now)
		if m == nil {
			c.pumping = false
			w := c.settle(now)
			c.mu.Unlock()
			c.act(w)
			return
		}
		c.sending = true
		c.arm(now)
		c.mu.Unlock()

		err := c.send(m)

		c.mu.Lock()
		c.sending = false
		before := now
		now = c.now()
		c.departed(before, now, err)
	}
}

func (c *Conn) send(m *message.Message) error {
	if c.cfg.Send == nil {
		return errNoSend
	}
	return c.cfg.Send(c.ctx, m)
}

// compose makes the next message, or returns nil. The lock is held.
func (c *Conn) compose(now time.Duration) *message.Message {
	if c.err != nil || c.holdTill > now {
		return nil
	}
	c.elems, c.batch = c.elems[:0], c.batch[:0]
	if c.cfg.Mode == Java {
		// JXSE's own messages have one element beside `retry`.
		if c.in.due(now) {
			c.addAck(now)
		} else {
			c.addBlock(now)
		}
	} else {
		most := batchOctets
		if c.cfg.Batch != nil {
			most = min(most, c.cfg.Batch())
		}
		for octets := 0; len(c.batch) < batchBlocks; {
			size, ok := c.addBlock(now)
			if !ok {
				break
			}
			if octets += size; octets+c.following() > most {
				break
			}
		}
		if c.in.due(now) || len(c.elems) > 0 && c.in.dirty {
			c.addAck(now)
		}
		if c.out.ask {
			c.out.ask = false
			c.elems = append(c.elems, message.Element{Namespace: namespace, Name: nameRetry, Type: message.TypeText, Body: retryBody})
		}
	}
	if len(c.elems) == 0 {
		return nil
	}
	m := message.New(c.elems...)
	clear(c.elems)
	return m
}

// following returns the octets of the next block that may be sent for the first time.
func (c *Conn) following() int {
	if c.out.repeats > 0 || c.out.next == c.out.end {
		return 0
	}
	return len(c.out.at(c.out.next).body)
}

// addBlock adds the next block to the message, if one may go.
func (c *Conn) addBlock(now time.Duration) (octets int, ok bool) {
	n, ok := c.out.pick(now)
	if !ok {
		return 0, false
	}
	b := c.out.at(n)
	e := message.Element{Namespace: namespace, Name: strconv.FormatUint(n, 10), Type: typeBlock, Body: b.body}
	if b.last {
		e.Type = typeEnd
	}
	c.elems = append(c.elems, e)
	if b.tries > 1 && c.cfg.Mode == Java {
		c.elems = append(c.elems, message.Element{Namespace: namespace, Name: nameRetry, Type: message.TypeText, Body: retryBody})
	}
	if b.mem != nil {
		b.mem.Hold() // it may be acknowledged before Send is done with it
	}
	c.batch = append(c.batch, departure{n, b.mem})
	return len(b.body), true
}

// addAck adds an acknowledgement to the message.
func (c *Conn) addAck(now time.Duration) {
	var upTo uint64
	upTo, c.told = c.in.tell(now, c.told)
	c.ackBuf = appendAck(c.ackBuf[:0], c.cfg.Mode, upTo, c.told)
	if c.cfg.Mode == Java && c.cfg.Window > javaQueueLeast {
		for len(c.ackBuf) < 4*(1+javaThrottle) {
			c.ackBuf = binary.BigEndian.AppendUint32(c.ackBuf, uint32(upTo))
		}
	}
	c.elems = append(c.elems, message.Element{Namespace: namespace, Name: nameAck, Type: typeAck, Body: c.ackBuf})
	if c.cfg.Mode == Juxta {
		binary.BigEndian.PutUint64(c.winBuf[:], c.in.granted)
		c.elems = append(c.elems, message.Element{Namespace: namespace, Name: nameWin, Body: c.winBuf[:]})
	}
}

// departed takes note of the outcome of Send. The lock is held.
func (c *Conn) departed(before, now time.Duration, err error) {
	failed := err != nil
	for _, d := range c.batch {
		c.out.left(d.n, now, failed)
		if d.mem != nil {
			d.mem.Release()
		}
	}
	clear(c.batch)
	if c.err != nil {
		return
	}
	if !failed {
		c.holdFor = 0
		if now-before >= slowSend {
			c.out.held(now)
		}
		return
	}
	// Sent again after a while. An acknowledgement may have been in it.
	c.sendErrors++
	c.holdFor = min(max(firstHold, 2*c.holdFor), mostHold)
	c.holdTill = now + c.holdFor
	if c.in.received > 0 {
		c.in.dirty = true
		c.in.ackBy = min(c.in.ackBy, now)
	}
}
