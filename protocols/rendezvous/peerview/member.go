package peerview

import (
	"slices"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
)

// member is what the view keeps about one. View.mu guards it.
type member struct {
	peer     id.Peer
	adv      *advertisements.Rendezvous // replaced, never changed
	doc      uint64                     // hash of adv as it came
	origin   string                     // network origin that it takes a place of, or ""
	print    uint32
	juxta    bool   // it tells what it knows, as JXSE does not
	silent   uint8  // probes without answer
	queued   bool   // a probe is waiting to be sent or under way
	asks     bool   // the next probe asks for referrals in any case
	spoke    uint64 // messages from itself
	heard    time.Time
	asked    time.Time // when it was probed; zero once it has answered
	due      time.Time // when to probe it, or to miss the answer
	at       time.Time // its place on the agenda, no later than due
	place    int       // the same as an index
	compared uint64    // hash of what it knew when that was the same as here
	version  uint64    // of the view then
	met      time.Time // when Config.Met last had adv
	learned  time.Time // when Config.Learn last had its route
	chased   time.Time // when it was last asked for what it knows
	hinted   time.Time // when somebody last said that it is gone
}

// lost is a peer that was a member and did not say goodbye.
type lost struct {
	adv   *advertisements.Rendezvous
	since time.Time
	next  time.Time // not to be probed before
	pause time.Duration
}

// outbox keeps what is to be told to the owner of the view, in order: callbacks
// must not be called under the mutex.
type outbox struct {
	tidings []tiding
	telling bool
}

type tiding struct {
	adv   *advertisements.Rendezvous // of a member, or nil
	learn bool                       // its route, too
	ev    Event                      // may be zero
}

// tell hands out what is in the outbox, unless somebody else does. v.mu is not
// held.
func (v *View) tell() {
	v.mu.Lock()
	if v.telling {
		v.mu.Unlock()
		return
	}
	v.telling = true
	for len(v.tidings) > 0 {
		batch := v.tidings
		v.tidings = nil
		v.mu.Unlock()
		for _, t := range batch {
			v.tellOne(t)
		}
		v.mu.Lock()
	}
	v.telling = false
	v.mu.Unlock()
}

func (v *View) tellOne(t tiding) {
	if t.learn && v.cfg.Learn != nil {
		v.cfg.Learn(t.adv.Route)
	}
	if t.adv != nil && v.cfg.Met != nil {
		v.cfg.Met(t.adv)
	}
	if t.ev.Kind != 0 {
		v.log.Debug("view", "peer", t.ev.Peer.Short(), "change", t.ev.Kind.String(), "why", t.ev.Why)
		v.events.Publish(t.ev)
	}
}

// letIn notes that a peer spoke for itself, and makes it a member if it is none.
// It reports whether it is one now. v.mu is held.
func (v *View) letIn(adv *advertisements.Rendezvous, doc uint64, l endpoint.Link, now time.Time) (*member, bool) {
	m := v.members[adv.Peer]
	fresh := m == nil
	if fresh {
		origin := l.Origin()
		if local(origin) {
			origin = ""
		}
		if len(v.order) >= v.cfg.Limit || origin != "" && v.origins[origin] >= maxPerOrigin {
			v.stats.full.Add(1)
			return nil, false
		}
		m = &member{peer: adv.Peer, print: fingerprint(adv.Peer), origin: origin}
		v.insert(m, now)
	}
	renewed := fresh
	if fresh || m.doc != doc {
		v.forgetDoc(m.doc, m.adv)
		if renewed = fresh || !same(m.adv, adv); renewed {
			adv.Group, adv.Service = v.group, v.service // the same strings for all
			m.adv = adv
		}
		m.doc = doc
		v.docs[doc] = m.adv
	}
	m.heard, m.asked, m.silent = now, time.Time{}, 0
	v.schedule(m, now.Add(v.jitter(refresh)))
	m.spoke++
	if renewed || now.Sub(m.met) >= metAgain {
		m.met = now
		t := tiding{adv: m.adv, learn: renewed || now.Sub(m.learned) >= learnAgain}
		if t.learn {
			m.learned = now
		}
		if fresh {
			t.ev = Event{Kind: Joined, Peer: m.peer}
		}
		v.tidings = append(v.tidings, t)
	}
	if fresh {
		v.hurry(now)
		v.askOn(now)
	}
	return m, true
}

// same reports whether two advertisements of a peer say the same. JXSE changes the
// order of attributes, and with it the text, from one message to the next.
func same(a, b *advertisements.Rendezvous) bool {
	return a.Name == b.Name && slices.Equal(a.Route.Addresses, b.Route.Addresses) &&
		slices.EqualFunc(a.Route.Hops, b.Route.Hops, func(a, b advertisements.AccessPoint) bool {
			return a.Peer == b.Peer && slices.Equal(a.Addresses, b.Addresses)
		})
}

