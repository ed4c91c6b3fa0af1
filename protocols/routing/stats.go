package routing

import "sync/atomic"

// Stats counts what a router did since it was made.
type Stats struct {
	Sent, Delivered, Forwarded uint64 // messages of this peer, for this peer, for others
	Kept                       uint64 // messages that a relay's store took for a peer that is away
	Asked, Answered            uint64 // route queries sent, and those of others answered
	Routes                     int    // destinations remembered at present
	Upgraded                   uint64 // times that a link came in place of a way through others
	NacksSent                  uint64 // originators told that a message could not be passed on
	NacksTaken                 uint64 // ways forgotten because a peer on them does not know how to go on

	UnsentNoRoute uint64 // own messages to peers to which no way was found
	UnsentLink    uint64 // own messages that no link to the first hop took
	UnsentAsk     uint64 // route queries not sent, because too many were, or to nobody
	UnsentAnswer  uint64 // answers to route queries that could not be sent

	DroppedMalformed uint64 // router documents, route queries and answers that are missing or cannot be read
	DroppedForged    uint64 // messages whose last hop is said to be another peer than the neighbour
	DroppedLoop      uint64 // messages of our own that came back, or that passed here before
	DroppedTooFar    uint64 // to be forwarded, but already were too often
	DroppedNoRoute   uint64 // to be forwarded, but no way is known
	DroppedLink      uint64 // to be forwarded, but the link did not take it
	DroppedBusy      uint64 // to be forwarded, but too many wait for a link that is being opened
	DroppedOverRate  uint64 // to be forwarded, but the link that brought it, or all together, want too much
	DroppedOff       uint64 // to be forwarded, which this peer does not do
	DroppedOverAsked uint64 // route queries of peers that ask too often
	IgnoredNacks     uint64 // NACKs from peers not on the way in use, or over another peer, or too many
	DeniedDials      uint64 // addresses not dialled for others, since they make this peer dial too much
	DroppedUnasked   uint64 // route answers to nothing that was asked, or in the name of another peer

	RefusedRoutes    uint64 // routes not learned: too many hops, too many from one neighbour, or over a peer that failed a moment ago
	ClippedAddresses uint64 // addresses not learned, because the peer has enough
	EvictedRoutes    uint64 // destinations forgotten to make room for others
}

type counters struct {
	sent, delivered, forwarded, kept, asked, answered             atomic.Uint64
	unsentNoRoute, unsentLink, unsentAsk, unsentAnswer            atomic.Uint64
	malformed, forged, loop, tooFar, noRoute, link, busy, unasked atomic.Uint64
	upgraded, nacksSent, nacksTaken, nacksIgnored, deniedDials    atomic.Uint64
	overRate, off, overAsked                                      atomic.Uint64
	refused, clipped, evicted                                     atomic.Uint64
}

// Stats returns the counters.
func (r *Router) Stats() Stats {
	r.mu.Lock()
	routes := r.table.of.len()
	r.mu.Unlock()
	c := &r.stats
	return Stats{
		Sent: c.sent.Load(), Delivered: c.delivered.Load(), Forwarded: c.forwarded.Load(),
		Kept:  c.kept.Load(),
		Asked: c.asked.Load(), Answered: c.answered.Load(), Routes: routes,
		UnsentNoRoute: c.unsentNoRoute.Load(), UnsentLink: c.unsentLink.Load(),
		UnsentAsk: c.unsentAsk.Load(), UnsentAnswer: c.unsentAnswer.Load(),
		DroppedMalformed: c.malformed.Load(), DroppedForged: c.forged.Load(), DroppedLoop: c.loop.Load(),
		DroppedTooFar: c.tooFar.Load(), DroppedNoRoute: c.noRoute.Load(), DroppedLink: c.link.Load(),
		Upgraded: c.upgraded.Load(), NacksSent: c.nacksSent.Load(), NacksTaken: c.nacksTaken.Load(),
		DroppedOverRate: c.overRate.Load(), DroppedOff: c.off.Load(), DroppedOverAsked: c.overAsked.Load(),
		IgnoredNacks: c.nacksIgnored.Load(), DeniedDials: c.deniedDials.Load(),
		DroppedBusy: c.busy.Load(), DroppedUnasked: c.unasked.Load(),
		RefusedRoutes: c.refused.Load(), ClippedAddresses: c.clipped.Load(), EvictedRoutes: c.evicted.Load(),
	}
}
