package pipe

import (
	"container/list"
	"context"
	"fmt"
	"hash/maphash"
	"slices"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/core/recent"
	"github.com/juxta-p2p/juxta/protocols/rendezvous"
)

// wire is what this peer remembers of a propagate pipe: the messages it has
// seen. Service.wmu guards it.
type wire struct {
	pipe id.Pipe
	seen recent.Set
	pins int           // inputs; it is not forgotten while there are any
	elem *list.Element // in Service.relayed, if there are none
}

// wireOf returns what is remembered of a pipe. s.wmu is held.
func (s *Service) wireOf(p id.Pipe) *wire {
	if w := s.wires[p]; w != nil {
		if w.elem != nil {
			s.relayed.MoveToFront(w.elem)
		}
		return w
	}
	if s.relayed.Len() >= maxRelayed {
		s.forget(s.relayed.Back().Value.(*wire))
		s.stats.wiresForgotten.Add(1)
	}
	w := &wire{pipe: p, seen: recent.New(seenRelayed)}
	w.elem = s.relayed.PushFront(w)
	if s.wires == nil {
		s.wires = map[id.Pipe]*wire{}
	}
	s.wires[p] = w
	return w
}

func (s *Service) forget(w *wire) {
	s.relayed.Remove(w.elem)
	delete(s.wires, w.pipe)
}

// pin keeps what is remembered of a pipe that is open here.
func (s *Service) pin(p id.Pipe) *wire {
	s.wmu.Lock()
	defer s.wmu.Unlock()
	w := s.wireOf(p)
	if w.pins++; w.elem != nil {
		s.relayed.Remove(w.elem)
		w.elem = nil
	}
	w.seen.Grow(seenOpen)
	return w
}

func (s *Service) unpin(w *wire) {
	s.wmu.Lock()
	defer s.wmu.Unlock()
	if w.pins--; w.pins == 0 {
		delete(s.wires, w.pipe)
	}
}

// fresh remembers a message and reports whether it was not seen before.
func (s *Service) fresh(p id.Pipe, msgID string) bool {
	k := maphash.String(s.seed, msgID)
	s.wmu.Lock()
	defer s.wmu.Unlock()
	return s.wireOf(p).seen.Add(k)
}

// sendWire sends a message on a propagate pipe: to the own input, to the
// neighbourhood and through the rendezvous, or to the named peers alone.
func (s *Service) sendWire(ctx context.Context, o *Output, msg *message.Message) error {
	if err := context.Cause(ctx); err != nil {
		return fmt.Errorf("pipe: send on %s: %w", label(o.adv), err)
	}
	h := header{Source: s.self, Pipe: o.adv.ID, MsgID: id.NewUUID(), TTL: wireTTL}
	if len(o.peers) > 0 {
		h.TTL = 1
	}
	doc, err := h.print()
	if err != nil {
		return err
	}
	out := msg.Clone()
	s.rdv.Strip(out) // a message that is passed on starts a new life
	out.Replace(message.XML(message.Platform, elemHeader, doc))
	s.prove(out)
	in := s.local(o.adv.ID, advertisements.Propagate)
	if in != nil || s.rdv.Role() == rendezvous.Rendezvous {
		s.fresh(h.Pipe, h.MsgID)
	}
	n := 0
	if in != nil && (len(o.peers) == 0 || slices.Contains(o.peers, s.self)) {
		own := out.Clone()
		own.Remove(message.Platform, elemHeader)
		s.unprove(own)
		in.deliver(Message{Message: own, From: s.self, Proven: true})
		n++
	}
	if len(o.peers) > 0 {
		return s.sendNamed(ctx, o, out, n)
	}
	if !s.rdv.Beyond() { // the header that the listeners get is the only one
		s.giveListeners(ctx, &h, id.Peer{}, out, true)
		return nil
	}
	stamped := s.rdv.Stamp(out, wireService, s.param, rendezvous.MaxTTL)
	if stamped == nil {
		return fmt.Errorf("pipe: send on %s: %w", label(o.adv), ErrNobody)
	}
	n += s.giveListeners(ctx, &h, id.Peer{}, stamped, true)
	n += s.rdv.Walk(ctx, stamped, wireService, s.param, rendezvous.MaxTTL)
	n += s.rdv.Near(ctx, stamped, wireService, s.param)
	if n == 0 && s.rdv.Role() != rendezvous.Rendezvous { // which is where the listeners would be known
		return fmt.Errorf("pipe: send on %s: %w", label(o.adv), ErrNobody)
	}
	return nil
}

