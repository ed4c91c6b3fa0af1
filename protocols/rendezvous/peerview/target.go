package peerview

import (
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/id"
)

// target is a peer that others told of.
type target struct {
	adv      *advertisements.Rendezvous
	doc      uint64                // its hash
	route    *advertisements.Route // to it
	waiting  bool                  // for its turn to be probed
	next     time.Time             // not to be probed before
	answered time.Time             // when it was told about this peer, being an edge
}

// callOn has a peer probed that this one did not hear itself: now, or when the
// budget allows it. Until then the view says in its probes that it was told.
func (v *View) callOn(x *incoming, now time.Time) {
	if m := v.members[x.adv.Peer]; m != nil { // which asks where others can hear it
		if now.Sub(m.heard) >= targetPause && m.asked.IsZero() {
			v.probe(m, now)
		} else {
			v.stats.hearsay.Add(1)
		}
		return
	}
	t := v.targets[x.adv.Peer]
	switch {
	case len(v.order) >= v.cfg.Limit:
		v.stats.full.Add(1)
		return
	case t != nil && (t.waiting || now.Before(t.next)):
		v.stats.repeated.Add(1)
		return
	case !v.room() || !v.pay(x, now):
		v.stats.budget.Add(1)
		return
	}
	if t = v.target(x, now); t == nil {
		v.stats.budget.Add(1)
		return
	}
	t.waiting, t.route = true, v.way(x)
	v.line = append(v.line, x.adv.Peer)
	v.callNext(now)
}

// room reports whether one more peer may wait to be probed.
func (v *View) room() bool { return len(v.line) < maxLine }

// pay spends what one peer may cause this one to send to others.
func (v *View) pay(x *incoming, now time.Time) bool {
	if !x.paid {
		x.paid = v.near.of(x.from, now).told.take(now, tellerRate, tellerBurst)
	}
	return x.paid
}

// target returns the record of a peer that others told of; nil if there are too
// many.
func (v *View) target(x *incoming, now time.Time) *target {
	p := x.adv.Peer
	if v.targets == nil {
		v.targets = map[id.Peer]*target{}
	}
	t := v.targets[p]
	if t == nil {
		if len(v.targets) >= maxTargets {
			if v.sweepTargets(now); len(v.targets) >= maxTargets {
				return nil
			}
		}
		t = &target{}
		v.targets[p] = t
	}
	v.forgetDoc(t.doc, t.adv)
	t.adv, t.doc = x.adv, x.doc
	if v.docs[t.doc] == nil {
		v.docs[t.doc] = t.adv
	}
	return t
}

// sweepTargets forgets those that may be probed again.
func (v *View) sweepTargets(now time.Time) {
	for p, t := range v.targets {
		if !t.waiting && !now.Before(t.next) {
			v.dropTarget(p)
		}
	}
}

func (v *View) dropTarget(p id.Peer) {
	if t := v.targets[p]; t != nil {
		delete(v.targets, p)
		v.forgetDoc(t.doc, t.adv)
	}
}

// forgetDoc takes an advertisement off the list of those that need not be read
// again, if it is there.
func (v *View) forgetDoc(doc uint64, adv *advertisements.Rendezvous) {
	if adv != nil && v.docs[doc] == adv {
		delete(v.docs, doc)
	}
}

// callNext probes those who wait for it as far as the budget goes. It returns
// when to go on, the zero time if nobody waits. v.mu is held.
func (v *View) callNext(now time.Time) time.Time {
	for len(v.line) > 0 {
		p := v.line[0]
		t := v.targets[p]
		if t != nil && t.waiting && v.members[p] == nil {
			if wait := v.told.wait(now, referralRate, referralBurst); wait > 0 {
				v.stir(now.Add(wait))
				return now.Add(wait)
			}
			v.told.take(now, referralRate, referralBurst)
			t.waiting, t.next = false, now.Add(targetPause)
			if v.enqueue(job{kind: probing, to: p, route: t.route, hear: true}) {
				v.forgetCalls(now)
				v.called = append(v.called, call{p, now})
				v.more = true
			}
		}
		if v.line = v.line[1:]; len(v.line) == 0 {
			v.line = nil
		}
	}
	return time.Time{}
}

// call is a probe of a target.
type call struct {
	peer id.Peer
	at   time.Time
}

// forgetCalls drops those from which no answer is to be expected any more.
func (v *View) forgetCalls(now time.Time) {
	for len(v.called) > 0 && now.Sub(v.called[0].at) >= answerTime {
		v.called = v.called[1:]
	}
	if len(v.called) == 0 {
		v.called = nil
	}
}

// hungry reports whether the view can do with more peers to probe: few wait for
// it, and few have not had the time to answer. v.mu is held.
func (v *View) hungry(now time.Time) bool {
	n := len(v.line)
	for i := len(v.called) - 1; i >= 0 && now.Sub(v.called[i].at) < replyTime; i-- {
		if n >= enough {
			break
		}
		if v.members[v.called[i].peer] == nil {
			n++
		}
	}
	return n < enough
}

// askOn asks a member for more, once those are done with that the last ones told
// of. The members in turn, at each kick, are asked as well. v.mu is held.
func (v *View) askOn(now time.Time) {
	if !v.more || len(v.order) == 0 || !v.hungry(now) {
		return
	}
	v.more = false
	if m := v.order[v.rng.IntN(len(v.order))]; m.asked.IsZero() {
		v.probe(m, now)
	}
}

// way returns the route to a peer that another one tells of: that of its
// advertisement, or if this peer can dial none of its addresses, through the one
// that tells.
func (v *View) way(x *incoming) *advertisements.Route {
	r := x.adv.Route
	if v.dialable(r) || len(r.Hops) > 0 {
		return r
	}
	src := readRoute(x.source)
	if src == nil || src.Dest != x.from || src.Dest == r.Dest {
		return r
	}
	r = r.Clone()
	r.Hops = []advertisements.AccessPoint{{Peer: src.Dest, Addresses: src.Addresses}}
	return r
}

// dialable reports whether a route has an address that this peer can dial.
func (v *View) dialable(r *advertisements.Route) bool {
	for _, a := range r.Addresses {
		if v.ep.Serves(a.Protocol) {
			return true
		}
	}
	return false
}
