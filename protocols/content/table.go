package content

import (
	"bytes"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/id"
)

// entry is who has what.
type entry struct {
	id   ID
	peer id.Peer
}

// table holds hits and finds them by their words without looking at each. It is
// safe for concurrent use.
type table struct {
	most, mostEach int // entries, in all and of one holder

	mu      sync.RWMutex
	hits    map[entry]*Hit
	byID    map[ID]map[entry]bool
	words   map[string]map[entry]bool
	holders map[id.Peer]map[ID]bool
}

func newTable(most, mostEach int) *table {
	return &table{
		most: most, mostEach: mostEach, hits: map[entry]*Hit{}, byID: map[ID]map[entry]bool{},
		words: map[string]map[entry]bool{}, holders: map[id.Peer]map[ID]bool{},
	}
}

// put takes a hit, or replaces what was there. It reports false if there is no
// room.
func (t *table) put(h Hit) bool {
	e := entry{h.Item.ID, h.Holder.Peer}
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, ok := t.hits[e]; ok {
		t.remove(e)
	}
	if len(t.hits) >= t.most || len(t.holders[e.peer]) >= t.mostEach {
		return false
	}
	t.hits[e] = &h
	add(t.byID, e.id, e)
	add(t.holders, e.peer, e.id)
	for _, w := range h.Item.tokens() {
		add(t.words, w, e)
	}
	return true
}

func add[K, V comparable](m map[K]map[V]bool, k K, v V) {
	if m[k] == nil {
		m[k] = map[V]bool{}
	}
	m[k][v] = true
}

func drop[K, V comparable](m map[K]map[V]bool, k K, v V) {
	if delete(m[k], v); len(m[k]) == 0 {
		delete(m, k)
	}
}

// remove wants mu.
func (t *table) remove(e entry) {
	h, ok := t.hits[e]
	if !ok {
		return
	}
	delete(t.hits, e)
	drop(t.byID, e.id, e)
	drop(t.holders, e.peer, e.id)
	for _, w := range h.Item.tokens() {
		drop(t.words, w, e)
	}
}

// take removes an entry.
func (t *table) take(c ID, p id.Peer) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.remove(entry{c, p})
}

// forget removes all that a holder has.
func (t *table) forget(p id.Peer) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for c := range t.holders[p] {
		t.remove(entry{c, p})
	}
}

// count is how many entries a holder has; those of all for the zero peer.
func (t *table) count(p id.Peer) int {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if p.IsZero() {
		return len(t.hits)
	}
	return len(t.holders[p])
}

// all returns the items, in order of ID.
func (t *table) all() []Item {
	t.mu.RLock()
	items := make([]Item, 0, len(t.hits))
	for _, h := range t.hits {
		items = append(items, h.Item)
	}
	t.mu.RUnlock()
	slices.SortFunc(items, func(a, b Item) int { return bytes.Compare(a.ID[:], b.ID[:]) })
	return items
}

// find returns at most limit hits that fit the query, in order of name, ID and
// holder if there are no more than that.
func (t *table) find(q *Query, limit int) []Hit {
	t.mu.RLock()
	var found []Hit
	for e := range t.candidates(q) {
		if h := t.hits[e]; q.Matches(&h.Item) {
			if found = append(found, *h); len(found) == limit {
				break
			}
		}
	}
	t.mu.RUnlock()
	slices.SortFunc(found, func(a, b Hit) int {
		if n := strings.Compare(a.Item.Name, b.Item.Name); n != 0 {
			return n
		}
		if n := bytes.Compare(a.Item.ID[:], b.Item.ID[:]); n != 0 {
			return n
		}
		return strings.Compare(a.Holder.Peer.Unique(), b.Holder.Peer.Unique())
	})
	return found
}

// candidates yields those that may fit: of an ID, or with one of the words, the
// rarest; or all. It wants mu for reading.
func (t *table) candidates(q *Query) iter.Seq[entry] {
	if !q.ID.IsZero() {
		return maps.Keys(t.byID[q.ID])
	}
	var rarest map[entry]bool
	exact := false
	pattern := ""
	for _, w := range q.Words {
		w = strings.ToLower(w)
		if strings.Contains(w, "*") {
			if len(w) > len(pattern) {
				pattern = w
			}
			continue
		}
		if set := t.words[w]; !exact || len(set) < len(rarest) {
			rarest, exact = set, true
		}
	}
	switch {
	case exact:
		return maps.Keys(rarest)
	case strings.Trim(pattern, "*") != "":
		return func(yield func(entry) bool) {
			seen := map[entry]bool{}
			for w, set := range t.words {
				if !advertisements.Match(pattern, w) {
					continue
				}
				for e := range set {
					if !seen[e] && !yield(e) {
						return
					}
					seen[e] = true
				}
			}
		}
	}
	return maps.Keys(t.hits)
}

// mine returns the hits of a holder, which must not be changed. One that was put
// again is another pointer.
func (t *table) mine(p id.Peer) map[ID]*Hit {
	t.mu.RLock()
	defer t.mu.RUnlock()
	all := make(map[ID]*Hit, len(t.holders[p]))
	for c := range t.holders[p] {
		all[c] = t.hits[entry{c, p}]
	}
	return all
}
