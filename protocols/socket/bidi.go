package socket

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/core/xmldoc"
	"github.com/juxta-p2p/juxta/protocols/pipe"
	"github.com/juxta-p2p/juxta/protocols/socket/reliable"
)

// Errors of bidirectional pipes.
var (
	// ErrHungUp: the other side has closed the bidirectional pipe, so that
	// nothing can be sent.
	ErrHungUp = errors.New("the other side has closed")

	// ErrRefused: the peer that listens does not accept the connection. Only
	// Juxta peers say so; others leave the dialler waiting.
	ErrRefused = errors.New("the peer refuses the connection")

	errBidiReserved = errors.New("the message has the element that ends bidirectional pipes")
	errBidiOverride = errors.New("the listener wants another kind of pipe")
	errNotThere     = errors.New("nothing is there")
	errBidiTwice    = errors.New("the listener has answered before")
	errBidiPlain    = errors.New("only reliable bidirectional pipes close one half")
)

// BidiPipe is one end of a bidirectional pipe: whole messages both ways between
// two peers, JXSE's JxtaBiDiPipe. Its methods are safe for concurrent use. Close
// it when done.
//
// A reliable pipe, the usual kind, brings every message once and in order, or
// breaks; it survives the loss of a link as long as the peer is reached by
// another way within a minute. A sender that is faster than the reader waits. An
// unreliable pipe may lose messages with a link, and drops the oldest when the
// reader does not keep up; messages of one goroutine come in order if no Java
// peer is involved.
//
// Towards JXSE it speaks the wire of version 2.5 without the direct connection
// that JXSE prefers, which would switch the reliability off. Between Juxta peers
// the same elements are acknowledged in bulk; the handshake finds out.
type BidiPipe struct {
	s       *Service
	adv     *advertisements.Pipe
	in      *pipe.Input
	ctx     context.Context // ends with the pipe
	end     context.CancelCauseFunc
	reading context.Context // ends with Close
	unread  context.CancelFunc
	dialled chan error // the outcome of dialling, once
	bidiTerms
	rel   atomic.Pointer[reliable.Conn] // nil for a plain pipe, and while dialling
	heard atomic.Bool                   // something came since it was set to false
	stats bidiCounters

	// The handshake sets these, before rel or the pipe itself is handed out.
	peer       id.Peer
	proven     bool
	juxta      bool
	credential xmldoc.Node
	out        *pipe.Output   // of a plain pipe
	path       *endpoint.Path // of a reliable one

	mu      sync.Mutex
	answer  bool // the listener has answered
	closing bool
	closed  chan struct{} // closed when Close is done
	ended   bool          // the other side said goodbye in order
}

// bidiTerms are what is settled before the other side is known.
type bidiTerms struct {
	plain  bool    // no reliability
	asked  id.Peer // the only peer to talk to; zero means any
	giveUp time.Duration
}

type bidiCounters struct{ sent, received, malformed, foreign atomic.Uint64 }

// BidiStats counts what a [BidiPipe] did.
type BidiStats struct {
	Sent             uint64 // messages
	Received         uint64 // messages given to the reader
	DroppedMalformed uint64 // blocks that are no message
	DroppedForeign   uint64 // messages of other peers than the one at the other end
	Layer            reliable.Stats
}

// Stats returns the counters.
func (p *BidiPipe) Stats() BidiStats {
	c := &p.stats
	st := BidiStats{
		Sent: c.sent.Load(), Received: c.received.Load(),
		DroppedMalformed: c.malformed.Load(), DroppedForeign: c.foreign.Load(),
	}
	if rel := p.rel.Load(); rel != nil {
		st.Layer = rel.Stats()
	}
	return st
}

// Peer returns the peer at the other end. Proven tells whether that is sure.
func (p *BidiPipe) Peer() id.Peer { return p.peer }

// Proven reports whether the handshake came over a link on which the peer has
// proven its ID, or encrypted from end to end.
func (p *BidiPipe) Proven() bool { return p.proven }

