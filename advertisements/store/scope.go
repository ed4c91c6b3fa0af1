package store

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/id"
)

const kinds = 3

// Scope is one group's part of a [Store]. All its methods are safe for
// concurrent use. It needs no closing; after its store's Close it can be read
// but not changed.
type Scope struct {
	store *Store
	name  string

	mu      sync.RWMutex // guards the rest; never held over I/O
	closed  bool
	shelves [kinds]shelf
	origins map[id.Peer]*share
	remote  list[*entry] // what came from other peers
	ends    agenda[*entry]
	n       int
	bytes   int64
	seq     uint64
	log     changeLog
	graves  []grave // of expired records, the latest last

	// For the writer; unused in memory.
	pending list[*entry] // to be written
	removed []uint64     // to be removed
}

// share is what one origin gave us.
type share struct {
	entries list[*entry]
	bytes   int64
}

// Put saves a record under its kind and key. It reports whether anything
// changed.
//
// Saving again never shortens the lifetime, whatever the new version says; the
// expiration is replaced, and so is the document. The place in the store's
// order changes only with the document or its fields. A record from another
// peer lives [Config.RemoteLifetime] at most; if the record that is there has
// the same content, it keeps its origin. A record from another peer never
// alters our own. Our own replaces any.
//
// If the record's origin has reached its share, its oldest records are evicted.
// If the scope is full, records of other peers are evicted: those of the same
// origin first, then the oldest. Our own are never evicted.
//
// In a store on disk Put returns before the record is written; see
// [Store.Sync]. The error wraps [ErrInvalid], [ErrTooLarge], [ErrExpired],
// [ErrFull], [ErrOwn] or [ErrClosed], and the record is then not saved.
func (sc *Scope) Put(r Record) (changed bool, err error) {
	s := sc.store
	if err := check(&r, &s.cfg); err != nil {
		s.count.size.Add(1)
		return false, err
	}
	now := time.Now()
	nowMS, end := now.UnixMilli(), millis(r.Lifetime)
	if end <= nowMS || r.Expiration < 0 {
		s.count.time.Add(1)
		return false, fmt.Errorf("store: %w: %s", ErrExpired, clip(r.Key))
	}
	if !r.Origin.IsZero() {
		if limit := millis(now.Add(s.cfg.RemoteLifetime)); end > limit {
			end = limit
			s.count.clipped.Add(1)
		}
	}
	r.Expiration = min(r.Expiration, Duration(Remaining(now, time.UnixMilli(end))))

	sc.mu.Lock()
	var wake bool
	changed, wake, err = sc.put(&r, end, nowMS)
	sc.mu.Unlock()
	if wake {
		s.wake()
	}
	if changed {
		s.count.saved.Add(1)
	}
	return changed, err
}

// put is Put under the lock.
func (sc *Scope) put(r *Record, end, now int64) (changed, wake bool, err error) {
	if sc.closed {
		return false, false, ErrClosed
	}
	wake = sc.expire(now, sweepBatch)
	old := sc.shelves[r.Kind].keys[r.Key]
	if old != nil && !old.live(now) {
		wake = sc.remove(old) || wake
		sc.store.count.expired.Add(1)
		sc.bury(old.kind, old.key, old.fields, old.end.at)
		old = nil
	}
	if old != nil {
		same := old.same(r)
		switch {
		case old.own() && !r.Origin.IsZero() && same:
			return false, wake, nil
		case old.own() && !r.Origin.IsZero():
			sc.store.count.own.Add(1)
			return false, wake, fmt.Errorf("store: %w: %s", ErrOwn, clip(r.Key))
		case same && old.own() == r.Origin.IsZero():
			changed, more := sc.refresh(old, r, end)
			return changed, more || wake, nil
		}
		end = max(end, old.end.at)
	}
	more, err := sc.makeRoom(r, old)
	wake = more || wake
	if err != nil {
		return false, wake, err
	}
	sc.seq++
	e := newEntry(r, &sc.shelves[r.Kind], sc.seq)
	if old != nil {
		e.replaces = old.replaces
		if old.stored {
			e.replaces = old.seq
		}
		old.stored, old.replaces = false, 0 // e's writing removes it on disk
		wake = sc.remove(old) || wake
	}
	sc.insert(e, end)
	wake = sc.queue(e) || wake
	if e.announced() {
		sc.log.touch(e)
	}
	return true, wake, nil
}

