package peerview

import (
	"context"
	"hash/maphash"
	"net/netip"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
)

// incoming is a letter whose advertisement is read and in order.
type incoming struct {
	letter
	adv    *advertisements.Rendezvous
	doc    uint64        // hash of its text
	sum    uint64        // hash of what the sender knows
	from   id.Peer       // who it came from last: the other end of the link, or whom the pipe names
	link   endpoint.Link // of a direct one
	direct bool          // the peer that it is about sent it over its own link
	piped  bool          // it came over the propagate pipe
	paid   bool          // for the probe that it may cause
}

// receive takes a message that was sent to this peer.
func (v *View) receive(_ context.Context, in endpoint.Incoming) { v.take(in, false) }

// Hear takes a message that came over the propagate pipe, see [PipeID]. Probes
// among them are answered for certain while the view has no more than four
// members, and with a probability of four in the size of the view after that, so
// that four rendezvous or so answer in the whole group.
func (v *View) Hear(_ context.Context, in endpoint.Incoming) { v.take(in, true) }

func (v *View) take(in endpoint.Incoming, piped bool) {
	now := time.Now()
	l, err := open(in.Message)
	if err != nil {
		v.malformed(in, err)
		return
	}
	x := incoming{letter: l, doc: maphash.Bytes(v.seed, l.adv), from: in.From, piped: piped}
	if in.Link != nil && !piped {
		x.from = in.Link.Peer()
	}
	if l.knows {
		x.sum = maphash.Bytes(v.seed, l.known)
	}
	known, ok := v.admit(&x, now)
	if !ok {
		return
	}
	if x.adv = known; known == nil {
		if x.adv, err = readAdv(l.adv); err != nil {
			v.malformed(in, err)
			return
		}
		switch adv := x.adv; {
		case adv.Peer == v.self:
			v.stats.own.Add(1)
			return
		case adv.Group != v.group, adv.Service != v.service:
			v.stats.foreign.Add(1)
			return
		}
	}
	if !piped && in.Link != nil && in.From == x.adv.Peer && x.from == x.adv.Peer {
		x.direct, x.link = true, in.Link
	}
	refused := !x.edge && v.cfg.Accept != nil && !v.cfg.Accept(x.adv)
	v.mu.Lock()
	switch {
	case v.closed:
	case refused:
		v.refuse(&x, now)
	default:
		v.sort(&x, now)
	}
	v.mu.Unlock()
	v.tell()
}

func (v *View) malformed(in endpoint.Incoming, err error) {
	v.stats.malformed.Add(1)
	v.log.Debug("message about the view dropped", "from", in.From.Short(), "error", err)
}

// admit looks at the budgets of who sent a message, and returns the
// advertisement if it is one that was read before. What could not be used is not
// read.
func (v *View) admit(x *incoming, now time.Time) (known *advertisements.Rendezvous, ok bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.closed {
		return nil, false
	}
	n := v.near.of(x.from, now)
	if !n.messages.take(now, neighbourRate, neighbourBurst) || x.piped && !v.pipe.take(now, pipeRate, pipeBurst) {
		v.stats.rate.Add(1)
		return nil, false
	}
	known = v.docs[x.doc]
	if known == nil && x.cached && !x.failure && !x.edge {
		if x.paid = v.room() && n.told.take(now, tellerRate, tellerBurst); !x.paid {
			v.stats.budget.Add(1)
			return nil, false
		}
	}
	return known, true
}

// refuse drops what is about a peer that may not be in the view; a member that
// might before leaves. v.mu is held.
func (v *View) refuse(x *incoming, now time.Time) {
	v.stats.refused.Add(1)
	if m := v.members[x.adv.Peer]; m != nil && x.direct {
		v.remove(m, "is not accepted any more", false, now)
	}
}

// sort does what a message asks for. v.mu is held.
func (v *View) sort(x *incoming, now time.Time) {
	m := v.members[x.adv.Peer]
	switch {
	case x.failure:
		v.stats.tookNotices.Add(1)
		v.failed(x, m, now)
	case x.edge:
		v.stats.tookEdges.Add(1)
		v.edgeProbe(x, m, now)
	case x.cached && x.probe:
		v.stats.hearsay.Add(1) // means nothing in JXSE either
	case x.cached:
		v.stats.tookReferrals.Add(1)
		if m != nil {
			v.stats.hearsay.Add(1)
		} else {
			v.callOn(x, now)
		}
	case x.probe:
		v.stats.tookProbes.Add(1)
		switch {
		case x.direct:
			m, _ = v.letIn(x.adv, x.doc, x.link, now)
			v.answer(x, m, now)
		case x.piped && v.leave():
			v.stats.chance.Add(1)
		default:
			v.callOn(x, now)
		}
	default:
		v.stats.tookResponses.Add(1)
		switch {
		case x.direct:
			v.letIn(x.adv, x.doc, x.link, now)
		case m != nil:
			v.stats.hearsay.Add(1)
		default:
			v.callOn(x, now)
		}
	}
}

