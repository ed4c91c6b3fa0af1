package tcp

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/transport/framing"
)

// link is one TCP connection after its welcomes. It implements [endpoint.Link].
type link struct {
	t      *Transport
	c      net.Conn
	br     *bufio.Reader
	peer   id.Peer
	local  endpoint.Address
	remote endpoint.Address
	dialed bool
	juxta  bool
	ip     string // set for accepted links, for the per-host limit

	mu       sync.Mutex
	writing  bool
	queue    []byte        // framed messages behind the write in flight
	queued   int           // their number
	spare    []byte        // the other buffer of the pair
	space    chan struct{} // receives a token when queue was taken
	idle     chan struct{} // closed when writing ends, if somebody waits
	err      error         // why the link is closed
	closed   chan struct{}
	flushers sync.WaitGroup
}

// mark is what a Juxta acceptor writes behind the dialler's address in its
// welcome. JXSE reads it as a service name and does not look at it.
const mark = "juxta"

// handshake exchanges the welcome lines; target is zero for an accepted
// connection.
func (t *Transport) handshake(ctx context.Context, c net.Conn, target endpoint.Address) (*link, error) {
	deadline := time.Now().Add(welcomeTimeout)
	if d, ok := ctx.Deadline(); ok && d.Before(deadline) {
		deadline = d
	}
	_ = c.SetDeadline(deadline)
	stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Now()) })
	defer stop()

	l := &link{
		t: t, c: c, br: bufio.NewReaderSize(c, readBuffer), local: t.local(c), dialed: !target.IsZero(),
		space: make(chan struct{}, 1), closed: make(chan struct{}),
	}
	mine := framing.Welcome{Dest: target.Base(), Public: l.local, Peer: t.host.Peer}
	if !l.dialed {
		mine.Dest = endpoint.Address{Protocol: Protocol, Host: c.RemoteAddr().String(), Service: mark, Param: "1"}
	}
	if _, err := c.Write(mine.AppendTo(nil)); err != nil {
		return nil, fmt.Errorf("sending the welcome: %w", reason(err))
	}
	theirs, err := framing.ReadWelcome(l.br)
	if err != nil {
		t.stats.badWelcome.Add(1)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			err = errSilent
		}
		return nil, err
	}
	_ = c.SetDeadline(time.Time{})
	l.peer = theirs.Peer
	l.remote = theirs.Public
	if l.dialed {
		l.remote = target.Base()
		l.juxta = theirs.Dest.Service == mark
	}
	if tc, ok := c.(*net.TCPConn); ok && !l.dialed {
		_ = tc.SetKeepAliveConfig(keepAlive)
		setUserTimeout(tc)
	}
	return l, nil
}

var errSilent = fmt.Errorf("the other side sent no welcome within %v", welcomeTimeout)

// local is the address to go by: the first public one, or where the connection
// is bound with port 0 when nobody can dial this peer.
func (t *Transport) local(c net.Conn) endpoint.Address {
	if all := t.Addresses(); len(all) > 0 {
		return all[0]
	}
	host, _, err := net.SplitHostPort(c.LocalAddr().String())
	if err != nil {
		host = "0.0.0.0"
	}
	return endpoint.Address{Protocol: Protocol, Host: net.JoinHostPort(host, "0")}
}

func (l *link) Peer() id.Peer            { return l.peer }
func (l *link) Proven() bool             { return false } // plain JXTA proves nothing
func (l *link) Local() endpoint.Address  { return l.local }
func (l *link) Remote() endpoint.Address { return l.remote }
func (l *link) Outgoing() bool           { return l.dialed }
func (l *link) Origin() string           { return origin(l.c) }

// Send implements [endpoint.Link]. On an idle link it writes inline; while a
// write is in flight it queues, and the next write takes all that is queued.
func (l *link) Send(ctx context.Context, body []byte) error {
	if len(body) > l.t.cfg.MaxMessage {
		return fmt.Errorf("tcp: a message of %d octets, the limit is %d", len(body), l.t.cfg.MaxMessage)
	}
	l.mu.Lock()
	for {
		if l.err != nil {
			l.mu.Unlock()
			return l.closedError()
		}
		if !l.writing {
			break
		}
		if len(l.queue) == 0 || len(l.queue)+len(body) <= maxQueued {
			l.queue = append(framing.AppendHeader(l.queue, len(body)), body...)
			l.queued++
			l.mu.Unlock()
			return nil
		}
		l.mu.Unlock()
		select {
		case <-l.space:
		case <-l.closed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		l.mu.Lock()
	}
	l.writing = true
	buf := append(framing.AppendHeader(l.spare[:0], len(body)), body...)
	l.spare = nil
	l.mu.Unlock()

	err := l.write(buf)
	l.mu.Lock()
	l.keep(buf)
	if err == nil && len(l.queue) > 0 && l.err == nil {
		l.flushers.Add(1)
		l.mu.Unlock()
		go l.flush() // waited for by the reader before it reports the end
		return nil
	}
	l.rest()
	l.mu.Unlock()
	if err != nil {
		l.fail(err)
		return l.closedError()
	}
	// A sender that found the queue full a moment ago may write now.
	l.signal()
	return nil
}

// flush writes what queued up during the last write, until nothing is left.
func (l *link) flush() {
	defer l.flushers.Done()
	for {
		l.mu.Lock()
		if len(l.queue) == 0 || l.err != nil {
			l.rest()
			l.mu.Unlock()
			l.signal()
			return
		}
		buf := l.queue
		n := l.queued
		l.queue, l.queued, l.spare = l.spare[:0], 0, nil
		l.mu.Unlock()
		l.signal()
		if err := l.write(buf); err != nil {
			l.t.stats.lost.Add(uint64(n))
			l.fail(err)
			continue
		}
		l.mu.Lock()
		l.keep(buf)
		l.mu.Unlock()
	}
}

// keep returns a buffer for reuse. l.mu is held.
func (l *link) keep(buf []byte) {
	if cap(buf) <= maxAhead {
		l.spare = buf[:0]
	}
}

func (l *link) signal() {
	select {
	case l.space <- struct{}{}:
	default:
	}
}

// write writes all of b; it fails when nothing moves for the write timeout.
func (l *link) write(b []byte) error {
	for {
		_ = l.c.SetWriteDeadline(time.Now().Add(writeTimeout))
		n, err := l.c.Write(b)
		if err == nil {
			return nil
		}
		if n == 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			if errors.Is(err, os.ErrDeadlineExceeded) {
				return fmt.Errorf("the other side took nothing for %v", writeTimeout)
			}
			return reason(err)
		}
		b = b[n:]
	}
}

