package store

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/id"
)

// IndexConfig sets the limits of an [Index]. The zero value means the defaults;
// each field that is zero or negative means its own.
type IndexConfig struct {
	HolderEntries int           // entries of one holder; default [DefaultHolderEntries]
	ShareEntries  int           // entries of one holder while the index is more than half full; default [DefaultShareEntries]
	Entries       int           // entries in all; default [DefaultIndexEntries]
	Text          int           // octets of their values in all; default [DefaultIndexText]
	Lifetime      time.Duration // most that an entry lives; default [DefaultIndexLifetime]
}

// Index is what a rendezvous knows of others' advertisements (SRDI): which peer
// has said that it holds something with a value in a field, and until when. One
// serves one group. Its methods are safe for concurrent use; it has no goroutine
// and needs no closing.
//
// The primary key is the name of a store ("Peers", "Groups", "Adv"), the type of
// a pipe, or "route"; the secondary key is the name of a field.
//
// The index believes what it is told. Whether the sender of an entry may speak
// for its holder is for the caller to judge before [Index.Add].
type Index struct {
	cfg IndexConfig

	mu      sync.RWMutex // guards the rest
	tables  map[tableKey]*table
	holders map[id.Peer]map[placeKey]*place
	ends    agenda[*place]
	n       int
	text    int // octets of the values
	seq     uint64
	stats   IndexStats
}

// IndexStats is what an [Index] holds and what it did since it was made.
type IndexStats struct {
	Entries, Holders int

	Added         uint64 // new entries
	RefusedHolder uint64 // refused because their holder had as many as it may
	RefusedShare  uint64 // refused because the index was more than half full and their holder had its share
	RefusedFull   uint64 // refused because the index was full
	RefusedSize   uint64 // refused because a key or value was empty or too long
	Clipped       uint64 // entries whose life was shortened
	Expired       uint64 // entries removed because their time was over
}

type tableKey struct{ primary, secondary string }

// table holds the entries of one field.
type table struct {
	key  tableKey
	rows map[string]*list[*place]
}

// placeKey names an entry of one holder.
type placeKey struct {
	t     *table
	value string
}

// place is one entry: a value and a holder.
type place struct {
	t       *table
	value   string
	holder  id.Peer
	seq     uint64
	claimed int64 // the end as it was told, not clipped
	end     timed[*place]
	inRow   link[*place]
}

// NewIndex makes an empty index.
func NewIndex(cfg IndexConfig) *Index {
	cfg.HolderEntries = orDefault(cfg.HolderEntries, DefaultHolderEntries)
	cfg.ShareEntries = min(orDefault(cfg.ShareEntries, DefaultShareEntries), cfg.HolderEntries)
	cfg.Entries = orDefault(cfg.Entries, DefaultIndexEntries)
	cfg.Text = orDefault(cfg.Text, DefaultIndexText)
	cfg.Lifetime = orDefault(cfg.Lifetime, DefaultIndexLifetime)
	return &Index{cfg: cfg}
}

// Add enters that the holder has something with the value in the field until
// the end, or [IndexConfig.Lifetime] from now if that is sooner. Adding again
// replaces the end; an end that has passed withdraws the entry.
//
// A full index, and a holder that has as many entries as it may, take no new
// ones; the error then wraps [ErrFull]. How many that are depends: while there is
// room a holder gets it, but the second half of the index goes in small shares,
// so that a few that have much do not starve the others. If a key, the value or the holder is empty or a text too
// long, it wraps [ErrInvalid] or [ErrTooLarge].
func (x *Index) Add(primary, secondary, value string, holder id.Peer, end time.Time) error {
	now := time.Now()
	nowMS, claimed, limit := now.UnixMilli(), millis(end), millis(now.Add(x.cfg.Lifetime))
	x.mu.Lock()
	defer x.mu.Unlock()
	x.sweep(nowMS, sweepBatch)

	switch {
	case primary == "" || secondary == "" || value == "" || holder.IsZero():
		x.stats.RefusedSize++
		return fmt.Errorf("store: index: %w", ErrInvalid)
	case len(primary) > MaxIndexKey || len(secondary) > MaxIndexKey || len(value) > MaxIndexValue:
		x.stats.RefusedSize++
		return fmt.Errorf("store: index: %w: %s %s %s", ErrTooLarge, clip(primary), clip(secondary), clip(value))
	}
	t := x.tables[tableKey{primary, secondary}]
	old := x.holders[holder][placeKey{t, value}]
	if claimed <= nowMS {
		if old != nil {
			x.remove(old)
		}
		return nil
	}
	if claimed > limit {
		x.stats.Clipped++
	}
	if old != nil {
		old.claimed = claimed
		x.ends.set(&old.end, min(claimed, limit), old)
		return nil
	}
	held := len(x.holders[holder])
	switch { // sweeping made room if anything had expired
	case held >= x.cfg.HolderEntries:
		x.stats.RefusedHolder++
		return fmt.Errorf("store: index: %w: %s has %d entries", ErrFull, holder.Short(), held)
	case x.n >= x.cfg.Entries || x.text+len(value) > x.cfg.Text:
		x.stats.RefusedFull++
		return fmt.Errorf("store: index: %w: %d entries", ErrFull, x.n)
	case held >= x.cfg.ShareEntries && (x.n >= x.cfg.Entries/2 || x.text >= x.cfg.Text/2):
		x.stats.RefusedShare++
		return fmt.Errorf("store: index: %w: %s has %d entries of %d", ErrFull, holder.Short(), held, x.n)
	}
	x.insert(primary, secondary, value, holder, claimed, min(claimed, limit))
	return nil
}

