package socket

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/core/xmldoc"
	"github.com/juxta-p2p/juxta/protocols/socket/reliable"
)

// Conn is one end of a stream between two peers, JXSE's JxtaSocket. Its methods are
// safe for concurrent use. Close it when done.
//
// A connection at rest costs some memory and no goroutine. It does not notice that
// a silent peer has died before a link goes down or something is written; who must
// know sooner says something now and then.
type Conn struct {
	s      *Service
	adv    *advertisements.Pipe // that was dialled or listened on
	local  id.Pipe              // where this side receives
	secure bool
	remove func() // the handler

	up atomic.Bool // set when the handshake is over; what follows does not change any more
	end
	rel   *reliable.Conn // nil if unreliable
	loose *loose         // nil if reliable

	rd, wr  deadline
	reading chan struct{}  // holds a token while somebody reads
	rest    []byte         // of the block that is being read; with reading
	block   reliable.Block // that rest is part of; with reading
	writing chan struct{}  // holds a token while somebody writes

	over    context.Context // ends when nothing that is still to be said matters to the other side
	endOver context.CancelCauseFunc
	acked   chan struct{} // closed when the other side has said that it knows of the end
	begun   atomic.Int32  // how many messages have been sent, up to growBlock
	cut     atomic.Bool   // nothing but control messages is to be sent any more
	heard   atomic.Bool   // something came since it was set to false

	mu        sync.Mutex
	attempt   *attempt // while dialling
	closed    bool
	readShut  bool
	writeShut bool
	hungUp    bool  // the other side has closed
	broken    error // why there is no connection any more
	gotAck    bool
	dropped   bool
}

// end is what the handshake says of the other side.
type end struct {
	peer       id.Peer
	remote     id.Pipe
	path       *endpoint.Path
	juxta      bool
	proven     bool
	credential xmldoc.Node
}

var (
	_ net.Conn      = (*Conn)(nil)
	_ io.ReaderFrom = (*Conn)(nil)
	_ io.WriterTo   = (*Conn)(nil)
)

// newConn makes a connection that is not connected yet, and opens its pipe.
func (s *Service) newConn(adv *advertisements.Pipe) (*Conn, error) {
	own := *adv
	c := &Conn{
		s: s, adv: &own, local: id.NewPipe(s.group), secure: adv.Type == advertisements.UnicastSecure,
		reading: make(chan struct{}, 1), writing: make(chan struct{}, 1), acked: make(chan struct{}),
	}
	c.over, c.endOver = context.WithCancelCause(context.Background())
	remove, err := s.scope.Handle(pipeService, c.local.String(), c.receive)
	if err != nil {
		c.endOver(err)
		return nil, err
	}
	c.remove = remove
	s.mu.Lock()
	closed := s.closed
	if !closed {
		if s.byLocal == nil {
			s.byLocal = map[id.Pipe]*Conn{}
		}
		s.byLocal[c.local] = c
	}
	s.mu.Unlock()
	if closed {
		c.drop(net.ErrClosed)
		return nil, net.ErrClosed
	}
	return c, nil
}

// pipe returns the advertisement of the pipe on which this side receives.
func (c *Conn) pipe() *advertisements.Pipe {
	return &advertisements.Pipe{ID: c.local, Type: c.adv.Type, Name: c.adv.Name + ".remote"} // the name that JXSE gives
}

// errDuplicate: the other end is that of another connection.
var errDuplicate = errors.New("the pipe of the other side is in use")

