package discovery

import (
	"bytes"
	"context"
	"slices"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/advertisements/store"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/xmldoc"
	"github.com/juxta-p2p/juxta/protocols/rendezvous"
	"github.com/juxta-p2p/juxta/protocols/resolver"
)

// receiveQuery answers from the cache, and if this is a rendezvous hands the
// query to those that said they hold something. A query that comes again, by
// another way, is not answered again, but it is passed on.
func (s *Service) receiveQuery(ctx context.Context, raw *resolver.RawQuery) resolver.Outcome {
	if !s.begin() {
		return resolver.Done
	}
	defer s.end()
	s.stats.queries.Add(1)
	var q query
	if err := xmldoc.Unmarshal([]byte(raw.Body), &q); err != nil {
		s.dropped("query", raw.From, err)
		return resolver.Done
	}
	cost := queryCost
	if !q.exact() {
		cost = patternCost
	}
	if !s.spend(raw, cost) {
		s.stats.overBudget.Add(1)
		s.log.Debug("query over budget", "from", raw.From.Short(), "asker", raw.Source.Short())
		return resolver.Done
	}
	if q.Kind == advertisements.Peers && q.Threshold == 0 {
		if raw.Answer() {
			s.introduce(ctx, raw, &q)
		}
		return resolver.Done
	}
	limit := int(min(q.Threshold, maxResults))
	results := s.results(&q, limit)
	if len(results) > 0 && raw.Answer() {
		s.respond(ctx, raw, &q, results)
	}
	if s.rdv.Role() != rendezvous.Rendezvous || len(results) >= limit {
		return resolver.Done
	}
	return s.refer(ctx, raw, &q, limit-len(results), len(results) > 0)
}

// spend takes the cost of a query off the budget of its asker: a small one, if
// somebody asks for him whom we have no reason to believe.
func (s *Service) spend(raw *resolver.RawQuery, cost int) bool {
	switch {
	case raw.Source == s.self:
		return true
	case s.trusted(raw):
		return s.askers.Spend(raw.Source, cost)
	}
	return s.victims.Spend(raw.Source, cost)
}

// trusted reports whether the query comes from the asker itself over a link, or
// through a rendezvous of ours.
func (s *Service) trusted(raw *resolver.RawQuery) bool {
	if raw.From == raw.Source {
		return !raw.Broadcast // a datagram's source is anybody's guess
	}
	if l, ok := s.rdv.Lease(); ok && l.Peer == raw.From {
		return true
	}
	return s.rdv.InView(raw.From)
}

// refer hands a query to whom the index names, and says whether others may know
// more. answered says that there were results here, though fewer than asked for.
//
// One for a value goes to the rendezvous that keeps the copies of its entries, in
// the order of JXSE 2.5, but also if somebody was found here, who need not be the
// only one. If nothing is found there, it is remembered for a moment, and walks to
// the rendezvous beside this one, where the entry is if their views differ. One
// with a pattern walks to all, as long as fewer are found than asked for; one for
// everything to none.
func (s *Service) refer(ctx context.Context, raw *resolver.RawQuery, q *query, limit int, answered bool) resolver.Outcome {
	if !s.trusted(raw) {
		limit = min(limit, maxForward)
	}
	to := s.holders(q, limit, raw.Source, raw.From)
	s.forward(ctx, raw, to)
	found := answered || len(to) > 0
	first := raw.HC == 0
	switch {
	case len(to) >= limit:
		return resolver.Done
	case !q.exact():
		if first && !found {
			s.askSilent(ctx, raw, limit)
		}
		if q.matchesAll() {
			return resolver.Done // everybody would answer
		}
		return resolver.WalkOn
	}
	if first {
		at, ok := s.index.Place(q.Kind.String(), q.Attr, q.Value)
		if ok && at != s.self && at != raw.From && s.forward(ctx, raw, []id.Peer{at}) > 0 {
			return resolver.Done
		}
		if ok {
			raw.HC++ // this is the place, or that cannot be reached
		}
	}
	if found {
		return resolver.Done
	}
	if first {
		s.askSilent(ctx, raw, limit)
	}
	waits := *raw
	s.index.Wait(&waits, q.Kind.String(), q.Attr, q.Value)
	if to = s.holders(q, limit, raw.Source, raw.From); len(to) > 0 { // a moment ago
		s.forward(ctx, raw, to)
		return resolver.Done
	}
	raw.Range = s.index.Row().Reach()
	return resolver.WalkOn
}