func (x *Index) insert(primary, secondary, value string, holder id.Peer, claimed, end int64) {
	if x.tables == nil {
		x.tables, x.holders = make(map[tableKey]*table), make(map[id.Peer]map[placeKey]*place)
	}
	t := x.tables[tableKey{primary, secondary}]
	if t == nil {
		key := tableKey{strings.Clone(primary), strings.Clone(secondary)}
		t = &table{key: key, rows: make(map[string]*list[*place])}
		x.tables[key] = t
	}
	x.seq++
	p := &place{t: t, value: strings.Clone(value), holder: holder, seq: x.seq, claimed: claimed}
	row := t.rows[p.value]
	if row == nil {
		row = new(list[*place])
		t.rows[p.value] = row
	}
	row.push(&p.inRow, p)
	if x.holders[holder] == nil {
		x.holders[holder] = make(map[placeKey]*place)
	}
	x.holders[holder][placeKey{t, p.value}] = p
	x.ends.set(&p.end, end, p)
	x.n++
	x.text += len(value)
	x.stats.Added++
}

func (x *Index) remove(p *place) {
	row := p.t.rows[p.value]
	row.remove(&p.inRow)
	if row.n == 0 {
		delete(p.t.rows, p.value)
	}
	if len(p.t.rows) == 0 {
		delete(x.tables, p.t.key)
	}
	mine := x.holders[p.holder]
	delete(mine, placeKey{p.t, p.value})
	if len(mine) == 0 {
		delete(x.holders, p.holder)
	}
	x.ends.drop(&p.end)
	x.n--
	x.text -= len(p.value)
}

// sweep removes entries whose time is over, at most limit if it is not 0.
func (x *Index) sweep(now int64, limit int) (removed int) {
	for x.ends.due(now) && (limit == 0 || removed < limit) {
		x.remove(x.ends[0].of)
		x.stats.Expired++
		removed++
	}
	return removed
}

// Find returns the peers that hold something with a fitting value in the field,
// each once, those first that said so first. The value is a pattern as in
// [Query]; an empty secondary key asks for all that hold anything under the
// primary key. Limit 0 or less means all.
//
// Equality costs one look-up; a pattern is tried on every value of the field.
func (x *Index) Find(primary, secondary, value string, limit int) []id.Peer {
	now := time.Now().UnixMilli()
	x.mu.RLock()
	defer x.mu.RUnlock()
	var found []id.Peer
	switch {
	case secondary == "":
		first := make(map[id.Peer]uint64)
		for key, t := range x.tables {
			if key.primary == primary {
				t.collect("", now, first)
			}
		}
		found = inOrder(first)
	case value == "" || strings.Contains(value, "*"):
		t := x.tables[tableKey{primary, secondary}]
		if t == nil {
			return nil
		}
		first := make(map[id.Peer]uint64)
		t.collect(value, now, first)
		found = inOrder(first)
	default:
		t := x.tables[tableKey{primary, secondary}]
		if t == nil || t.rows[value] == nil {
			return nil
		}
		n := 0
		for k := t.rows[value].head; k != nil && (limit <= 0 || n < limit); k = k.next {
			n++
		}
		found = make([]id.Peer, 0, n)
		for k := t.rows[value].head; k != nil && (limit <= 0 || len(found) < limit); k = k.next {
			if k.of.end.at > now {
				found = append(found, k.of.holder)
			}
		}
	}
	if limit > 0 && len(found) > limit {
		found = found[:limit]
	}
	return found
}

