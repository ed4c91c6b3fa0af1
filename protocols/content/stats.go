package content

import (
	"sync/atomic"

	"github.com/juxta-p2p/juxta/core/id"
)

type counters struct {
	asked, answered, found, told                                          atomic.Uint64
	served, servedOctets, fetched, fetchedOctets, fetchedFiles            atomic.Uint64
	manifests, listed, restored, hashed, skipped                          atomic.Uint64
	lies, faults, duplicates, slow                                        atomic.Uint64
	malformed, foreign, refused, busy, names, checked, quota, full, hides atomic.Uint64
	forgotten, overBudget                                                 atomic.Uint64
}

// Stats counts what a service did since it was made.
type Stats struct {
	Shared  int   // contents shared now
	Indexed int   // entries of the index, on the index peer
	Keepers int   // members known that keep replicas, this one included
	Used    int64 // octets in Config.Dir, those half fetched included
	Serving int   // connections of those who fetch here

	Hashed   uint64 // files hashed
	Skipped  uint64 // of folders: links, specials, and names that others could not have
	Asked    uint64 // questions that came in
	Answered uint64 // of these, those answered
	Told     uint64 // messages with items that came in at the index
	Found    uint64 // results of own searches

	Served       uint64 // chunks given
	ServedOctets uint64
	Fetched      uint64 // chunks got
	FetchedOctets,
	FetchedFiles uint64
	Duplicates uint64 // chunks that came again, since a holder was slow
	Slow       uint64 // chunks asked of another holder, since one was slow
	Manifests  uint64 // manifests got
	Listed     uint64 // lists of what keepers have, got
	Restored   uint64 // replicas fetched

	Lies   uint64 // holders that gave what does not have the hash, and were dropped for that content
	Faults uint64 // times that a holder broke off, was silent or could not be dialled

	DroppedMalformed  uint64 // messages, requests and advertisements that cannot be read, or are over a limit
	DroppedForeign    uint64 // what somebody told the index in the name of another, or told one who is not the index
	DroppedFull       uint64 // entries for which the index has no room
	DroppedOverBudget uint64 // questions beyond what one peer, or all, may ask
	Forgotten         uint64 // keepers not remembered, for want of room
	RefusedBusy       uint64 // connections beyond what is served at once
	Refused           uint64 // requests for what is withdrawn, and withdrawn contents in answers
	RefusedNames      uint64 // names that would leave their folder, or that not every system has
	RefusedChecks     uint64 // files that did not pass Config.Check
	RefusedQuota      uint64 // files for which there was no room
	NotHere           uint64 // requests for what this peer does not have, or not any more
}

// Stats returns the counters.
func (s *Service) Stats() Stats {
	c := &s.stats
	s.mu.Lock()
	st := Stats{Shared: len(s.byID), Used: s.used, Serving: s.conns}
	s.mu.Unlock()
	select {
	case <-s.started:
		if s.index != nil {
			st.Indexed = s.index.count(id.Peer{})
		}
		st.Keepers = s.keeper.known()
	default:
	}
	st.Hashed, st.Skipped = c.hashed.Load(), c.skipped.Load()
	st.Asked, st.Answered, st.Told, st.Found = c.asked.Load(), c.answered.Load(), c.told.Load(), c.found.Load()
	st.Served, st.ServedOctets = c.served.Load(), c.servedOctets.Load()
	st.Fetched, st.FetchedOctets, st.FetchedFiles = c.fetched.Load(), c.fetchedOctets.Load(), c.fetchedFiles.Load()
	st.Duplicates, st.Slow, st.Manifests = c.duplicates.Load(), c.slow.Load(), c.manifests.Load()
	st.Listed, st.Restored = c.listed.Load(), c.restored.Load()
	st.Lies, st.Faults = c.lies.Load(), c.faults.Load()
	st.DroppedMalformed, st.DroppedForeign, st.DroppedFull = c.malformed.Load(), c.foreign.Load(), c.full.Load()
	st.Forgotten, st.RefusedBusy, st.Refused = c.forgotten.Load(), c.busy.Load(), c.refused.Load()
	st.RefusedNames, st.RefusedChecks, st.RefusedQuota = c.names.Load(), c.checked.Load(), c.quota.Load()
	st.DroppedOverBudget = c.overBudget.Load()
	st.NotHere = c.hides.Load()
	return st
}
