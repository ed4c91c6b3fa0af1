package endpoint

import (
	"slices"
	"sync/atomic"
	"time"

	"github.com/juxta-p2p/juxta/core/id"
)

// conn is what the endpoint keeps about a link.
type conn struct {
	Link

	// Of messages to the other side: when the last one went, see Endpoint.now, how many
	// there were, and their octets.
	gone             atomic.Int64
	sent, sentOctets atomic.Uint64

	// Of messages from the other side, likewise.
	received           atomic.Int64
	taken, takenOctets atomic.Uint64

	next *conn // the next younger link to the same peer; guarded by Endpoint.lmu
	at   place // where it leads, if this side dialled it

	asideState

	// leaving is set when the link is being closed to make room; it then counts
	// no more. Endpoint.lmu guards it.
	leaving bool

	// in caches the addresses of the last message; it belongs to the reading goroutine.
	in lastSeen
}

// used is when the last message went in either direction.
func (c *conn) used() int64 { return max(c.gone.Load(), c.received.Load()) }

// LinkEvent tells that a link came up or went down.
type LinkEvent struct {
	Link Link
	Up   bool

	// Last reports, for a link that went down, that no other link to the
	// same peer is left.
	Last bool
}

type watch struct{ f func(LinkEvent) }

// Watch calls f for every link that comes up or goes down from now on, until
// stop is called. f must not block; it may be called from several goroutines.
func (e *Endpoint) Watch(f func(LinkEvent)) (stop func()) {
	w := &watch{f}
	e.lmu.Lock()
	defer e.lmu.Unlock()
	e.watches = append(slices.Clip(e.watches), w)
	return func() {
		e.lmu.Lock()
		defer e.lmu.Unlock()
		e.watches = slices.DeleteFunc(slices.Clone(e.watches), func(x *watch) bool { return x == w })
	}
}

func (e *Endpoint) notify(ev LinkEvent) {
	e.lmu.RLock()
	all := e.watches
	e.lmu.RUnlock()
	for _, w := range all {
		w.f(ev)
	}
}

// LinkTo returns the link on which to send to a peer, or nil. Of several it is
// one for everything before one for bulk, a proven one before a claimed one and the
// newest before an older one, except that a claim from another place does not displace a link from which something
// came within the last 30 s: plain JXTA proves nothing, and whoever takes a
// peer's traffic by taking its ID must at least wait until the peer is silent.
func (e *Endpoint) LinkTo(p id.Peer) Link {
	e.lmu.RLock()
	defer e.lmu.RUnlock()
	var best *conn
	for c := e.byPeer[p]; c != nil; c = c.next {
		if best == nil || c.preferredTo(best, e.now()) {
			best = c
		}
	}
	if best == nil {
		return nil
	}
	return best.Link
}

// preferredTo reports whether c, which is newer, is the better way.
func (c *conn) preferredTo(old *conn, now int64) bool {
	if c.aside != old.aside {
		return old.aside
	}
	if c.Proven() != old.Proven() {
		return c.Proven()
	}
	if c.Proven() || c.Origin() == old.Origin() {
		return true
	}
	return now-old.received.Load() > int64(claimGrace)
}

// Links returns all open links.
func (e *Endpoint) Links() []Link {
	e.lmu.RLock()
	defer e.lmu.RUnlock()
	all := make([]Link, 0, e.links)
	for c := range e.conns {
		all = append(all, c.Link)
	}
	return all
}

// conns yields all links. lmu is held.
func (e *Endpoint) conns(yield func(*conn) bool) {
	for _, c := range e.byPeer {
		for ; c != nil; c = c.next {
			if !yield(c) {
				return
			}
		}
	}
}

// conn returns what is kept about an open link, or nil.
func (e *Endpoint) conn(l Link) *conn {
	if c, ok := e.byLink.Load(l); ok {
		return c.(*conn)
	}
	return nil
}

// opened takes a link in, before the transport begins to read it.
func (e *Endpoint) opened(l Link) error {
	if l.Peer() == e.cfg.Peer {
		return ErrSelf
	}
	if isProbe(l) {
		return &probed{l.Peer()}
	}
	if e.cfg.Admit != nil {
		if err := e.cfg.Admit(l); err != nil {
			e.stats.refusedByRule.Add(1)
			e.refuse(l, err)
			return &Refusal{Peer: l.Peer(), Ours: true, Rule: err.Error(), When: time.Now()}
		}
	}
	c := &conn{Link: l}
	c.aside = isAside(l)
	now := e.now()
	c.gone.Store(now)
	c.received.Store(now)
	e.lmu.Lock()
	if e.closed {
		e.lmu.Unlock()
		return ErrClosed
	}
	victim, ok := e.room(c)
	if !ok {
		e.lmu.Unlock()
		e.stats.refusedLinks.Add(1)
		e.Offend(l.Origin(), l.Peer(), "links")
		return ErrTooManyLinks
	}
	e.enter(c)
	e.lmu.Unlock()
	if victim != nil {
		e.stats.evictedLinks.Add(1)
		e.log.Debug("closing a link to make room", "peer", victim.Peer().Short())
		_ = victim.Close()
	}
	e.stats.opened.Add(1)
	e.log.Debug("link up", "peer", l.Peer().Short(), "remote", l.Remote().String(), "outgoing", l.Outgoing())
	e.notify(LinkEvent{Link: l, Up: true})
	return nil
}