// connect makes the connection what the handshake has said. c.mu need not be held:
// nobody else uses the connection yet but what receives, which looks at c.up.
func (c *Conn) connect(h *hello, peer id.Peer, proven bool) error {
	s := c.s
	c.end = end{
		peer: peer, remote: h.Pipe.ID, juxta: h.Juxta, proven: proven, credential: h.Credential,
		path: s.scope.Path(peer, pipeService, h.Pipe.ID.String(), c.secure),
	}
	if h.Stream {
		if h.Juxta {
			c.path.Bulk()
		}
		mode, window := reliable.Java, javaWindow
		if h.Juxta {
			mode, window = reliable.Juxta, 0
		}
		c.rel = reliable.New(reliable.Config{Mode: mode, Send: c.send, Window: window, GiveUp: giveUp, Batch: c.most, Through: c.through, Logger: s.log})
	} else {
		c.loose = newLoose()
	}
	at := Addr{peer, c.remote}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return net.ErrClosed
	case s.byEnd[at] != nil:
		return errDuplicate
	}
	if s.byEnd == nil {
		s.byEnd, s.byPeer = map[Addr]*Conn{}, map[id.Peer]map[*Conn]struct{}{}
	}
	s.byEnd[at] = c
	if s.byPeer[peer] == nil {
		s.byPeer[peer] = map[*Conn]struct{}{}
	}
	s.byPeer[peer][c] = struct{}{}
	c.up.Store(true)
	return nil
}

// send carries a message of the reliability layer.
func (c *Conn) send(ctx context.Context, m *message.Message) error {
	if c.cut.Load() {
		return nil // the other side has no use for it
	}
	if c.begun.Load() < growBlock {
		c.begun.Add(1)
	}
	return c.carry(ctx, m)
}

// through reports whether the stream goes through other peers, as far as is known.
func (c *Conn) through() bool { return c.path.Direct() == nil }

// most is how much of the stream goes into one message.
func (c *Conn) most() int {
	switch {
	case c.rel == nil: // a block of it comes whole or not at all
		return maxBlock
	case c.juxta && c.path.Shares():
		return slowBlock
	}
	return min(firstBlock<<c.begun.Load(), maxBlock) // nobody knows the way before
}

// carry sends a message whose memory is used again as soon as it returns.
func (c *Conn) carry(ctx context.Context, m *message.Message) error {
	if c.peer == c.s.scope.Peer() { // which gets it later, and as it is
		own := message.New()
		for e := range m.All() {
			e.Body = bytes.Clone(e.Body)
			own.Add(e)
		}
		m = own
	}
	return c.path.Send(ctx, m)
}

// Peer returns the peer at the other end. Proven tells whether that is sure.
func (c *Conn) Peer() id.Peer { return c.peer }

// Proven reports whether the handshake came over a link on which the peer has proven
// its ID, or encrypted from end to end, as it always does on a secure pipe.
func (c *Conn) Proven() bool { return c.proven }

// Juxta reports whether the other side is Juxta.
func (c *Conn) Juxta() bool { return c.juxta }

// Reliable reports whether every octet comes once and in order.
func (c *Conn) Reliable() bool { return c.rel != nil }

// Credential returns the credential that the other side has shown, as it came; it is
// zero if there was none.
func (c *Conn) Credential() xmldoc.Node { return c.credential }

// Pipe returns the advertisement that was dialled or listened on; it must not be
// changed.
func (c *Conn) Pipe() *advertisements.Pipe { return c.adv }

// LocalAddr returns the [Addr] of this end.
func (c *Conn) LocalAddr() net.Addr { return Addr{c.s.scope.Peer(), c.local} }

// RemoteAddr returns the [Addr] of the other end.
func (c *Conn) RemoteAddr() net.Addr { return Addr{c.peer, c.remote} }

// SetDeadline sets both deadlines.
func (c *Conn) SetDeadline(t time.Time) error {
	c.rd.set(t)
	c.wr.set(t)
	return c.settable()
}

// SetReadDeadline sets when reading fails with [os.ErrDeadlineExceeded]; the zero
// time means never.
func (c *Conn) SetReadDeadline(t time.Time) error {
	c.rd.set(t)
	return c.settable()
}

