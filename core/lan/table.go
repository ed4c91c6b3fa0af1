package lan

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
)

// table holds the peers that are near, by source.
type table struct {
	self  id.Peer
	group id.Group // peers of others cause no events

	mu            sync.Mutex
	seen          map[Source]map[id.Peer]*sighting
	full, evicted uint64 // peers left out, and forgotten for others
}

// sighting is what one source says of one peer.
type sighting struct {
	rec    record
	heard  time.Time
	missed int // looks in a row at which it was not there
}

// found is what one look at a source brought.
type found map[id.Peer]sighting

func newTable(self id.Peer, group id.Group) *table {
	return &table{self: self, group: group, seen: map[Source]map[id.Peer]*sighting{Machine: {}, MDNS: {}}}
}

// apply takes one look at a source into the table. Peers not found limit times
// in a row are dropped. It returns what changed.
func (t *table) apply(src Source, now found, limit int) []Event {
	t.mu.Lock()
	defer t.mu.Unlock()
	seen := t.seen[src]
	before := map[id.Peer]Hint{}
	note := func(p id.Peer) {
		if _, ok := before[p]; ok {
			return
		}
		before[p] = Hint{}
		if h, ok := t.hint(p); ok && h.Group == t.group {
			before[p] = h
		}
	}
	for p, s := range seen {
		if _, ok := now[p]; ok {
			continue
		}
		if s.missed++; s.missed >= limit {
			note(p)
			delete(seen, p)
		}
	}
	for p, s := range now {
		if p == t.self {
			continue
		}
		if seen[p] == nil && len(seen) >= maxPeers {
			victim, ok := t.stranger(seen)
			if !ok || s.rec.group != t.group {
				t.full++
				continue
			}
			t.evicted++
			note(victim)
			delete(seen, victim)
		}
		note(p)
		seen[p] = &s
	}
	var events []Event
	for p, old := range before {
		h, ok := t.hint(p)
		ok = ok && h.Group == t.group
		switch {
		case ok && old.Peer.IsZero():
			events = append(events, Event{Found, h})
		case ok && !h.same(old):
			events = append(events, Event{Changed, h})
		case !ok && !old.Peer.IsZero():
			events = append(events, Event{Lost, old})
		}
	}
	slices.SortFunc(events, func(a, b Event) int { return cmp.Compare(a.Hint.Peer.String(), b.Hint.Peer.String()) })
	return events
}

// stranger finds a peer of another group, which may be forgotten for one of
// ours. The caller holds the lock.
func (t *table) stranger(seen map[id.Peer]*sighting) (id.Peer, bool) {
	for p, s := range seen {
		if s.rec.group != t.group {
			return p, true
		}
	}
	return id.Peer{}, false
}

// hint joins what the sources say of a peer. What the machine says counts more,
// as only the same user can write there. The caller holds the lock.
func (t *table) hint(p id.Peer) (Hint, bool) {
	h := Hint{Peer: p}
	for _, src := range [...]Source{Machine, MDNS} {
		s := t.seen[src][p]
		switch {
		case s == nil:
			continue
		case h.Source == 0:
			h.Group, h.Name, h.Roles, h.Age = s.rec.group, s.rec.name, s.rec.roles, time.Since(s.heard)
		case s.rec.group != h.Group:
			continue
		}
		h.Source |= src
		h.Age = max(0, min(h.Age, time.Since(s.heard)))
		h.Addresses = merge(h.Addresses, s.rec.addresses)
	}
	return h, h.Source != 0
}

// hints returns all peers, by name.
func (t *table) hints() []Hint {
	t.mu.Lock()
	defer t.mu.Unlock()
	var out []Hint
	for src, seen := range t.seen {
		for p := range seen {
			if src != Machine && t.seen[Machine][p] != nil {
				continue
			}
			if h, ok := t.hint(p); ok {
				out = append(out, h)
			}
		}
	}
	slices.SortFunc(out, func(a, b Hint) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Peer.String(), b.Peer.String()))
	})
	return out
}

// merge returns a new list with the addresses of both, up to the limit.
func merge(a, b []endpoint.Address) []endpoint.Address {
	all := unique(slices.Concat(a, b))
	return all[:min(len(all), maxAddresses)]
}