// collect notes the holders of fitting values with their first entry.
func (t *table) collect(pattern string, now int64, first map[id.Peer]uint64) {
	for value, row := range t.rows {
		if !advertisements.Match(pattern, value) {
			continue
		}
		for k := row.head; k != nil; k = k.next {
			p := k.of
			if seq, ok := first[p.holder]; p.end.at > now && (!ok || p.seq < seq) {
				first[p.holder] = p.seq
			}
		}
	}
}

func inOrder(first map[id.Peer]uint64) []id.Peer {
	var peers []id.Peer
	for p := range first {
		peers = append(peers, p)
	}
	slices.SortFunc(peers, func(a, b id.Peer) int { return cmp.Compare(first[a], first[b]) })
	return peers
}

// RemoveHolder removes all entries of the holder, as when its lease ends, and
// returns how many there were.
func (x *Index) RemoveHolder(holder id.Peer) int {
	x.mu.Lock()
	defer x.mu.Unlock()
	n := 0
	for _, p := range x.holders[holder] {
		x.remove(p)
		n++
	}
	return n
}

// Renew lets the holder's entries live on, to the end that they were added with
// or [IndexConfig.Lifetime] from now, whichever is sooner. A rendezvous calls it
// when the holder renews its lease: edges of JXSE 2.5 push what they have only
// once. It returns the number of entries.
func (x *Index) Renew(holder id.Peer) int {
	now := time.Now()
	limit := millis(now.Add(x.cfg.Lifetime))
	x.mu.Lock()
	defer x.mu.Unlock()
	x.sweep(now.UnixMilli(), sweepBatch)
	n := 0
	for _, p := range x.holders[holder] {
		if p.end.at > now.UnixMilli() {
			x.ends.set(&p.end, min(p.claimed, limit), p)
			n++
		}
	}
	return n
}

// Sweep removes the entries whose time is over and returns how many there were.
// Nobody needs to call it: adding removes some as well, and they are never found.
func (x *Index) Sweep() int {
	now := time.Now().UnixMilli()
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.sweep(now, 0)
}

// Count returns the number of entries whose time is not over.
func (x *Index) Count() int {
	now := time.Now().UnixMilli()
	x.mu.Lock()
	defer x.mu.Unlock()
	x.sweep(now, 0)
	return x.n
}

// IndexEntry is one entry of a holder, with the end that it was added with, which
// may be later than that of its life here.
type IndexEntry struct {
	Primary, Secondary, Value string
	End                       time.Time
}

// Holders returns the peers that hold something, in order of their IDs.
func (x *Index) Holders() []id.Peer {
	x.mu.RLock()
	all := make([]id.Peer, 0, len(x.holders))
	for p := range x.holders {
		all = append(all, p)
	}
	x.mu.RUnlock()
	slices.SortFunc(all, func(a, b id.Peer) int { return strings.Compare(a.String(), b.String()) })
	return all
}

// All returns the holder's entries whose time is not over, in the order in which
// they were added.
func (x *Index) All(holder id.Peer) []IndexEntry {
	now := time.Now().UnixMilli()
	x.mu.RLock()
	defer x.mu.RUnlock()
	places := make([]*place, 0, len(x.holders[holder]))
	for _, p := range x.holders[holder] {
		if p.end.at > now {
			places = append(places, p)
		}
	}
	slices.SortFunc(places, func(a, b *place) int { return cmp.Compare(a.seq, b.seq) })
	all := make([]IndexEntry, len(places))
	for i, p := range places {
		all[i] = IndexEntry{p.t.key.primary, p.t.key.secondary, p.value, time.UnixMilli(p.claimed)}
	}
	return all
}

// Keep removes the entries of the holder for which f is false and returns how
// many there were. f must not call the index.
func (x *Index) Keep(holder id.Peer, f func(primary, secondary, value string) bool) int {
	x.mu.Lock()
	defer x.mu.Unlock()
	n := 0
	for _, p := range x.holders[holder] {
		if !f(p.t.key.primary, p.t.key.secondary, p.value) {
			x.remove(p)
			n++
		}
	}
	return n
}

// Clear removes all entries and returns how many there were.
func (x *Index) Clear() int {
	x.mu.Lock()
	defer x.mu.Unlock()
	n := x.n
	x.tables, x.holders, x.ends, x.n, x.text = nil, nil, nil, 0, 0
	return n
}

// Held returns the number of the holder's entries, those not yet swept included.
func (x *Index) Held(holder id.Peer) int {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return len(x.holders[holder])
}

// Stats returns the numbers of this moment.
func (x *Index) Stats() IndexStats {
	x.mu.RLock()
	defer x.mu.RUnlock()
	st := x.stats
	st.Entries, st.Holders = x.n, len(x.holders)
	return st
}
