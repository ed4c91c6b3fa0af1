package peerview

import (
	"slices"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
)

// clock is what happens when. View.mu guards it.
type clock struct {
	next     time.Time // when run looks next
	watchAt  time.Time // when to look after the next members in either direction
	kickAt   time.Time
	pause    time.Duration // between kicks
	eager    int           // kicks in a row that found a small view and silent seeds
	joins    int           // since the last kick
	lastJoin time.Time
	turn     id.Peer // the member that was probed in turn
}

// run is the owner of what happens by the clock.
func (v *View) run() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-v.ctx.Done():
			return
		case <-timer.C:
		case <-v.wake:
		}
		now := time.Now()
		if v.look(now) {
			v.kick(v.seedList(), now)
		}
		v.tell()
		timer.Reset(max(time.Until(v.nextLook()), shortest))
	}
}

// stir makes run look no later than at. v.mu is held.
func (v *View) stir(at time.Time) {
	if !at.Before(v.next) {
		return
	}
	v.next = at
	select {
	case v.wake <- struct{}{}:
	default:
	}
}

// nextLook probes those who wait for it, as far as may be, and returns when
// something is due.
func (v *View) nextLook() time.Time {
	v.mu.Lock()
	defer v.mu.Unlock()
	next := v.kickAt
	if v.watchAt.Before(next) {
		next = v.watchAt
	}
	if len(v.agenda) > 0 && v.agenda[0].at.Before(next) {
		next = v.agenda[0].at
	}
	if call := v.callNext(time.Now()); !call.IsZero() && call.Before(next) {
		next = call
	}
	v.next = next
	return next
}

// look probes those members of which it is time to hear, and drops those that do
// not answer. It reports whether it is time for a kick.
func (v *View) look(now time.Time) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.closed {
		return false
	}
	if !now.Before(v.watchAt) {
		v.watchAt = now.Add(v.jitter(neighbourEvery))
		for _, m := range v.sides() {
			if now.Sub(m.heard) >= neighbourHeard && m.asked.IsZero() {
				v.probe(m, now)
			}
		}
	}
	for m := v.ripe(now); m != nil; m = v.ripe(now) {
		if !m.asked.IsZero() && !m.queued {
			if m.silent++; m.silent >= maxTries {
				v.fail(m, "does not answer", now)
				continue
			}
		}
		v.probe(m, now)
	}
	return !now.Before(v.kickAt)
}

// probe asks a member to answer. v.mu is held.
func (v *View) probe(m *member, now time.Time) {
	v.schedule(m, now.Add(answerTime))
	if m.queued {
		return
	}
	m.asked = now
	m.queued = v.enqueue(job{kind: probing, to: m.peer, route: m.adv.Route, spoke: m.spoke, member: m, asks: m.asks})
	m.asks = false
	if !m.queued {
		m.asked = time.Time{}
	}
}

// fail drops a member that is not there and says so. v.mu is held.
func (v *View) fail(m *member, why string, now time.Time) {
	next := slices.Contains(v.sides(), m)
	v.remove(m, why, true, now)
	v.announce(m, next, now)
}

// announce tells the next members in either direction that a former one is gone,
// and if that was one of them everybody: who is not next to it will find out, and
// only two shout. v.mu is held.
func (v *View) announce(m *member, shout bool, now time.Time) {
	if !v.says.take(now, noticeRate, noticeBurst) {
		return
	}
	about := []*advertisements.Rendezvous{m.adv}
	for _, s := range v.sides() {
		v.enqueue(job{kind: noticing, to: s.peer, route: s.adv.Route, refs: about})
	}
	if shout && v.cfg.Shout != nil {
		v.enqueue(job{kind: noticing, shout: true, refs: about})
	}
}

func (v *View) seedList() []endpoint.Address {
	if v.cfg.Seeds == nil {
		return nil
	}
	all := v.cfg.Seeds()
	return all[:min(len(all), maxSeeds)]
}

// kick looks around: at seeds, at lost members, at the members in turn.
func (v *View) kick(seeds []endpoint.Address, now time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.closed {
		return
	}
	unhappy := len(v.order) < happy
	missing := v.missing(seeds)
	v.probeSeeds(missing, unhappy)
	v.probeLost(now)
	v.probeNext(now)
	v.introduceTwo()
	if unhappy && v.cfg.Shout != nil {
		v.enqueue(job{kind: probing, shout: true})
	}
	v.sweepTargets(now)
	switch {
	case v.joins > 0:
		v.pause, v.eager = kickFirst, 0
	case unhappy && len(missing) > 0 && v.eager < maxEager:
		v.pause = kickFirst
		v.eager++
	default:
		v.pause = min(2*v.pause, kickMost)
	}
	v.joins = 0
	v.kickAt = now.Add(v.jitter(v.pause))
}

// hurry notes that there is a new member, which is reason to look around soon.
func (v *View) hurry(now time.Time) {
	v.joins++
	v.lastJoin = now
	if soon := now.Add(v.jitter(kickFirst)); soon.Before(v.kickAt) {
		v.kickAt = soon
		v.stir(soon)
	}
}

// missing returns the seeds behind which no member is known to be.
func (v *View) missing(seeds []endpoint.Address) []endpoint.Address {
	var list []endpoint.Address
	for _, a := range seeds {
		p, ok := a.Peer()
		if !ok {
			p, ok = v.seeds[a.Base()]
		}
		if !ok || p != v.self && v.members[p] == nil {
			list = append(list, a)
		}
	}
	return list
}

// probeSeeds probes some of the seeds, in random order.
func (v *View) probeSeeds(list []endpoint.Address, unhappy bool) {
	n := 1
	if unhappy {
		n = seedsPerKick
	}
	v.rng.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	for _, a := range list[:min(n, len(list))] {
		v.enqueue(job{kind: probing, seed: a})
	}
}

// probeLost probes one of the lost members whose time has come.
func (v *View) probeLost(now time.Time) {
	var ripe []id.Peer
	for p, l := range v.lost {
		switch {
		case now.Sub(l.since) >= lostLife:
			delete(v.lost, p)
		case !now.Before(l.next):
			ripe = append(ripe, p)
		}
	}
	if len(ripe) == 0 {
		return
	}
	slices.SortFunc(ripe, compare) // a map has no order to choose from repeatably
	p := ripe[v.rng.IntN(len(ripe))]
	l := v.lost[p]
	l.pause = min(2*l.pause, lostMost)
	l.next = now.Add(v.jitter(l.pause))
	v.enqueue(job{kind: probing, to: p, route: l.adv.Route, hear: true})
}

// probeNext probes the member whose turn it is.
func (v *View) probeNext(now time.Time) {
	if len(v.order) == 0 {
		return
	}
	i, found := slices.BinarySearchFunc(v.order, v.turn, func(x *member, p id.Peer) int { return compare(x.peer, p) })
	if found {
		i++
	}
	m := v.order[i%len(v.order)]
	v.turn = m.peer
	if m.asked.IsZero() {
		m.asks = true
		v.probe(m, now)
	}
}

// introduceTwo tells one member of another.
func (v *View) introduceTwo() {
	n := len(v.order)
	if n < 2 {
		return
	}
	i, j := v.rng.IntN(n), v.rng.IntN(n-1)
	if j >= i {
		j++
	}
	to, of := v.order[i], v.order[j]
	v.enqueue(job{kind: referring, to: to.peer, route: to.adv.Route, refs: []*advertisements.Rendezvous{of.adv}})
}