// Credential returns the credential that the other side has shown, as it came;
// it is zero if there was none.
func (p *BidiPipe) Credential() xmldoc.Node { return p.credential }

// Reliable reports whether every message comes once and in order.
func (p *BidiPipe) Reliable() bool { return !p.plain }

// Pipe returns the advertisement that was listened on or dialled; it must not be
// changed.
func (p *BidiPipe) Pipe() *advertisements.Pipe { return p.adv }

// Send sends a message, which is not changed and may be reused when Send
// returns. It waits for room while the other side does not keep up, until ctx
// ends at the most. A nil error means that the message is on its way; Close, and
// CloseWrite, wait until all have arrived.
//
// The error wraps [net.ErrClosed] after Close or CloseWrite, [ErrHungUp] after
// the other side has closed, or tells why the pipe broke.
func (p *BidiPipe) Send(ctx context.Context, m *message.Message) error {
	if err := p.send(ctx, m); err != nil {
		return p.errorf("send on", err)
	}
	p.stats.sent.Add(1)
	return nil
}

func (p *BidiPipe) send(ctx context.Context, m *message.Message) error {
	switch {
	case m.Len() == 0:
		return endpoint.ErrEmpty
	case closesBidi(m):
		return errBidiReserved
	case p.ctx.Err() != nil:
		return context.Cause(p.ctx)
	}
	ctx, stop := p.until(ctx)
	defer stop()
	if p.plain {
		return p.out.Send(ctx, m)
	}
	return p.write(ctx, m)
}

// write queues a message as one block.
func (p *BidiPipe) write(ctx context.Context, m *message.Message) error {
	buf := bidiBuffers.Get().(*[]byte)
	defer bidiBuffers.Put(buf)
	b, err := m.AppendTo((*buf)[:0])
	if err != nil {
		return err
	}
	if cap(b) <= maxBidiBuffer {
		*buf = b
	}
	return p.rel.Load().WriteBlock(ctx, b)
}

// carry sends a message of the reliability layer, which uses its memory again.
func (p *BidiPipe) carry(ctx context.Context, m *message.Message) error {
	if p.peer == p.s.scope.Peer() {
		own := message.New()
		for e := range m.All() {
			e.Body = bytes.Clone(e.Body)
			own.Add(e)
		}
		m = own
	}
	return p.path.Send(ctx, m)
}

// say sends a message beside the reliability layer.
func (p *BidiPipe) say(ctx context.Context, m *message.Message) error {
	if p.plain {
		return p.out.Send(ctx, m)
	}
	return p.path.Send(ctx, m)
}

// patience is how long the other side may stay away.
func (p *BidiPipe) patience() time.Duration {
	if p.giveUp > 0 {
		return p.giveUp
	}
	return giveUp
}

// bidiBuffers are memory to encode messages in.
var bidiBuffers = sync.Pool{New: func() any { return new([]byte) }}

// until returns a context that ends with ctx and with the pipe.
func (p *BidiPipe) until(ctx context.Context) (context.Context, func() bool) {
	if ctx.Done() == nil {
		return p.ctx, func() bool { return true }
	}
	either, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(p.ctx, func() { cancel(context.Cause(p.ctx)) })
	return either, func() bool { cancel(nil); return stop() }
}

// Receive returns the next message, which is the caller's own; its bodies must
// not be changed. After the other side has closed, and after its CloseWrite, the
// error is [io.EOF], once everything has been received that it sent before. It is
// ctx's cause if that comes first, wraps [net.ErrClosed] after Close, or tells why
// the pipe broke.
func (p *BidiPipe) Receive(ctx context.Context) (*message.Message, error) {
	for {
		m, err := p.next(ctx)
		if err == io.EOF {
			return nil, err
		}
		if err != nil {
			return nil, p.errorf("receive on", err)
		}
		if m == nil {
			continue
		}
		if closesBidi(m) {
			p.hungUp(true)
			return nil, io.EOF
		}
		p.stats.received.Add(1)
		return m, nil
	}
}

