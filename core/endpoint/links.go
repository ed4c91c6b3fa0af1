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
	used     atomic.Int64 // when the last message went in either direction, see Endpoint.now
	received atomic.Int64 // when the last one came from the other side

	// leaving is set when the link is being closed to make room; it then counts
	// no more. Endpoint.lmu guards it.
	leaving bool

	// in caches the addresses of the last message; it belongs to the reading goroutine.
	in parsedAddresses
}

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
	e.watches[w] = struct{}{}
	return func() {
		e.lmu.Lock()
		defer e.lmu.Unlock()
		delete(e.watches, w)
	}
}

func (e *Endpoint) notify(ev LinkEvent) {
	e.lmu.RLock()
	all := make([]*watch, 0, len(e.watches))
	for w := range e.watches {
		all = append(all, w)
	}
	e.lmu.RUnlock()
	for _, w := range all {
		w.f(ev)
	}
}

// LinkTo returns the link on which to send to a peer, or nil. Of several it is
// a proven one before a claimed one and the newest before an older one, except
// that a claim from another place does not displace a link from which something
// came within the last 30 s: plain JXTA proves nothing, and whoever takes a
// peer's traffic by taking its ID must at least wait until the peer is silent.
func (e *Endpoint) LinkTo(p id.Peer) Link {
	e.lmu.RLock()
	defer e.lmu.RUnlock()
	var best *conn
	for _, c := range e.byPeer[p] {
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
	all := make([]Link, 0, len(e.byLink))
	for l := range e.byLink {
		all = append(all, l)
	}
	return all
}

// opened takes a link in, before the transport begins to read it.
func (e *Endpoint) opened(l Link) error {
	if l.Peer() == e.cfg.Peer {
		return ErrSelf
	}
	c := &conn{Link: l}
	now := e.now()
	c.used.Store(now)
	c.received.Store(now)
	e.lmu.Lock()
	if e.closed {
		e.lmu.Unlock()
		return ErrClosed
	}
	victim, ok := e.room(c)
	if !ok {
		e.lmu.Unlock()
		return ErrTooManyLinks
	}
	e.byLink[l] = c
	e.byPeer[l.Peer()] = append(e.byPeer[l.Peer()], c)
	if l.Outgoing() {
		e.dialled[l.Remote().Base()] = c
	}
	e.lmu.Unlock()
	if victim != nil {
		e.log.Debug("closing a link to make room", "peer", victim.Peer().Short())
		_ = victim.Close()
	}
	e.stats.links.Add(1)
	e.log.Debug("link up", "peer", l.Peer().Short(), "remote", l.Remote().String(), "outgoing", l.Outgoing())
	e.notify(LinkEvent{Link: l, Up: true})
	return nil
}

// room finds out whether there is room for a new link, and which other must go
// for it: of too many to the same peer from the same place the one unused for
// longest, since it may be a remnant of the peer's former life; of too many in
// all likewise, if it is unused long enough. lmu is held.
func (e *Endpoint) room(c *conn) (victim *conn, ok bool) {
	same := 0
	for _, x := range e.byPeer[c.Peer()] {
		if !x.leaving && x.Origin() == c.Origin() && x.Proven() == c.Proven() {
			same++
			victim = x.olderThan(victim)
		}
	}
	if same < maxLinksPerPeer {
		victim = nil
	}
	if victim == nil && len(e.byLink)-e.leaving >= e.cfg.MaxLinks {
		for _, x := range e.byLink {
			if !x.leaving {
				victim = x.olderThan(victim)
			}
		}
		if e.now()-victim.used.Load() < int64(spareAfter) {
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
	if o == nil || c.used.Load() < o.used.Load() {
		return c
	}
	return o
}

func (e *Endpoint) linkClosed(l Link) {
	e.lmu.Lock()
	c := e.byLink[l]
	if c == nil {
		e.lmu.Unlock()
		return
	}
	delete(e.byLink, l)
	if c.leaving {
		e.leaving--
	}
	rest := slices.DeleteFunc(e.byPeer[l.Peer()], func(x *conn) bool { return x == c })
	if len(rest) == 0 {
		delete(e.byPeer, l.Peer())
	} else {
		e.byPeer[l.Peer()] = rest
	}
	if a := l.Remote().Base(); e.dialled[a] == c {
		delete(e.dialled, a)
	}
	e.lmu.Unlock()
	e.log.Debug("link down", "peer", l.Peer().Short(), "remote", l.Remote().String())
	e.notify(LinkEvent{Link: l, Last: len(rest) == 0})
}

// closeIdle closes links that carried nothing for the idle time.
func (e *Endpoint) closeIdle() {
	t := time.NewTicker(max(e.cfg.IdleTimeout/15, time.Second))
	defer t.Stop()
	for {
		select {
		case <-e.ctx.Done():
			return
		case <-t.C:
		}
		e.lmu.RLock()
		var idle []Link
		for l, c := range e.byLink {
			if e.now()-c.used.Load() > int64(e.cfg.IdleTimeout) {
				idle = append(idle, l)
			}
		}
		e.lmu.RUnlock()
		for _, l := range idle {
			_ = l.Close()
		}
	}
}