// refresh takes what is new in a record whose content is known.
func (sc *Scope) refresh(e *entry, r *Record, end int64) (changed, wake bool) {
	end = max(end, e.end.at)
	quiet := r.Quiet
	if !e.own() {
		quiet = quiet && e.quiet // an unasked repetition does not hush what was asked for
	}
	if end == e.end.at && r.Expiration == e.expiration && quiet == e.quiet {
		return false, false
	}
	told := e.announced()
	e.expiration, e.quiet = r.Expiration, quiet
	sc.ends.set(&e.end, end, e)
	if told || e.announced() {
		sc.log.touch(e)
	}
	return true, sc.queue(e)
}

// makeRoom evicts until r fits in the place of old, which may be nil.
func (sc *Scope) makeRoom(r *Record, old *entry) (wake bool, err error) {
	cfg := &sc.store.cfg
	n, size := 1, sizeOf(r)
	if old != nil {
		n, size = 0, size-old.size
	}
	own := r.Origin.IsZero()
	if !own {
		sn, ssize := 1, sizeOf(r)
		if old != nil && old.origin == r.Origin {
			sn, ssize = n, size
		}
		for {
			sh := sc.origins[r.Origin]
			if sh == nil || sh.entries.n+sn <= cfg.OriginRecords && sh.bytes+ssize <= cfg.OriginBytes {
				break
			}
			e := oldest(&sh.entries, old)
			if e == nil {
				break
			}
			wake = sc.remove(e) || wake
			sc.store.count.evictedOrigin.Add(1)
		}
	}
	for sc.n+n > cfg.MaxRecords || sc.bytes+size > cfg.MaxBytes {
		var e *entry
		if sh := sc.origins[r.Origin]; sh != nil {
			e = oldest(&sh.entries, old)
		}
		if e == nil {
			e = oldest(&sc.remote, old)
		}
		if e == nil {
			if n <= 0 && size <= 0 {
				break // an over-full scope, after its limits were lowered: no worse than before
			}
			sc.store.count.full.Add(1)
			return wake, fmt.Errorf("store: %w: %s", ErrFull, clip(r.Key))
		}
		wake = sc.remove(e) || wake
		sc.store.count.evictedFull.Add(1)
	}
	return wake, nil
}

func oldest(l *list[*entry], except *entry) *entry {
	for k := l.head; k != nil; k = k.next {
		if k.of != except {
			return k.of
		}
	}
	return nil
}

// insert enters a new entry everywhere but in the writer's queue.
func (sc *Scope) insert(e *entry, end int64) {
	sc.shelves[e.kind].add(e)
	sc.ends.set(&e.end, end, e)
	sc.n++
	sc.bytes += e.size
	if !e.own() {
		sh := sc.origins[e.origin]
		if sh == nil {
			if sc.origins == nil {
				sc.origins = make(map[id.Peer]*share)
			}
			sh = new(share)
			sc.origins[e.origin] = sh
		}
		sh.entries.push(&e.inOrigin, e)
		sh.bytes += e.size
		sc.remote.push(&e.inRemote, e)
	}
}

// remove takes an entry out everywhere, and off the disk in time.
func (sc *Scope) remove(e *entry) (wake bool) {
	sc.shelves[e.kind].remove(e)
	sc.ends.drop(&e.end)
	sc.n--
	sc.bytes -= e.size
	if !e.own() {
		sh := sc.origins[e.origin]
		sh.entries.remove(&e.inOrigin)
		sh.bytes -= e.size
		if sh.entries.n == 0 {
			delete(sc.origins, e.origin)
		}
		sc.remote.remove(&e.inRemote)
	}
	sc.pending.remove(&e.inPending)
	if e.announced() {
		sc.log.touch(e)
	}
	if sc.store.disk == nil || sc.closed {
		return false
	}
	if e.stored {
		sc.removed = append(sc.removed, e.seq)
	}
	if e.replaces != 0 {
		sc.removed = append(sc.removed, e.replaces)
	}
	return e.stored || e.replaces != 0
}

