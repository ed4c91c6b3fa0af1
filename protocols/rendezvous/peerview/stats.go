package peerview

import "sync/atomic"

// Stats counts what a view did since it was made.
type Stats struct {
	Probes, Responses, Referrals, Notices uint64 // messages sent, by kind
	Shouts                                uint64 // of Probes and Notices: given to the propagate pipe
	Unsent                                uint64 // messages that could not be sent
	DroppedQueue                          uint64 // not sent, because too many were waiting

	TookProbes, TookResponses, TookReferrals uint64 // messages that came in, were in order and for this view
	TookNotices, TookEdgeProbes              uint64

	DroppedMalformed uint64 // without readable advertisement, without route, or too large
	DroppedForeign   uint64 // of another group or service
	DroppedOwn       uint64 // about this peer
	DroppedOverRate  uint64 // from a peer, or a propagate pipe, that brings too much
	DroppedRefused   uint64 // about peers that Config.Accept refuses
	DroppedFull      uint64 // the view, or the share of the peer's network origin, is full
	DroppedRepeated  uint64 // referrals and notices about peers that were probed a moment ago
	DroppedBudget    uint64 // probes not made because others cause too many
	DroppedChance    uint64 // probes from the propagate pipe that are left to others to answer
	DroppedHearsay   uint64 // about members, from others, with nothing that changes anything

	Joined, Left uint64 // members
	Lost         int    // members that are remembered and looked for, at present
}

type counters struct {
	probes, responses, referrals, notices, shouts, unsent, queue                    atomic.Uint64
	tookProbes, tookResponses, tookReferrals, tookNotices, tookEdges                atomic.Uint64
	malformed, foreign, own, rate, refused, full, repeated, budget, chance, hearsay atomic.Uint64
	joined, left                                                                    atomic.Uint64
}

// Stats returns the counters.
func (v *View) Stats() Stats {
	c := &v.stats
	v.mu.Lock()
	lost := len(v.lost)
	v.mu.Unlock()
	return Stats{
		Probes: c.probes.Load(), Responses: c.responses.Load(), Referrals: c.referrals.Load(), Notices: c.notices.Load(),
		Shouts: c.shouts.Load(), Unsent: c.unsent.Load(), DroppedQueue: c.queue.Load(),
		TookProbes: c.tookProbes.Load(), TookResponses: c.tookResponses.Load(), TookReferrals: c.tookReferrals.Load(),
		TookNotices: c.tookNotices.Load(), TookEdgeProbes: c.tookEdges.Load(),
		DroppedMalformed: c.malformed.Load(), DroppedForeign: c.foreign.Load(), DroppedOwn: c.own.Load(),
		DroppedOverRate: c.rate.Load(), DroppedRefused: c.refused.Load(), DroppedFull: c.full.Load(),
		DroppedRepeated: c.repeated.Load(), DroppedBudget: c.budget.Load(), DroppedChance: c.chance.Load(),
		DroppedHearsay: c.hearsay.Load(), Joined: c.joined.Load(), Left: c.left.Load(), Lost: lost,
	}
}
