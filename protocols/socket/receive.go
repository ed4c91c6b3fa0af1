package socket

import (
	"context"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/message"
)

// receive takes a message that came for the connection, on the goroutine that reads
// the link; it does not wait for anything.
func (c *Conn) receive(_ context.Context, in endpoint.Incoming) {
	s := c.s
	if c.secure && !private(in) {
		s.stats.plain.Add(1)
		return
	}
	if !c.up.Load() {
		c.answered(in)
		return
	}
	if in.From != c.peer {
		s.stats.foreign.Add(1)
		return
	}
	if !c.heard.Load() {
		c.heard.Store(true)
	}
	layer := false
	for e := range in.Message.All() {
		switch e.Namespace {
		case reliableNamespace:
			layer = true
		case namespace:
			c.control(e)
		}
	}
	if layer && c.rel != nil {
		c.rel.TakeOver(in.Message)
	}
}

// control takes an element of the socket itself.
func (c *Conn) control(e message.Element) {
	switch e.Name {
	case elemData:
		if c.loose == nil {
			return
		}
		c.mu.Lock()
		shut := c.readShut
		c.mu.Unlock()
		if len(e.Body) > 0 && !shut && !c.loose.put(e.Body) {
			c.s.stats.loose.Add(1)
		}
	case elemClose:
		switch string(e.Body) {
		case closeRequest:
			c.closeCame()
		case closeAnswer:
			c.ackCame()
		}
	}
}

// closeCame takes note that the other side reads nothing any more, and writes
// nothing but what it has written before.
func (c *Conn) closeCame() {
	c.mu.Lock()
	first := !c.hungUp
	c.hungUp = true
	closed := c.closed
	c.mu.Unlock()
	if c.juxta && closed { // both at a time: neither has any use for anything
		c.s.noteSoon(noteReset, c.peer, c.remote, c.local, c.secure)
	} else {
		c.say(elemClose, closeAnswer)
	}
	if !first {
		return
	}
	switch {
	case c.rel == nil:
		c.loose.finish()
	case !c.juxta: // which has waited until all it wrote was read
		c.cut.Store(true)
		c.rel.End()
	}
	c.wr.end()
	if closed {
		c.endOver(ErrHungUp)
	}
}

// ackCame takes note that the other side knows of the end.
func (c *Conn) ackCame() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed && !c.gotAck {
		c.gotAck = true
		close(c.acked)
	}
}

// private reports whether a message came encrypted from end to end, or straight over
// a link to its originator on which nobody else can read.
func private(in endpoint.Incoming) bool {
	return in.Secured || in.Link != nil && in.Link.Peer() == in.From && endpoint.Private(in.Link)
}

// proven reports whether a message comes from the peer it says for certain.
func (s *Service) proven(in endpoint.Incoming) bool {
	if in.Link == nil {
		return in.Secured || in.From == s.scope.Peer()
	}
	return in.Secured || in.Link.Proven() && in.Link.Peer() == in.From
}
