package secure

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/message"
)

// connection is TLS with one peer. It lives as long as its goroutine run.
type connection struct {
	s       *Service
	peer    id.Peer
	id      uint64 // tells connections with the peer apart; zero with JXSE
	client  bool   // this side began it
	st      *stream
	tls     *tls.Conn
	out     outbox
	began   time.Time
	used    atomic.Int64 // when a message went either way last, in Unix nanoseconds
	taken   atomic.Uint64
	adopted atomic.Bool   // the handshake has succeeded
	decided chan struct{} // closed when the handshake is over, one way or the other
	ended   chan struct{} // closed when all is over
	last    addresses     // of what came; read's own
	drained chan struct{} // closed when the other side has said that no more comes

	// Service.mu guards these.
	key         key
	state       state
	err         error       // why it is over
	successor   *connection // is being opened in its place
	predecessor *connection // of which it takes the place, and which ends first
}

type state uint8

const (
	shaking  state = iota // in handshake
	ready                 // usable
	leaving               // no more messages are taken
	finished              // over
)

var (
	errSuperseded = errors.New("another connection with the peer came first")

	// ErrReplaced is why a connection fails when the peer has forgotten it, usually
	// since it was started anew, and there is another one now.
	ErrReplaced = errors.New("the peer has begun a new connection")

	// ErrClosed: the service is closed.
	ErrClosed = errors.New("secure transport is closed")

	// ErrHandshake is why no connection comes about; the cause stands behind it.
	ErrHandshake = errors.New("no secure connection")

	errIdle    = errors.New("nobody used the connection")
	errRetired = errors.New("the connection was used up")
	errEnded   = errors.New("the peer has ended the connection")
)

func (s *Service) newConnection(p id.Peer, n uint64, client bool) *connection {
	c := &connection{
		s: s, peer: p, id: n, key: key{peer: p, id: n}, client: client, began: time.Now(),
		decided: make(chan struct{}), ended: make(chan struct{}), drained: make(chan struct{}),
	}
	c.out.init()
	c.touch()
	r := juxtaRules
	if n == 0 {
		r = javaRules
	}
	c.st = newStream(r, n, s.shared, &s.stats, func(ctx context.Context, m *message.Message) error {
		return s.cfg.Scope.Send(ctx, p, serviceName, "", m)
	})
	if client {
		c.st.fatal = func(err error) bool { return errors.Is(err, endpoint.ErrNoRoute) }
	}
	return c
}

func (c *connection) touch() { c.used.Store(time.Now().UnixNano()) }

func (c *connection) idle() time.Duration { return time.Since(time.Unix(0, c.used.Load())) }

// busy reports whether something is on its way, or waits to be read.
func (c *connection) busy() bool {
	c.st.mu.Lock()
	held, acked := c.st.in.held, c.st.out.acked
	c.st.mu.Unlock()
	return held > 0 || c.out.unacknowledged(acked) > 0
}

// run makes the handshake, reads until the end and cleans up.
func (c *connection) run() {
	s := c.s
	var sending sync.WaitGroup
	sending.Go(c.st.run)
	err := c.handshake()
	if err == nil {
		err = s.adopt(c)
	}
	close(c.decided)
	if err != nil {
		c.st.fail(err)
	} else {
		sending.Go(c.write)
		err = c.read()
		if errors.Is(err, io.EOF) { // in between two messages: said and meant
			close(c.drained)
			c.leave()
			<-c.st.ctx.Done() // write ends it
		} else {
			c.st.fail(err)
		}
	}
	c.out.close()
	sending.Wait()
	s.remove(c, context.Cause(c.st.ctx))
	close(c.ended)
}

// handshake makes the TLS connection and learns the keys.
func (c *connection) handshake() error {
	ctx, cancel := context.WithTimeout(c.st.ctx, handshakeWait)
	defer cancel()
	cfg, err := c.s.tlsConfig(c)
	if err == nil {
		if c.client {
			c.tls = tls.Client(c.st, cfg)
		} else {
			c.tls = tls.Server(c.st, cfg)
		}
		err = c.tls.HandshakeContext(ctx)
	}
	if cause := context.Cause(c.st.ctx); cause != nil {
		err = cause // rather than that the stream is closed
	} else if err != nil && ctx.Err() != nil {
		err = fmt.Errorf("%w for %v", ErrUnanswered, handshakeWait)
	}
	if err != nil {
		if !errors.Is(err, errSuperseded) {
			c.s.stats.failedHandshakes.Add(1)
		}
		return fmt.Errorf("%w: %w", ErrHandshake, err)
	}
	if c.id == 0 {
		c.st.seal(nil, nil)
		return nil
	}
	state := c.tls.ConnectionState()
	keys, err := state.ExportKeyingMaterial(sealLabel, nil, 2*sealKey)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrHandshake, err)
	}
	own, other := keys[:sealKey], keys[sealKey:]
	if !c.client {
		own, other = other, own
	}
	c.st.seal(own, other)
	return nil
}

