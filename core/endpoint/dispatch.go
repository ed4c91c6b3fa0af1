package endpoint

import (
	"bytes"
	"context"
	"strings"

	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/message"
)

// Incoming is a message as a service gets it.
type Incoming struct {
	Message *message.Message // the handler's own; the address elements are gone

	// From is the peer the message says it comes from: the one at the other
	// end of the link, or the originator of a routed message. It is proven
	// only if Link is, and the message was not routed; or if Secured is set.
	From id.Peer

	// Secured says that the message came encrypted from end to end, from a peer
	// that has proven to be From.
	Secured bool

	// Sealed says that the message was sealed by a member of the group, see
	// [Rules.Seal].
	Sealed bool

	Source Address // of the last hop, or jxta:// of the originator of a routed message
	Dest   Address // with the service and parameter named, without the prefix of the group
	Link   Link    // the link it came on; nil for a datagram and for a message to oneself
}

// Handler takes a message. It is called on the goroutine that reads the link,
// so messages of one link come in order, and the link is not read until the
// handler returns. A handler that waits, in particular for an answer over the
// same link, must do so on a goroutine of its own. ctx ends with the endpoint.
type Handler func(ctx context.Context, in Incoming)

const manglePrefix = "EndpointService:"

// Scope is the endpoint as one group sees it: services registered or addressed
// through it are those of the group. It is a value and needs no closing.
type Scope struct {
	e       *Endpoint
	group   id.Group
	mangled string // what stands for the service where the group must be named
	rules   *Rules // nil if there are none
}

// Scope returns the view of a group.
func (e *Endpoint) Scope(g id.Group) Scope {
	return Scope{e: e, group: g, mangled: manglePrefix + g.Unique()}
}

// Group returns the group of the view.
func (s Scope) Group() id.Group { return s.group }

// Peer returns the local peer's ID.
func (s Scope) Peer() id.Peer { return s.e.cfg.Peer }

// Endpoint returns the endpoint under the view.
func (s Scope) Endpoint() *Endpoint { return s.e }

// Send carries msg to a service of the group at a peer, over a link or by the
// router; see [Endpoint.Send].
func (s Scope) Send(ctx context.Context, p id.Peer, service, param string, msg *message.Message) error {
	if err := s.allow(p); err != nil {
		return err
	}
	if s.seals() {
		outer, sealed, err := s.seal(service, param, msg)
		if err != nil {
			return err
		}
		return outer.Send(ctx, p, SealedService, "", sealed)
	}
	if s.group != s.e.cfg.Net {
		service, param = s.mangle(service, param)
	}
	return s.e.Send(ctx, PeerAddress(p, service, param), msg)
}

// SendSecure is [Scope.Send] with encryption from end to end, whatever peers are in
// between. It waits until the peer has proven its ID.
func (s Scope) SendSecure(ctx context.Context, p id.Peer, service, param string, msg *message.Message) error {
	if err := s.allow(p); err != nil {
		return err
	}
	if s.seals() {
		outer, sealed, err := s.seal(service, param, msg)
		if err != nil {
			return err
		}
		return outer.SendSecure(ctx, p, SealedService, "", sealed)
	}
	if s.group != s.e.cfg.Net {
		service, param = s.mangle(service, param)
	}
	dst := PeerAddress(p, service, param)
	dst.Protocol = secureProtocol
	return s.e.Send(ctx, dst, msg)
}

// SendTo carries msg straight to a transport address, for peers whose ID is not
// known yet. It dials if there is no link.
func (s Scope) SendTo(ctx context.Context, addr Address, service, param string, msg *message.Message) error {
	if s.seals() {
		outer, sealed, err := s.seal(service, param, msg)
		if err != nil {
			return err
		}
		return outer.SendTo(ctx, addr, SealedService, "", sealed)
	}
	if s.group != id.WorldGroup {
		service, param = s.mangle(service, param)
	}
	return s.e.Send(ctx, addr.With(service, param), msg)
}

