package endpoint

import "sync/atomic"

// Stats counts what went through an endpoint since it was made.
type Stats struct {
	Sent, Failed      uint64 // messages handed to links; refused by links
	Received          uint64 // messages that came in
	Delivered         uint64 // of these, those that a service took
	DroppedMalformed  uint64 // octets that were no message
	DroppedNoAddress  uint64 // without source or destination
	DroppedNoListener uint64 // for a service nobody listens to
	DroppedOwn        uint64 // propagated by this peer and come back
	LinksOpened       uint64
}

type counters struct {
	sent, failed, received, delivered, malformed, noAddress, noListener, own, links atomic.Uint64
}

// Stats returns the counters.
func (e *Endpoint) Stats() Stats {
	c := &e.stats
	return Stats{
		Sent: c.sent.Load(), Failed: c.failed.Load(), Received: c.received.Load(), Delivered: c.delivered.Load(),
		DroppedMalformed: c.malformed.Load(), DroppedNoAddress: c.noAddress.Load(), DroppedNoListener: c.noListener.Load(),
		DroppedOwn: c.own.Load(), LinksOpened: c.links.Load(),
	}
}
