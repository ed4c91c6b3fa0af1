package quic

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	quicgo "github.com/quic-go/quic-go"
)

// conn is the one stream of a QUIC connection as a [net.Conn]. One goroutine may
// read and another write; the other methods may be called from any.
type conn struct {
	t       *Transport
	q       *quicgo.Conn
	s       *quicgo.Stream
	port    *port
	dialled bool
	remote  net.Addr      // asking the library is no good while a connection moves
	said    []byte        // the welcome, written already; the writer's
	reading chan struct{} // holds a token while a read is in flight
	writing chan struct{} // likewise
	done    chan struct{} // closed by Close

	mu     sync.Mutex
	local  net.Addr
	closed bool
	ended  bool // the other side has said all it wanted to
	moving bool
	linked bool // a link has come of it
}

func (t *Transport) newConn(q *quicgo.Conn, s *quicgo.Stream, p *port, local net.Addr) *conn {
	return &conn{
		t: t, q: q, s: s, port: p, local: local, remote: plainAddr(q.RemoteAddr()),
		reading: make(chan struct{}, 1), writing: make(chan struct{}, 1), done: make(chan struct{}),
	}
}

// PeerCertificate is the certificate of which the other side has shown that it holds
// the key.
func (c *conn) PeerCertificate() *x509.Certificate {
	if all := c.q.ConnectionState().TLS.PeerCertificates; len(all) > 0 {
		return all[0]
	}
	return nil
}

// FromListener reports whether the connection uses the port listened on.
func (c *conn) FromListener() bool { return c.port.listener != nil }

// isLinked marks a connection of which a link has come.
func (c *conn) isLinked() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.linked = true
}

// LocalAddr implements [net.Conn]. It changes when the connection moves.
func (c *conn) LocalAddr() net.Addr {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.local
}

// RemoteAddr implements [net.Conn]. It is the one at the beginning, also when the
// other side has moved.
func (c *conn) RemoteAddr() net.Addr { return c.remote }

// plainAddr prints an IPv4 address as such, whatever socket it was seen on.
func plainAddr(a net.Addr) net.Addr {
	if at := ipPortOf(a); at.IsValid() {
		return net.UDPAddrFromAddrPort(at)
	}
	return a
}

// ipPortOf is the IP address and port in a network address.
func ipPortOf(a net.Addr) netip.AddrPort {
	u, ok := a.(*net.UDPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	at := u.AddrPort()
	return netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
}

// Read implements [net.Conn].
func (c *conn) Read(b []byte) (int, error) {
	if !hold(c, c.reading) {
		return 0, c.failed("read", net.ErrClosed)
	}
	n, err := c.s.Read(b)
	<-c.reading
	if err == nil {
		return n, nil
	}
	return n, c.failed("read", err)
}

// failed gives an error the form that the stream knows from other connections.
func (c *conn) failed(op string, err error) error {
	c.mu.Lock()
	closed := c.closed
	if err == io.EOF {
		c.ended = true
	}
	c.mu.Unlock()
	switch {
	case closed:
		err = net.ErrClosed
	case err == io.EOF, errors.Is(err, os.ErrDeadlineExceeded):
		return err
	}
	return &net.OpError{Op: op, Net: Protocol, Addr: c.RemoteAddr(), Err: err}
}

var errGreeting = errors.New("quic: another welcome was sent than the stream wants")

// Write implements [net.Conn]. What comes first on an accepted connection is the
// welcome, which is written already.
func (c *conn) Write(b []byte) (int, error) {
	if said := c.said; said != nil {
		c.said = nil
		if !bytes.Equal(b, said) {
			return 0, errGreeting
		}
		return len(b), nil
	}
	if !hold(c, c.writing) {
		return 0, c.failed("write", net.ErrClosed)
	}
	n, err := c.s.Write(b)
	<-c.writing
	if err != nil {
		err = c.failed("write", err)
	}
	return n, err
}

// hold takes the token of a direction, unless the connection is closed.
func hold(c *conn, token chan struct{}) bool {
	c.mu.Lock()
	closed := c.closed
	c.mu.Unlock()
	if closed {
		return false
	}
	select {
	case token <- struct{}{}:
		return true
	case <-c.done:
		return false
	}
}

// SetDeadline implements [net.Conn].
func (c *conn) SetDeadline(d time.Time) error {
	_ = c.SetReadDeadline(d)
	return c.SetWriteDeadline(d)
}

// SetReadDeadline implements [net.Conn].
func (c *conn) SetReadDeadline(d time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return net.ErrClosed
	}
	return c.s.SetReadDeadline(d)
}

// SetWriteDeadline implements [net.Conn].
func (c *conn) SetWriteDeadline(d time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return net.ErrClosed
	}
	return c.s.SetWriteDeadline(d)
}

// Close implements [net.Conn]. For reading and writing the connection is closed when
// it returns; what was written goes on to the other side meanwhile, if that has not
// closed the connection itself.
func (c *conn) Close() error {
	past := time.Unix(1, 0)
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return nil
	}
	c.closed = true
	close(c.done)
	_ = c.s.SetReadDeadline(past)
	_ = c.s.SetWriteDeadline(past)
	ended := c.ended
	c.mu.Unlock()
	// Nobody waits for this but Close of the transport, which closes all links
	// before: the count cannot have fallen to zero.
	c.t.wg.Go(func() {
		if !ended {
			c.finish()
		}
		_ = c.q.CloseWithError(codeClosed, "")
		c.t.leave(c)
	})
	return nil
}

// finish waits until the other side has taken what was written, which it shows by
// closing the connection, or until it has been given time enough. QUIC would
// otherwise forget what is under way.
func (c *conn) finish() {
	c.writing <- struct{}{} // no write is in flight any more
	c.reading <- struct{}{} // nor a read
	_ = c.s.Close()
	linger := c.t.times.leave
	c.mu.Lock()
	if c.linked {
		linger = c.t.times.linger
	}
	c.mu.Unlock()
	_ = c.s.SetReadDeadline(time.Now().Add(linger))
	stop := context.AfterFunc(c.t.ctx, func() { _ = c.s.SetReadDeadline(time.Now().Add(c.t.times.leave)) })
	defer stop()
	buf := make([]byte, discardBuffer)
	for n := 0; n < maxDiscarded; {
		k, err := c.s.Read(buf)
		if err != nil {
			return
		}
		n += k
	}
	c.s.CancelRead(0) // whoever sends so much must learn that nobody reads
	timer := time.NewTimer(c.t.times.leave)
	defer timer.Stop()
	select {
	case <-c.q.Context().Done():
	case <-timer.C:
	}
}
