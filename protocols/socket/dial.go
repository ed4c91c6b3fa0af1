package socket

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/core/xmldoc"
)

// DialConfig says how to dial. The zero value is what [Service.Dial] takes.
type DialConfig struct {
	// Peer is the only one to dial, which is then not asked first whether it
	// listens. Zero means any peer that listens.
	Peer id.Peer

	// Credential is shown to the listener; JXSE demands one on secure pipes. Zero
	// means none.
	Credential xmldoc.Node

	// Unreliable asks for a connection that loses what comes faster than it is
	// read, or goes down with a link, and repeats nothing.
	Unreliable bool

	// Timeout bounds the dialling, together with the context. Zero means 15 s, as
	// in JXSE.
	Timeout time.Duration
}

// attempt is what is known while dialling. Conn.mu guards it.
type attempt struct {
	asked   id.Peer // from whom an answer is taken
	stream  bool    // what was asked for
	outcome chan error
	over    bool // nobody waits any more
}

// Dial connects to a peer that listens on the pipe with [Service.Listen] or JXSE's
// JxtaServerSocket. ctx bounds the call, and 15 s do; the connection lives until its
// Close or that of the service. Where it is known who listens, since the last
// connection on the same pipe, it takes one round trip.
//
// The error is a *[net.OpError]. It wraps [pipe.ErrNoListener] if no peer was found
// that listens, [ErrRefused] if it does not accept, [pipe.ErrType] or
// [pipe.ErrSecure] if the pipe cannot be used so, or what ended the wait; it is then
// a timeout.
func (s *Service) Dial(ctx context.Context, adv *advertisements.Pipe) (*Conn, error) {
	return s.DialWith(ctx, adv, DialConfig{})
}

// DialWith is [Service.Dial] with other than the usual settings.
func (s *Service) DialWith(ctx context.Context, adv *advertisements.Pipe, cfg DialConfig) (*Conn, error) {
	if err := s.check(adv); err != nil {
		return nil, opError("dial", nil, err)
	}
	if cfg.Timeout <= 0 {
		cfg.Timeout = dialWait
	}
	ctx, cancel := context.WithTimeout(ctx, cfg.Timeout)
	defer cancel()
	c, err := s.newConn(adv)
	if err == nil {
		c.attempt = &attempt{stream: !cfg.Unreliable, outcome: make(chan error, 1)}
		if err = c.dial(ctx, cfg); err == nil {
			s.stats.dialled.Add(1)
			return c, nil
		}
		c.giveUp(err)
	}
	s.stats.failedDials.Add(1)
	if ctx.Err() != nil && errors.Is(err, context.DeadlineExceeded) {
		err = &timeoutError{"nobody has answered", err}
	}
	return nil, opError("dial", Addr{cfg.Peer, adv.ID}, err)
}

// dial finds who listens and shakes hands.
func (c *Conn) dial(ctx context.Context, cfg DialConfig) error {
	s := c.s
	doc, err := s.document()
	if err != nil {
		return err
	}
	h := &hello{Credential: cfg.Credential, Pipe: c.pipe(), Peer: doc.adv, Stream: !cfg.Unreliable, Juxta: true}
	request, err := h.message(doc.b)
	if err != nil {
		return err
	}
	if !cfg.Peer.IsZero() {
		return c.ask(ctx, cfg.Peer, request, true)
	}
	if p, ok := s.listened(c.adv.ID, id.Peer{}); ok && s.neighbour(p) {
		short, cancel := context.WithTimeout(ctx, knownWait)
		err := c.ask(short, p, request, true)
		cancel()
		if err == nil || ctx.Err() != nil || errors.Is(err, ErrRefused) && !errors.Is(err, errNobody) {
			return err
		}
		s.forget(c.adv.ID, p)
	}
	out, err := s.pipes.Dial(ctx, c.adv)
	if err != nil {
		return err
	}
	p := out.Peer()
	out.Close()
	if p.IsZero() {
		return fmt.Errorf("%w: the one that listened is gone", ErrGone)
	}
	return c.ask(ctx, p, request, false)
}

