package content

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/xmldoc"
	"github.com/juxta-p2p/juxta/protocols/resolver"
)

// indexName is the resolver's handler by which holders tell the index what they
// have.
const indexName = "urn:juxta:content:index"

// tell is what a holder says to the index: what it has more and what no longer.
// Without either it says that it lives.
type tell struct {
	pipe  advertisements.Pipe
	reset bool // forget what I said before
	items []Item
	gone  []ID
}

// Map implements xmldoc.Document.
func (t *tell) Map(m *xmldoc.Mapper) {
	m.Root("juxta:ContentTell")
	m.OptionalBool("Reset", &t.reset)
	m.Embed(&t.pipe)
	xmldoc.Each(m, "Item", maxBatch, &t.items, func(m *xmldoc.Mapper, it *Item) { it.describe(m) })
	xmldoc.Each(m, "Gone", maxBatch, &t.gone, func(m *xmldoc.Mapper, c *ID) { m.SelfValue(c) })
}

// told is what the index answers.
type told struct {
	held int64 // contents of the holder that the index has now
}

// Map implements xmldoc.Document.
func (t *told) Map(m *xmldoc.Mapper) {
	m.Root("juxta:ContentTold")
	m.Int("Held", &t.held)
}

// leases are how long the index believes holders.
type leases struct {
	mu    sync.Mutex
	until map[id.Peer]time.Time
}

// renew reports false if there is no room for one holder more.
func (l *leases) renew(p id.Peer, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.until == nil {
		l.until = map[id.Peer]time.Time{}
	}
	if _, ok := l.until[p]; !ok && len(l.until) >= maxHolders {
		return false
	}
	l.until[p] = now.Add(indexLife)
	return true
}

// expireLeases forgets holders that say nothing more.
func (s *Service) expireLeases(now time.Time) {
	if s.index == nil {
		return
	}
	var gone []id.Peer
	s.leases.mu.Lock()
	for p, until := range s.leases.until {
		if until.Before(now) {
			gone = append(gone, p)
			delete(s.leases.until, p)
		}
	}
	s.leases.mu.Unlock()
	for _, p := range gone {
		s.index.forget(p)
	}
}

// hearHolder takes what a holder tells. Nobody can tell for another: the message
// must come from the holder itself.
func (s *Service) hearHolder(ctx context.Context, raw *resolver.RawQuery) resolver.Outcome {
	s.stats.told.Add(1)
	if raw.ToGroup || raw.From != raw.Source {
		s.stats.foreign.Add(1)
		return resolver.Done
	}
	var t tell
	if err := xmldoc.Unmarshal([]byte(raw.Body), &t); err != nil {
		s.stats.malformed.Add(1)
		s.log.Debug("what a holder tells is dropped", "from", raw.Source.Short(), "error", err)
		return resolver.Done
	}
	if !s.leases.renew(raw.Source, time.Now()) {
		s.stats.full.Add(1)
		return resolver.Done
	}
	if t.reset {
		s.index.forget(raw.Source)
	}
	for _, c := range t.gone {
		s.index.take(c, raw.Source)
	}
	at := Holder{raw.Source, &t.pipe}
	for _, it := range t.items {
		if !s.index.put(Hit{it, at}) {
			s.stats.full.Add(1)
		}
	}
	if !raw.Answer() {
		return resolver.Done
	}
	if err := s.reply(ctx, raw, &told{int64(s.index.count(raw.Source))}); err != nil {
		raw.Unanswered()
	}
	return resolver.Done
}

// sayGoodbye tells the index that this peer has nothing any more, and does not wait
// for it to confirm.
func (s *Service) sayGoodbye(ctx context.Context) {
	doc, err := xmldoc.Marshal(&tell{pipe: *s.pipe, reset: true})
	if err != nil {
		s.log.Error("a goodbye cannot be printed", "error", err)
		return
	}
	if err := s.g.Resolver().SendQuery(ctx, s.cfg.IndexPeer, &resolver.RawQuery{Handler: indexName, Body: string(doc)}); err != nil {
		s.log.Debug("the index is not told goodbye", "error", err)
	}
}

// wakeTeller has the index told of changes.
func (s *Service) wakeTeller() {
	select {
	case s.notes <- struct{}{}:
	default:
	}
}

// teller tells the index what this peer has.
type teller struct {
	s     *Service
	said  map[ID]*Hit // what the index has confirmed
	reset bool        // the index is to begin anew
}

// tellIndex keeps the index up to date until the service ends.
func (s *Service) tellIndex() {
	if s.index != nil {
		return // it looks at what it shares itself
	}
	t := &teller{s: s, said: map[ID]*Hit{}, reset: true}
	wait, retry := time.Duration(0), retryFirst
	for {
		timer := time.NewTimer(wait)
		select {
		case <-s.ctx.Done():
			timer.Stop()
			return
		case <-s.notes:
		case <-timer.C:
		}
		timer.Stop()
		select {
		case <-s.ctx.Done():
			return
		case <-time.After(gather):
		}
		switch err := t.sync(); {
		case s.ctx.Err() != nil:
			return
		case err != nil:
			s.log.Debug("the index cannot be told", "error", err)
			wait, retry = retry, min(2*retry, retryMost)
		default:
			wait, retry = renewEvery, retryFirst
		}
	}
}

// sync says what has changed since the last time, or all if the index has lost
// something.
func (t *teller) sync() error {
	held, err := t.changes()
	if err != nil || held == len(t.said) {
		return err
	}
	t.reset = true
	t.said = map[ID]*Hit{}
	_, err = t.changes()
	return err // what is missing now the index has no room for
}

// changes says what has changed, in as many messages as it takes, and returns how
// many contents the index has then.
func (t *teller) changes() (held int, err error) {
	now := t.s.table.mine(t.s.self)
	var gone []ID
	var news []*Hit
	for c := range t.said {
		if now[c] == nil {
			gone = append(gone, c)
		}
	}
	for c, h := range now {
		if t.said[c] != h {
			news = append(news, h)
		}
	}
	for first := true; first || len(gone)+len(news) > 0; first = false {
		m := &tell{pipe: *t.s.pipe, reset: t.reset}
		m.gone, gone = gone[:min(len(gone), maxBatch)], gone[min(len(gone), maxBatch):]
		octets, n := 0, 0
		for ; n < len(news) && n < maxBatch; n++ {
			if octets += news[n].Item.octets(); octets > maxAnswer && n > 0 {
				break
			}
			m.items = append(m.items, news[n].Item)
		}
		if held, err = t.send(m); err != nil {
			return 0, err
		}
		t.reset = false
		for _, c := range m.gone {
			delete(t.said, c)
		}
		for _, h := range news[:n] {
			t.said[h.Item.ID] = h
		}
		news = news[n:]
	}
	return held, nil
}

// errSilent is the cause when the index does not confirm.
var errSilent = errors.New("the index does not answer")

func (t *teller) send(m *tell) (held int, err error) {
	doc, err := xmldoc.Marshal(m)
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(t.s.ctx, tellWait)
	defer cancel()
	raw := &resolver.RawQuery{Handler: indexName, Body: string(doc)}
	for r, err := range t.s.g.Resolver().Collect(ctx, t.s.cfg.IndexPeer, raw) {
		if err != nil {
			return 0, err
		}
		var a told
		if err := xmldoc.Unmarshal([]byte(r.Body), &a); err != nil || a.held < 0 || a.held > maxHolderIndex {
			return 0, fmt.Errorf("content: what the index answers: %w", ErrMalformed)
		}
		return int(a.held), nil
	}
	return 0, errSilent
}
