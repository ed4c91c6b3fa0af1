package relay

import "sync/atomic"

// ServerStats counts what a relay did since it was made.
type ServerStats struct {
	Clients  int // at present
	Messages int // that wait at present
	Bytes    int // of these, with what keeping them costs

	Granted, Renewed uint64 // leases
	Refused          uint64 // requests for a lease that got none
	Kept, Delivered  uint64 // messages that waited, and of these those that were sent

	DroppedFull      uint64 // messages for clients for which as much was kept as may be
	DroppedOverall   uint64 // messages given up because too much was kept for all
	DroppedTooLarge  uint64 // messages larger than what may be kept for one client
	DroppedAged      uint64 // messages that waited for too long
	DroppedForgotten uint64 // messages that waited when the lease ended or the client wanted none of them
	DroppedUnsent    uint64 // messages that no link took

	DroppedMalformed uint64 // requests that cannot be read
	DroppedForged    uint64 // requests in the name of another peer
	DroppedID        uint64 // requests for a peer ID, which are not served
	Unanswered       uint64 // answers that no link took
}

type serverCounters struct {
	granted, renewed, refused, kept, delivered       atomic.Uint64
	full, overall, tooLarge, aged, forgotten, unsent atomic.Uint64
	malformed, forged, ids, unanswered               atomic.Uint64
}

// Stats returns the counters.
func (s *Server) Stats() ServerStats {
	s.mu.Lock()
	st := ServerStats{Clients: len(s.clients), Messages: s.messages, Bytes: s.bytes}
	s.mu.Unlock()
	c := &s.stats
	st.Granted, st.Renewed, st.Refused = c.granted.Load(), c.renewed.Load(), c.refused.Load()
	st.Kept, st.Delivered = c.kept.Load(), c.delivered.Load()
	st.DroppedFull, st.DroppedOverall, st.DroppedTooLarge = c.full.Load(), c.overall.Load(), c.tooLarge.Load()
	st.DroppedAged, st.DroppedForgotten, st.DroppedUnsent = c.aged.Load(), c.forgotten.Load(), c.unsent.Load()
	st.DroppedMalformed, st.DroppedForged, st.DroppedID = c.malformed.Load(), c.forged.Load(), c.ids.Load()
	st.Unanswered = c.unanswered.Load()
	return st
}

// ClientStats counts what a client did since it was made.
type ClientStats struct {
	Asked      uint64 // requests for a lease, first ones and renewals
	Granted    uint64 // leases got anew
	Renewed    uint64
	Refused    uint64 // requests that were refused
	Lost       uint64 // leases that ended although they were wanted
	Reconnects uint64 // links to relays that broke and were opened anew
	Unanswered uint64 // requests to which no answer came in time
	Failed     uint64 // relays that could not be reached

	DroppedForged uint64 // answers not over a link of the relay
	DroppedOther  uint64 // messages to the client that are no answers, or too many
}

type clientCounters struct {
	asked, granted, renewed, refused, lost        atomic.Uint64
	reconnects, unanswered, failed, forged, other atomic.Uint64
}

// Stats returns the counters.
func (c *Client) Stats() ClientStats {
	n := &c.stats
	return ClientStats{
		Asked: n.asked.Load(), Granted: n.granted.Load(), Renewed: n.renewed.Load(), Refused: n.refused.Load(),
		Lost: n.lost.Load(), Reconnects: n.reconnects.Load(), Unanswered: n.unanswered.Load(), Failed: n.failed.Load(),
		DroppedForged: n.forged.Load(), DroppedOther: n.other.Load(),
	}
}
