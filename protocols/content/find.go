package content

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/xmldoc"
	"github.com/juxta-p2p/juxta/protocols/discovery"
	"github.com/juxta-p2p/juxta/protocols/resolver"
)

// searchName is the resolver's handler for questions who has what.
const searchName = "urn:juxta:content:search"

// question asks for contents.
type question struct {
	query Query
	hops  int64 // see Config.Hops
}

// Map implements xmldoc.Document.
func (q *question) Map(m *xmldoc.Mapper) {
	m.Root("juxta:ContentQuestion")
	q.query.describe(m)
	m.OptionalInt("Hops", &q.hops)
	if m.Reading() {
		q.hops = min(max(q.hops, 1), maxHops)
	}
}

// answer tells who has them.
type answer struct{ hits []Share }

// Map implements xmldoc.Document.
func (a *answer) Map(m *xmldoc.Mapper) {
	m.Root("juxta:ContentAnswer")
	xmldoc.EachEmbed(m, maxHits, &a.hits)
}

func unmarshalShare(b []byte, a *Share) error { return xmldoc.Unmarshal(b, a) }

// Find yields contents that fit, one result for each holder: first what this peer
// shares, then what others answer, until ctx ends, which is the normal end and no
// error, or the caller breaks off. Under the policy [Central] it ends with the
// answer of the index. An error is the last thing yielded; it wraps
// discovery.ErrNobody if the question could not be put to anybody.
//
// Everybody who answers gives 50 results at most. Under the policy [Rendezvous]
// these are sifted here if the query says more than one thing: an ID, a whole name,
// or else one word decides what the group is asked for.
func (s *Service) Find(ctx context.Context, q Query) iter.Seq2[Hit, error] {
	return func(yield func(Hit, error) bool) {
		if err := s.ready(ctx); err != nil {
			yield(Hit{}, err)
			return
		}
		if len(q.Words) > maxAsked || len(q.Fields) > maxAsked {
			yield(Hit{}, fmt.Errorf("content: the words of a query: %w", ErrLimit))
			return
		}
		ctx, done := s.bound(ctx)
		defer done()
		for h, err := range s.search(ctx, &q) {
			if err != nil {
				yield(Hit{}, fmt.Errorf("content: %w", err))
				return
			}
			s.stats.found.Add(1)
			if !yield(h, nil) {
				return
			}
		}
	}
}

// search yields each holder of each content that fits once, this peer first.
func (s *Service) search(ctx context.Context, q *Query) iter.Seq2[Hit, error] {
	return func(yield func(Hit, error) bool) {
		seen := map[entry]bool{}
		fresh := func(h Hit) bool {
			e := entry{h.Item.ID, h.Holder.Peer}
			switch {
			case s.cfg.Refused(h.Item.ID):
				s.stats.refused.Add(1)
				return false
			case seen[e] || !q.Matches(&h.Item) || len(seen) == maxSeen:
				return false
			}
			seen[e] = true
			return true
		}
		for _, h := range s.table.find(q, q.limit()) {
			if fresh(h) && !yield(h, nil) {
				return
			}
		}
		for h, err := range s.elsewhere(ctx, q) {
			if err != nil {
				yield(Hit{}, err)
				return
			}
			if fresh(h) && !yield(h, nil) {
				return
			}
		}
	}
}

// elsewhere yields what others say, as the policy has it.
func (s *Service) elsewhere(ctx context.Context, q *Query) iter.Seq2[Hit, error] {
	switch s.cfg.Index {
	case Rendezvous:
		return s.discover(ctx, q)
	case Central:
		if s.index != nil {
			return func(yield func(Hit, error) bool) {
				for _, h := range s.index.find(q, q.limit()) {
					if !yield(h, nil) {
						return
					}
				}
			}
		}
		return s.askOthers(ctx, s.cfg.IndexPeer, q)
	}
	return s.askOthers(ctx, id.Peer{}, q)
}

// discover asks discovery.
func (s *Service) discover(ctx context.Context, q *Query) iter.Seq2[Hit, error] {
	return func(yield func(Hit, error) bool) {
		attr, value := q.question()
		for r, err := range s.g.Discovery().Find(ctx, discovery.Query{Kind: advertisements.Advs, Attr: attr, Value: value}) {
			if err != nil {
				yield(Hit{}, err)
				return
			}
			h, ok := hit(r.Adv)
			if !ok {
				s.stats.malformed.Add(1)
				continue
			}
			if h.Holder.Peer == s.self {
				continue // a copy of what was shared here once
			}
			if !yield(h, nil) {
				return
			}
		}
	}
}

