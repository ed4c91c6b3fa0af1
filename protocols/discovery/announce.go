package discovery

import (
	"context"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/advertisements/store"
	"github.com/juxta-p2p/juxta/core/xmldoc"
	"github.com/juxta-p2p/juxta/protocols/rendezvous"
	"github.com/juxta-p2p/juxta/protocols/resolver"
)

// announce has changes told to the rendezvous.
func (s *Service) announce() { wake(s.kick) }

// announceLater has them told some time.
func (s *Service) announceLater() { wake(s.lazy) }

// announceAll has everything told to the rendezvous.
func (s *Service) announceAll() {
	s.full.Store(true)
	wake(s.kick)
}

func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// teller remembers what an edge has told its rendezvous.
type teller struct {
	s      *Service
	cursor uint64    // of the store's changes
	all    time.Time // when everything was told
	last   time.Time // when anything was told
}

// run owns the announcements to the rendezvous, one after the other, since a
// later one may withdraw what an earlier one said.
func (s *Service) run() {
	t := teller{s: s}
	due := time.Now().Add(fullPush)
	timer := time.NewTimer(fullPush)
	defer timer.Stop()
	by := func(at time.Time) {
		if at.Before(due) {
			due = at
			timer.Reset(time.Until(due))
		}
	}
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-s.kick:
			by(t.last.Add(s.cfg.Coalesce))
		case <-s.lazy:
			by(time.Now().Add(s.cfg.Announce))
		case <-timer.C:
			due = time.Now().Add(t.tell())
			timer.Reset(time.Until(due))
		}
	}
}

// tell pushes what is new, or everything at a new lease, and returns when to
// look again unless something happens.
func (t *teller) tell() time.Duration {
	s := t.s
	if s.rdv.Role() != rendezvous.Edge {
		return fullPush
	}
	if _, ok := s.rdv.Lease(); !ok {
		return fullPush // the next lease will say everything
	}
	now := time.Now()
	full := s.full.Swap(false) || now.Sub(t.all) >= fullPush
	var changes []store.Change
	next, ok := t.cursor, false
	if !full {
		changes, next, ok = s.store.Changes(t.cursor)
	}
	if !ok {
		full = true
		changes, next = s.store.Entries()
	}
	if !s.push(now, changes) {
		s.full.Store(true)
		return retryPush
	}
	t.cursor, t.last = next, time.Now()
	if full {
		t.all = now
	}
	return fullPush - now.Sub(t.all)
}

// push sends changes to the rendezvous, those of a kind together. It reports
// whether all were sent.
func (s *Service) push(now time.Time, changes []store.Change) bool {
	for kind := advertisements.Peers; kind <= advertisements.Advs; kind++ {
		p := push{Holder: s.self, Primary: kind.String(), TTL: 1}
		size := 0
		for _, c := range changes {
			if c.Kind != kind || len(c.Value) > maxIndexed {
				continue
			}
			e := entry{Name: c.Name, Value: c.Value}
			if !c.Lifetime.IsZero() {
				e.Expiration = store.Remaining(now, c.Lifetime)
			}
			p.Entries = append(p.Entries, e)
			if size += len(e.Name) + len(e.Value); len(p.Entries) >= maxPush || size >= maxPushBytes {
				if !s.send(&p) {
					return false
				}
				p.Entries, size = nil, 0
			}
		}
		if len(p.Entries) > 0 && !s.send(&p) {
			return false
		}
	}
	return true
}

func (s *Service) send(p *push) bool {
	x, err := p.message()
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

// message puts the entries into the envelope of the resolver.
func (p *push) message() (*resolver.Index, error) {
	doc, err := xmldoc.Marshal(p)
	if err != nil {
		return nil, err
	}
	return &resolver.Index{Handler: handler, Payload: string(doc)}, nil
}
