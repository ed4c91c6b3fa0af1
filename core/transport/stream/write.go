package stream

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/core/transport/framing"
)

// outgoing is a message to send: encoded already, or not yet.
type outgoing struct {
	body []byte
	msg  *message.Message
	tail message.Tail
	size int
	flow uint8
}

// addTo appends the frame of the message. The buffer is unchanged if it fails.
func (o *outgoing) addTo(f *frames) error {
	if o.msg == nil {
		f.add(o.body)
		return nil
	}
	start := len(f.b)
	b, err := o.msg.AppendWith(framing.AppendHeader(f.b, o.size), o.tail)
	if err == nil {
		err = o.took(len(b) - start)
	}
	if err != nil {
		return err
	}
	f.b = b
	f.n++
	return nil
}

// took checks how many octets the frame of the message has.
func (o *outgoing) took(octets int) error {
	if octets != framing.HeaderSize+o.size {
		return fmt.Errorf("stream: a message of %d octets took %d", o.size, octets-framing.HeaderSize)
	}
	return nil
}

// Send implements [endpoint.Link]. On a link at rest it writes inline, so that
// the message leaves without a change of goroutine. While a write is in flight it
// queues, and the next write takes all that is queued. It also queues when the
// last write ended only a moment ago: who sends small messages in a tight loop gets
// few large writes instead of many small ones.
func (l *link) Send(ctx context.Context, body []byte) error {
	return l.send(ctx, outgoing{body: body, size: len(body)})
}

// SendMessage implements [endpoint.MessageSender].
func (l *link) SendMessage(ctx context.Context, msg *message.Message, tail message.Tail) error {
	return l.send(ctx, outgoing{msg: msg, tail: tail, size: msg.Size() + tail.Size(), flow: tail.Flow()})
}

func (l *link) send(ctx context.Context, o outgoing) error {
	if o.size > l.s.cfg.MaxMessage {
		return fmt.Errorf("stream: %w: %d octets, this link takes %d", message.ErrTooLarge, o.size, l.s.cfg.MaxMessage)
	}
	waited := false
	l.mu.Lock()
	at := l.queue.of(o.flow)
	for l.err == nil && l.writing && at.frames != nil && at.size()+framing.HeaderSize+o.size > l.queue.most() {
		space := at.waiter()
		l.mu.Unlock()
		waited = true
		select {
		case <-space:
		case <-l.closed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		l.mu.Lock()
	}
	if l.err != nil {
		l.mu.Unlock()
		return l.closedError()
	}
	delay := false
	if !l.writing {
		now := time.Now()
		since := now.Sub(l.rested)
		switch {
		case o.tail.Many() && o.size <= maxSmall && l.s.spread.collects(now, o.msg):
			delay = true
		case l.paced != nil && o.size > minBatch:
		case o.tail.Many() || o.size > maxSmall || since > burstGap || l.heard.Load(): // what answers is not one of a burst
			l.writing = true
			l.heard.Store(false)
			l.mu.Unlock()
			return l.writeNow(now, &o)
		}
	}
	if err := l.queue.add(at, &o); err != nil {
		l.mu.Unlock()
		return err
	}
	start := !l.writing
	if start {
		l.writing = true
		l.flushers.Add(1)
		l.delayed, start = delay, !delay
	} else if l.delayed && !o.tail.Many() { // what is urgent does not wait
		l.delayed, start = false, true
	}
	if waited {
		at.signal() // there may be room for another one who waits
	}
	l.mu.Unlock()
	switch {
	case start:
		go l.flush(nil) // waited for by the reader before it reports the end
	case delay:
		l.s.spread.add(l)
	}
	return nil
}

// writeNow writes a message, and leaves to a flusher what the connection does
// not take at once, and what was queued meanwhile. The caller is the writer.
func (l *link) writeNow(now time.Time, o *outgoing) error {
	if l.once == nil {
		_ = l.c.SetWriteDeadline(now.Add(l.s.times.Inline))
	}
	rest, bad, err := l.writeOne(o)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = nil
	}
	l.mu.Lock()
	if err == nil && l.err == nil && (rest != nil || l.queue.used > 0 || l.sealed != nil) {
		l.flushers.Add(1)
		l.mu.Unlock()
		go l.flush(rest) // waited for by the reader before it reports the end
		return bad
	}
	l.rest()
	l.mu.Unlock()
	switch {
	case err != nil:
		l.fail(reason(err))
		return l.closedError()
	case rest != nil:
		return l.closedError()
	}
	return bad
}

