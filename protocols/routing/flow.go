package routing

import (
	"encoding/binary"
	"hash/maphash"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/message"
)

// flow is what is passed on of one link. Router.mu guards it but for limit.
type flow struct {
	limit   *rate.Limiter // nil without bound
	waiting int           // messages that wait for a way
	nacks   int           // sent because of it, since
	since   moment
}

// limiter makes a bound of so many octets a second, which may be the default or
// none.
func limiter(perSecond, usual int64) *rate.Limiter {
	switch {
	case perSecond < 0:
		return nil
	case perSecond == 0:
		perSecond = usual
	}
	return rate.NewLimiter(rate.Limit(perSecond), int(perSecond*forwardBurst))
}

// flowOf returns what is passed on of a link. r.mu is held.
func (r *Router) flowOf(l endpoint.Link) *flow {
	f, ok := r.flows.get(l)
	if !ok {
		f = &flow{limit: limiter(r.cfg.ForwardRate, defaultForwardRate)}
		r.flows.set(l, f)
	}
	return f
}

// mayPass reports whether a message of that size may be passed on, and takes it off
// what its link and all together may have passed on. A message larger than a burst
// takes all of it.
func (r *Router) mayPass(f *flow, size int) bool {
	now := time.Now()
	return within(f.limit, now, size) && within(r.all, now, size)
}

func within(l *rate.Limiter, now time.Time, size int) bool {
	return l == nil || l.AllowN(now, min(size, l.Burst()))
}

// loops remembers what was passed on a moment ago, to tell messages that run in
// circles among peers which do not say so. It is safe for concurrent use.
type loops struct {
	seed     maphash.Seed // written once
	mu       sync.Mutex
	now, old map[uint64]passed // passed on since turned, and in the time before
	turned   moment
}

// passed tells of a message that was passed on.
type passed struct {
	by    uint64 // the neighbour who brought it first
	when  moment
	again int // how often others brought it
}

// again reports whether the message has come too often. It is another message with
// the same content, and no circle, when the same neighbour brings it again: what it
// brings is bounded anyway.
func (s *loops) again(by, src, dest id.Peer, msg *message.Message, now moment) bool {
	k, neighbour := s.key(src, dest, msg), maphash.String(s.seed, by.Unique())
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.now == nil {
		s.now, s.turned = map[uint64]passed{}, now
	}
	if now-s.turned >= loopMemory || len(s.now) >= maxLoopMemory/2 {
		if s.old = s.now; now-s.turned >= 2*loopMemory {
			s.old = nil
		}
		s.now, s.turned = map[uint64]passed{}, now
	}
	p, ok := s.now[k]
	if !ok {
		p, ok = s.old[k]
	}
	switch {
	case !ok || now-p.when >= loopMemory:
		s.now[k] = passed{by: neighbour, when: now}
		return false
	case p.by == neighbour:
		return false
	}
	p.again++
	s.now[k] = p
	return p.again >= maxPasses
}

// key tells messages apart by origin, destination and content.
func (s *loops) key(src, dest id.Peer, msg *message.Message) uint64 {
	var h maphash.Hash
	h.SetSeed(s.seed)
	_, _ = h.WriteString(src.Unique())
	_ = h.WriteByte('>')
	_, _ = h.WriteString(dest.Unique())
	for e := range msg.All() {
		if e.Is(message.Platform, elemHeader) {
			continue
		}
		_ = h.WriteByte(0)
		_, _ = h.WriteString(e.Namespace)
		_ = h.WriteByte(0)
		_, _ = h.WriteString(e.Name)
		_ = h.WriteByte(0)
		body := e.Body
		if len(body) > 2*loopSample { // reading all of a large one costs as much as copying it
			var n [8]byte
			binary.BigEndian.PutUint64(n[:], uint64(len(body)))
			_, _ = h.Write(n[:])
			_, _ = h.Write(body[:loopSample])
			body = body[len(body)-loopSample:]
		}
		_, _ = h.Write(body)
	}
	return h.Sum64()
}
