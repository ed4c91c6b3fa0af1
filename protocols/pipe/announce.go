package pipe

import (
	"context"
	"errors"
	"slices"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/protocols/rendezvous"
	"github.com/juxta-p2p/juxta/protocols/resolver"
	"github.com/juxta-p2p/juxta/protocols/resolver/srdi"
)

// announce tells the rendezvous that input pipes are open for so many
// milliseconds, or that they are closed if that is 0. A rendezvous tells those
// that keep the copies. Without a rendezvous nobody is told: the next lease has
// everything announced again.
func (s *Service) announce(ctx context.Context, ins []*Input, millis int64) {
	for key, entries := range entriesOf(ins, millis) {
		if s.rdv.Role() == rendezvous.Rendezvous {
			s.index.Announce(key, entries)
			continue
		}
		for _, part := range srdi.Split(entries) {
			s.tell(ctx, &srdi.Push{Holder: s.self, Primary: key, TTL: 1, Entries: part})
		}
	}
}

// entriesOf returns the index entries of input pipes by type.
func entriesOf(ins []*Input, millis int64) map[string][]srdi.Entry {
	all := map[string][]srdi.Entry{}
	for _, in := range ins {
		if !in.cfg.Quiet {
			key := string(in.adv.Type)
			all[key] = append(all[key], srdi.Entry{Name: fieldID, Value: in.adv.ID.String(), Millis: millis})
		}
	}
	return all
}

// own returns the index entries of the input pipes that are open.
func (s *Service) own() map[string][]srdi.Entry { return entriesOf(s.listening(), forever) }

// tell pushes index entries to the rendezvous.
func (s *Service) tell(ctx context.Context, p *srdi.Push) {
	x, err := p.Message(handlerName)
	if err != nil {
		s.stats.unannounced.Add(1)
		s.log.Error("index message cannot be printed", "error", err)
		return
	}
	if err := s.res.SpreadIndex(ctx, x); err != nil && !errors.Is(err, ErrNobody) {
		s.stats.unannounced.Add(1)
		s.log.Info("announcing pipes failed", "type", p.Primary, "error", err)
	}
}

// isType tells which primary keys of the index are those of pipes.
func isType(key string) bool {
	switch advertisements.PipeType(key) {
	case advertisements.Unicast, advertisements.UnicastSecure, advertisements.Propagate:
		return true
	}
	return false
}

// isCopied tells which of them edges announce beyond their rendezvous, as in JXSE:
// messages of propagate pipes walk to every rendezvous anyway.
func isCopied(key string) bool { return key != string(advertisements.Propagate) }

// accept takes entries that name a pipe and brings its ID into the usual form.
func accept(_ string, e *srdi.Entry) bool {
	p, err := id.ParsePipe(e.Value)
	if err != nil || e.Name != fieldID || e.Millis < 0 {
		return false
	}
	e.Value = p.String()
	return true
}

// came gives a question that found nobody a moment ago to a peer that listens now.
func (s *Service) came(ctx context.Context, q *resolver.RawQuery, holder id.Peer) {
	if holder != s.self { // own input pipes answer when they open
		s.forward(ctx, q, []id.Peer{holder})
		return
	}
	if q.Source != s.self {
		s.query(ctx, q)
	}
}

// changed reacts to changes of this peer's place in the group. It is called by
// whoever makes them and does not wait.
func (s *Service) changed(ev rendezvous.Event) {
	if ev.Kind != rendezvous.Leased && ev.Kind != rendezvous.RoleChanged {
		return
	}
	s.mu.Lock()
	for _, x := range s.searches {
		x.wakeUp()
	}
	idle := len(s.inputs) == 0
	s.mu.Unlock()
	if ev.Kind == rendezvous.Leased && !idle {
		s.goTask(s.announceAll)
	}
}

// announceAll announces everything to a new rendezvous.
func (s *Service) announceAll() {
	ins := s.listening()
	ctx, cancel := context.WithTimeout(s.ctx, announceWait)
	defer cancel()
	s.announce(ctx, ins, forever)
	// What was closed meanwhile may have been withdrawn before it was announced.
	left := s.listening()
	gone := slices.DeleteFunc(ins, func(in *Input) bool { return slices.Contains(left, in) })
	s.announce(ctx, gone, 0)
}

// listening returns the input pipes that are open.
func (s *Service) listening() []*Input {
	s.mu.Lock()
	defer s.mu.Unlock()
	ins := make([]*Input, 0, len(s.inputs))
	for _, in := range s.inputs {
		ins = append(ins, in)
	}
	return ins
}
