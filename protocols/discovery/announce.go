package discovery

import (
	"context"
	"sync"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/advertisements/store"
	"github.com/juxta-p2p/juxta/protocols/rendezvous"
	"github.com/juxta-p2p/juxta/protocols/resolver/srdi"
)

// announce has changes told: to the rendezvous, or if this is one to those that
// keep the copies.
func (s *Service) announce() {
	s.teller.want(func(t *teller) time.Time { return t.pace.due(time.Now()) })
}

// announceLater has them told some time.
func (s *Service) announceLater() {
	s.teller.want(func(*teller) time.Time { return time.Now().Add(s.cfg.Announce) })
}

// announceAll has everything told.
func (s *Service) announceAll() {
	s.teller.want(func(t *teller) time.Time {
		t.full = true
		return t.pace.due(time.Now())
	})
}

// pace says when the next of a series of messages goes: the first at once, each
// later one after twice the pause of the one before.
type pace struct {
	first time.Duration // pause after the first message

	pause time.Duration
	sent  time.Time // the last message
	asked time.Time // when one was wanted last
}

// due returns when a message may go that is wanted now.
func (p *pace) due(now time.Time) time.Time {
	if now.Sub(p.asked) >= quiet {
		p.pause = 0
	}
	p.asked = now
	if at := p.sent.Add(p.pause); at.After(now) {
		return at
	}
	return now
}

// went notes that one went.
func (p *pace) went(now time.Time) {
	p.sent = now
	p.pause = min(max(2*p.pause, p.first), max(pushMost, p.first))
}

// teller tells others what is here, one message after the other, since a later
// one may withdraw what an earlier one said. It has a goroutine only while it
// does so.
type teller struct {
	s *Service

	mu      sync.Mutex
	stopped bool
	busy    bool // telling
	full    bool // everything is to be told
	pace    pace
	timer   *time.Timer // nil if nothing is to be told
	due     time.Time   // when the timer fires, or when to go on after the present time; zero for neither

	// Of whoever is telling.
	cursor uint64    // of the store's changes
	all    time.Time // when everything was told
}

// stop ends it; what is being told may still be.
func (t *teller) stop() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.stopped = true
	if t.timer != nil {
		t.timer.Stop()
	}
}

// want has it tell at the time that f returns, or before. Without anybody to tell
// it does nothing: a lease or a role that comes has everything told.
func (t *teller) want(f func(t *teller) time.Time) {
	if !t.s.hasListener() {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.by(f(t))
}

// hasListener reports whether there is anybody to be told what is here.
func (s *Service) hasListener() bool {
	switch s.rdv.Role() {
	case rendezvous.Rendezvous:
		return true
	case rendezvous.Edge:
		_, ok := s.rdv.Lease()
		return ok
	}
	return false
}

// by has it tell at a time or before. t.mu is held.
func (t *teller) by(at time.Time) {
	if t.stopped || !t.due.IsZero() && !at.Before(t.due) {
		return
	}
	t.due = at
	if t.busy {
		return
	}
	if t.timer != nil {
		t.timer.Stop()
	}
	var mine *time.Timer
	mine = time.AfterFunc(time.Until(at), func() {
		if !t.s.begin() {
			return
		}
		defer t.s.end()
		t.mu.Lock()
		if t.timer != mine { // somebody was quicker
			t.mu.Unlock()
			return
		}
		full := t.full
		t.full, t.busy, t.timer, t.due = false, true, nil, time.Time{}
		t.mu.Unlock()

		next, sent := t.tell(full)

		t.mu.Lock()
		defer t.mu.Unlock()
		now := time.Now()
		if sent {
			t.pace.went(now)
		}
		t.busy = false
		at := t.due
		t.due = time.Time{}
		if !at.IsZero() {
			if soon := t.pace.sent.Add(t.pace.pause); at.Before(soon) {
				at = soon
			}
			t.by(at)
		}
		if next > 0 {
			t.by(now.Add(next))
		}
	})
	t.timer = mine
}

// tell tells what is new, or everything at a new lease, and returns when to look
// again unless something happens, 0 for never, and whether anything was sent.
func (t *teller) tell(full bool) (again time.Duration, sent bool) {
	s := t.s
	if !s.hasListener() {
		return 0, false
	}
	now := time.Now()
	edge := s.rdv.Role() == rendezvous.Edge
	full = full || edge && now.Sub(t.all) >= fullPush
	var changes []store.Change
	next, ok := t.cursor, false
	if !full {
		changes, next, ok = s.store.Changes(t.cursor)
	}
	if !ok {
		full = true
		changes, next = s.store.Entries()
	}
	if !edge {
		// What there is is placed whenever the role or the view changes.
		t.cursor = next
		if !full {
			for primary, entries := range byStore(now, changes) {
				s.index.Announce(primary, entries)
			}
		}
		return 0, len(changes) > 0
	}
	if !s.push(byStore(now, changes)) {
		t.mu.Lock()
		t.full = true
		t.mu.Unlock()
		return retryPush, true
	}
	t.cursor = next
	if full {
		t.all = now
	}
	return max(fullPush-now.Sub(t.all), retryPush), len(changes) > 0
}

// byStore makes index entries of changes.
func byStore(now time.Time, changes []store.Change) map[string][]srdi.Entry {
	all := map[string][]srdi.Entry{}
	for _, c := range changes {
		if len(c.Value) > maxIndexed {
			continue
		}
		e := srdi.Entry{Name: c.Name, Value: c.Value}
		if !c.Lifetime.IsZero() {
			e.Millis = store.Remaining(now, c.Lifetime)
		}
		all[c.Kind.String()] = append(all[c.Kind.String()], e)
	}
	return all
}

// own returns everything by which something can be found here.
func (s *Service) own() map[string][]srdi.Entry {
	entries, _ := s.store.Entries()
	return byStore(time.Now(), entries)
}

// push sends entries to the rendezvous, those of a kind together. It reports
// whether all were sent.
func (s *Service) push(all map[string][]srdi.Entry) bool {
	for kind := advertisements.Peers; kind <= advertisements.Advs; kind++ {
		for _, part := range srdi.Split(all[kind.String()]) {
			if !s.send(&srdi.Push{Holder: s.self, Primary: kind.String(), TTL: 1, Entries: part}) {
				return false
			}
		}
	}
	return true
}

func (s *Service) send(p *srdi.Push) bool {
	x, err := p.Message(handler)
	if err != nil {
		s.stats.unsent.Add(1)
		s.log.Error("index entries cannot be printed", "error", err)
		return true // it would fail again
	}
	ctx, cancel := context.WithTimeout(s.ctx, pushTimeout)
	defer cancel()
	if err := s.res.SpreadIndex(ctx, x); err != nil {
		s.stats.unsent.Add(1)
		s.log.Debug("announcing failed", "error", err)
		return false
	}
	s.stats.pushed.Add(1)
	return true
}
