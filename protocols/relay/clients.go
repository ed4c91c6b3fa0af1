package relay

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
)

// client is a peer that holds a lease. Server.mu guards it.
type client struct {
	peer   id.Peer
	until  time.Time
	origin string        // from where it asked last
	proven bool          // it did so over a link that proves who it is
	seen   time.Time     // when it asked last, or the last link to it went
	away   time.Time     // since when there is no link to it; zero while there is one
	link   endpoint.Link // over which it asked last; nil if that is gone
	own    endpoint.Link // the link that was opened for the lease, or nil
	sent   time.Time     // when something was last sent from here

	answer    *reply  // goes before the queue; only the last one counts
	queue     []*kept // oldest first
	bytes     int     // of queue
	busy      bool    // a goroutine sends to it
	gone      bool    // it holds no lease any more
	delivered uint64
	dropped   uint64
}

// reply is an answer on its way to a client. How much of the lease is left is known
// when it is sent.
type reply struct {
	link  endpoint.Link
	relay *advertisements.Rendezvous // to be told of, or nil
	after time.Time                  // when it may be sent
}

// ClientInfo describes a client of a relay.
type ClientInfo struct {
	Peer      id.Peer
	Link      string        // protocol of the link to it, for example "tls"; "" while it is away
	Proven    bool          // it has proven to be Peer
	Left      time.Duration // until its lease ends
	Away      time.Duration // since when there is no link to it
	Queued    int           // messages that wait for it
	Bytes     int           // of these
	Delivered uint64        // messages that waited and were sent to it
	Dropped   uint64        // messages for it that were lost here
}

// Clients returns the peers that hold a lease, in order of ID.
func (s *Server) Clients() []ClientInfo {
	s.mu.Lock()
	list := make([]ClientInfo, 0, len(s.clients))
	for _, c := range s.clients {
		if i, ok := c.info(); ok {
			list = append(list, i)
		}
	}
	s.mu.Unlock()
	for i := range list {
		s.describe(&list[i])
	}
	slices.SortFunc(list, func(a, b ClientInfo) int { return strings.Compare(a.Peer.String(), b.Peer.String()) })
	return list
}

// Client tells about one peer. It reports false if the peer holds no lease.
func (s *Server) Client(p id.Peer) (ClientInfo, bool) {
	s.mu.Lock()
	c := s.clients[p]
	if c == nil {
		s.mu.Unlock()
		return ClientInfo{}, false
	}
	i, ok := c.info()
	s.mu.Unlock()
	s.describe(&i)
	return i, ok
}

// info describes the client, except for the link.
func (c *client) info() (ClientInfo, bool) {
	i := ClientInfo{
		Peer: c.peer, Proven: c.proven, Left: time.Until(c.until),
		Queued: len(c.queue), Bytes: c.bytes, Delivered: c.delivered, Dropped: c.dropped,
	}
	if !c.away.IsZero() {
		i.Away = time.Since(c.away)
	}
	return i, i.Left > 0
}

func (s *Server) describe(i *ClientInfo) {
	if l := s.ep.LinkTo(i.Peer); l != nil {
		i.Link, i.Away = l.Remote().Protocol, 0
	}
}

// connect grants or prolongs a lease.
func (s *Server) connect(l endpoint.Link, r request, own bool) {
	p, now := l.Peer(), time.Now()
	lease := s.cfg.MaxLease
	if r.lease > 0 {
		lease = min(lease, max(r.lease, minLease))
	}
	var tell *advertisements.Rendezvous
	switch r.about {
	case aboutRelay:
		tell = s.own()
	case aboutOther:
		tell = s.other()
	}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return
	}
	c := s.clients[p]
	var replaced endpoint.Link
	if c != nil && !now.Before(c.until) {
		replaced = s.forget(p, c)
		c = nil
	}
	known := c != nil
	if err := s.may(c, l); err != nil {
		s.mu.Unlock()
		s.refuse(l, err)
		return
	}
	if !known {
		c = &client{peer: p}
		s.clients[p] = c
		if s.sweeper == nil {
			s.sweeper = time.AfterFunc(sweepEvery, s.sweep)
		}
	}
	c.origin, c.proven, c.seen = l.Origin(), l.Proven(), now
	c.away, c.link = time.Time{}, l
	if end := now.Add(lease); end.After(c.until) {
		c.until = end
	}
	if own && c.own != l {
		if c.own != nil {
			replaced = c.own
		}
		c.own = l
	}
	if r.flush && !own { // a link may be opened again and again under the same address
		s.clear(c)
	}
	c.answer = &reply{link: l, relay: tell, after: now}
	if own && !endpoint.IsJuxta(l) {
		c.answer.after = now.Add(settle)
	}
	s.kick(c)
	s.mu.Unlock()
	if replaced != nil && replaced != l {
		_ = replaced.Close()
	}
	if known {
		s.stats.renewed.Add(1)
		s.events.Publish(ServerEvent{ClientRenewed, p})
		return
	}
	s.stats.granted.Add(1)
	s.log.Info("a client has joined", "peer", p.Short(), "lease", lease, "proven", l.Proven())
	s.events.Publish(ServerEvent{ClientJoined, p})
}