// next returns what comes next, or nil for what is no message.
func (p *BidiPipe) next(ctx context.Context) (*message.Message, error) {
	if err := p.halt(); err != nil {
		return nil, err
	}
	if p.plain {
		m, err := p.in.Receive(ctx)
		if err != nil {
			if halt := p.halt(); halt != nil {
				err = halt
			}
			return nil, err
		}
		return m.Message, nil
	}
	b, err := p.block(ctx)
	if halt := p.halt(); halt != nil {
		return nil, halt
	}
	if err != nil {
		return nil, err
	}
	m, err := message.Decode(b)
	if err != nil {
		p.stats.malformed.Add(1)
		return nil, nil
	}
	return m, nil
}

// block returns the next block, until ctx or reading ends.
func (p *BidiPipe) block(ctx context.Context) ([]byte, error) {
	rel := p.rel.Load()
	// Mostly one is there: that spares a context.
	if b, err := rel.ReadBlock(noWait); context.Cause(noWait) != err {
		return b, err
	}
	if ctx.Done() == nil {
		return rel.ReadBlock(p.reading)
	}
	either, cancel := context.WithCancelCause(ctx)
	defer context.AfterFunc(p.reading, func() { cancel(net.ErrClosed) })()
	defer cancel(nil)
	return rel.ReadBlock(either)
}

// noWait is a context that has ended: with it a call takes what is there, and does not
// wait.
var noWait = func() context.Context {
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(errNotThere)
	return ctx
}()

// halt tells why nothing is received any more, if so.
func (p *BidiPipe) halt() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.closing:
		return net.ErrClosed
	case p.ended:
		return io.EOF
	}
	return nil
}

// Messages yields the messages as they come, until the other side closes, ctx
// ends or the pipe is closed, all of which are normal ends without error. If the
// pipe breaks, the error is the last thing yielded. Breaking out of the loop
// loses nothing; a later loop goes on.
func (p *BidiPipe) Messages(ctx context.Context) iter.Seq2[*message.Message, error] {
	return func(yield func(*message.Message, error) bool) {
		for {
			m, err := p.Receive(ctx)
			switch {
			case err == nil:
			case err == io.EOF, errors.Is(err, net.ErrClosed), ctx.Err() != nil:
				return
			}
			if !yield(m, err) || err != nil {
				return
			}
		}
	}
}

// receive takes what comes for a reliable pipe; it does not block.
func (p *BidiPipe) receive(m pipe.Message) {
	rel := p.rel.Load()
	switch {
	case rel == nil:
		p.answered(m)
	case m.From != p.peer:
		p.stats.foreign.Add(1)
	default:
		p.heard.Store(true)
		if p.juxta && p.control(m.Message) {
			return
		}
		rel.Take(m.Message)
	}
}

// control takes a message of a Juxta peer beside the reliability layer, if it is one.
func (p *BidiPipe) control(m *message.Message) bool {
	e, ok := m.Get(bidiNamespace, bidiProbe)
	switch {
	case ok && string(e.Body) == probeAsk:
		p.s.later(p.peer, func() { _ = p.s.tell(p.path, message.New(message.Text(bidiNamespace, bidiProbe, probeHere))) })
	case ok:
	case closesBidi(m):
		p.hungUp(false)
	default:
		return false
	}
	return true
}

