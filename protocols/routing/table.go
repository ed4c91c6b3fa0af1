package routing

import (
	"slices"
	"time"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
)

// table holds what is known about the ways to peers, at most maxRoutes of them:
// a new one takes the place of the one unused for longest, at a cost that does not
// depend on how many there are. Router.mu guards it. The zero value is empty.
type table struct {
	of             small[id.Peer, *entry]
	newest, oldest *entry // the last one used and the one unused for longest
}

// moment is a time by the clock of the router: since it was made. 0 is never.
type moment = time.Duration

// entry is what is known about the way to a peer.
type entry struct {
	peer         id.Peer
	addresses    []endpoint.Address // where to dial it; replaced, never changed
	from         id.Peer            // who told them; zero: this peer's own services
	learned      moment             // when they were told
	expires      moment             // when they are too old to be told to others
	ways         []way              // through others, best first, at most maxWays
	bad          []badHop           // peers that do not lead to this one
	nack         *Nack              // the last one believed
	climb        *climb             // looking for a link in place of a way through others
	waiting      int                // how many look for a way to the peer; if any do, the entry stays
	changed      chan struct{}      // closed when something new is learned; nil if nobody waits for it
	older, newer *entry             // by use
}

// way is a way to a peer through others.
type way struct {
	hops    []id.Peer // nearest first, at least one; replaced, never changed
	from    id.Peer   // who told of it; zero: this peer's own services
	learned moment
	expires moment
	used    moment // when a message went this way
	hearsay bool   // told by a third peer that nobody asked
}

// badHop is a peer that did not lead to another a moment ago.
type badHop struct {
	peer  id.Peer
	since moment
}

// empty reports whether the entry says nothing.
func (e *entry) empty() bool { return len(e.addresses)+len(e.ways) == 0 }

// wake tells those who wait for something new.
func (e *entry) wake() {
	if e.changed != nil {
		close(e.changed)
		e.changed = nil
	}
}

// since returns the latest time at which something was learned.
func (e *entry) since() moment {
	last := e.learned
	for i := range e.ways {
		last = max(last, e.ways[i].learned)
	}
	return last
}

// addWay takes a way through others. One with the same first and last peer is
// brought up to date and keeps its place; a new one goes before those that are
// longer, or as long and not in use. Hearsay goes behind what is as long, and
// behind every way in use. The list of hops is kept.
func (e *entry) addWay(w way, now moment) {
	w.learned, w.expires = now, now+routeLife
	first, last := w.hops[0], w.hops[len(w.hops)-1]
	for i := range e.ways {
		x := &e.ways[i]
		if x.hops[0] == first && x.hops[len(x.hops)-1] == last {
			w.used = x.used
			if w.hearsay = w.hearsay && x.hearsay; w.hearsay || !x.inUse(now) || len(w.hops) <= len(x.hops) {
				*x = w
			} else {
				x.expires = w.expires
			}
			return
		}
	}
	at := 0
	for at < len(e.ways) {
		x := &e.ways[at]
		if len(x.hops) > len(w.hops) && !(x.inUse(now) && w.hearsay) || len(x.hops) == len(w.hops) && !x.inUse(now) && (x.hearsay || !w.hearsay) {
			break
		}
		at++
	}
	if at >= maxWays {
		return
	}
	if len(e.ways) >= maxWays {
		e.ways = e.ways[:maxWays-1]
	}
	e.ways = slices.Insert(e.ways, at, w)
}

// inUse reports whether messages went this way a moment ago.
func (w *way) inUse(now moment) bool { return w.used > 0 && now-w.used < wayInUse }

// expire drops ways that are too old.
func (e *entry) expire(now moment) {
	for i := range e.ways {
		if now >= e.ways[i].expires {
			e.ways = slices.DeleteFunc(e.ways, func(w way) bool { return now >= w.expires })
			break
		}
	}
	if len(e.ways) == 0 {
		e.ways = nil
	}
}

// dropWays drops the ways of which f says so, and reports whether there were any.
func (e *entry) dropWays(f func(hops []id.Peer) bool) bool {
	n := len(e.ways)
	if e.ways = slices.DeleteFunc(e.ways, func(w way) bool { return f(w.hops) }); len(e.ways) == 0 {
		e.ways = nil
	}
	return len(e.ways) < n
}

// blame remembers that a peer does not lead to this one.
func (e *entry) blame(p id.Peer, now moment) {
	e.absolve(p)
	if len(e.bad) >= maxHops {
		e.bad = slices.Delete(e.bad, 0, 1)
	}
	e.bad = append(e.bad, badHop{p, now})
}

// absolve forgets that a peer does not lead to this one, since it does.
func (e *entry) absolve(p id.Peer) {
	if e.bad == nil {
		return
	}
	if e.bad = slices.DeleteFunc(e.bad, func(b badHop) bool { return b.peer == p }); len(e.bad) == 0 {
		e.bad = nil
	}
}

// blamed reports whether a peer is known not to lead to this one.
func (e *entry) blamed(p id.Peer, now moment) bool {
	return slices.ContainsFunc(e.bad, func(b badHop) bool { return b.peer == p && now-b.since < badHopLife })
}

// get returns the entry of a peer, or nil.
func (t *table) get(p id.Peer) *entry {
	e, _ := t.of.get(p)
	return e
}

// add makes an entry for a peer that has none, and returns how many others had to
// go for it.
func (t *table) add(p id.Peer) (e *entry, evicted uint64) {
	// Entries that somebody waits for are passed over, but not all in one go: the
	// table grows for a moment if very many of them stand together.
	for i := 0; i < maxPassedOver && t.of.len() >= maxRoutes; i++ {
		if old := t.oldest; old.waiting > 0 {
			t.use(old)
		} else {
			t.remove(old)
			evicted++
		}
	}
	e = &entry{peer: p}
	t.of.set(p, e)
	t.front(e)
	return e, evicted
}

// use makes the entry the last one used.
func (t *table) use(e *entry) {
	if t.newest != e {
		t.unlink(e)
		t.front(e)
	}
}

func (t *table) remove(e *entry) {
	t.unlink(e)
	t.of.delete(e.peer)
}

func (t *table) front(e *entry) {
	e.older, e.newer = t.newest, nil
	if t.newest != nil {
		t.newest.newer = e
	} else {
		t.oldest = e
	}
	t.newest = e
}

func (t *table) unlink(e *entry) {
	if e.newer != nil {
		e.newer.older = e.older
	} else {
		t.newest = e.older
	}
	if e.older != nil {
		e.older.newer = e.newer
	} else {
		t.oldest = e.newer
	}
}
