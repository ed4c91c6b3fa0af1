package http

import (
	"context"
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
	onClose       func() // may be nil; set before the connection is used

	mu      sync.Mutex
	in      buffer // came and not yet read
	inAt    int64  // place behind in
	inEnd   bool   // the other side has closed
	out     buffer // written and not yet confirmed
	outAt   int64  // place of the first octet of out
	closing bool   // nothing more is written
	err     error  // the tunnel is dead
	changed chan struct{}
	waiting int // for changed

	readBy, writeBy time.Time
	heard           time.Time // when the other side was heard last
}

func newConn(local, remote net.Addr) *conn {
	return &conn{local: local, remote: remote, changed: make(chan struct{}), heard: time.Now()}
}

// wake tells everybody who waits that something has changed. c.mu is held.
func (c *conn) wake() {
	if c.waiting > 0 {
		c.waiting = 0
		close(c.changed)
		c.changed = make(chan struct{})
	}
}

// wait waits until something changes, the time is over, or done. c.mu is held, and
// let go meanwhile.
func (c *conn) wait(by time.Time, done <-chan struct{}) {
	var late <-chan time.Time
	if !by.IsZero() {
		timer := time.NewTimer(time.Until(by))
		defer timer.Stop()
		late = timer.C
	}
	c.waiting++
	changed := c.changed
	c.mu.Unlock()
	defer c.mu.Lock()
	select {
	case <-changed:
	case <-late:
	case <-done:
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
		case over(c.readBy):
			return 0, os.ErrDeadlineExceeded
		case c.in.size > 0:
			n := c.in.read(b)
			c.wake()
			return n, nil
		case c.inEnd:
			return 0, io.EOF
		case c.err != nil:
			return 0, c.err
		}
		c.wait(c.readBy, nil)
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
		case c.inEnd && c.in.size == 0:
			return n, errEnded
		case c.inEnd: // nobody takes it; but what came is still read
			return len(b), nil
		case over(c.writeBy):
			return n, os.ErrDeadlineExceeded
		}
		if room := tunnelWindow - c.out.size; room > 0 && n < len(b) {
			part := min(room, len(b)-n)
			c.out.write(b[n : n+part])
			n += part
			c.wake()
		}
		if n == len(b) {
			return n, nil
		}
		c.wait(c.writeBy, nil)
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
	c.in = buffer{} // nobody reads it any more
	c.wake()
	c.mu.Unlock()
	if c.onClose != nil {
		c.onClose()
	}
	return nil
}

// fail ends the tunnel for a reason; the first one stays.
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
	errEnded  = errors.New("the other side has closed the tunnel")
	errBroken = errors.New("the other side gave the tunnel up")
)

// took takes octets that came for a place in the stream. Those that are here
// already are passed over. It waits for room until the time is over, and returns
// up to which place all is here. Several may bring the same octets at once.
func (c *conn) took(at int64, b []byte, by time.Time) (int64, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.heard = time.Now()
	if at > c.inAt {
		return c.inAt, errGap
	}
	for end := at + int64(len(b)); c.inAt < end; {
		rest := b[c.inAt-at:]
		if c.err != nil || c.closing { // nobody reads any more
			c.inAt = end
			break
		}
		if room := tunnelWindow - c.in.size; room > 0 {
			part := min(room, len(rest))
			c.in.write(rest[:part])
			c.inAt += int64(part)
			c.wake()
			continue
		}
		if over(by) {
			break
		}
		c.wait(by, nil)
	}
	return c.inAt, nil
}

// ends is told that the other side has closed, having written up to a place.
func (c *conn) ends(at int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if at == c.inAt && !c.inEnd {
		c.inEnd = true
		c.outAt += int64(c.out.size) // nobody takes it
		c.out = buffer{}
		c.wake()
	}
}

// place is up to where all came.
func (c *conn) place() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.inAt
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
	if n > int64(c.out.size) {
		return errGap
	}
	if n > 0 {
		c.out.drop(int(n))
		c.outAt = at
		c.wake()
	}
	return nil
}

// part is octets to send.
type part struct {
	at   int64 // place of the first one
	body net.Buffers
	size int
	end  bool // these are the last
}

// next returns at most n octets to send, from the first that is not confirmed. It
// waits for some until the time is over, ctx ends, or the tunnel is dead.
func (c *conn) next(ctx context.Context, by time.Time, n int) part {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.out.size == 0 && !c.closing && c.err == nil && !over(by) && ctx.Err() == nil {
		c.wait(by, ctx.Done())
	}
	n = min(n, c.out.size)
	return part{c.outAt, c.out.peek(n), n, c.closing && n == c.out.size}
}

// drained waits until all that was written is confirmed and the other side has
// closed, too, or the time is over.
func (c *conn) drained(by time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for (c.out.size > 0 || !c.inEnd) && c.err == nil && !over(by) {
		c.wait(by, nil)
	}
}

// dead returns why the tunnel is dead, or nil.
func (c *conn) dead() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// silent is the time since the other side was heard.
func (c *conn) silent() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Since(c.heard)
}

var _ net.Conn = (*conn)(nil)
