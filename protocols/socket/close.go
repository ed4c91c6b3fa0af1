package socket

import (
	"context"
	"errors"
	"net"
	"time"

	"github.com/juxta-p2p/juxta/protocols/socket/reliable"
)

// CloseWrite ends writing: the other side reads [io.EOF] behind what was written,
// while this one goes on reading.
//
// JXSE knows no such thing, nor do unreliable connections: there the error wraps
// [ErrHalfClose], and nothing can be written any more, but only Close tells the
// other side.
func (c *Conn) CloseWrite() error {
	ctx := c.wr.wait()
	err := c.lockWrite(ctx)
	if err != nil {
		return c.opError("close", err)
	}
	defer c.unlockWrite()
	if c.rel != nil {
		err = c.rel.CloseWrite(ctx)
	}
	if c.rel == nil || errors.Is(err, reliable.ErrNoHalf) {
		err = ErrHalfClose
	}
	c.mu.Lock()
	c.writeShut = err == nil || err == ErrHalfClose
	c.mu.Unlock()
	if err == nil {
		return nil
	}
	if err != ErrHalfClose {
		err = c.writeError(ctx, err)
	}
	return c.opError("close", err)
}

// CloseRead ends reading: Read returns [io.EOF], and what the other side writes is
// taken and thrown away.
func (c *Conn) CloseRead() error {
	c.mu.Lock()
	first := !c.readShut && !c.closed
	c.readShut = true
	c.mu.Unlock()
	if !first {
		return nil
	}
	c.rd.end()
	if c.rel != nil {
		c.s.goTask(c.discard)
	}
	return nil
}

// discard reads what nobody wants, until the connection is over.
func (c *Conn) discard() {
	for {
		if _, err := c.rel.ReadBlock(c.over); err != nil {
			return
		}
	}
}

// Flush returns when everything that was written has arrived at the other side, or
// with ctx's cause. On an unreliable connection it returns at once.
func (c *Conn) Flush(ctx context.Context) error {
	if c.rel == nil {
		return nil
	}
	if err := c.rel.Flush(ctx); err != nil {
		return c.opError("flush", err)
	}
	return nil
}

// Close closes the connection. What was written still arrives, for which the
// connection lives on unseen for up to a minute; [Conn.Flush] before Close tells
// whether it did. What was not read is thrown away. The other side reads [io.EOF]
// behind what was written. Close returns at once and is idempotent.
func (c *Conn) Close() error {
	if !c.shut() {
		return nil
	}
	if c.quiet() || !c.s.goTask(c.linger) {
		c.drop(net.ErrClosed)
	}
	return nil
}

// shut ends reading and writing here, and reports whether it was the first to.
func (c *Conn) shut() bool {
	c.mu.Lock()
	first := !c.closed
	c.closed = true
	c.mu.Unlock()
	c.rd.end()
	c.wr.end()
	return first
}

// quiet reports whether nothing has to be sent before the connection is forgotten.
// If the other side has closed before, it is told that nothing else comes.
func (c *Conn) quiet() bool {
	if !c.up.Load() || c.over.Err() != nil {
		return true
	}
	c.mu.Lock()
	hungUp, broken := c.hungUp, c.broken
	c.mu.Unlock()
	if hungUp && c.juxta {
		c.s.noteSoon(noteReset, c.peer, c.remote, c.local, c.secure)
	}
	return hungUp || broken != nil
}

// linger sees to it that the other side gets what was written and learns of the end.
func (c *Conn) linger() {
	ctx, cancel := context.WithTimeout(c.s.ctx, giveUp)
	c.farewell(ctx)
	cancel()
	c.drop(net.ErrClosed)
}

// closeNow is Close for as long as ctx at the most, with the service.
func (c *Conn) closeNow(ctx context.Context) {
	if !c.shut() {
		select { // linger is at it
		case <-c.over.Done():
		case <-ctx.Done():
		}
	} else if !c.quiet() {
		c.farewell(ctx)
	}
	c.drop(net.ErrClosed)
}

// farewell waits until the other side has got everything, and tells it of the end.
func (c *Conn) farewell(ctx context.Context) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(c.over, func() { cancel(context.Cause(c.over)) })()
	switch {
	case c.rel == nil:
		var stop context.CancelFunc
		ctx, stop = context.WithTimeout(ctx, looseWait)
		defer stop()
	case c.juxta:
		// The end stands behind the data, so the other side may know at once: its
		// writers need not go on.
		if c.rel.CloseWrite(ctx) != nil {
			return
		}
	default:
		if c.rel.Flush(ctx) != nil {
			return
		}
		// JXSE keeps its link waiting for a minute if anything but this comes once
		// it has read it.
		c.cut.Store(true)
	}
	for pause := closeAgain; ; pause = min(2*pause, closeMost) {
		if err := c.path.Send(ctx, control(elemClose, closeRequest)); err != nil {
			c.s.log.Debug("closing a connection", "peer", c.peer.Short(), "error", err)
		} else if c.juxta && pause > closeAgain {
			_ = c.s.note(ctx, noteAsk, c.peer, c.remote, c.local, c.secure) // it may be gone
		}
		if c.settled(ctx, pause) || ctx.Err() != nil {
			return
		}
	}
}

// settled waits for some time until the other side has everything and has answered
// that it knows of the end.
func (c *Conn) settled(ctx context.Context, d time.Duration) bool {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	if c.rel != nil && c.rel.Flush(ctx) != nil {
		return false
	}
	select {
	case <-c.acked:
		return true
	case <-ctx.Done():
		return false
	}
}

// drop forgets the connection; nobody is told.
func (c *Conn) drop(cause error) {
	c.mu.Lock()
	first := !c.dropped
	c.dropped = true
	c.mu.Unlock()
	if !first {
		return
	}
	c.remove()
	if c.up.Load() {
		if c.rel != nil {
			c.rel.Abort(cause)
			_ = c.rel.Close() // waits
		} else {
			c.loose.fail(cause)
		}
	}
	c.endOver(cause)
	s := c.s
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.byLocal, c.local)
	if at := (Addr{c.peer, c.remote}); s.byEnd[at] == c {
		delete(s.byEnd, at)
		delete(s.byPeer[c.peer], c)
		if len(s.byPeer[c.peer]) == 0 {
			delete(s.byPeer, c.peer)
		}
	}
}