// giveUp ends an attempt. An answer may have come, or still come: then the listener
// is told that nobody is there.
func (c *Conn) giveUp(cause error) {
	c.mu.Lock()
	c.attempt.over = true
	asked := !c.attempt.asked.IsZero()
	c.mu.Unlock()
	switch {
	case c.up.Load():
		_ = c.Close()
	case asked && !errors.Is(cause, ErrRefused) && c.s.goTask(func() {
		timer := time.NewTimer(leaveWait)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-c.over.Done():
		case <-c.s.ctx.Done():
		}
		c.drop(net.ErrClosed)
	}):
	default:
		c.drop(net.ErrClosed)
	}
}

// ask sends the request to a peer and waits for its answer. unsure says that it was
// not asked whether it listens.
func (c *Conn) ask(ctx context.Context, p id.Peer, request *message.Message, unsure bool) error {
	s := c.s
	c.mu.Lock()
	c.attempt.asked = p
	outcome := c.attempt.outcome
	c.mu.Unlock()
	listener := c.adv.ID.String()
	pause := askFirst
	again := time.NewTimer(pause)
	defer again.Stop()
	for {
		if err := s.send(ctx, p, pipeService, listener, c.secure, request); err != nil {
			return err
		}
		var repeat <-chan time.Time
		if s.neighbour(p) {
			repeat = again.C // JXSE would take it for another connection
			if unsure {      // then it may say that it does not listen
				s.noteSoon(noteAsk, p, c.adv.ID, c.local, c.secure)
			}
		}
		select {
		case err := <-outcome:
			if err == nil {
				s.listened(c.adv.ID, p)
			}
			return err
		case <-repeat:
			pause = min(2*pause, askMost)
			again.Reset(pause)
		case <-c.over.Done():
			return net.ErrClosed
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-s.ctx.Done():
			return net.ErrClosed
		}
	}
}

// neighbour reports whether there is a link to a peer that is Juxta.
func (s *Service) neighbour(p id.Peer) bool {
	l := s.ep.LinkTo(p)
	return l != nil && endpoint.IsJuxta(l)
}

// listened remembers who listens on a pipe, unless p is zero, and returns who does.
func (s *Service) listened(pipe id.Pipe, p id.Peer) (id.Peer, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.IsZero() {
		p, ok := s.known[pipe]
		return p, ok
	}
	if s.known == nil {
		s.known = map[id.Pipe]id.Peer{}
	}
	if _, ok := s.known[pipe]; !ok && len(s.known) >= maxKnown {
		for other := range s.known { // any
			delete(s.known, other)
			break
		}
	}
	s.known[pipe] = p
	return p, true
}

// forget forgets that a peer listens on a pipe.
func (s *Service) forget(pipe id.Pipe, p id.Peer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known[pipe] == p {
		delete(s.known, pipe)
	}
}

// answered takes the answer of the listener.
func (c *Conn) answered(in endpoint.Incoming) {
	s := c.s
	c.mu.Lock()
	var asked id.Peer
	a := c.attempt
	if a != nil {
		asked = a.asked
	}
	c.mu.Unlock()
	if asked.IsZero() || in.From != asked {
		s.stats.foreign.Add(1)
		return
	}
	h, err := s.read(in.Message, true, a.stream)
	if err == nil && h.Refused == "" {
		switch {
		case h.Peer.ID != in.From:
			err = errOtherPeer
		case h.Pipe.Type != c.adv.Type:
			err = errOtherType
		}
	}
	if err != nil {
		if !errors.Is(err, errNoHandshake) { // data may have overtaken the answer, and comes again
			s.stats.malformed.Add(1)
		}
		s.log.Debug("answer of a listener dropped", "from", in.From.Short(), "error", err)
		return
	}
	if h.Refused == "" {
		s.learnOf(h)
	}
	if c.settle(h, in, a) {
		s.sendSoon(h, c.secure, control(elemClose, closeRequest))
		c.endOver(net.ErrClosed)
	}
}

// settle makes a connection of an answer, or ends the attempt. It reports whether the
// listener must be told that the answer came too late.
func (c *Conn) settle(h *hello, in endpoint.Incoming, a *attempt) (late bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var err error
	switch {
	case c.up.Load() || a.asked != in.From:
		return false // answered by another message
	case h.Refused != "":
		err = fmt.Errorf("%w: %s", ErrRefused, h.Refused)
	case a.over:
		return true
	case a.stream && !h.Stream:
		err = errNotStream
	default:
		err = c.connect(h, in.From, c.s.proven(in))
	}
	select {
	case a.outcome <- err:
	default:
	}
	return false
}