// askOthers asks one peer, until it has answered, or the group.
func (s *Service) askOthers(ctx context.Context, to id.Peer, q *Query) iter.Seq2[Hit, error] {
	return func(yield func(Hit, error) bool) {
		doc, err := xmldoc.Marshal(&question{*q, int64(s.cfg.Hops)})
		if err != nil {
			yield(Hit{}, err)
			return
		}
		raw := &resolver.RawQuery{Handler: searchName, Body: string(doc), Range: s.cfg.Hops}
		for r, err := range s.g.Resolver().Collect(ctx, to, raw) {
			if err != nil {
				yield(Hit{}, err)
				return
			}
			var a answer
			if err := xmldoc.Unmarshal([]byte(r.Body), &a); err != nil {
				s.stats.malformed.Add(1)
				s.log.Debug("an answer is dropped", "from", r.From.Short(), "error", err)
				continue
			}
			for i := range a.hits {
				x := &a.hits[i]
				if !yield(Hit{x.Item, Holder{x.Peer, &x.Pipe}}, nil) {
					return
				}
			}
			if !to.IsZero() {
				return
			}
		}
	}
}

// answerQuestions begins to answer others.
func (s *Service) answerQuestions() error {
	if s.cfg.Index == Rendezvous {
		return nil
	}
	if s.cfg.Index == Central {
		if s.cfg.IndexPeer != s.self {
			return nil
		}
		s.index = newTable(maxIndex, maxHolderIndex)
		if err := s.register(indexName, s.hearHolder); err != nil {
			return err
		}
	}
	return s.register(searchName, s.hearQuestion)
}

// register has the questions under a name answered.
func (s *Service) register(name string, f func(context.Context, *resolver.RawQuery) resolver.Outcome) error {
	remove, err := s.g.Resolver().Register(s.ctx, name, resolver.Handler{Query: f})
	if err == nil {
		s.removers = append(s.removers, remove)
	}
	return err
}

// hearQuestion answers a question, and says whether others shall have it too.
func (s *Service) hearQuestion(ctx context.Context, raw *resolver.RawQuery) resolver.Outcome {
	s.stats.asked.Add(1)
	var q question
	if err := xmldoc.Unmarshal([]byte(raw.Body), &q); err != nil {
		s.stats.malformed.Add(1)
		s.log.Debug("a question is dropped", "from", raw.Source.Short(), "error", err)
		return resolver.Done
	}
	if !s.askers.spend(raw.Source, q.query.cost(), time.Now()) {
		s.stats.overBudget.Add(1)
		return resolver.Done
	}
	outcome := resolver.Done
	if raw.ToGroup && s.cfg.Index == Flood {
		raw.Range, outcome = int(q.hops), resolver.PassItOn
	}
	hits := s.table.find(&q.query, q.query.limit())
	if s.index != nil {
		hits = append(hits, s.index.find(&q.query, q.query.limit()-len(hits))...)
	}
	var a answer
	octets := 0
	for _, h := range hits {
		if octets += h.Item.octets(); octets > maxAnswer {
			break
		}
		if s.cfg.Refused(h.Item.ID) {
			s.stats.refused.Add(1)
			continue
		}
		a.hits = append(a.hits, Share{h.Item, h.Holder.Peer, *h.Holder.Pipe})
	}
	if len(a.hits) == 0 && raw.ToGroup || !raw.Answer() {
		return outcome
	}
	if err := s.reply(ctx, raw, &a); err != nil {
		raw.Unanswered()
		if !errors.Is(err, context.Canceled) {
			s.log.Debug("an answer could not be sent", "to", raw.Source.Short(), "error", err)
		}
		return outcome
	}
	s.stats.answered.Add(1)
	return outcome
}

// reply answers a question of the resolver.
func (s *Service) reply(ctx context.Context, raw *resolver.RawQuery, d xmldoc.Document) error {
	doc, err := xmldoc.Marshal(d)
	if err != nil {
		s.log.Error("an answer cannot be printed", "error", err)
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, answerWait)
	defer cancel()
	return s.g.Resolver().SendResponse(ctx, raw.Source, &resolver.RawResponse{Handler: raw.Handler, ID: raw.ID, Body: string(doc)})
}
