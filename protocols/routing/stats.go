package routing

import "sync/atomic"

// Stats counts what a router did since it was made.
type Stats struct {
	Sent, Delivered, Forwarded uint64 // messages of this peer, for this peer, for others
	Asked, Answered            uint64 // route queries sent, and those of others answered
	Routes                     int    // destinations remembered at present

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
	DroppedUnasked   uint64 // route answers to nothing that was asked, or in the name of another peer

	RefusedRoutes    uint64 // routes not learned, because they have too many hops
	ClippedAddresses uint64 // addresses not learned, because the peer has enough
	EvictedRoutes    uint64 // destinations forgotten to make room for others
}

type counters struct {
	sent, delivered, forwarded, asked, answered                   atomic.Uint64
	unsentNoRoute, unsentLink, unsentAsk, unsentAnswer            atomic.Uint64
	malformed, forged, loop, tooFar, noRoute, link, busy, unasked atomic.Uint64
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
		Asked: c.asked.Load(), Answered: c.answered.Load(), Routes: routes,
		UnsentNoRoute: c.unsentNoRoute.Load(), UnsentLink: c.unsentLink.Load(),
		UnsentAsk: c.unsentAsk.Load(), UnsentAnswer: c.unsentAnswer.Load(),
		DroppedMalformed: c.malformed.Load(), DroppedForged: c.forged.Load(), DroppedLoop: c.loop.Load(),
		DroppedTooFar: c.tooFar.Load(), DroppedNoRoute: c.noRoute.Load(), DroppedLink: c.link.Load(),
		DroppedBusy: c.busy.Load(), DroppedUnasked: c.unasked.Load(),
		RefusedRoutes: c.refused.Load(), ClippedAddresses: c.clipped.Load(), EvictedRoutes: c.evicted.Load(),
	}
}
