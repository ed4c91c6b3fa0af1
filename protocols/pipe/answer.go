package pipe

import (
	"context"
	"slices"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/xmldoc"
	"github.com/juxta-p2p/juxta/protocols/rendezvous"
	"github.com/juxta-p2p/juxta/protocols/resolver"
)

// query answers a question who listens on a pipe, as JXSE 2.5 does: a listener
// says yes; a peer that was named, or to which the question was forwarded
// because of an index entry, says no; a rendezvous forwards it to those it knows
// to listen, or lets it go on.
func (s *Service) query(ctx context.Context, q *resolver.RawQuery) resolver.Outcome {
	s.stats.queries.Add(1)
	var b binding
	if err := xmldoc.Unmarshal([]byte(q.Body), &b); err != nil || b.MsgType != typeQuery {
		s.stats.malformed.Add(1)
		s.log.Debug("pipe query dropped", "from", q.From.Short(), "error", err)
		return resolver.Done
	}
	forwarded := q.From != q.Source && !q.ToGroup
	if len(b.Peers) > 0 && !slices.Contains(b.Peers, s.self) {
		if forwarded {
			s.respond(ctx, q.From, q.ID, b.Pipe, b.Type, nil)
		}
		return resolver.Done
	}
	if in := s.local(b.Pipe, b.Type); in != nil {
		if q.Answer() {
			in.told(q.Source, q.ID)
			if !s.respond(ctx, q.Source, q.ID, b.Pipe, b.Type, in) {
				q.Unanswered()
			}
		}
		return resolver.Done
	}
	switch {
	case len(b.Peers) > 0:
		s.respond(ctx, q.Source, q.ID, b.Pipe, b.Type, nil)
	case s.rdv.Role() == rendezvous.Rendezvous:
		return s.refer(ctx, q, &b)
	case forwarded:
		s.respond(ctx, q.From, q.ID, b.Pipe, b.Type, nil)
	}
	return resolver.Done
}

// refer hands a question to those who are known to listen, else to the rendezvous
// that keeps the copies of the index. If nobody is known there either, it waits a
// moment for somebody who begins to listen, and walks to the rendezvous beside
// this one, where the entry is if their views differ.
func (s *Service) refer(ctx context.Context, q *resolver.RawQuery, b *binding) resolver.Outcome {
	key, value := string(b.Type), b.Pipe.String()
	known := func() []id.Peer {
		found := s.index.Find(key, fieldID, value, maxHolders)
		return slices.DeleteFunc(found, func(p id.Peer) bool { return p == q.Source || p == q.From || p == s.self })
	}
	if found := known(); len(found) > 0 {
		s.forward(ctx, q, found)
		return resolver.Done
	}
	if at, ok := s.index.Place(key, fieldID, value); ok && q.HC == 0 {
		if at != s.self && at != q.From {
			if s.forward(ctx, q, []id.Peer{at}) > 0 {
				return resolver.Done
			}
		}
		q.HC++ // this is the place, or that cannot be reached
	}
	waits := *q
	s.index.Wait(&waits, key, fieldID, value)
	if found := known(); len(found) > 0 { // a moment ago
		s.forward(ctx, q, found)
		return resolver.Done
	}
	q.Range = s.index.Row().Reach()
	return resolver.WalkOn
}

// forward gives a question to named peers, and forgets what those said that
// cannot be reached any more. It returns to how many it went.
func (s *Service) forward(ctx context.Context, q *resolver.RawQuery, to []id.Peer) int {
	n, lost := s.res.ForwardQuery(ctx, q, to)
	for _, p := range lost {
		s.index.Drop(p)
	}
	return n
}

// respond tells a peer that a pipe is open here, or that it is not if in is nil.
// It reports whether that could be sent.
func (s *Service) respond(ctx context.Context, to id.Peer, query int32, p id.Pipe, t advertisements.PipeType, in *Input) bool {
	b := binding{MsgType: typeAnswer, Pipe: p, Type: t, Peers: []id.Peer{s.self}, Found: in != nil}
	if in == nil {
		s.stats.refusals.Add(1)
	} else if s.cfg.Self != nil {
		if doc, err := xmldoc.Marshal(s.cfg.Self()); err == nil {
			b.PeerAdv = string(doc)
		} else {
			s.log.Error("the own advertisement cannot be printed", "error", err)
		}
	}
	doc, err := xmldoc.Marshal(&b)
	if err != nil {
		s.log.Error("pipe answer cannot be printed", "error", err)
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, answerWait)
	defer cancel()
	if err := s.res.SendResponse(ctx, to, &resolver.RawResponse{Handler: handlerName, ID: query, Body: string(doc)}); err != nil {
		s.stats.unanswered.Add(1)
		s.log.Debug("pipe answer could not be sent", "to", to.Short(), "error", err)
		return false
	}
	return true
}

// answer takes what another peer says about its own input pipe. What it says
// about others, or in the name of others, is dropped.
func (s *Service) answer(_ context.Context, r *resolver.RawResponse) {
	s.stats.answers.Add(1)
	var b binding
	if err := xmldoc.Unmarshal([]byte(r.Body), &b); err != nil || b.MsgType != typeAnswer {
		s.stats.malformed.Add(1)
		s.log.Debug("pipe answer dropped", "from", r.From.Short(), "error", err)
		return
	}
	route, ok := s.routeIn(&b, r.From)
	if !ok || slices.ContainsFunc(b.Peers, func(p id.Peer) bool { return p != r.From }) {
		s.stats.hostile.Add(1)
		s.log.Warn("pipe answer in the name of another peer dropped", "from", r.From.Short(), "peer", b.Peers[0].Short())
		return
	}
	s.mu.Lock()
	x := s.searches[r.ID]
	s.mu.Unlock()
	if x != nil && (x.pipe.ID != b.Pipe || x.pipe.Type != b.Type) {
		x = nil
	}
	value := b.Pipe.String()
	if !b.Found {
		s.index.Forget(string(b.Type), fieldID, value, r.From)
		if x != nil {
			x.refused(r.From)
		}
		s.unbind(b.Pipe, b.Type, r.From)
		return
	}
	if x == nil || !x.acceptable(r.From) {
		return // nothing that was asked
	}
	if route != nil {
		s.cfg.Learn(route)
	}
	s.index.Remember(string(b.Type), fieldID, value, r.From, time.Now().Add(answerLife))
	x.found(r.From)
}

// routeIn returns the route in the peer advertisement of an answer, nil if there
// is none that can be read. It reports false if the advertisement is not the
// responder's own in this group.
func (s *Service) routeIn(b *binding, responder id.Peer) (*advertisements.Route, bool) {
	if b.PeerAdv == "" {
		return nil, true
	}
	adv := new(advertisements.Peer)
	if err := xmldoc.Unmarshal([]byte(b.PeerAdv), adv); err != nil {
		s.log.Debug("peer advertisement of a pipe answer", "from", responder.Short(), "error", err)
		return nil, true
	}
	if adv.ID != responder || adv.Group != s.scope.Group() {
		return nil, false
	}
	route, _ := adv.Route()
	return route, true
}