// sendNamed gives a message to the named peers of an output: to a single one
// straight to its input pipe, as JXSE does, to several as a propagated message.
func (s *Service) sendNamed(ctx context.Context, o *Output, out *message.Message, n int) error {
	var last error
	stamped := out
	if len(o.peers) > 1 {
		if stamped = s.rdv.Stamp(out, wireService, s.param, 1); stamped == nil {
			return fmt.Errorf("pipe: send on %s: %w", label(o.adv), ErrNobody)
		}
	}
	for _, p := range o.peers {
		var err error
		switch {
		case p == s.self:
			continue
		case len(o.peers) == 1:
			err = s.scope.Send(ctx, p, pipeService, o.param, out)
		default:
			err = s.rdv.Give(ctx, p, stamped)
		}
		if err != nil {
			last = err
			s.stats.unsent.Add(1)
			s.log.Debug("a named peer was not reached", "pipe", o.adv.ID.Short(), "peer", p.Short(), "error", err)
			continue
		}
		n++
	}
	if n == 0 && last != nil {
		return fmt.Errorf("pipe: send on %s: %w", label(o.adv), last)
	}
	return nil
}

// giveListeners gives a message to the clients of this rendezvous that have
// announced the pipe, but for those it comes from. own says that the message is
// this peer's.
func (s *Service) giveListeners(ctx context.Context, h *header, from id.Peer, msg *message.Message, own bool) int {
	if s.rdv.Role() != rendezvous.Rendezvous {
		return 0
	}
	listeners := s.index.Leased(string(advertisements.Propagate), fieldID, h.Pipe.String(), 0)
	listeners = slices.DeleteFunc(listeners, func(p id.Peer) bool {
		return p == s.self || p == from || p == h.Source || s.reached(p) != nil
	})
	listeners = s.withoutSlow(listeners, own)
	if len(listeners) == 0 {
		return 0
	}
	c := copies{s: s, h: h, msg: msg}
	defer c.end()
	n := 0
	ctx = endpoint.KnownWays(ctx)
	for _, p := range listeners {
		once := c.to(p)
		if once == nil {
			break
		}
		if !s.give(ctx, p, once) {
			s.countSlow(1, own)
			continue
		}
		n++
	}
	return n
}

// copies are what listeners get of a message: encoded once for all that can read short headers,
// and once for the others.
type copies struct {
	s           *Service
	h           *header
	msg         *message.Message
	long, short *message.Message
}

// to returns the copy for a listener, nil if there can be none.
func (c *copies) to(p id.Peer) *message.Message {
	if c.s.rdv.Straight(p) {
		if c.short == nil {
			if doc, ok := c.h.compact(); ok {
				c.short = fixed(c.s.rdv.StampCompact(c.msg, wireService, c.s.param, 1), message.Bytes(message.Platform, elemHeader, doc))
			}
		}
		if c.short != nil {
			return c.short
		}
	}
	if c.long == nil {
		c.long = fixed(c.s.rdv.Stamp(c.msg, wireService, c.s.param, 1), message.Element{})
	}
	return c.long
}

// fixed encodes a copy once for all, with another header if one is given.
func fixed(m *message.Message, header message.Element) *message.Message {
	if m == nil {
		return nil
	}
	if header.Name != "" {
		m.Replace(header)
	}
	if m.Fix() != nil {
		return nil
	}
	return m
}

// end is called when all have got theirs.
func (c *copies) end() {
	for _, m := range [...]*message.Message{c.long, c.short} {
		if m != nil {
			m.Unfix()
		}
	}
}

// withoutSlow removes from a list the listeners that were too slow a moment ago: one that
// does not read must not keep the message from the others. They count as not reached.
func (s *Service) withoutSlow(listeners []id.Peer, own bool) []id.Peer {
	s.wmu.Lock()
	defer s.wmu.Unlock()
	if len(s.slow) == 0 {
		return listeners
	}
	now := time.Now()
	before := len(listeners)
	listeners = slices.DeleteFunc(listeners, func(p id.Peer) bool {
		until, slow := s.slow[p]
		if slow && !now.Before(until) {
			delete(s.slow, p)
			slow = false
		}
		return slow
	})
	s.countSlow(before-len(listeners), own)
	return listeners
}

// countSlow counts listeners that did not get a message, of this peer or of another.
func (s *Service) countSlow(n int, own bool) {
	if own {
		s.stats.unsent.Add(uint64(n))
	} else {
		s.stats.relaySlow.Add(uint64(n))
	}
}

