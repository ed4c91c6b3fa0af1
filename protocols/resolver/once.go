package resolver

import (
	"hash/maphash"
	"slices"
	"sync"
	"time"

	"github.com/juxta-p2p/juxta/core/id"
)

// memory knows the queries that came lately: one comes several times, by a walk,
// through the keeper of an index and as a datagram. The zero value is ready for
// use.
type memory struct {
	mu    sync.Mutex
	seed  maphash.Seed
	known map[queryKey]*memo
	order []*memo // oldest first
}

// queryKey names a query. JXSE counts its queries from 1 at every start, so what
// is asked belongs to the name.
type queryKey struct {
	source id.Peer
	id     int32
	what   uint64
}

// memo is what is remembered of one query. The methods can be called on nil,
// which remembers nothing.
type memo struct {
	key queryKey
	at  time.Time

	mu       sync.Mutex
	answered bool
	told     []id.Peer
}

// remember connects a query that came with what is remembered of it.
func (s *Service) remember(q *RawQuery) {
	now := time.Now()
	m := &s.memory
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.known == nil {
		m.known, m.seed = map[queryKey]*memo{}, maphash.MakeSeed()
	}
	for len(m.order) > 0 && now.Sub(m.order[0].at) >= rememberFor {
		m.forget()
	}
	what := maphash.String(m.seed, q.Handler) ^ maphash.String(m.seed, q.Body)
	k := queryKey{q.Source, q.ID, what}
	if q.memo = m.known[k]; q.memo != nil {
		s.stats.repeated.Add(1)
		return
	}
	if len(m.order) >= maxRemembered {
		m.forget()
		s.stats.forgotten.Add(1)
	}
	q.memo = &memo{key: k, at: now}
	m.known[k] = q.memo
	m.order = append(m.order, q.memo)
}

// forget forgets the oldest query. m.mu is held.
func (m *memory) forget() {
	delete(m.known, m.order[0].key)
	m.order[0] = nil // not to be kept alive by the array
	m.order = m.order[1:]
}

// Answer reports whether a received query is still to be answered: it is called
// by whoever is about to answer it, and is true once, however often the query
// comes. Of a query that was not received it is always true.
func (q *RawQuery) Answer() bool {
	if q.memo == nil {
		return true
	}
	q.memo.mu.Lock()
	defer q.memo.mu.Unlock()
	first := !q.memo.answered
	q.memo.answered = true
	return first
}

// Unanswered takes back that a query was answered, if the answer could not be
// sent.
func (q *RawQuery) Unanswered() {
	if q.memo == nil {
		return
	}
	q.memo.mu.Lock()
	defer q.memo.mu.Unlock()
	q.memo.answered = false
}

// tell notes that the query goes to the peer, and reports whether it did not
// before, and whether there was room to note it.
func (m *memo) tell(p id.Peer) (first, room bool) {
	if m == nil {
		return true, true
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case slices.Contains(m.told, p):
		return false, true
	case len(m.told) >= maxTold:
		return false, false
	}
	m.told = append(m.told, p)
	return true, true
}

// untell takes it back: the query could not be sent.
func (m *memo) untell(p id.Peer) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.told = slices.DeleteFunc(m.told, func(q id.Peer) bool { return q == p })
}
