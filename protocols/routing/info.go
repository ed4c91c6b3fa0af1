package routing

import (
	"slices"
	"strings"
	"time"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
)

// Kind is how a peer is reached: the protocol of the link to it, such as "tcp",
// "tls", "quic" or "http", or one of the constants.
type Kind string

// The kinds that are no protocol of a link.
const (
	KindNone Kind = ""     // there is no link, and no link to a peer in between
	KindHops Kind = "hops" // through others
)

// Info describes the ways to one peer.
type Info struct {
	Peer      id.Peer
	Kind      Kind               // of the way that a message would take now
	Linked    bool               // a link is open
	Link      endpoint.Address   // the other side of the link
	Encrypted bool               // nobody can read what goes over the link
	Addresses []endpoint.Address // known addresses to dial
	Hops      []id.Peer          // peers in between on the best way through others, nearest first
	Ways      []Way              // all ways through others, best first
	Age       time.Duration      // since something was learned
	Learned   time.Time          // when something was learned
	Expires   time.Time          // when the addresses are too old to be told to others; zero without any
	From      id.Peer            // who told the addresses; zero: a service of this peer
}

// Way is a way through other peers.
type Way struct {
	Hops    []id.Peer // nearest first
	From    id.Peer   // who told of it; zero: a service of this peer
	Learned time.Time
	Expires time.Time
	Used    time.Time // the last time that a message went this way; zero if none did
	Open    bool      // there is a link to one of the hops
}

// kindOf tells what a link is.
func kindOf(l endpoint.Link) Kind {
	k := Kind(l.Remote().Protocol)
	if k == protocolTCP && endpoint.Encrypted(l) {
		return protocolTLS // agreed on in the greeting
	}
	return k
}

// Routes returns what is known about the ways to peers, in order of peer ID.
func (r *Router) Routes() []Info {
	all := map[id.Peer]*Info{}
	r.mu.Lock()
	for e := r.table.newest; e != nil; e = e.older {
		i := r.info(e)
		all[e.peer] = &i
	}
	r.mu.Unlock()
	for _, l := range r.ep.Links() {
		p := l.Peer()
		if all[p] == nil {
			all[p] = &Info{Peer: p}
		}
		all[p].Linked = true
	}
	list := make([]Info, 0, len(all))
	for _, i := range all {
		r.complete(i)
		list = append(list, *i)
	}
	slices.SortFunc(list, func(a, b Info) int { return strings.Compare(a.Peer.String(), b.Peer.String()) })
	return list
}

// Route returns what is known about the ways to one peer, and false if nothing is.
func (r *Router) Route(p id.Peer) (Info, bool) {
	i := Info{Peer: p}
	r.mu.Lock()
	e := r.table.get(p)
	if e != nil {
		i = r.info(e)
	}
	r.mu.Unlock()
	i.Linked = r.ep.LinkTo(p) != nil
	r.complete(&i)
	return i, e != nil || i.Linked
}

// info tells what an entry says. r.mu is held.
func (r *Router) info(e *entry) Info {
	now := r.now()
	i := Info{Peer: e.peer, Addresses: slices.Clone(e.addresses), Age: now - e.since(), Learned: r.clock(e.since()), From: e.from}
	if len(e.addresses) > 0 {
		i.Expires = r.clock(e.expires)
	}
	for _, w := range e.ways {
		if now >= w.expires {
			continue
		}
		i.Ways = append(i.Ways, Way{
			Hops: slices.Clone(w.hops), From: w.from, Learned: r.clock(w.learned), Expires: r.clock(w.expires), Used: r.clock(w.used),
		})
	}
	if len(i.Ways) > 0 {
		i.Hops = i.Ways[0].Hops
	}
	return i
}

// complete adds what the links tell.
func (r *Router) complete(i *Info) {
	for n := range i.Ways {
		w := &i.Ways[n]
		l, _ := r.linkOn(w.Hops, nil)
		if w.Open = l != nil; w.Open && i.Kind == KindNone {
			i.Kind, i.Hops = KindHops, w.Hops
		}
	}
	if l := r.ep.LinkTo(i.Peer); l != nil {
		i.Linked, i.Link, i.Kind, i.Encrypted = true, l.Remote(), kindOf(l), endpoint.Encrypted(l)
	}
}

// clock turns a moment into a time of day.
func (r *Router) clock(m moment) time.Time {
	if m == 0 {
		return time.Time{}
	}
	return r.start.Add(m - 1) // see now
}