// SetWriteDeadline sets when writing fails with [os.ErrDeadlineExceeded]; the zero
// time means never. A write that failed so may have written some octets.
func (c *Conn) SetWriteDeadline(t time.Time) error {
	c.wr.set(t)
	return c.settable()
}

func (c *Conn) settable() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return c.opError("set", net.ErrClosed)
	}
	return nil
}

// Read implements [net.Conn]. It returns [io.EOF] when the other side has closed, or
// closed writing, and everything it wrote has been read.
func (c *Conn) Read(p []byte) (int, error) {
	ctx := c.rd.wait()
	if err := c.lockRead(ctx); err != nil {
		return 0, err
	}
	defer c.unlockRead()
	if len(p) == 0 {
		return 0, nil
	}
	if err := c.fill(ctx); err != nil {
		return 0, err
	}
	n := copy(p, c.rest)
	c.rest = c.rest[n:]
	return n, nil
}

// WriteTo implements [io.WriterTo]: it writes what comes to w until the end of the
// stream, without a copy in between.
func (c *Conn) WriteTo(w io.Writer) (total int64, err error) {
	for {
		ctx := c.rd.wait()
		if err := c.lockRead(ctx); err != nil {
			return total, err
		}
		err := c.fill(ctx)
		b, block := c.rest, c.block
		c.rest, c.block = nil, reliable.Block{}
		c.unlockRead()
		if err != nil {
			if err == io.EOF {
				err = nil
			}
			return total, err
		}
		n, err := w.Write(b)
		total += int64(n)
		block.Release()
		if err != nil {
			return total, err
		}
	}
}

func (c *Conn) lockRead(ctx context.Context) error {
	select {
	case c.reading <- struct{}{}:
	case <-ctx.Done():
		return c.readError(ctx, ctx.Err())
	}
	if err := ctx.Err(); err != nil {
		c.unlockRead()
		return c.readError(ctx, err)
	}
	return nil
}

func (c *Conn) unlockRead() { <-c.reading }

// fill sees to it that there is something to read. The caller holds the token.
func (c *Conn) fill(ctx context.Context) error {
	for len(c.rest) == 0 {
		c.block.Release()
		c.block = reliable.Block{}
		var err error
		if c.rel != nil {
			c.block, err = c.rel.Receive(ctx)
		} else {
			c.block.Body, err = c.loose.take(ctx)
		}
		if err != nil {
			return c.readError(ctx, err)
		}
		c.rest = c.block.Body
	}
	return nil
}

// readError makes of what stopped reading what package net would say.
func (c *Conn) readError(ctx context.Context, err error) error {
	c.mu.Lock()
	closed, shut := c.closed, c.readShut
	c.mu.Unlock()
	switch {
	case closed:
		err = net.ErrClosed
	case shut, err == io.EOF:
		return io.EOF
	case ctx.Err() != nil:
		err = os.ErrDeadlineExceeded
	default:
		err = c.why(err)
	}
	return c.opError("read", err)
}

// why returns why the connection is broken.
func (c *Conn) why(err error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.broken == nil {
		if errors.Is(err, reliable.ErrGaveUp) {
			err = c.gone("it has acknowledged nothing for "+giveUp.String(), nil)
		}
		c.broken = err
		c.s.stats.lost.Add(1)
	}
	return c.broken
}

// fail breaks the connection.
func (c *Conn) fail(cause error) {
	_ = c.why(cause)
	c.endOver(cause)
	if c.rel != nil {
		c.rel.Abort(cause)
	} else {
		c.loose.fail(cause)
	}
}

// gone is why a connection to a peer breaks.
func (c *Conn) gone(what string, err error) error {
	if err != nil {
		return fmt.Errorf("%w: %s, peer %s: %w", ErrGone, what, c.peer.Short(), err)
	}
	return fmt.Errorf("%w: %s, peer %s", ErrGone, what, c.peer.Short())
}

func (c *Conn) opError(op string, err error) error {
	return opError(op, c.RemoteAddr(), err)
}
