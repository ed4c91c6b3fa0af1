package endpoint

import (
	"slices"
	"sync"
	"time"

	"github.com/juxta-p2p/juxta/core/id"
)

// Offence tells that somebody ran into a limit which guards this peer and its
// other neighbours: too many connections, octets that are no message, a queue that
// nobody empties. It may be an attack, a fault or a crowd behind one address.
type Offence struct {
	Origin string  // network origin, as of [Link]; "" if it is not known
	Peer   id.Peer // who it says it is; zero if it has not said
	Limit  string  // which limit, in words
	Count  uint64  // how often
	First  time.Time
	Last   time.Time
}

// offences remembers those who ran into limits. The zero value is empty.
type offences struct {
	mu  sync.Mutex
	all map[offenceKey]*Offence
}

type offenceKey struct {
	origin string
	peer   id.Peer
	limit  string
}

// Offend records that somebody ran into a limit. It is cheap enough to be called
// for each thing that is dropped.
func (e *Endpoint) Offend(origin string, peer id.Peer, limit string) {
	o, k, now := &e.offences, offenceKey{origin, peer, limit}, time.Now()
	o.mu.Lock()
	defer o.mu.Unlock()
	x := o.all[k]
	if x == nil {
		if len(o.all) >= maxOffences {
			o.forget()
		}
		if o.all == nil {
			o.all = map[offenceKey]*Offence{}
		}
		x = &Offence{Origin: origin, Peer: peer, Limit: limit, First: now}
		o.all[k] = x
	}
	x.Count++
	x.Last = now
}

// forget makes room: the least of all goes, of equal ones the oldest. mu is held.
func (o *offences) forget() {
	var least offenceKey
	var found *Offence
	for k, x := range o.all {
		if found == nil || x.Count < found.Count || x.Count == found.Count && x.Last.Before(found.Last) {
			least, found = k, x
		}
	}
	delete(o.all, least)
}

// Offences returns who ran into which limit, those who did so most first. At most
// 256 are remembered.
func (e *Endpoint) Offences() []Offence {
	e.offences.mu.Lock()
	defer e.offences.mu.Unlock()
	all := make([]Offence, 0, len(e.offences.all))
	for _, x := range e.offences.all {
		all = append(all, *x)
	}
	slices.SortFunc(all, func(a, b Offence) int {
		switch {
		case a.Count > b.Count:
			return -1
		case a.Count < b.Count:
			return 1
		}
		return b.Last.Compare(a.Last)
	})
	return all
}
