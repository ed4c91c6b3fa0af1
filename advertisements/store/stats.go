package store

import "sync/atomic"

// Stats is what a [Store] holds and what it did since it was opened, over all
// its scopes.
type Stats struct {
	Records int   // records held, expired ones not yet swept included
	Bytes   int64 // estimate of their memory

	Saved         uint64 // Put calls that changed something
	RefusedSize   uint64 // Put calls refused because a part of the record was missing or too large
	RefusedTime   uint64 // … because its time was over or negative
	RefusedFull   uint64 // … because nothing could be evicted
	RefusedOwn    uint64 // … because another peer wanted to alter our own record
	Clipped       uint64 // records of other peers whose lifetime was shortened
	EvictedOrigin uint64 // records evicted because their origin had reached its share
	EvictedFull   uint64 // records evicted because the scope was full
	Expired       uint64 // records removed because their time was over

	Damaged     uint64 // records on disk that could not be read and were dropped
	Written     uint64 // records written or removed on disk
	Batches     uint64 // transactions on disk
	WriteErrors uint64 // failed transactions; they are tried again
}

// counters are the running numbers of Stats.
type counters struct {
	saved, size, time, full, own, clipped      atomic.Uint64
	evictedOrigin, evictedFull, expired        atomic.Uint64
	damaged, written, batches, failedToPersist atomic.Uint64
}

// Stats returns the numbers of this moment. It is safe for concurrent use; the
// numbers of a busy store need not fit each other exactly.
func (s *Store) Stats() Stats {
	c := &s.count
	st := Stats{
		Saved: c.saved.Load(), RefusedSize: c.size.Load(), RefusedTime: c.time.Load(),
		RefusedFull: c.full.Load(), RefusedOwn: c.own.Load(), Clipped: c.clipped.Load(),
		EvictedOrigin: c.evictedOrigin.Load(), EvictedFull: c.evictedFull.Load(), Expired: c.expired.Load(),
		Damaged: c.damaged.Load(), Written: c.written.Load(), Batches: c.batches.Load(),
		WriteErrors: c.failedToPersist.Load(),
	}
	for _, sc := range s.all() {
		sc.mu.RLock()
		st.Records += sc.n
		st.Bytes += sc.bytes
		sc.mu.RUnlock()
	}
	return st
}