// SendOn carries msg straight over a link.
func (s Scope) SendOn(ctx context.Context, l Link, service, param string, msg *message.Message) error {
	if err := s.allow(l.Peer()); err != nil {
		return err
	}
	if s.seals() {
		outer, sealed, err := s.seal(service, param, msg)
		if err != nil {
			return err
		}
		return outer.SendOn(ctx, l, SealedService, "", sealed)
	}
	if s.group != id.WorldGroup {
		service, param = s.mangle(service, param)
	}
	return s.e.SendOn(ctx, l, l.Remote().With(service, param), msg)
}

// Broadcast sends msg to a service of the group at every peer of the
// neighbourhood; see [Endpoint.Broadcast].
func (s Scope) Broadcast(ctx context.Context, service, param string, msg *message.Message) error {
	if s.seals() {
		outer, sealed, err := s.seal(service, param, msg)
		if err != nil {
			return err
		}
		return outer.Broadcast(ctx, SealedService, "", sealed)
	}
	if s.group != id.WorldGroup {
		service, param = s.mangle(service, param)
	}
	return s.e.Broadcast(ctx, service, param, msg)
}

// mangle folds the group into service and parameter, as JXSE does wherever the
// group of the service is not the group of the carrier.
func (s Scope) mangle(service, param string) (string, string) {
	if strings.HasPrefix(service, manglePrefix) {
		return service, param // there is one prefix at most
	}
	if param != "" {
		service += "/" + param
	}
	return s.mangled, service
}

// Deliver hands a message to the service its destination names. routed says
// that it comes from the router, where an unmangled service is one of the net
// group; from a transport it is one of the World group. It reports whether a
// handler took it.
func (e *Endpoint) Deliver(in Incoming, routed bool) bool {
	group, k := e.addressee(in.Dest, routed)
	return e.deliver(in, group, k, e.handler(group, k))
}

// addressee takes the group out of a destination.
func (e *Endpoint) addressee(dst Address, routed bool) (group string, k route) {
	k = route{dst.Service, dst.Param}
	if g, ok := strings.CutPrefix(k.service, manglePrefix); ok {
		group = g
		k.service, k.param, _ = strings.Cut(k.param, "/")
	} else if routed {
		group = e.cfg.Net.Unique()
	} else {
		group = id.WorldGroup.Unique()
	}
	return group, k
}

// handler returns who takes messages for a service of a group, or nil.
func (e *Endpoint) handler(group string, k route) Handler {
	h := e.lookup(group, k)
	if h == nil {
		// Another spelling of the group's ID; JXSE would not deliver it.
		if g, err := id.ParseUnique(group); err == nil && g.Unique() != group {
			h = e.lookup(g.Unique(), k)
		}
	}
	return h
}

func (e *Endpoint) deliver(in Incoming, group string, k route, h Handler) bool {
	if h == nil {
		e.stats.noListener.Add(1)
		e.log.Debug("nobody listens", "group", group, "service", k.service, "param", k.param, "from", in.From.Short())
		return false
	}
	e.stats.delivered.Add(1)
	in.Dest.Service, in.Dest.Param = k.service, k.param
	h(e.ctx, in)
	return true
}

// lastSeen remembers what the addresses of the last message of a link meant: one
// link mostly carries the same ones.
type lastSeen struct {
	decoder          message.Decoder
	srcText, dstText string
	src, dst         Address

	// Where dst led when the handlers had changed so often.
	known   bool
	handled uint64
	group   string
	route   route
	h       Handler
}

func (p *lastSeen) source(b []byte) (Address, error) {
	if string(b) == p.srcText {
		return p.src, nil
	}
	a, err := ParseAddress(string(b))
	if err == nil {
		p.srcText, p.src = string(b), a
	}
	return a, err
}

func (p *lastSeen) dest(b []byte) (Address, error) {
	if string(b) == p.dstText {
		return p.dst, nil
	}
	a, err := ParseAddress(string(b))
	if err == nil {
		p.dstText, p.dst, p.known = string(b), a, false
	}
	return a, err
}