// insert adds a member to the tables.
func (v *View) insert(m *member, now time.Time) {
	v.members[m.peer] = m
	i, _ := slices.BinarySearchFunc(v.order, m.peer, func(x *member, p id.Peer) int { return compare(x.peer, p) })
	v.order = slices.Insert(v.order, i, m)
	i, _ = slices.BinarySearchFunc(v.prints, m.print, byPrint)
	v.prints = slices.Insert(v.prints, i, m)
	if m.origin != "" {
		v.origins[m.origin]++
	}
	v.enter(m, now.Add(refresh))
	delete(v.lost, m.peer)
	v.dropTarget(m.peer)
	v.stats.joined.Add(1)
	v.changed()
}

func byPrint(m *member, print uint32) int {
	switch {
	case m.print < print:
		return -1
	case m.print > print:
		return 1
	}
	return 0
}

// remove takes a member out of the tables, and remembers it if it may come back.
// v.mu is held.
func (v *View) remove(m *member, why string, remember bool, now time.Time) {
	if v.members[m.peer] != m {
		return
	}
	delete(v.members, m.peer)
	v.strike(m)
	v.order = slices.DeleteFunc(v.order, func(x *member) bool { return x == m })
	v.prints = slices.DeleteFunc(v.prints, func(x *member) bool { return x == m })
	v.forgetDoc(m.doc, m.adv)
	if m.origin != "" {
		if v.origins[m.origin]--; v.origins[m.origin] == 0 {
			delete(v.origins, m.origin)
		}
	}
	if remember {
		v.rememberLost(m.adv, now)
	}
	v.stats.left.Add(1)
	v.tidings = append(v.tidings, tiding{ev: Event{Kind: Left, Peer: m.peer, Why: why}})
	v.changed()
}

func (v *View) rememberLost(adv *advertisements.Rendezvous, now time.Time) {
	if v.lost == nil {
		v.lost = map[id.Peer]*lost{}
	}
	if len(v.lost) >= maxLost {
		var oldest id.Peer
		for p, l := range v.lost {
			if oldest.IsZero() || l.since.Before(v.lost[oldest].since) {
				oldest = p
			}
		}
		delete(v.lost, oldest)
	}
	v.lost[adv.Peer] = &lost{adv: adv, since: now, next: now.Add(v.jitter(lostFirst)), pause: lostFirst}
}

// changed makes what depends on who is a member anew.
func (v *View) changed() {
	peers := make([]id.Peer, len(v.order))
	for i, m := range v.order {
		peers[i] = m.peer
	}
	v.peers.Store(&peers)
	v.known = nil
	v.version++
}

// knownList returns the fingerprints of all members as they are sent. It must not
// be changed. v.mu is held.
func (v *View) knownList() []byte {
	if v.known == nil {
		list := make([]uint32, len(v.prints))
		for i, m := range v.prints {
			list[i] = m.print
		}
		v.known = printList(list)
	}
	return v.known
}

// expected returns the fingerprints of those who wait to be probed, or to answer,
// ascending. v.mu is held.
func (v *View) expected(now time.Time) []uint32 {
	v.forgetCalls(now)
	if len(v.line)+len(v.called) == 0 {
		return nil
	}
	list := make([]uint32, 0, len(v.line)+len(v.called))
	for _, p := range v.line {
		list = append(list, fingerprint(p))
	}
	for _, c := range v.called {
		if v.members[c.peer] == nil {
			list = append(list, fingerprint(c.peer))
		}
	}
	slices.Sort(list)
	return list
}

// lacks compares the view with what a prober knows and was told of. It returns the
// members that are new to the prober, and how many that it knows are new here.
// v.mu is held.
func (v *View) lacks(prober id.Peer, known, told []byte, now time.Time) (lacking []*member, unknown int) {
	list := fingerprints(known)
	k, t := list, fingerprints(told)
	for _, m := range v.prints {
		if !among(&k, m.print) && !among(&t, m.print) && m.peer != prober && m.silent == 0 {
			lacking = append(lacking, m)
		}
	}
	mine, expected := fingerprints(v.knownList()), v.expected(now)
	for _, f := range list {
		if !among(&mine, f) && !among(&expected, f) && f != v.print {
			unknown++
		}
	}
	return lacking, unknown
}

// among reports whether a fingerprint is in an ascending list, of which it drops
// those that are less.
func among(list *[]uint32, f uint32) bool {
	for len(*list) > 0 && (*list)[0] < f {
		*list = (*list)[1:]
	}
	return len(*list) > 0 && (*list)[0] == f
}

// some returns at most n of the members, at random. v.mu is held.
func (v *View) some(from []*member, n int) []*advertisements.Rendezvous {
	n = min(n, len(from))
	list := make([]*advertisements.Rendezvous, n)
	for i := range list {
		j := i + v.rng.IntN(len(from)-i)
		from[i], from[j] = from[j], from[i]
		list[i] = from[i].adv
	}
	return list
}

// sides returns the next members in either direction. v.mu is held.
func (v *View) sides() (list []*member) {
	i, _ := slices.BinarySearchFunc(v.order, v.self, func(x *member, p id.Peer) int { return compare(x.peer, p) })
	if i < len(v.order) {
		list = append(list, v.order[i])
	}
	if i > 0 {
		list = append(list, v.order[i-1])
	}
	return list
}
