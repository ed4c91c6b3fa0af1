package routing

import (
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

// entry is what is known about the way to a peer.
type entry struct {
	peer         id.Peer
	addresses    []endpoint.Address
	hops         []id.Peer // empty for a peer to dial or linked; replaced, never changed
	learned      time.Time
	waiting      int           // how many look for a way to the peer; if any do, the entry stays
	changed      chan struct{} // closed when something new is learned; nil if nobody waits for it
	older, newer *entry        // by use
}

// empty reports whether the entry says nothing.
func (e *entry) empty() bool { return len(e.addresses)+len(e.hops) == 0 }

// news wakes those who wait for something new.
func (e *entry) news() {
	e.learned = time.Now()
	e.wake()
}

func (e *entry) wake() {
	if e.changed != nil {
		close(e.changed)
		e.changed = nil
	}
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
	e = &entry{peer: p, learned: time.Now()}
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