// deliver hands a message with the last destination to who takes it.
func (p *lastSeen) deliver(e *Endpoint, in Incoming) {
	if handled := e.handled.Load(); !p.known || p.handled != handled {
		p.group, p.route = e.addressee(in.Dest, false)
		p.h = e.handler(p.group, p.route)
		p.handled, p.known = handled, true
	}
	e.deliver(in, p.group, p.route, p.h)
}

// receive takes one encoded message from a transport.
func (e *Endpoint) receive(l Link, body []byte) error { return e.receiveShared(l, body, nil) }

// receiveShared is receive for a message in memory that is used again.
func (e *Endpoint) receiveShared(l Link, body []byte, mem *message.Memory) error {
	e.stats.received.Add(1)
	if taps := e.taps.Load(); taps != nil {
		e.tapped(*taps, l, bytes.Clone(body), false)
	}
	var last *lastSeen
	if l != nil {
		if c := e.conn(l); c != nil {
			c.received.Store(e.now())
			c.taken.Add(1)
			c.takenOctets.Add(uint64(len(body)))
			last = &c.in
		}
	}
	if last == nil {
		last = new(lastSeen)
	}
	msg, err := last.decoder.Decode(body, mem)
	if err != nil {
		e.stats.malformed.Add(1)
		if l != nil {
			e.Offend(l.Origin(), l.Peer(), "malformed messages")
		}
		return err
	}
	in := Incoming{Message: msg, Link: l}
	if l != nil {
		in.From = l.Peer()
	}
	src, ok1 := msg.Get(message.Platform, elemSource)
	dst, ok2 := msg.Get(message.Platform, elemDest)
	if ok1 {
		in.Source, err = last.source(src.Body)
		ok1 = err == nil
	}
	if ok2 {
		in.Dest, err = last.dest(dst.Body)
		ok2 = err == nil
	}
	if !ok1 || !ok2 {
		e.stats.noAddress.Add(1)
		e.log.Debug("message without usable addresses dropped", "from", in.From.Short())
		return nil
	}
	msg.Remove(message.Platform, elemDest) // mostly the last
	msg.Remove(message.Platform, elemSource)
	if l != nil && in.Dest.Service == refusedService {
		e.takeRefusal(in)
		return nil
	}
	if !e.originate(&in) {
		return nil
	}
	last.deliver(e, in)
	return nil
}

// originate reads and removes the element in which propagation names the peer
// that a message started from, and reports whether to go on: one's own come
// back and are dropped. A datagram has no link to tell its sender, so there the
// element does, or else a jxta:// source address.
func (e *Endpoint) originate(in *Incoming) bool {
	var origin id.Peer
	if o, ok := in.Message.Get(message.Platform, elemOrigin); ok {
		p, err := id.ParsePeer(string(o.Body))
		if err != nil {
			e.stats.noAddress.Add(1)
			return false
		}
		origin = p
		in.Message.Remove(message.Platform, elemOrigin)
	}
	if origin == e.cfg.Peer {
		e.stats.own.Add(1)
		return false
	}
	if in.Link != nil {
		return true
	}
	if in.From = origin; origin.IsZero() {
		in.From, _ = in.Source.Peer()
	}
	switch in.From {
	case id.Peer{}:
		e.stats.noAddress.Add(1)
		return false
	case e.cfg.Peer:
		e.stats.own.Add(1)
		return false
	}
	return true
}

// Deliver hands a message to another service of the group at this peer, as if
// it had been addressed to it; services that spread messages for others use it.
// It reports whether a handler took it.
func (s Scope) Deliver(in Incoming, service, param string) bool {
	if strings.HasPrefix(service, manglePrefix) {
		in.Dest = in.Dest.With(service, param)
		return s.e.Deliver(in, false)
	}
	group, k := s.group.Unique(), route{service, param}
	return s.e.deliver(in, group, k, s.e.handler(group, k))
}