const (
	sealLabel = "EXPORTER-juxta-jxtatls-acknowledgement"
	sealKey   = 32
)

// read hands messages to the endpoint until the stream ends.
func (c *connection) read() error {
	stream := message.NewReader(c.tls)
	for {
		b, err := stream.Next()
		if err != nil {
			return err
		}
		c.touch()
		c.taken.Add(1)
		c.s.deliver(c, b)
	}
}

// write encrypts messages until the outbox is closed and empty; then it says so,
// and ends the stream when that has arrived, and the other side has said the same.
func (c *connection) write() {
	for {
		b := c.out.take(c.st.ctx)
		if b == nil {
			break
		}
		_, err := c.tls.Write(b)
		if err != nil {
			c.st.fail(err)
			return
		}
		c.out.written(b, c.st.writtenSoFar(), c.st.ackedSoFar())
	}
	if c.st.ctx.Err() != nil {
		return
	}
	ctx, cancel := context.WithTimeout(c.st.ctx, closeWait)
	defer cancel()
	if c.id != 0 && c.tls.CloseWrite() == nil && c.st.await(ctx, c.st.writtenSoFar()) == nil {
		select {
		case <-c.drained:
			c.st.lastAck(ctx) // or the other side would wait for it
		case <-ctx.Done():
		}
	}
	c.st.fail(c.reason())
}

// reason is why it leaves.
func (c *connection) reason() error {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	if c.err != nil {
		return c.err
	}
	return errEnded
}

// leave takes no more messages and ends the connection in good order.
func (c *connection) leave() {
	c.s.mu.Lock()
	if c.state == ready {
		c.state = leaving
		if c.s.current[c.peer] == c {
			delete(c.s.current, c.peer)
		}
	}
	c.s.mu.Unlock()
	c.out.close()
}

// leaveFor is leave with a reason.
func (c *connection) leaveFor(err error) {
	c.s.mu.Lock()
	if c.err == nil {
		c.err = err
	}
	c.s.mu.Unlock()
	c.leave()
}

// deliver hands one message that came from the peer to its service.
func (s *Service) deliver(c *connection, b []byte) {
	msg, err := message.Decode(b)
	if err != nil {
		s.stats.malformed.Add(1)
		return
	}
	if !c.last.read(c, msg) {
		s.stats.misaddressed.Add(1)
		s.log.Debug("secure message with wrong addresses dropped", "from", c.peer.Short())
		return
	}
	s.stats.received.Add(1)
	s.ep.Deliver(endpoint.Incoming{Message: msg, From: c.peer, Secured: true, Source: c.last.src, Dest: c.last.dst}, true)
}

// addresses are those of the last message of a connection: most have the same.
type addresses struct {
	srcText, dstText []byte // nil if they were no good
	src, dst         endpoint.Address
}

// read takes the address elements out of a message and reports whether it comes
// from the peer and goes to a service that may be reached this way.
func (x *addresses) read(c *connection, msg *message.Message) bool {
	src, ok1 := msg.Get(message.Platform, elemSource)
	dst, ok2 := msg.Get(message.Platform, elemDest)
	if !ok1 || !ok2 {
		return false
	}
	msg.Remove(message.Platform, elemSource)
	msg.Remove(message.Platform, elemDest)
	if x.srcText != nil && bytes.Equal(src.Body, x.srcText) && bytes.Equal(dst.Body, x.dstText) {
		return true
	}
	x.srcText, x.dstText = nil, nil
	var err1, err2 error
	x.src, err1 = endpoint.ParseAddress(string(src.Body))
	x.dst, err2 = endpoint.ParseAddress(string(dst.Body))
	from, ok1 := x.src.Peer()
	to, ok2 := x.dst.Peer()
	if err1 != nil || err2 != nil || !ok1 || !ok2 || from != c.peer || to != c.s.self ||
		x.src.Protocol != protocol || x.dst.Protocol != protocol || carrier(x.dst) {
		return false
	}
	x.src = x.src.Base()
	x.srcText, x.dstText = bytes.Clone(src.Body), bytes.Clone(dst.Body)
	return true
}

// carrier reports whether a message is meant for a service that carries messages
// itself: these trust the links that messages come on, and here is none.
func carrier(a endpoint.Address) bool {
	name := a.Service
	if len(name) > len(groupPrefix) && name[:len(groupPrefix)] == groupPrefix {
		name = firstPart(a.Param)
	}
	return name == routerName || name == serviceName
}
