package store

import (
	"errors"
	"time"
)

// op is one change on its way to disk. The entry's immutable part is read
// without its scope's lock; the rest was copied under it.
type op struct {
	scope    string
	seq      uint64
	replaces uint64 // removed together with the writing; 0 for none
	e        *entry // nil: remove seq
	end      int64
	exp      time.Duration
	quiet    bool
}

// run writes batches until Close, then the rest, and closes the file.
func (s *Store) run() {
	defer close(s.done)
	sweep := time.NewTicker(s.cfg.Sweep)
	defer sweep.Stop()
	var window <-chan time.Time // nil: nothing waits
	failing := false
	write := func() error {
		window = nil
		err := s.flush()
		if err != nil {
			window = time.After(retryWait)
			if !failing {
				s.cfg.Logger.Error("writing advertisements failed; they are kept in memory and tried again", "error", err)
			}
		} else if failing {
			s.cfg.Logger.Info("writing advertisements works again")
		}
		failing = err != nil
		return err
	}
	for {
		select {
		case <-s.kick:
			if window == nil {
				window = time.After(s.cfg.Window)
			}
		case <-window:
			_ = write() // told above, tried again
		case reply := <-s.syncs:
			reply <- write()
		case <-sweep.C:
			s.Sweep()
		case <-s.quit:
			err := write()
			s.err = errors.Join(err, s.disk.close())
			return
		}
	}
}

// flush writes everything that waits at this moment.
func (s *Store) flush() error {
	if err := s.send(); err != nil { // what failed before goes first, to keep the order
		return err
	}
	for _, sc := range s.all() {
		s.unsent = sc.take(s.unsent)
	}
	return s.send()
}

// send writes the unsent changes, one batch a transaction.
func (s *Store) send() error {
	for len(s.unsent) > 0 {
		n, size := 0, 0
		for n < len(s.unsent) && n < batchRecords && size < batchBytes {
			if e := s.unsent[n].e; e != nil {
				size += int(e.size)
			}
			n++
		}
		if err := s.disk.write(s.unsent[:n]); err != nil {
			s.count.failedToPersist.Add(1)
			return err
		}
		s.count.batches.Add(1)
		s.count.written.Add(uint64(n))
		s.unsent = s.unsent[n:]
	}
	s.unsent = nil
	return nil
}

// take moves what waits in the scope to ops.
func (sc *Scope) take(ops []op) []op {
	sc.mu.Lock()
	defer sc.mu.Unlock()
	for _, seq := range sc.removed {
		ops = append(ops, op{scope: sc.name, seq: seq})
	}
	sc.removed = nil
	for k := sc.pending.head; k != nil; k = sc.pending.head {
		e := k.of
		ops = append(ops, op{sc.name, e.seq, e.replaces, e, e.end.at, e.expiration, e.quiet})
		e.stored, e.replaces = true, 0
		sc.pending.remove(k)
	}
	return ops
}