// enter puts a link into the tables. lmu is held.
func (e *Endpoint) enter(c *conn) {
	if e.byPeer == nil {
		e.byPeer = map[id.Peer]*conn{}
	}
	e.links++
	if last := e.byPeer[c.Peer()]; last == nil {
		e.byPeer[c.Peer()] = c
	} else {
		for last.next != nil {
			last = last.next
		}
		last.next = c
	}
	if c.Outgoing() && !c.aside {
		c.at = placeOf(c.Remote())
		e.dialled = append(e.dialled, c)
	}
	e.byLink.Store(c.Link, c)
	e.changes.Add(1)
	e.lookIdle(e.cfg.IdleTimeout)
}

// leave takes a link out of the tables, and reports whether it was the last one
// to its peer. lmu is held.
func (e *Endpoint) leave(c *conn) (last bool) {
	e.links--
	e.byLink.Delete(c.Link)
	e.changes.Add(1)
	if c.leaving {
		e.leaving--
	}
	first := e.byPeer[c.Peer()]
	for at := &first; *at != nil; at = &(*at).next {
		if *at == c {
			*at = c.next
			break
		}
	}
	if first == nil {
		delete(e.byPeer, c.Peer())
	} else {
		e.byPeer[c.Peer()] = first
	}
	if i := slices.Index(e.dialled, c); i >= 0 {
		e.dialled = slices.Delete(e.dialled, i, i+1)
	}
	if e.links == 0 && e.idle != nil {
		e.idle.Stop()
		e.idle = nil
	}
	return first == nil
}

// room finds out whether there is room for a new link, and which other must go
// for it: of too many to the same peer from the same place the one unused for
// longest, since it may be a remnant of the peer's former life; of too many in
// all likewise, if it is unused long enough. lmu is held.
func (e *Endpoint) room(c *conn) (victim *conn, ok bool) {
	same := 0
	for x := e.byPeer[c.Peer()]; x != nil; x = x.next {
		if !x.leaving && x.Origin() == c.Origin() && x.Proven() == c.Proven() {
			same++
			victim = x.olderThan(victim)
		}
	}
	if same < maxLinksPerPeer {
		victim = nil
	}
	if victim == nil && e.links-e.leaving >= e.cfg.MaxLinks {
		for x := range e.conns {
			if !x.leaving {
				victim = x.olderThan(victim)
			}
		}
		if e.now()-victim.used() < int64(spareAfter) {
			return nil, false
		}
	}
	if victim != nil {
		victim.leaving = true
		e.leaving++
	}
	return victim, true
}

// olderThan returns which of the two is unused for longer; o may be nil.
func (c *conn) olderThan(o *conn) *conn {
	if o == nil || c.used() < o.used() {
		return c
	}
	return o
}

func (e *Endpoint) linkClosed(l Link) {
	e.lmu.Lock()
	c := e.conn(l)
	if c == nil {
		e.lmu.Unlock()
		return
	}
	last := e.leave(c)
	e.lmu.Unlock()
	e.log.Debug("link down", "peer", l.Peer().Short(), "remote", l.Remote().String())
	e.notify(LinkEvent{Link: l, Last: last})
}

// lookIdle has closeIdle called after d, unless it will be anyway. lmu is held.
func (e *Endpoint) lookIdle(d time.Duration) {
	if e.cfg.IdleTimeout > 0 && e.idle == nil && !e.closed && e.links > 0 {
		e.idle = time.AfterFunc(d, e.closeIdle)
	}
}

// closeIdle closes links that carried nothing for the idle time. It runs when the
// first of them may have, on a goroutine that lives only so long.
func (e *Endpoint) closeIdle() {
	var idle []Link
	e.lmu.Lock()
	if e.closed {
		e.lmu.Unlock()
		return
	}
	e.wg.Add(1)
	defer e.wg.Done()
	e.idle = nil
	now, next := e.now(), e.cfg.IdleTimeout
	for c := range e.conns {
		left := e.cfg.IdleTimeout - time.Duration(now-c.used())
		if left < 0 {
			idle = append(idle, c.Link)
		} else {
			next = min(next, left)
		}
	}
	e.lookIdle(max(next, e.cfg.IdleTimeout/idleParts, time.Second))
	e.lmu.Unlock()
	for _, l := range idle {
		_ = l.Close()
	}
	e.stats.idled.Add(uint64(len(idle)))
}