// leave decides by chance whether a probe from the pipe is left to others.
func (v *View) leave() bool {
	return len(v.order) > happy && v.rng.IntN(len(v.order)) >= happy
}

// failed takes the news that a peer is gone. From the peer itself it is a
// goodbye; from anybody else a hint that makes it probed, since JXSE, which
// believes it, can be made to forget every member.
func (v *View) failed(x *incoming, m *member, now time.Time) {
	switch {
	case x.direct:
		delete(v.lost, x.adv.Peer)
		if m != nil {
			v.remove(m, "said goodbye", false, now)
		}
		if t := v.target(x, now); t != nil { // others may not know yet, and tell of it
			t.waiting, t.next = false, now.Add(targetPause)
		}
	case m == nil:
		v.stats.hearsay.Add(1)
	default:
		v.hint(m, now)
	}
}

// hint probes a member that somebody says is gone.
func (v *View) hint(m *member, now time.Time) {
	switch {
	case now.Sub(m.hinted) < hintPause:
		v.stats.repeated.Add(1)
	case !v.hints.take(now, hintRate, hintBurst):
		v.stats.budget.Add(1)
	default:
		m.hinted = now
		if m.asked.IsZero() {
			v.probe(m, now)
		}
	}
}

// edgeProbe takes a probe of an edge, which looks for rendezvous and becomes no
// member: JXSE 2.5 sends them in subgroups, over the pipe of the parent group. A
// member has become an edge and leaves; one that says goodbye when that happens,
// as those of this implementation do, must say it itself.
func (v *View) edgeProbe(x *incoming, m *member, now time.Time) {
	p := x.adv.Peer
	if m != nil {
		if !x.direct && m.juxta {
			v.hint(m, now)
			return
		}
		v.remove(m, "has become an edge", false, now)
		v.announce(m, false, now)
	}
	t := v.targets[p]
	switch {
	case !x.probe || x.cached:
		return
	case x.piped && v.leave():
		v.stats.chance.Add(1)
		return
	case t != nil && now.Sub(t.answered) < targetPause:
		v.stats.repeated.Add(1)
		return
	case !x.direct && (!v.pay(x, now) || !v.told.take(now, referralRate, referralBurst)):
		v.stats.budget.Add(1)
		return
	}
	if t = v.target(x, now); t == nil {
		v.stats.budget.Add(1)
		return
	}
	t.answered, t.next = now, now.Add(edgePause)
	v.enqueue(job{kind: answering, to: p, link: x.link, route: x.adv.Route, hear: true})
}

// answer answers a probe that came straight from its sender, which is a member
// unless there is no room for it.
func (v *View) answer(x *incoming, m *member, now time.Time) {
	j := job{kind: answering, to: x.adv.Peer, link: x.link, route: x.adv.Route}
	if x.knows {
		if m == nil || m.compared != x.sum || m.version != v.version {
			lacking, unknown := v.lacks(x.adv.Peer, x.known, x.told, now)
			j.refs = v.some(lacking, maxReferrals)
			v.compared(m, x, len(lacking), unknown, now)
		}
	} else if len(v.order) > 0 {
		if other := v.order[v.rng.IntN(len(v.order))]; other != m {
			j.refs = []*advertisements.Rendezvous{other.adv}
		}
	}
	v.enqueue(j)
}

// compared notes the difference between what a member knows and who is in the
// view; if there is none, it need not be looked for again until one of both
// changes.
func (v *View) compared(m *member, x *incoming, lacking, unknown int, now time.Time) {
	if m == nil {
		return
	}
	m.juxta = true
	if unknown > 0 {
		v.chase(m, now)
	}
	if lacking+unknown == 0 {
		m.compared, m.version = x.sum, v.version
	}
}

// chase asks a member that knows others for them.
func (v *View) chase(m *member, now time.Time) {
	wait := chaseLate
	if now.Sub(v.lastJoin) < news {
		wait = chaseSoon
	}
	if now.Sub(m.chased) >= wait && m.asked.IsZero() {
		m.chased = now
		v.probe(m, now)
	}
}

// local reports whether a network origin is this machine, or unknown.
func local(origin string) bool {
	ip, err := netip.ParseAddr(origin)
	return origin == "" || err == nil && ip.IsLoopback()
}
