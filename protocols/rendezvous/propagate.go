package rendezvous

import (
	"context"
	"hash/maphash"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/core/recent"
)

// Stamp returns a copy of msg that can be spread: it carries a propagation
// header for the service and parameter, which suppresses duplicates wherever it
// comes by several ways. A message that was spread before continues: its header
// counts on. It returns nil when no hop is left.
//
// Spread one stamped message several ways rather than stamping several times.
func (s *Service) Stamp(msg *message.Message, service, param string, ttl int) *message.Message {
	return s.stamp(msg, service, param, ttl, false)
}

// StampCompact is [Service.Stamp] for a message that goes to peers for which [Service.Straight]
// holds, and to no others: its header takes less than half the room.
func (s *Service) StampCompact(msg *message.Message, service, param string, ttl int) *message.Message {
	return s.stamp(msg, service, param, ttl, true)
}

func (s *Service) stamp(msg *message.Message, service, param string, ttl int, short bool) *message.Message {
	limit := int64(MaxTTL)
	if s.Role() == AdHoc {
		limit = NearTTL
	}
	limit = min(limit, int64(ttl))
	h, ok := s.headerOf(msg)
	if _, walks := msg.Get(message.Platform, elemWalk); ok && walks {
		// The hops of a walk are counted by its own header, and would not fit in
		// this one.
		return msg.Clone()
	}
	if !ok {
		h = header{ID: id.NewUUID(), Service: service, Param: param, TTL: limit, Path: []id.Peer{s.self}}
		s.seen.add(h.ID)
	} else {
		if !slices.Contains(h.Path, s.self) {
			h.TTL--
			h.Path = append(h.Path, s.self)
		}
		h.TTL = min(h.TTL, limit)
	}
	if h.TTL <= 0 || len(h.Path) > maxPath {
		s.stats.noHop.Add(1)
		return nil
	}
	if short {
		if doc, ok := h.compact(); ok {
			out := msg.Clone()
			out.Replace(message.Bytes(message.Platform, s.elem, doc))
			return out
		}
	}
	doc, err := h.print()
	if err != nil {
		s.log.Error("propagation header cannot be printed", "error", err)
		return nil
	}
	out := msg.Clone()
	out.Replace(message.XML(message.Platform, s.elem, doc))
	return out
}

// headerOf returns the propagation header of a message. Its path is shared, with no room
// behind it.
func (s *Service) headerOf(msg *message.Message) (header, bool) {
	e, ok := msg.Get(message.Platform, s.elem)
	if !ok {
		return header{}, false
	}
	last := s.last.Load()
	if h, ok := last.like(e.Body); ok {
		return h, true
	}
	h, err := readHeader(e.Body)
	if err != nil {
		s.log.Debug("propagation header", "error", err)
		return header{}, false
	}
	if l := lastOf(e.Body, h); l != nil {
		s.last.Store(l)
	}
	h.Path = slices.Clip(h.Path)
	return *h, true
}

// Propagated reports whether a message came by propagation or by a walk, and not
// straight from its sender to this peer.
func (s *Service) Propagated(msg *message.Message) bool {
	_, ok := msg.Get(message.Platform, s.elem)
	if !ok {
		_, ok = msg.Get(message.Platform, elemWalk)
	}
	return ok
}

// Near gives the message to the neighbourhood: every broadcast transport, and
// the neighbours known by name. It returns to how many it went, a broadcast
// counting as one; those that failed are counted in [Stats].
func (s *Service) Near(ctx context.Context, msg *message.Message, service, param string) int {
	near := s.cfg.Near()
	if len(near) == 0 && !s.ep.Broadcasts() {
		return 0
	}
	msg = s.Stamp(msg, service, param, NearTTL)
	if msg == nil {
		return 0
	}
	n := 0
	if err := s.scope.Broadcast(ctx, propagateService, s.param, msg); err == nil {
		n++
	}
	return n + s.each(ctx, near, msg)
}

// Walk gives the message to the rest of the group through the rendezvous. An edge
// gives it to the one it leases from. A rendezvous has it walk over its view, one
// member after the other in both directions, or on in the direction from which
// it came, at most ttl hops from here in each; what becomes of it there the
// service decides that gets it. Ad hoc peers have no rendezvous. It returns to
// how many it went.
func (s *Service) Walk(ctx context.Context, msg *message.Message, service, param string, ttl int) int {
	if s.Role() == Rendezvous {
		return s.walkOn(ctx, msg, service, param, ttl)
	}
	l, ok := s.Lease()
	if !ok {
		return 0
	}
	if msg = s.Stamp(msg, service, param, ttl); msg == nil {
		return 0
	}
	return s.each(ctx, []id.Peer{l.Peer}, msg)
}

// ToClients gives the message to every edge that holds a lease here, but for
// those it came through. It returns to how many it went.
func (s *Service) ToClients(ctx context.Context, msg *message.Message, service, param string, ttl int) int {
	if s.Role() != Rendezvous {
		return 0
	}
	var visited []id.Peer
	if h, ok := s.headerOf(msg); ok {
		visited = h.Path
	}
	if msg = s.Stamp(msg, service, param, ttl); msg == nil {
		return 0
	}
	var to []id.Peer
	for _, c := range s.Clients() {
		if !slices.Contains(visited, c.Peer) {
			to = append(to, c.Peer)
		}
	}
	return s.each(ctx, to, msg)
}