// queue hands the entry to the writer.
func (sc *Scope) queue(e *entry) (wake bool) {
	if sc.store.disk == nil || e.inPending.in {
		return false
	}
	sc.pending.push(&e.inPending, e)
	return true
}

// expire removes entries whose time is over, at most limit of them if limit is
// not 0.
func (sc *Scope) expire(now int64, limit int) (wake bool) {
	for i := 0; sc.ends.due(now) && (limit == 0 || i < limit); i++ {
		e := sc.ends[0].of
		wake = sc.remove(e) || wake
		sc.store.count.expired.Add(1)
		sc.bury(e.kind, e.key, e.fields, e.end.at)
	}
	return wake
}

// grave remembers that a record has expired, and when.
type grave struct {
	kind   advertisements.Kind
	key    string
	fields []advertisements.Field
	end    int64 // in milliseconds since 1970
}

// bury remembers an expired record.
func (sc *Scope) bury(kind advertisements.Kind, key string, fields []advertisements.Field, end int64) {
	if len(sc.graves) >= maxGraves {
		sc.graves = slices.Delete(sc.graves, 0, maxGraves/2)
	}
	sc.graves = append(sc.graves, grave{kind, key, fields, end})
}

// Expired returns when the record of the kind and key has expired, if it is not
// there any more for that reason. Of the records that expired, some of the last
// are remembered.
func (sc *Scope) Expired(kind advertisements.Kind, key string) (when time.Time, ok bool) {
	sc.sweep(time.Now().UnixMilli(), 0)
	sc.mu.RLock()
	defer sc.mu.RUnlock()
	if int(kind) >= kinds || sc.shelves[kind].keys[key] != nil {
		return time.Time{}, false
	}
	for _, g := range slices.Backward(sc.graves) {
		if g.kind == kind && g.key == key {
			return time.UnixMilli(g.end), true
		}
	}
	return time.Time{}, false
}

// ExpiredWith is [Scope.Expired] for a record with a field of that name and value,
// of which none is there any more.
func (sc *Scope) ExpiredWith(kind advertisements.Kind, name, value string) (when time.Time, ok bool) {
	if len(sc.Find(Query{Kind: kind, Attr: name, Value: value, Limit: 1})) > 0 {
		return time.Time{}, false
	}
	sc.mu.RLock()
	defer sc.mu.RUnlock()
	for _, g := range slices.Backward(sc.graves) {
		if g.kind == kind && slices.Contains(g.fields, advertisements.Field{Name: name, Value: value}) {
			return time.UnixMilli(g.end), true
		}
	}
	return time.Time{}, false
}

// sweep is expire for callers without the lock.
func (sc *Scope) sweep(now int64, limit int) (removed int) {
	sc.mu.RLock()
	due := sc.ends.due(now)
	sc.mu.RUnlock()
	if !due {
		return 0
	}
	sc.mu.Lock()
	n := sc.n
	wake := sc.expire(now, limit)
	removed = n - sc.n
	sc.mu.Unlock()
	if wake {
		sc.store.wake()
	}
	return removed
}

// Get returns the record of the kind and key, if it is there and its time is
// not over.
func (sc *Scope) Get(kind advertisements.Kind, key string) (Record, bool) {
	if kind >= kinds {
		return Record{}, false
	}
	now := time.Now().UnixMilli()
	sc.mu.RLock()
	defer sc.mu.RUnlock()
	if e := sc.shelves[kind].keys[key]; e != nil && e.live(now) {
		return e.record(), true
	}
	return Record{}, false
}

