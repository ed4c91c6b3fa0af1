package endpoint

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/message"
)

// Path is a prepared way to one service of a group at one peer, for who sends many
// messages there. It needs no closing. Its methods are safe for concurrent use.
//
// Messages go as [Scope.Send] or [Scope.SendSecure] would have them go, except over
// a link to the very peer, if the other side is Juxta: there they carry no document
// of the router, and on a link that is encrypted and whose other side has proven its
// ID no second encryption either, unless the path has been encrypted from end to end
// before. JXSE takes such messages too, as its bidirectional
// pipes send them, but its pipes do not send them.
type Path struct {
	s      Scope
	peer   id.Peer
	dst    Address // for the router
	secure bool
	flow   uint8

	// tunnelled is set when a message was encrypted from end to end. What follows
	// stays on that way, which keeps the order when others come and go below it.
	tunnelled atomic.Bool

	bulk atomic.Bool // see Bulk

	service, param string // for a link: with the group; where messages are sealed: without
	straight       atomic.Pointer[straight]
}

// straight is what is prepared for a link.
type straight struct {
	c       *conn
	tail    message.Tail
	changes uint64 // of the links, as they were then
	until   int64  // when the router is to have a look again
}

// Path prepares the way to a service of the group at a peer. secure asks for a way on
// which nobody between the two can read or alter a message, as with
// [Scope.SendSecure].
func (s Scope) Path(p id.Peer, service, param string, secure bool) *Path {
	x := &Path{s: s, peer: p, secure: secure, service: service, param: param}
	if s.seals() {
		return x
	}
	x.service, x.param = s.mangle(service, param)
	if s.group != s.e.cfg.Net {
		service, param = x.service, x.param
	}
	if x.dst = PeerAddress(p, service, param); secure {
		x.dst.Protocol = secureProtocol
	}
	x.flow = s.e.FlowOf(x.dst) // as the router has it, so that the order holds when it comes in
	return x
}

// Peer returns the peer at the end.
func (x *Path) Peer() id.Peer { return x.peer }

// Send is [Endpoint.Send] on the path.
func (x *Path) Send(ctx context.Context, msg *message.Message) error {
	e := x.s.e
	if msg.Len() == 0 {
		return errEmpty
	}
	if x.s.rules != nil {
		if x.s.seals() {
			return x.sendSealed(ctx, msg)
		}
		if err := x.s.allow(x.peer); err != nil {
			return err
		}
	}
	if d := x.straight.Load(); d != nil {
		if now := e.now(); d.changes == e.changes.Load() && now < d.until {
			if x.bulk.Load() && !d.c.aside && SpeedOf(d.c.Link) != Fast {
				e.lead(ctx, d.c, msg.Size())
				if other := x.prepare(e.changes.Load()); other != nil {
					d = other
				}
			}
			err := e.sendTail(ctx, d.c, msg, d.tail.ForMany(msg.Fixed()), now)
			if !errors.Is(err, ErrLinkClosed) {
				return err
			}
		}
		x.straight.Store(nil)
	}
	changes := e.changes.Load()
	if x.secure {
		if !x.tunnelled.Load() {
			if d := x.prepare(changes); d != nil {
				return e.sendTail(ctx, d.c, msg, d.tail, e.now())
			}
			x.tunnelled.Store(true)
		}
		return e.Send(ctx, x.dst, msg)
	}
	// The router first: it tells the peer what it must know of this one.
	err := e.Send(ctx, x.dst, msg)
	if err == nil {
		x.prepare(changes)
	}
	return err
}

// sendSealed sends in a group whose messages are sealed, the address of which changes.
func (x *Path) sendSealed(ctx context.Context, msg *message.Message) error {
	if x.secure {
		return x.s.SendSecure(ctx, x.peer, x.service, x.param, msg)
	}
	return x.s.Send(ctx, x.peer, x.service, x.param, msg)
}

// Direct returns the link that messages take straight, or nil if they go through the
// router, for now.
func (x *Path) Direct() Link {
	if d := x.straight.Load(); d != nil && d.changes == x.s.e.changes.Load() {
		return d.c.Link
	}
	return nil
}

// prepare looks for a link that messages can take straight, nil if there is none.
func (x *Path) prepare(changes uint64) *straight {
	e := x.s.e
	l := e.LinkTo(x.peer)
	if l == nil || !IsJuxta(l) || x.secure && !(Private(l) && e.cfg.Peer.Provable()) {
		return nil
	}
	c := e.conn(l)
	if c == nil {
		return nil
	}
	if x.bulk.Load() {
		if a := e.asideTo(c); a != nil {
			l, c = a.Link, a
		}
	}
	tail, err := new(sendBuffer).tail(l, x.service, x.param)
	if err != nil {
		return nil
	}
	d := &straight{c: c, tail: tail.WithFlow(x.flow), changes: changes, until: e.now() + int64(straightFor)}
	x.straight.Store(d)
	return d
}

// Private reports whether nobody between the two peers can read or alter what goes
// over a link, and the other side has shown the key of which its ID is made.
func Private(l Link) bool { return Encrypted(l) && l.Proven() && l.Peer().Provable() }

// straightFor is how long a path takes a link before the router is asked again,
// which tells the neighbour of new addresses of this peer.
const straightFor = time.Minute