// give gives a stamped message to one listener, and remembers if that is too slow.
func (s *Service) give(ctx context.Context, p id.Peer, stamped *message.Message) bool {
	short := patient(ctx, relayWait)
	defer short.stop()
	err := s.rdv.Give(short, p, stamped)
	if err == nil {
		return true
	}
	s.log.Debug("a listener was not reached", "peer", p.Short(), "error", err)
	if ctx.Err() == nil {
		s.wmu.Lock()
		if len(s.slow) >= maxSlow {
			clear(s.slow)
		}
		if s.slow == nil {
			s.slow = map[id.Peer]time.Time{}
		}
		s.slow[p] = time.Now().Add(slowPause)
		s.wmu.Unlock()
	}
	return false
}

// receiveWire takes a propagated message of some propagate pipe.
func (s *Service) receiveWire(_ context.Context, x endpoint.Incoming) {
	h, err := s.headers.of(x.Message)
	if err != nil {
		s.stats.malformed.Add(1)
		s.log.Debug("message of a propagate pipe dropped", "from", x.From.Short(), "error", err)
		return
	}
	s.takeWire(x, h)
}

// receiveDirected takes a message that was sent straight to the input pipe.
func (in *Input) receiveDirected(_ context.Context, x endpoint.Incoming) {
	s := in.s
	h, err := s.headers.of(x.Message)
	if err != nil || h.Pipe != in.adv.ID {
		s.stats.malformed.Add(1)
		s.log.Debug("message of a propagate pipe dropped", "from", x.From.Short(), "error", err)
		return
	}
	s.takeWire(x, h)
}

// takeWire delivers a message of a propagate pipe here, and passes it on if this
// peer is a rendezvous.
func (s *Service) takeWire(x endpoint.Incoming, h header) {
	s.stats.wireReceived.Add(1)
	in := s.local(h.Pipe, advertisements.Propagate)
	relay := s.rdv.Role() == rendezvous.Rendezvous
	if in == nil && !relay {
		s.stats.noListener.Add(1)
		return
	}
	if !s.admitted(h.Source, x.Message) {
		return // before it is remembered, or a stranger could have a member's message taken for a repetition
	}
	if !s.fresh(h.Pipe, h.MsgID) {
		s.stats.duplicate.Add(1)
		if in != nil {
			in.stats.duplicate.Add(1)
		}
		return
	}
	relay = relay && h.TTL > 1
	msg := x.Message
	if in != nil {
		if relay {
			msg = msg.Clone()
		}
		s.rdv.Strip(msg)
		msg.Remove(message.Platform, elemHeader)
		s.unprove(msg)
		in.deliver(Message{Message: msg, From: h.Source, Proven: s.proven(x, h.Source)})
	}
	if relay {
		next := h
		next.TTL--
		msg, from := x.Message, x.From
		if !s.lanes[maphash.Comparable(s.seed, h.Pipe)%lanes].put(s, func() { s.relay(msg, next, from) }) {
			s.stats.relayFull.Add(1)
		}
	}
}

// deliver queues a message of a propagate pipe.
func (in *Input) deliver(m Message) {
	if in.admit(m) == waiting {
		in.q.put(m)
	}
}

// relay passes a message on: to the clients that have announced the pipe, and to
// the other rendezvous.
func (s *Service) relay(out *message.Message, h header, from id.Peer) {
	doc, err := h.print()
	if err != nil {
		s.log.Debug("message of a propagate pipe cannot be relayed", "error", err)
		return
	}
	out.Replace(message.XML(message.Platform, elemHeader, doc))
	stamped := s.rdv.Stamp(out, wireService, s.param, rendezvous.MaxTTL)
	if stamped == nil {
		// It came as a broadcast, which has hops for the neighbourhood only, before
		// it came through the rendezvous. How far it may go its own header says.
		s.rdv.Unstamp(out)
		if stamped = s.rdv.Stamp(out, wireService, s.param, rendezvous.MaxTTL); stamped == nil {
			return
		}
	}
	n := s.giveListeners(s.ctx, &h, from, stamped, false)
	ctx, cancel := context.WithTimeout(s.ctx, walkWait)
	defer cancel()
	n += s.rdv.Walk(ctx, stamped, wireService, s.param, rendezvous.MaxTTL)
	s.stats.relayed.Add(uint64(n))
}