// Find returns the records that the query asks for, in store order: by the time
// when their document was saved first, oldest first. Records whose time is over
// are never among them. A field that is not indexed finds nothing.
//
// Equality costs one look-up. A pattern is tried on each value of the field
// until the limit is reached, a few milliseconds for 100,000 values; saving waits
// meanwhile.
func (sc *Scope) Find(q Query) []Record {
	if q.Kind >= kinds {
		return nil
	}
	now := time.Now().UnixMilli()
	sc.sweep(now, sweepBatch)
	sc.mu.RLock()
	defer sc.mu.RUnlock()
	var found []Record
	take := func(e *entry) (more bool) {
		if e.live(now) {
			found = append(found, e.record())
		}
		return q.Limit <= 0 || len(found) < q.Limit
	}

	sh := &sc.shelves[q.Kind]
	if q.Attr == "" {
		for k := sh.order.head; k != nil && take(k.of); k = k.next {
		}
		return found
	}
	c := sh.columns[q.Attr]
	switch {
	case c == nil:
	case q.Value == "" || q.Value == "*":
		for k := c.nodes.head; k != nil && take(k.of.e); k = k.next {
		}
	case strings.Contains(q.Value, "*"):
		for k := c.nodes.head; k != nil; k = k.next {
			if advertisements.Match(q.Value, k.of.value) && !take(k.of.e) {
				break
			}
		}
	default:
		row := c.rows[q.Value]
		if row == nil {
			break
		}
		for k := row.head; k != nil && take(k.of.e); k = k.next {
		}
	}
	return found
}

// Remove removes the record of the kind and key. It reports whether it was
// there.
func (sc *Scope) Remove(kind advertisements.Kind, key string) bool {
	if kind >= kinds {
		return false
	}
	now := time.Now().UnixMilli()
	sc.mu.Lock()
	e := sc.shelves[kind].keys[key]
	there := e != nil && e.live(now) && !sc.closed
	wake := false
	if there {
		wake = sc.remove(e)
	}
	sc.mu.Unlock()
	if wake {
		sc.store.wake()
	}
	return there
}

// Flush removes all records of the kinds, or all there are if no kind is given.
// It returns how many there were.
func (sc *Scope) Flush(which ...advertisements.Kind) int {
	now := time.Now().UnixMilli()
	sc.mu.Lock()
	wake := sc.expire(now, 0)
	n := sc.n
	for kind := range sc.shelves {
		if sc.closed || len(which) > 0 && !slices.Contains(which, advertisements.Kind(kind)) {
			continue
		}
		for order := &sc.shelves[kind].order; order.head != nil; {
			wake = sc.remove(order.head.of) || wake
		}
	}
	n -= sc.n
	sc.mu.Unlock()
	if wake {
		sc.store.wake()
	}
	return n
}

// Count returns how many records of the kinds there are, or of all kinds if
// none is given.
func (sc *Scope) Count(which ...advertisements.Kind) int {
	sc.sweep(time.Now().UnixMilli(), 0)
	sc.mu.RLock()
	defer sc.mu.RUnlock()
	if len(which) == 0 {
		return sc.n
	}
	n := 0
	for kind := range sc.shelves {
		if slices.Contains(which, advertisements.Kind(kind)) {
			n += sc.shelves[kind].order.n
		}
	}
	return n
}

// check tells whether the parts of the record are within their limits.
func check(r *Record, cfg *Config) error {
	switch {
	case r.Kind >= kinds:
		return fmt.Errorf("store: %w: there is no kind %d", ErrInvalid, r.Kind)
	case r.Key == "":
		return fmt.Errorf("store: %w: empty key", ErrInvalid)
	case len(r.Key) > MaxKey:
		return fmt.Errorf("store: %w: key of %d octets", ErrTooLarge, len(r.Key))
	case len(r.Document) > cfg.MaxDocument:
		return fmt.Errorf("store: %w: document of %d octets", ErrTooLarge, len(r.Document))
	case len(r.Fields) > MaxFields:
		return fmt.Errorf("store: %w: %d fields", ErrTooLarge, len(r.Fields))
	}
	for _, f := range r.Fields {
		switch {
		case len(f.Name) > MaxName:
			return fmt.Errorf("store: %w: field name of %d octets", ErrTooLarge, len(f.Name))
		case len(f.Value) > MaxValue:
			return fmt.Errorf("store: %w: field %s of %d octets", ErrTooLarge, f.Name, len(f.Value))
		}
	}
	return nil
}

func clip(s string) string {
	const most = 80
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}
