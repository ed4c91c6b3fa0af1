package discovery

import (
	"context"
	"errors"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/advertisements/store"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/xmldoc"
	"github.com/juxta-p2p/juxta/protocols/resolver"
)

// receiveResponse takes what no Find is waiting for: what others publish here,
// which has query ID 0. It is kept but not announced, so that a stranger cannot
// make this peer the holder of his things.
func (s *Service) receiveResponse(_ context.Context, raw *resolver.RawResponse) {
	if !s.begin() {
		return
	}
	defer s.end()
	if raw.ID != 0 || !s.cfg.Accept(raw.From) {
		s.stats.unasked.Add(1)
		return
	}
	r := s.read(raw)
	if r == nil {
		return
	}
	if !s.publishers.Spend(raw.From, max(1, len(r.Results))) {
		s.stats.overBudget.Add(1)
		return
	}
	for _, x := range r.Results {
		if _, ok := s.keep(raw.From, x, nil); ok {
			s.stats.published.Add(1)
		}
	}
}

// take reads an answer to the query, keeps what is in it and returns it.
func (s *Service) take(raw *resolver.RawResponse, q *Query) []Result {
	if !s.begin() {
		return nil
	}
	defer s.end()
	r := s.read(raw)
	if r == nil {
		return nil
	}
	var taken []Result
	for _, x := range r.Results {
		if res, ok := s.keep(raw.From, x, q); ok {
			s.stats.results.Add(1)
			taken = append(taken, res)
		}
	}
	return taken
}

func (s *Service) read(raw *resolver.RawResponse) *response {
	r := &response{}
	if err := xmldoc.Unmarshal([]byte(raw.Body), r); err != nil {
		s.dropped("answer", raw.From, err)
		return nil
	}
	return r
}

// keep stores one advertisement that came, asked for by q or unasked if q is
// nil. It reports false if the advertisement is of no use.
func (s *Service) keep(from id.Peer, x result, q *Query) (Result, bool) {
	doc := []byte(x.Document)
	adv, err := s.cfg.Registry.Parse(doc)
	if errors.Is(err, advertisements.ErrSignature) {
		s.misjudged(from, err)
		return Result{}, false
	}
	if err != nil {
		s.dropped("advertisement", from, err)
		return Result{}, false
	}
	fields, ok := fitting(adv, q)
	if !ok {
		s.stats.mismatch.Add(1)
		return Result{}, false
	}
	verdict, ok := s.judge(adv, from)
	if !ok {
		return Result{}, false
	}
	key, err := advertisements.KeyOf(adv)
	if err != nil {
		s.dropped("advertisement", from, err)
		return Result{}, false
	}
	life := min(store.Duration(x.Expiration), maxLife)
	if peer, ok := adv.(*advertisements.Peer); ok {
		s.meet(peer, from, q != nil)
	}
	if life > 0 {
		changed, err := s.store.Put(store.Record{
			Kind: advertisements.KindOf(adv), Key: key, Fields: fields, Document: doc,
			Origin: from, Lifetime: time.Now().Add(life), Expiration: life, Quiet: q == nil,
		})
		switch {
		case errors.Is(err, store.ErrOwn):
			return Result{}, false // another version of what we know best
		case err != nil:
			s.stats.refused.Add(1)
			s.log.Debug("advertisement not kept", "from", from.Short(), "error", err)
			if q == nil {
				return Result{}, false
			}
		case changed && q != nil:
			s.announceLater()
		}
	} else if r, ok := s.store.Get(advertisements.KindOf(adv), key); q == nil || ok && r.Origin.IsZero() {
		return Result{}, false
	}
	if verdict.Signed {
		s.stats.signed.Add(1)
	}
	return Result{Adv: verdict.Adv, Verdict: verdict, Document: doc, From: from, Expiration: life}, true
}

// meet takes over how a peer can be reached: from itself, or from anybody if
// that was asked for.
func (s *Service) meet(peer *advertisements.Peer, from id.Peer, asked bool) {
	if peer.ID == s.self || !asked && peer.ID != from {
		return
	}
	if route, ok := peer.Route(); ok {
		s.cfg.Learn(route)
	}
}

// fitting returns the searchable fields of an advertisement, and whether it is
// an answer to the query; unasked ones always are. An advertisement of a type
// that is not known here can be searched by what it was asked for by.
func fitting(adv advertisements.Advertisement, q *Query) ([]advertisements.Field, bool) {
	fields, err := advertisements.Fields(adv)
	if err != nil {
		return nil, false
	}
	if q == nil {
		return fields, true
	}
	if advertisements.KindOf(adv) != q.Kind {
		return nil, false
	}
	if u, ok := adv.(*advertisements.Unknown); ok && q.Attr != "" {
		for c := range u.Node.Children() {
			if c.Name() == q.Attr && c.Text() != "" {
				fields = []advertisements.Field{{Name: q.Attr, Value: c.Text()}} // the last one counts
			}
		}
	}
	if q.Attr == "" {
		return fields, true
	}
	for _, f := range fields {
		if f.Name == q.Attr {
			return fields, advertisements.Match(q.Value, f.Value)
		}
	}
	return nil, false
}