func (s *Service) askSilent(ctx context.Context, raw *resolver.RawQuery, limit int) {
	s.forward(ctx, raw, s.silent(min(limit, maxForward), raw.Source, raw.From))
}

// forward gives the query to named peers, and forgets what those said that
// cannot be reached any more. It returns to how many it went.
func (s *Service) forward(ctx context.Context, raw *resolver.RawQuery, to []id.Peer) int {
	if len(to) == 0 {
		return 0
	}
	if !s.spend(raw, len(to)*forwardCost) {
		s.stats.overBudget.Add(1)
		return 0
	}
	n, lost := s.res.ForwardQuery(ctx, raw, to)
	s.stats.forwarded.Add(uint64(n))
	for _, p := range lost {
		s.index.Drop(p)
	}
	return n
}

// results searches the cache for what may be given to others.
func (s *Service) results(q *query, limit int) []store.Record {
	now := time.Now()
	private := func(r store.Record) bool { return r.Remote(now) < time.Millisecond }
	want := store.Query{Kind: q.Kind, Attr: q.Attr, Value: q.Value, Limit: limit}
	found := s.store.Find(want)
	if len(found) == limit && slices.ContainsFunc(found, private) {
		want.Limit = 0
		found = s.store.Find(want)
	}
	found = slices.DeleteFunc(found, private)
	return found[:min(limit, len(found))]
}

// introduce answers the question who this peer is.
func (s *Service) introduce(ctx context.Context, raw *resolver.RawQuery, q *query) {
	self := s.cfg.Self()
	if self == nil {
		return
	}
	doc, err := advertisements.MarshalIndent(self)
	if err != nil {
		s.log.Error("the own advertisement cannot be printed", "error", err)
		return
	}
	s.reply(ctx, raw, &response{
		Kind: q.Kind, Attr: q.Attr, Value: q.Value,
		Results: []result{{string(doc), defaultRemote.Milliseconds()}},
	})
}

// respond sends as many of the results as fit in a message.
func (s *Service) respond(ctx context.Context, raw *resolver.RawQuery, q *query, found []store.Record) {
	now := time.Now()
	r := &response{Kind: q.Kind, Attr: q.Attr, Value: q.Value}
	size := 0
	for _, f := range found {
		// "<" and "&" are escaped twice on the way.
		n := len(f.Document) + 7*bytes.Count(f.Document, []byte("<")) + 8*bytes.Count(f.Document, []byte("&"))
		if size+n > maxAnswer {
			s.stats.shortened.Add(1)
			continue
		}
		size += n
		r.Results = append(r.Results, result{string(f.Document), f.Remote(now).Milliseconds()})
	}
	if len(r.Results) > 0 {
		s.reply(ctx, raw, r)
	}
}

// reply sends an answer to the asker, after a moment if the neighbourhood was
// asked.
func (s *Service) reply(ctx context.Context, raw *resolver.RawQuery, r *response) {
	doc, err := xmldoc.Marshal(r)
	if err != nil {
		s.stats.unsent.Add(1)
		s.log.Error("an answer cannot be printed", "error", err)
		return
	}
	if !s.spend(raw, len(doc)) {
		s.stats.overBudget.Add(1)
		return
	}
	to := raw.Source
	answer := &resolver.RawResponse{Handler: handler, ID: raw.ID, Body: string(doc)}
	send := func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, answerTimeout)
		defer cancel()
		if err := s.res.SendResponse(ctx, to, answer); err != nil {
			s.stats.unsent.Add(1)
			raw.Unanswered()
			s.log.Debug("an answer could not be sent", "to", to.Short(), "error", err)
			return
		}
		s.stats.answered.Add(1)
	}
	if !raw.Broadcast {
		send(ctx)
		return
	}
	s.mu.Lock()
	wait := time.Duration(s.rng.Int64N(int64(maxDelay)))
	s.mu.Unlock()
	s.later(wait, send)
}

// later calls f after the time, unless too much waits already. f's context ends
// with the service.
func (s *Service) later(wait time.Duration, f func(ctx context.Context)) {
	s.mu.Lock()
	ok := !s.closed && s.delayed < maxDelayed
	if ok {
		s.delayed++
		s.wg.Add(1)
	}
	s.mu.Unlock()
	if !ok {
		s.stats.overBudget.Add(1)
		return
	}
	go func() {
		defer s.wg.Done()
		defer func() { s.mu.Lock(); s.delayed--; s.mu.Unlock() }()
		timer := time.NewTimer(wait)
		defer timer.Stop()
		select {
		case <-timer.C:
			f(s.ctx)
		case <-s.ctx.Done():
		}
	}()
}
