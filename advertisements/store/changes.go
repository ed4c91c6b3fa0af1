package store

import (
	"cmp"
	"slices"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
)

// Change is one index entry as it is pushed to a rendezvous: a value by which
// something here can be found, and until when.
type Change struct {
	Kind        advertisements.Kind
	Name, Value string

	// Lifetime is the longest of all records that have the value. The zero
	// time withdraws the entry: no record has the value any more.
	Lifetime time.Time
}

// touch names a value of which something changed.
type touch struct {
	kind        advertisements.Kind
	name, value string
}

// changeLog remembers what changed, in order. It starts with the first reader.
type changeLog struct {
	on    bool
	first uint64 // cursor of the oldest touch
	all   []touch
	bytes int
}

// touch notes all indexed values of the entry.
func (l *changeLog) touch(e *entry) {
	if !l.on {
		return
	}
	for i := range e.nodes {
		n := &e.nodes[i]
		l.all = append(l.all, touch{e.kind, n.column.name, n.value})
		l.bytes += len(n.value)
	}
	if len(l.all) > 2*maxTouches || l.bytes > 2*maxTouchBytes {
		l.trim()
	}
}

// trim forgets the oldest half.
func (l *changeLog) trim() {
	drop := 0
	for len(l.all)-drop > maxTouches || l.bytes > maxTouchBytes {
		l.bytes -= len(l.all[drop].value)
		drop++
	}
	l.first += uint64(drop)
	n := copy(l.all, l.all[drop:])
	clear(l.all[n:])
	l.all = l.all[:n]
}

func (l *changeLog) next() uint64 { return l.first + uint64(len(l.all)) }

// Entries returns every index entry of the scope, by kind and field and then in
// store order, and the cursor from which [Scope.Changes] goes on. It is what an
// edge pushes when it gets a lease.
//
// Records with expiration 0 and quiet records have no entries.
func (sc *Scope) Entries() (entries []Change, next uint64) {
	now := time.Now().UnixMilli()
	sc.mu.Lock()
	if !sc.log.on {
		sc.log.on, sc.log.first = true, 1
	}
	next = sc.log.next()
	sc.mu.Unlock()

	// What changes between the two locks is seen here and again in Changes.
	sc.mu.RLock()
	defer sc.mu.RUnlock()
	for kind := range sc.shelves {
		var columns []*column
		for _, c := range sc.shelves[kind].columns {
			columns = append(columns, c)
		}
		slices.SortFunc(columns, func(a, b *column) int { return cmp.Compare(a.name, b.name) })
		for _, c := range columns {
			seen := make(map[string]struct{}, len(c.rows))
			for k := c.nodes.head; k != nil; k = k.next {
				v := k.of.value
				if _, ok := seen[v]; ok {
					continue
				}
				seen[v] = struct{}{}
				if end, ok := c.end(v, now); ok {
					entries = append(entries, Change{advertisements.Kind(kind), c.name, v, time.UnixMilli(end)})
				}
			}
		}
	}
	return entries, next
}

// Changes returns the index entries that were saved or removed since the
// cursor, each once and as it is now, in the order of their first change; and
// the cursor for the next call. The end of a lifetime is no change: it was told
// with the entry.
//
// If ok is false, the cursor is too old or from another run of the program, and
// everything has to be pushed; use [Scope.Entries]. The memory of changes starts
// with the first call of Entries and holds at least 16,384 field values. What was
// withdrawn meanwhile stays in other peers' indexes until its time is over.
func (sc *Scope) Changes(since uint64) (changes []Change, next uint64, ok bool) {
	now := time.Now().UnixMilli()
	sc.mu.RLock()
	defer sc.mu.RUnlock()
	l := &sc.log
	if !l.on || since < l.first || since > l.next() {
		return nil, since, false
	}
	recent := l.all[since-l.first:]
	seen := make(map[touch]struct{}, len(recent))
	for _, t := range recent {
		if _, ok := seen[t]; ok {
			continue
		}
		seen[t] = struct{}{}
		ch := Change{Kind: t.kind, Name: t.name, Value: t.value}
		if c := sc.shelves[t.kind].columns[t.name]; c != nil {
			if end, ok := c.end(t.value, now); ok {
				ch.Lifetime = time.UnixMilli(end)
			}
		}
		changes = append(changes, ch)
	}
	return changes, l.next(), true
}

// end returns the longest life of the announced entries that have the value.
func (c *column) end(value string, now int64) (end int64, ok bool) {
	row := c.rows[value]
	if row == nil {
		return 0, false
	}
	for k := row.head; k != nil; k = k.next {
		if e := k.of.e; e.announced() && e.live(now) {
			end, ok = max(end, e.end.at), true
		}
	}
	return end, ok
}
