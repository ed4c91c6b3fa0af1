package rendezvous

import (
	"context"
	"hash/maphash"
	"slices"
	"sync"
	"time"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/message"
)

// Stamp returns a copy of msg that can be spread: it carries a propagation
// header for the service and parameter, which suppresses duplicates wherever it
// comes by several ways. A message that was spread before continues: its header
// counts on. It returns nil when no hop is left.
//
// Spread one stamped message several ways rather than stamping several times.
func (s *Service) Stamp(msg *message.Message, service, param string, ttl int) *message.Message {
	limit := int64(MaxTTL)
	if s.cfg.Role == AdHoc {
		limit = NearTTL
	}
	limit = min(limit, int64(ttl))
	h, ok := s.headerOf(msg)
	if !ok {
		h = &header{ID: id.NewUUID(), Service: service, Param: param, TTL: limit, Path: []id.Peer{s.self}}
		s.seen.add(h.ID)
	} else {
		if !slices.Contains(h.Path, s.self) {
			h.TTL--
			h.Path = append(h.Path, s.self)
		}
		h.TTL = min(h.TTL, limit)
	}
	if h.TTL <= 0 || len(h.Path) > maxPath {
		return nil
	}
	doc, err := h.print()
	if err != nil {
		s.log.Error("propagation header cannot be printed", "error", err)
		return nil
	}
	out := msg.Clone()
	out.Replace(message.XML(message.Platform, s.elemHeader(), doc))
	return out
}

func (s *Service) elemHeader() string { return elemPropagate + s.param }

func (s *Service) headerOf(msg *message.Message) (*header, bool) {
	e, ok := msg.Get(message.Platform, s.elemHeader())
	if !ok {
		return nil, false
	}
	h, err := readHeader(e.Body)
	if err != nil {
		s.log.Debug("propagation header", "error", err)
		return nil, false
	}
	return h, true
}

// Propagated reports whether a message came by propagation, and not straight
// from its sender to this peer.
func (s *Service) Propagated(msg *message.Message) bool {
	_, ok := msg.Get(message.Platform, s.elemHeader())
	return ok
}

// Near gives the message to the neighbourhood: every broadcast transport, and
// the neighbours known by name. It returns to how many it went, a broadcast
// counting as one; those that failed are counted in [Stats].
func (s *Service) Near(ctx context.Context, msg *message.Message, service, param string) int {
	msg = s.Stamp(msg, service, param, NearTTL)
	if msg == nil {
		return 0
	}
	n := 0
	if err := s.scope.Broadcast(ctx, propagateService, s.param, msg); err == nil {
		n++
	}
	return n + s.each(ctx, s.cfg.Near(), msg)
}

// Walk gives the message to the rest of the group through the rendezvous: an
// edge to the one it leases from, a rendezvous to the others it knows. Ad hoc
// peers have none. It returns to how many it went.
func (s *Service) Walk(ctx context.Context, msg *message.Message, service, param string, ttl int) int {
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
	if s.cfg.Role != Rendezvous {
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

func (s *Service) each(ctx context.Context, peers []id.Peer, msg *message.Message) int {
	n := 0
	for _, p := range peers {
		if p == s.self {
			continue
		}
		one, cancel := context.WithTimeout(ctx, sendTimeout)
		err := s.scope.Send(one, p, propagateService, s.param, msg)
		cancel()
		if err != nil {
			s.stats.unsent.Add(1)
			s.log.Debug("propagating failed", "peer", p.Short(), "error", err)
			continue
		}
		s.stats.sent.Add(1)
		n++
	}
	return n
}

// receive takes a propagated message and hands it to the service it is for.
func (s *Service) receive(_ context.Context, in endpoint.Incoming) {
	s.stats.received.Add(1)
	if !s.sources.allow(in.From, time.Now()) {
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
	if h.TTL > strangerTTL && !s.related(in.From) {
		h.TTL = strangerTTL
		if doc, err := h.print(); err == nil {
			in.Message.Replace(message.XML(message.Platform, s.elemHeader(), doc))
		}
	}
	if !s.scope.Deliver(in, h.Service, h.Param) {
		s.stats.noListener.Add(1)
	}
}

// related reports whether the peer has a lease here, grants ours, or is near.
func (s *Service) related(p id.Peer) bool {
	s.mu.Lock()
	_, ok := s.clients[p]
	ok = ok || (s.lease != nil && s.lease.adv.ID == p)
	s.mu.Unlock()
	return ok || slices.Contains(s.cfg.Near(), p)
}

// seen remembers message IDs, the latest ones up to the limit.
type seen struct {
	limit int

	mu   sync.Mutex
	seed maphash.Seed
	set  map[uint64]struct{}
	ring []uint64
	next int
}

// add remembers the ID and reports whether it is new.
func (s *seen) add(msgID string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.set == nil {
		s.set, s.seed = map[uint64]struct{}{}, maphash.MakeSeed()
	}
	k := maphash.String(s.seed, msgID)
	if _, ok := s.set[k]; ok {
		return false
	}
	s.set[k] = struct{}{}
	if len(s.ring) < s.limit {
		s.ring = append(s.ring, k)
		return true
	}
	delete(s.set, s.ring[s.next])
	s.ring[s.next] = k
	s.next = (s.next + 1) % s.limit
	return true
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

func (s *sources) allow(p id.Peer, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.buckets[p]
	if b == nil {
		if s.buckets == nil || len(s.buckets) >= maxSources {
			s.buckets = map[id.Peer]*bucket{}
		}
		b = &bucket{tokens: sourceBurst, last: now}
		s.buckets[p] = b
	}
	b.tokens = min(sourceBurst, b.tokens+now.Sub(b.last).Seconds()*sourceRate)
	b.last = now
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}