// may returns why a peer gets no lease over a link, or nil. c is who holds one
// under the same ID, or nil. s.mu is held.
func (s *Server) may(c *client, l endpoint.Link) error {
	switch {
	case c != nil && s.owns(c, l):
		return nil
	case c != nil:
		return ErrTaken
	}
	now := time.Now()
	live, same := 0, 0
	for _, o := range s.clients {
		if !now.Before(o.until) {
			continue // the sweep comes
		}
		live++
		if o.origin == l.Origin() {
			same++
		}
	}
	if ip, err := netip.ParseAddr(l.Origin()); err != nil || ip.IsLoopback() {
		same = 0 // the origin tells nobody apart
	}
	switch {
	case live >= s.cfg.MaxClients:
		return ErrFull
	case same >= s.cfg.MaxPerHost:
		return ErrCrowded
	}
	return nil
}

// owns reports whether the peer at the other side of a link, which goes by the ID
// of the client, is believed to be it. s.mu is held.
func (s *Server) owns(c *client, l endpoint.Link) bool {
	switch {
	case l.Proven():
		return true
	case c.proven:
		return false
	case l.Origin() == c.origin:
		return true
	}
	if best := s.ep.LinkTo(c.peer); best != nil && best != l {
		return false // something came over the other one a moment ago
	}
	return time.Since(c.seen) > claimGrace
}

// linkOf returns the link on which to send to a client, or nil. s.mu is held.
func (s *Server) linkOf(c *client) endpoint.Link {
	if l := s.ep.LinkTo(c.peer); l != nil && s.owns(c, l) {
		return l
	}
	return c.link // or nil: somebody else may go by the same ID
}

// disconnect ends the lease of a peer that asks for it.
func (s *Server) disconnect(l endpoint.Link) {
	p := l.Peer()
	s.mu.Lock()
	c := s.clients[p]
	if c == nil || !s.owns(c, l) {
		s.mu.Unlock()
		if c != nil {
			s.stats.forged.Add(1)
		}
		return
	}
	own := s.forget(p, c)
	s.mu.Unlock()
	if own != nil {
		_ = own.Close()
	}
	s.left(c, "gave its lease back")
}

// forget ends a lease and returns the link that was opened for it, to be closed,
// or nil. s.mu is held.
func (s *Server) forget(p id.Peer, c *client) endpoint.Link {
	own := c.own
	c.own, c.answer, c.gone = nil, nil, true
	s.clear(c)
	delete(s.clients, p)
	return own
}

func (s *Server) left(c *client, why string) {
	s.log.Info("a client has left", "peer", c.peer.Short(), "reason", why)
	s.events.Publish(ServerEvent{ClientLeft, c.peer})
}

// sweep ends leases that ran out, forgets messages that are too old, and has
// another try with those that could not be sent. It runs every [sweepEvery] while
// there are clients.
func (s *Server) sweep() {
	var over, stalled []*client
	var links []endpoint.Link
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return
	}
	s.wg.Add(1)
	defer s.wg.Done()
	now := time.Now()
	for p, c := range s.clients {
		s.age(c, now)
		switch {
		case !now.Before(c.until):
			over = append(over, c)
		case s.cfg.Stall > 0 && len(c.queue) > 0 && !c.away.IsZero() && now.Sub(c.away) >= s.cfg.Stall && s.ep.LinkTo(p) == nil:
			stalled = append(stalled, c)
		default:
			s.hint(c, now)
			s.kick(c)
			continue
		}
		if own := s.forget(p, c); own != nil {
			links = append(links, own)
		}
	}
	if s.sweeper = nil; len(s.clients) > 0 {
		s.sweeper = time.AfterFunc(sweepEvery, s.sweep)
	}
	s.mu.Unlock()
	for _, l := range links {
		_ = l.Close()
	}
	for _, c := range over {
		s.left(c, "its lease has ended")
	}
	for _, c := range stalled {
		s.left(c, "was away for too long")
	}
}

// hint keeps the link of a JXSE client in use, by telling how long its lease still
// lasts. s.mu is held.
func (s *Server) hint(c *client, now time.Time) {
	if c.own != nil && c.answer == nil && now.Sub(c.sent) >= idleHint {
		c.answer = &reply{link: c.own}
	}
}
