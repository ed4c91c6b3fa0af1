package lan

import "sync/atomic"

// Stats counts what a service did since it was started. A look is one reading of
// the meeting folder or one round of questions on the network; what is left out
// there is left out, and counted, at each look again.
type Stats struct {
	Peers  int    // near at present, those of other groups too
	Looks  uint64 // at the folder and on the network
	Events uint64 // peers of the own group found, changed and lost

	EventsLost       uint64 // events that a reader lost by lagging
	DroppedMalformed uint64 // records and files that cannot be read, or that name nothing to dial
	DroppedFull      uint64 // peers that there was no room for
	DroppedAnswers   uint64 // answers beyond those that are kept of one round
	DroppedFiles     uint64 // looks at which the folder held more files than are looked at
	EvictedPeers     uint64 // peers of other groups, forgotten for one of the own
	ClippedAddresses uint64 // own addresses that did not fit into what was announced
	FailedLooks      uint64 // looks at the folder, and questions on an interface, that the system did not allow
	FailedAnnounces  uint64 // announcements in the folder, and answers on an interface, that it did not allow
}

type counters struct {
	looks, events, malformed, answers, files, clipped, failedLooks, failedAnnounces atomic.Uint64
}

// Stats returns the counters.
func (s *Service) Stats() Stats {
	peers := len(s.Peers())
	s.table.mu.Lock()
	full, evicted := s.table.full, s.table.evicted
	s.table.mu.Unlock()
	c := &s.stats
	return Stats{
		Peers: peers, Looks: c.looks.Load(), Events: c.events.Load(), EventsLost: s.hub.Lost(),
		DroppedMalformed: c.malformed.Load(), DroppedFull: full, DroppedAnswers: c.answers.Load(), DroppedFiles: c.files.Load(),
		EvictedPeers: evicted, ClippedAddresses: c.clipped.Load(),
		FailedLooks: c.failedLooks.Load(), FailedAnnounces: c.failedAnnounces.Load(),
	}
}