// Beyond reports whether there is anybody in sight besides the clients of this peer, so that
// [Service.Walk] or [Service.Near] may find somebody.
func (s *Service) Beyond() bool {
	if s.Role() != Rendezvous {
		return true
	}
	v := s.view.Load()
	return v != nil && v.Size() > 0 || len(s.cfg.Near()) > 0 || s.ep.Broadcasts()
}

// To gives the message to named peers, as a propagated one, so that duplicates
// are suppressed. It returns to how many it went.
func (s *Service) To(ctx context.Context, peers []id.Peer, msg *message.Message, service, param string, ttl int) int {
	if msg = s.Stamp(msg, service, param, ttl); msg == nil {
		return 0
	}
	return s.each(ctx, peers, msg)
}

// Spread gives the message to everybody that can be reached: neighbourhood,
// rendezvous and clients. It returns to how many it went.
func (s *Service) Spread(ctx context.Context, msg *message.Message, service, param string, ttl int) int {
	if msg = s.Stamp(msg, service, param, ttl); msg == nil {
		return 0
	}
	n := s.Walk(ctx, msg, service, param, ttl) + s.ToClients(ctx, msg, service, param, ttl)
	return n + s.Near(ctx, msg, service, param)
}

// each gives a stamped message to peers: at once to those that a link leads to,
// and side by side to the others, which have to be reached first.
func (s *Service) each(ctx context.Context, peers []id.Peer, msg *message.Message) int {
	var n atomic.Int64
	give := func(p id.Peer) {
		one, cancel := context.WithTimeout(endpoint.KnownWays(ctx), sendTimeout)
		defer cancel()
		if err := s.Give(one, p, msg); err != nil {
			s.log.Debug("propagating failed", "peer", p.Short(), "error", err)
			return
		}
		n.Add(1)
	}
	var far []id.Peer
	for _, p := range peers {
		switch {
		case p == s.self:
		case s.ep.LinkTo(p) != nil:
			give(p)
		default:
			far = append(far, p)
		}
	}
	var giving sync.WaitGroup
	for i := range min(len(far), sideBySide) {
		giving.Go(func() {
			for ; i < len(far); i += sideBySide {
				give(far[i])
			}
		})
	}
	giving.Wait()
	return int(n.Load())
}

// receive takes a propagated message and hands it to the service it is for.
func (s *Service) receive(_ context.Context, in endpoint.Incoming) {
	s.stats.received.Add(1)
	related := s.related(in.From)
	times := 1.0
	if related {
		times = relatedTimes
	}
	if !s.sources.allow(in.From, time.Now(), times) {
		s.stats.overRate.Add(1)
		return
	}
	h, ok := s.headerOf(in.Message)
	if !ok {
		s.stats.malformed.Add(1)
		return
	}
	switch {
	case h.TTL <= 0:
		s.stats.expired.Add(1)
		return
	case slices.Contains(h.Path, s.self) || !s.seen.add(h.ID):
		s.stats.duplicate.Add(1)
		return
	}
	if !related {
		s.correct(in)
	}
	if h.TTL > strangerTTL && !related {
		h.TTL = strangerTTL
		if doc, err := h.print(); err == nil {
			in.Message.Replace(message.XML(message.Platform, s.elem, doc))
		}
	}
	if !s.scope.Deliver(in, h.Service, h.Param) {
		s.stats.noListener.Add(1)
	}
}

// related reports whether the peer has a lease here, grants ours, is in the view,
// or is near.
func (s *Service) related(p id.Peer) bool {
	s.mu.Lock()
	_, ok := s.clients[p]
	ok = ok || (s.lease != nil && s.lease.adv.ID == p)
	s.mu.Unlock()
	return ok || s.InView(p) || slices.Contains(s.cfg.Near(), p)
}

// correct tells a peer that spreads messages through this rendezvous as if it
// had a lease that it has none, as JXSE does: it may have overslept its end.
func (s *Service) correct(in endpoint.Incoming) {
	if s.Role() != Rendezvous || in.Link == nil || in.Link.Peer() != in.From {
		return
	}
	t := now()
	s.mu.Lock()
	again := t.Sub(s.told[in.From]) < tellAgain
	if !again {
		if s.told == nil || len(s.told) >= maxTold {
			s.told = map[id.Peer]time.Time{}
		}
		s.told[in.From] = t
	}
	s.mu.Unlock()
	if !again {
		s.giveBack(in.From)
	}
}

// seen remembers the IDs of the latest messages.
type seen struct {
	seed maphash.Seed
	mu   sync.Mutex
	set  recent.Set
}

func (s *seen) init(limit int) { s.seed, s.set = maphash.MakeSeed(), recent.New(limit) }

// grow raises the limit.
func (s *seen) grow(limit int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.set.Grow(limit)
}

// add remembers the ID and reports whether it is new.
func (s *seen) add(msgID string) bool { return s.addKey(maphash.String(s.seed, msgID)) }

func (s *seen) addKey(k uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.set.Add(k)
}

// sources bounds the rate of each neighbour by a token bucket.
type sources struct {
	mu      sync.Mutex
	buckets map[id.Peer]*bucket
}

type bucket struct {
	tokens float64
	last   time.Time
}

func (s *sources) allow(p id.Peer, now time.Time, times float64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.buckets[p]
	if b == nil {
		if s.buckets == nil || len(s.buckets) >= maxSources {
			s.buckets = map[id.Peer]*bucket{}
		}
		b = &bucket{tokens: times * sourceBurst, last: now}
		s.buckets[p] = b
	}
	b.tokens = min(times*sourceBurst, b.tokens+now.Sub(b.last).Seconds()*times*sourceRate)
	b.last = now
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}
