package reliable

import "time"

// Stats counts what a Conn did and tells its state. Octets are those of the blocks'
// content.
type Stats struct {
	Sent         uint64 // blocks, each once
	SentOctets   uint64
	Repeated     uint64 // blocks sent again
	Probes       uint64 // silences that made us ask
	SendErrors   uint64 // of Config.Send
	Moves        uint64 // calls of Moved
	AcksReceived uint64
	AcksBad      uint64 // of blocks that were never sent

	Received       uint64 // blocks, each once
	ReceivedOctets uint64
	Duplicates     uint64 // blocks that had come before
	Refused        uint64 // blocks too far ahead, beyond the limit of what is held, or behind the end
	Malformed      uint64 // elements that are no valid part of this layer
	AcksSent       uint64

	Kept           int           // blocks written but not acknowledged
	KeptOctets     int           // of these, with 64 more for each
	UnderWay       int           // blocks sent but not acknowledged
	Held           int           // blocks received but not read
	HeldOctets     int           // of these, with 64 more for each
	RoundTrip      time.Duration // smoothed; zero if not known. Mode Java: with the reader's time
	SendWindow     int           // what may be under way now: octets, in mode Java blocks
	ReceiveWindow  int           // octets
	ReceiveNumber  uint64        // of the last block that was read
	AcknowledgedTo uint64        // number up to which all blocks are acknowledged
}

// Stats returns the counters and the state.
func (c *Conn) Stats() Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	s, r := &c.out, &c.in
	st := Stats{
		Sent: s.sent, SentOctets: s.octets, Repeated: s.repeated, Probes: s.probes,
		SendErrors: c.sendErrors, Moves: c.moves, AcksReceived: s.acks, AcksBad: s.badAcks,
		Received: r.received, ReceivedOctets: r.octets, Duplicates: r.duplicates, Refused: r.refused,
		Malformed: c.malformed, AcksSent: r.acks,
		Kept: int(s.end-s.base) - s.gaps, KeptOctets: s.kept, UnderWay: s.underWay,
		Held: r.held, HeldOctets: r.cost, RoundTrip: s.trip,
		ReceiveWindow: r.window, ReceiveNumber: r.taken, AcknowledgedTo: s.base - 1,
	}
	if s.mode == Java {
		st.SendWindow = max(0, min(s.window, 2*s.free)) + 1
		return st
	}
	if room := s.acknowledgedOffset(); room < s.limit {
		st.SendWindow = int(min(s.limit-room, lastJava))
	}
	return st
}

// acknowledgedOffset is the offset up to which all is acknowledged.
func (s *sender) acknowledgedOffset() uint64 {
	if s.base == s.end {
		return s.offset
	}
	return s.at(s.base).start
}
