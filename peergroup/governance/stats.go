package governance

import "sync/atomic"

// Stats counts what a service did since it was made, and tells what it has.
type Stats struct {
	Acts      int // kept
	Proposals int // of these: without effect so far
	Excluded  int // exclusions that have not ended

	Judged, Shut uint64 // subjects judged; of these: excluded
	Compared     uint64 // comparisons with other members that were begun
	Unanswered   uint64 // of these: without an answer
	Learned      uint64 // motions and signatures that came from others
	Told         uint64 // motions given to others

	// What others sent and was not taken.
	RefusedBadSignature     uint64
	RefusedUnknownModerator uint64 // of an author or signer who is no moderator, as far as is known
	RefusedOtherGroup       uint64 // acts of another group, or members with another charter
	RefusedFuture           uint64
	RefusedExpired          uint64
	RefusedFull             uint64
	RefusedTooLarge         uint64
	RefusedMalformed        uint64
	RefusedRate             uint64 // questions beyond the rate

	// TooFewSignatures counts motions that came and had no effect at the time.
	TooFewSignatures uint64

	FailedSaves uint64
}

type counters struct {
	judged, shut, compared, unanswered, learned, told                                            atomic.Uint64
	badSignature, unknownModerator, otherGroup, future, expired, full, tooLarge, malformed, rate atomic.Uint64
	tooFew, failedSaves                                                                          atomic.Uint64
}

// Stats returns the counters.
func (s *Service) Stats() Stats {
	c, now := &s.stats, s.state()
	s.mu.Lock()
	acts := len(s.book.motions)
	s.mu.Unlock()
	return Stats{
		Acts: acts, Proposals: len(now.Proposals), Excluded: len(now.Exclusions),
		Judged: c.judged.Load(), Shut: c.shut.Load(), Compared: c.compared.Load(), Unanswered: c.unanswered.Load(),
		Learned: c.learned.Load(), Told: c.told.Load(),
		RefusedBadSignature: c.badSignature.Load(), RefusedUnknownModerator: c.unknownModerator.Load(),
		RefusedOtherGroup: c.otherGroup.Load(), RefusedFuture: c.future.Load(), RefusedExpired: c.expired.Load(),
		RefusedFull: c.full.Load(), RefusedTooLarge: c.tooLarge.Load(), RefusedMalformed: c.malformed.Load(),
		RefusedRate: c.rate.Load(), TooFewSignatures: c.tooFew.Load(), FailedSaves: c.failedSaves.Load(),
	}
}
