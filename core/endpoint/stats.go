package endpoint

import "sync/atomic"

// Stats counts what went through an endpoint since it was made.
type Stats struct {
	Sent        uint64 // messages handed to links, and broadcasts to transports
	Received    uint64 // messages that came in
	Delivered   uint64 // of these, and of those of routers and of the peer itself: those that a service took
	Links       int    // open at present
	LinksOpened uint64
	LinksIdled  uint64 // closed because nothing went over them

	UnsentLink      uint64 // messages that a link did not take
	UnsentNoLink    uint64 // messages to an address to which no link could be opened
	UnsentNoRouter  uint64 // messages to peers while there was no router
	UnsentTooLarge  uint64 // messages beyond the limits of the encoding
	UnsentBroadcast uint64 // broadcasts that a transport did not take

	DroppedMalformed  uint64 // octets that were no message
	DroppedNoAddress  uint64 // without source or destination
	DroppedNoListener uint64 // for a service nobody listens to
	DroppedByRule     uint64 // that the rules of their group did not admit, see [Rules]
	DroppedOwn        uint64 // propagated by this peer and come back
	DroppedSelfFull   uint64 // to the peer itself, while too many waited
	DroppedSelfClosed uint64 // to the peer itself, still waiting when the endpoint closed

	FailedDials  uint64 // attempts to open a link that failed
	RefusedLinks uint64 // links that were not taken because there were too many
	RefusedRule  uint64 // links that were not taken because of a rule
	EvictedLinks uint64 // links closed to make room for others
}

type counters struct {
	sent, received, delivered, opened, idled                                 atomic.Uint64
	unsent, noLink, noRouter, tooLarge, broadcast                            atomic.Uint64
	malformed, noAddress, noListener, notAdmitted, own, selfFull, selfClosed atomic.Uint64
	failedDials, refusedLinks, refusedByRule, evictedLinks                   atomic.Uint64
}

// Stats returns the counters.
func (e *Endpoint) Stats() Stats {
	e.lmu.RLock()
	links := e.links
	e.lmu.RUnlock()
	c := &e.stats
	return Stats{
		Sent: c.sent.Load(), Received: c.received.Load(), Delivered: c.delivered.Load(),
		Links: links, LinksOpened: c.opened.Load(), LinksIdled: c.idled.Load(),
		UnsentLink: c.unsent.Load(), UnsentNoLink: c.noLink.Load(), UnsentNoRouter: c.noRouter.Load(),
		UnsentTooLarge: c.tooLarge.Load(), UnsentBroadcast: c.broadcast.Load(),
		DroppedMalformed: c.malformed.Load(), DroppedNoAddress: c.noAddress.Load(), DroppedNoListener: c.noListener.Load(),
		DroppedByRule: c.notAdmitted.Load(), DroppedOwn: c.own.Load(), DroppedSelfFull: c.selfFull.Load(), DroppedSelfClosed: c.selfClosed.Load(),
		FailedDials: c.failedDials.Load(), RefusedLinks: c.refusedLinks.Load(), EvictedLinks: c.evictedLinks.Load(),
		RefusedRule: c.refusedByRule.Load(),
	}
}

// Traffic is what went over a link since it was opened. Octets are those of the encoded
// messages, without what the transport adds: headers, encryption, acknowledgements.
type Traffic struct {
	Sent, Received             uint64 // messages
	SentOctets, ReceivedOctets uint64
}

// TrafficOf returns what went over an open link; nothing, with false, if the endpoint does not
// have the link, or has it no more. The four numbers are read one after the other, while
// messages may pass.
func (e *Endpoint) TrafficOf(l Link) (Traffic, bool) {
	c := e.conn(l)
	if c == nil {
		return Traffic{}, false
	}
	return Traffic{
		Sent: c.sent.Load(), SentOctets: c.sentOctets.Load(),
		Received: c.taken.Load(), ReceivedOctets: c.takenOctets.Load(),
	}, true
}
