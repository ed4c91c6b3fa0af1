package http

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// conn is one end of a tunnel: a connection whose octets travel in requests and
// answers. What is written waits, with its place in the stream, until the other
// side has confirmed it; what came waits to be read.
type conn struct {
	local, remote net.Addr

	mu      sync.Mutex
	in      []byte // came and not yet read
	inAt    int64  // place behind in
	inEnd   bool   // the other side has closed
	out     []byte // written and not yet confirmed
	outAt   int64  // place of the first octet of out
	closing bool   // nothing more is written
	err     error  // the tunnel is dead
	changed chan struct{}

	readBy, writeBy time.Time
	heard           time.Time // when the other side was heard last
	onClose         func()
}

func newConn(local, remote net.Addr) *conn {
	return &conn{local: local, remote: remote, changed: make(chan struct{}), heard: time.Now()}
}

// wake tells everybody who waits that something has changed. c.mu is held.
func (c *conn) wake() {
	close(c.changed)
	c.changed = make(chan struct{})
}

// wait waits until something changes or the time is over. c.mu is held, and let go
// meanwhile.
func (c *conn) wait(by time.Time) {
	changed := c.changed
	c.mu.Unlock()
	defer c.mu.Lock()
	if by.IsZero() {
		<-changed
		return
	}
	timer := time.NewTimer(time.Until(by))
	defer timer.Stop()
	select {
	case <-changed:
	case <-timer.C:
	}
}

func over(by time.Time) bool { return !by.IsZero() && !time.Now().Before(by) }

// Read implements [net.Conn].
func (c *conn) Read(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		switch {
		case c.closing:
			return 0, net.ErrClosed
		case len(c.in) > 0:
			n := copy(b, c.in)
			c.in = c.in[n:]
			if len(c.in) == 0 {
				c.in = nil
			}
			c.wake()
			return n, nil
		case c.inEnd:
			return 0, io.EOF
		case c.err != nil:
			return 0, c.err
		case over(c.readBy):
			return 0, os.ErrDeadlineExceeded
		}
		c.wait(c.readBy)
	}
}

// Write implements [net.Conn]. Octets that found no room before the deadline are
// not written, and their number is told.
func (c *conn) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for {
		switch {
		case c.closing:
			return n, net.ErrClosed
		case c.err != nil:
			return n, c.err
		}
		if room := tunnelWindow - len(c.out); room > 0 && n < len(b) {
			part := min(room, len(b)-n)
			c.out = append(c.out, b[n:n+part]...)
			n += part
			c.wake()
		}
		if n == len(b) {
			return n, nil
		}
		if over(c.writeBy) {
			return n, os.ErrDeadlineExceeded
		}
		c.wait(c.writeBy)
	}
}

// Close implements [net.Conn]. What was written is still sent, for a moment.
func (c *conn) Close() error {
	c.mu.Lock()
	if c.closing {
		c.mu.Unlock()
		return nil
	}
	c.closing = true
	c.wake()
	f := c.onClose
	c.mu.Unlock()
	if f != nil {
		f()
	}
	return nil
}

// fail ends the tunnel for a reason.
func (c *conn) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.err = err
		c.wake()
	}
}

// LocalAddr implements [net.Conn].
func (c *conn) LocalAddr() net.Addr { return c.local }

// RemoteAddr implements [net.Conn].
func (c *conn) RemoteAddr() net.Addr { return c.remote }

// SetDeadline implements [net.Conn].
func (c *conn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// SetReadDeadline implements [net.Conn].
func (c *conn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.readBy = t
	c.wake()
	return nil
}

// SetWriteDeadline implements [net.Conn].
func (c *conn) SetWriteDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.writeBy = t
	c.wake()
	return nil
}

var (
	errGap    = errors.New("octets of the tunnel are missing")
	errSilent = errors.New("the other side of the tunnel is silent")
	errGone   = errors.New("the other side does not know the tunnel any more")
)

// took takes octets that came for a place in the stream. Those that are here
// already are passed over; it waits for room until the time is over, and reports
// up to which place all is here.
func (c *conn) took(at int64, b []byte, end bool, by time.Time) (int64, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.heard = time.Now()
	if at > c.inAt {
		return c.inAt, errGap
	}
	skip := min(c.inAt-at, int64(len(b)))
	b = b[skip:]
	for len(b) > 0 {
		if c.err != nil || c.closing { // nobody reads any more
			c.inAt += int64(len(b))
			break
		}
		if room := tunnelWindow - len(c.in); room > 0 {
			part := min(room, len(b))
			c.in = append(c.in, b[:part]...)
			c.inAt += int64(part)
			b = b[part:]
			c.wake()
			continue
		}
		if over(by) {
			return c.inAt, nil
		}
		c.wait(by)
	}
	if end && len(b) == 0 && !c.inEnd {
		c.inEnd = true
		c.wake()
	}
	return c.inAt, nil
}

// confirmed is told that the other side has all up to a place.
func (c *conn) confirmed(at int64) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.heard = time.Now()
	n := at - c.outAt
	if n < 0 {
		return nil // an old one
	}
	if n > int64(len(c.out)) {
		return errGap
	}
	if n > 0 {
		c.out = c.out[n:]
		if len(c.out) == 0 {
			c.out = nil
		}
		c.outAt = at
		c.wake()
	}
	return nil
}

// next returns octets to send from the first that is not confirmed, and their
// place. It waits for some until the time is over or the tunnel is dead. end tells
// that these are the last.
func (c *conn) next(by time.Time, buf []byte) (at int64, b []byte, end bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		if len(c.out) > 0 || c.closing || c.err != nil || over(by) {
			n := min(len(c.out), tunnelChunk)
			return c.outAt, append(buf[:0], c.out[:n]...), c.closing && n == len(c.out)
		}
		c.wait(by)
	}
}

// drained waits until all that was written is confirmed, or the time is over.
func (c *conn) drained(by time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.out) > 0 && c.err == nil && !over(by) {
		c.wait(by)
	}
}

// state tells whether the tunnel is dead, and since when it is silent.
func (c *conn) state() (err error, silent time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err, time.Since(c.heard)
}

var _ net.Conn = (*conn)(nil)