func (l *link) closedError() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if errors.Is(l.err, endpoint.ErrLinkClosed) {
		return l.err
	}
	return fmt.Errorf("%w: %w", endpoint.ErrLinkClosed, l.err)
}

// fail closes the link for a reason; the first one stays.
func (l *link) fail(err error) {
	l.mu.Lock()
	if l.err != nil {
		l.mu.Unlock()
		return
	}
	l.err = err
	l.t.stats.lost.Add(uint64(l.queued))
	l.queue, l.queued = nil, 0
	close(l.closed)
	l.mu.Unlock()
	_ = l.c.Close()
}

// Close implements [endpoint.Link]. What is queued is still written, for a
// moment; then the connection ends.
func (l *link) Close() error {
	l.drain()
	l.fail(endpoint.ErrLinkClosed)
	return nil
}

// drain lets the write in flight and the queue behind it end, within a limit.
func (l *link) drain() {
	l.mu.Lock()
	if !l.writing || l.err != nil {
		l.mu.Unlock()
		return
	}
	if l.idle == nil {
		l.idle = make(chan struct{})
	}
	idle := l.idle
	l.mu.Unlock()
	timer := time.NewTimer(drainTimeout)
	defer timer.Stop()
	select {
	case <-idle:
	case <-l.closed:
	case <-timer.C:
	}
}

// rest marks the end of writing. l.mu is held.
func (l *link) rest() {
	l.writing = false
	if l.idle != nil {
		close(l.idle)
		l.idle = nil
	}
}

// read takes messages from the connection until it ends.
func (l *link) read() {
	defer l.t.wg.Done()
	err := l.readAll()
	l.fail(err)
	l.flushers.Wait()
	l.t.mu.Lock()
	delete(l.t.links, l)
	l.t.mu.Unlock()
	l.t.release(l.ip)
	l.t.host.Closed(l)
}

func (l *link) readAll() error {
	for {
		body, err := l.readFrame()
		if err != nil {
			if !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) {
				l.t.stats.badFrame.Add(1)
				l.t.host.Logger.Debug("link closed", "peer", l.peer.Short(), "error", err)
			}
			return err
		}
		if err := l.t.host.Receive(l, body); err != nil {
			l.t.stats.badFrame.Add(1)
			l.t.host.Logger.Debug("link closed", "peer", l.peer.Short(), "error", err)
			return err
		}
	}
}

// readFrame reads one message. Between messages the other side may be silent
// for as long as it likes; inside one it may not.
func (l *link) readFrame() ([]byte, error) {
	if _, err := l.br.Peek(1); err != nil {
		return nil, err
	}
	timed := l.br.Buffered() < framing.HeaderSize
	if timed {
		_ = l.c.SetReadDeadline(time.Now().Add(readTimeout))
	}
	h, err := framing.ReadHeader(l.br)
	if err != nil {
		return nil, err
	}
	if h.Length > uint64(l.t.cfg.MaxMessage) {
		return nil, fmt.Errorf("tcp: a message of %d octets is announced, the limit is %d", h.Length, l.t.cfg.MaxMessage)
	}
	n := int(h.Length)
	if l.br.Buffered() < n {
		timed = true
		_ = l.c.SetReadDeadline(time.Now().Add(readTimeout + time.Duration(n/minRate)*time.Second))
	}
	body, err := l.readBody(n)
	if timed && err == nil {
		_ = l.c.SetReadDeadline(time.Time{})
	}
	return body, err
}

// readBody takes memory only for octets that came, but for a first portion.
func (l *link) readBody(n int) ([]byte, error) {
	body := make([]byte, min(n, maxAhead))
	got := 0
	for {
		m, err := io.ReadFull(l.br, body[got:])
		got += m
		if err != nil {
			return nil, err
		}
		if got == n {
			return body, nil
		}
		more := make([]byte, min(n, 2*len(body)))
		copy(more, body)
		body = more
	}
}
