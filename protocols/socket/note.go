package socket

import (
	"context"
	"fmt"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/message"
)

// Juxta peers ask each other whether a pipe is still open, for a connection whose way
// has changed or whose other side is silent. Such a note is an element whose name is
// one of these and whose body is the pipe of the receiver, and another one with
// that of the sender. JXSE has no such service.
const (
	noteService = "juxta.socket"

	noteAsk   = "ask"   // is the pipe open?
	noteHere  = "here"  // yes
	noteReset = "reset" // no, or not for long

	elemOwn = "own"
)

// note sends a note about a pipe of a peer and one of this peer.
func (s *Service) note(ctx context.Context, kind string, p id.Peer, theirs, own id.Pipe, secure bool) error {
	m := message.New(message.Text(namespace, kind, theirs.String()), message.Text(namespace, elemOwn, own.String()))
	return s.send(ctx, p, noteService, "", secure, m)
}

// noteSoon sends a note by ways that are known.
func (s *Service) noteSoon(kind string, p id.Peer, theirs, own id.Pipe, secure bool) {
	s.later(p, func() {
		ctx, cancel := context.WithTimeout(endpoint.KnownWays(s.ctx), controlWait)
		defer cancel()
		if s.told(p, s.note(ctx, kind, p, theirs, own, secure)) == nil && kind == noteReset {
			s.stats.resetsSent.Add(1)
		}
	})
}

// noteCame takes a note from the endpoint.
func (s *Service) noteCame(_ context.Context, in endpoint.Incoming) {
	own, err := pipeIn(in.Message, elemOwn)
	if err != nil || in.Link == nil && !in.Secured && in.From != s.scope.Peer() {
		s.stats.malformed.Add(1) // or a datagram, by whomever
		return
	}
	for _, kind := range [...]string{noteAsk, noteHere, noteReset} {
		pipe, err := pipeIn(in.Message, kind)
		if err != nil {
			continue
		}
		s.mu.Lock()
		c, listens := s.byLocal[pipe], s.listening[pipe]
		s.mu.Unlock()
		if c != nil && c.secure && !private(in) {
			s.stats.plain.Add(1)
			return
		}
		mine := c != nil && c.up.Load() && c.peer == in.From && c.remote == own
		switch {
		case kind == noteAsk && mine:
			s.noteSoon(noteHere, in.From, own, pipe, c.secure)
		case kind == noteAsk && listens == 0:
			s.noteSoon(noteReset, in.From, own, pipe, in.Secured)
		case kind == noteAsk:
		case kind == noteHere && mine:
			c.heard.Store(true)
		case kind == noteReset && mine:
			c.reset()
		case kind == noteReset && c != nil && !c.up.Load():
			c.nobody(in.From, own)
		}
		return
	}
	s.stats.malformed.Add(1)
}

// pipeIn reads the ID of a pipe.
func pipeIn(m *message.Message, name string) (id.Pipe, error) {
	e, ok := m.Get(namespace, name)
	if !ok || len(e.Body) > maxPipeID {
		return id.Pipe{}, errNoHandshake
	}
	return id.ParsePipe(e.Text())
}

// reset takes note that the other side does not know the connection any more.
func (c *Conn) reset() {
	c.mu.Lock()
	over, broken := c.hungUp || c.closed, c.broken != nil
	c.mu.Unlock()
	if broken {
		return
	}
	c.s.stats.resets.Add(1)
	if over { // and has no use for anything
		c.cut.Store(true)
		c.endOver(ErrHungUp)
		return
	}
	c.fail(c.gone("it does not know the connection any more", nil))
}

// errNobody is a refusal of a peer that does not listen.
var errNobody = fmt.Errorf("%w: nobody listens on the pipe there", ErrRefused)

// nobody takes note that a peer that was asked does not listen.
func (c *Conn) nobody(p id.Peer, pipe id.Pipe) {
	c.mu.Lock()
	defer c.mu.Unlock()
	a := c.attempt
	if a == nil || a.asked != p || pipe != c.adv.ID {
		return
	}
	select {
	case a.outcome <- errNobody:
	default:
	}
}