// writeOne writes of one message what the connection takes at once: nothing of a large
// one that is passed on, of which the caller is to read the next. rest is what was not written,
// nil if nothing; it does not share memory with the message. bad is what is wrong
// with the message, of which nothing was written then.
func (l *link) writeOne(o *outgoing) (rest *frames, bad, err error) {
	f, bad := l.frame(o)
	switch {
	case bad != nil:
		return nil, bad, nil
	case f == nil:
		return nil, nil, net.ErrClosed
	case o.tail.Passing() && o.size > maxSmall:
		return f, nil, nil
	}
	var n int
	if l.once != nil {
		n, err = l.once.write(f.b)
	} else {
		n, err = l.c.Write(f.b)
	}
	if n == len(f.b) {
		f.free()
		return nil, nil, err
	}
	f.wrote(n)
	return f, nil, err
}

// frame makes of one message what goes over the connection; nil if it failed and is
// closed. bad is what is wrong with the message.
func (l *link) frame(o *outgoing) (f *frames, bad error) {
	if l.tls != nil && o.msg != nil && o.size >= minAround {
		return l.sealAround(o)
	}
	f = framesPool.Get().(*frames)
	if bad = o.addTo(f); bad != nil {
		f.free()
		return nil, bad
	}
	if l.tls != nil {
		f = l.seal(f)
	}
	return f, nil
}

// flush writes f, if any, and then what queued up, until nothing is left.
func (l *link) flush(f *frames) {
	defer l.flushers.Done()
	for {
		if f != nil {
			n, begun := len(f.b), time.Now()
			p := l.paced
			var err error
			if p != nil {
				err = l.writePaced(p, f.b)
			} else {
				err = l.writeAll(f.b)
			}
			if err != nil {
				l.s.stats.lost.Add(uint64(f.n))
				l.fail(reason(err))
			} else {
				f.free()
			}
			took := time.Since(begun)
			l.mu.Lock()
			if p != nil {
				l.unpace(p)
			} else if l.queue.wrote(n, took) {
				l.mu.Unlock()
				l.startPace()
				l.mu.Lock()
			}
		} else {
			l.mu.Lock()
		}
		if f = l.sealed; f != nil {
			l.sealed, l.answers = nil, 0
			l.mu.Unlock()
			continue
		}
		if f = l.queue.take(); f == nil || l.err != nil {
			l.rest()
			l.mu.Unlock()
			return
		}
		l.mu.Unlock()
		if l.tls != nil {
			f = l.seal(f)
		}
	}
}

// writeAll writes all of b. It fails when nothing moves for the write timeout.
func (l *link) writeAll(b []byte) error {
	for {
		_ = l.c.SetWriteDeadline(time.Now().Add(l.s.times.Write))
		n, err := l.c.Write(b)
		switch late := errors.Is(err, os.ErrDeadlineExceeded); {
		case late && n > 0:
			b = b[n:]
		case late:
			l.offend("links that take nothing")
			return fmt.Errorf("the other side took nothing for %v", l.s.times.Write)
		default:
			return err
		}
	}
}

// startPace begins to pace a connection that is slow, or about to be used. The
// caller is the writer, or the only one that knows the link.
func (l *link) startPace() {
	if l.once == nil || !l.unpaced.IsZero() && time.Since(l.unpaced) < paceRest {
		return
	}
	p := newPace(l.c)
	if p == nil {
		return
	}
	l.mu.Lock()
	l.paced, l.queue.batch = p, minBatch
	if p.far() {
		l.speed.CompareAndSwap(uint32(endpoint.Fast), uint32(endpoint.Untried))
	}
	l.mu.Unlock()
}

// unpace ends pacing if it is of no use any more. The caller is the writer, and holds
// l.mu.
func (l *link) unpace(p *pace) {
	fast, vain := p.over()
	switch {
	case fast:
		l.speed.Store(uint32(endpoint.Fast))
	case p.slow():
		l.speed.Store(uint32(endpoint.Slow))
	}
	if !fast && !vain {
		return
	}
	l.paced, l.queue.batch = nil, startBatch
	if vain {
		l.unpaced = time.Now()
	}
}

// writePaced writes all of b as the pace allows. It fails when nothing moves for the
// write timeout.
func (l *link) writePaced(p *pace, b []byte) error {
	moved := time.Now()
	for {
		if most := p.room(); most > 0 {
			n, err := l.once.write(b[:min(len(b), most)])
			if err != nil {
				return err
			}
			if b = b[n:]; len(b) == 0 {
				return nil
			}
			if n > 0 {
				moved = time.Now()
			}
		}
		if time.Since(moved) > l.s.times.Write {
			l.offend("links that take nothing")
			return fmt.Errorf("the other side took nothing for %v", l.s.times.Write)
		}
		look := time.NewTimer(paceLook)
		select {
		case <-look.C:
		case <-l.closed:
			look.Stop()
			return net.ErrClosed
		}
	}
}

// rest marks the end of writing. l.mu is held.
func (l *link) rest() {
	l.writing = false
	l.rested = time.Now()
	if l.idle != nil {
		close(l.idle)
		l.idle = nil
	}
}

var _ endpoint.MessageSender = (*link)(nil)