// hungUp takes note that the other side is gone. What it sent before can still
// be received unless it says goodbye in order.
func (p *BidiPipe) hungUp(inOrder bool) {
	if inOrder {
		p.mu.Lock()
		p.ended = true
		p.mu.Unlock()
	}
	p.end(ErrHungUp)
	rel := p.rel.Load()
	if rel == nil {
		return
	}
	rel.End()
	if !inOrder {
		return
	}
	// It waits for the goodbye to be acknowledged, and this side may be closed before the
	// layer below comes to that.
	m := goodbye()
	if !p.juxta {
		upTo := binary.BigEndian.AppendUint32(nil, uint32(rel.Stats().ReceiveNumber))
		m = message.New(message.Element{Namespace: reliableNamespace, Name: "ack", Type: typeAck, Body: upTo})
	}
	p.s.later(p.peer, func() { _ = p.s.tell(p.path, m) })
}

// CloseWrite ends sending: the other side receives [io.EOF] behind what was
// sent, while this one goes on receiving. It waits until everything has arrived.
// JXSE knows no such thing, nor do unreliable pipes: there it fails and changes
// nothing.
func (p *BidiPipe) CloseWrite(ctx context.Context) error {
	err := errBidiPlain
	if !p.plain {
		if err = p.rel.Load().CloseWrite(ctx); err == nil {
			err = p.rel.Load().Flush(ctx)
		}
	}
	if err != nil {
		return p.errorf("close sending on", err)
	}
	return nil
}

// Close closes the pipe for both sides. What was sent before still arrives, if
// the other side reads it: Close waits for that, 15 s at the most as JXSE does,
// and reports if it was in vain. The other side then receives [io.EOF]. Close is
// idempotent.
func (p *BidiPipe) Close() error { return p.close(bidiLinger) }

func (p *BidiPipe) close(linger time.Duration) error {
	p.mu.Lock()
	if p.closing {
		p.mu.Unlock()
		<-p.closed
		return nil
	}
	p.closing = true
	p.mu.Unlock()
	p.unread()
	defer close(p.closed)
	err := p.farewell(linger)
	p.drop(net.ErrClosed)
	if err != nil {
		return p.errorf("close", err)
	}
	return nil
}

// farewell tells the other side.
func (p *BidiPipe) farewell(linger time.Duration) error {
	if p.ctx.Err() != nil {
		return nil // the other side is gone, or the pipe is broken
	}
	ctx, cancel := context.WithTimeout(p.ctx, linger)
	defer cancel()
	if p.plain {
		return p.say(ctx, goodbye())
	}
	rel := p.rel.Load()
	if err := rel.Err(); err != nil {
		return err // it broke before
	}
	var drain sync.WaitGroup
	drain.Go(func() { p.drain(ctx, rel) })
	defer drain.Wait()
	defer cancel()
	err := p.write(ctx, goodbye())
	if err == nil {
		err = rel.Flush(ctx)
	}
	if p.juxta {
		// It may not read; this lets its senders know.
		_ = p.say(ctx, goodbye())
	}
	if context.Cause(p.ctx) == ErrHungUp {
		return nil // both closed at a time
	}
	return err
}

// drain passes over what comes while the pipe is being closed: the other side may be
// closing it too, and wait for its goodbye to be read.
func (p *BidiPipe) drain(ctx context.Context, rel *reliable.Conn) {
	for {
		b, err := rel.ReadBlock(ctx)
		if err != nil {
			return
		}
		if m, err := message.Decode(b); err == nil && closesBidi(m) {
			p.hungUp(true)
			return
		}
	}
}

// drop gives back what the pipe uses; nobody is told.
func (p *BidiPipe) drop(cause error) {
	p.end(cause)
	p.unread()
	p.mu.Lock()
	p.answer = true // what comes now is too late
	out := p.out
	p.mu.Unlock()
	if rel := p.rel.Load(); rel != nil {
		rel.Abort(cause)
		_ = rel.Close()
	}
	if p.in != nil {
		p.in.Close()
	}
	if out != nil {
		out.Close()
	}
	p.s.bidi.remove(p)
}

func (p *BidiPipe) errorf(what string, err error) error {
	name := p.adv.Name
	if name == "" {
		name = p.adv.ID.Short()
	}
	return fmt.Errorf("socket: %s bidirectional pipe %q: %w", what, name, err)
}
