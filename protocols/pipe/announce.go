package pipe

import (
	"context"
	"errors"
	"iter"
	"slices"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/advertisements/store"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/xmldoc"
	"github.com/juxta-p2p/juxta/protocols/rendezvous"
	"github.com/juxta-p2p/juxta/protocols/resolver"
)

// announce tells the rendezvous that input pipes are open for so many
// milliseconds, or that they are closed if that is 0. A rendezvous tells those
// that keep the copies. Without a rendezvous nobody is told: the next lease has
// everything announced again.
func (s *Service) announce(ctx context.Context, ins []*Input, millis int64) {
	byType := map[advertisements.PipeType][]entry{}
	for _, in := range ins {
		if !in.cfg.Quiet {
			byType[in.adv.Type] = append(byType[in.adv.Type], entry{fieldID, millis, in.adv.ID.String()})
		}
	}
	for t, entries := range byType {
		for part := range slices.Chunk(entries, maxPush) {
			s.tell(ctx, &push{Holder: s.self, Key: string(t), TTL: 1, Entries: part})
		}
	}
}

func (s *Service) tell(ctx context.Context, p *push) {
	if s.rdv.Role() == rendezvous.Rendezvous {
		s.replicate(ctx, p)
		return
	}
	x, err := p.message()
	if err != nil {
		s.log.Error("index message cannot be printed", "error", err)
		return
	}
	if err := s.res.SpreadIndex(ctx, x); err != nil && !errors.Is(err, ErrNobody) {
		s.log.Info("announcing pipes failed", "type", p.Key, "error", err)
	}
}

// replicate gives entries to the rendezvous that keep them.
func (s *Service) replicate(ctx context.Context, p *push) {
	copies := map[id.Peer]*push{}
	for _, e := range p.Entries {
		at, ok := s.replica(p.Key + e.Field + e.Value)
		if !ok {
			continue
		}
		if copies[at] == nil {
			copies[at] = &push{Holder: p.Holder, Key: p.Key}
		}
		copies[at].Entries = append(copies[at].Entries, e)
	}
	for at, c := range copies {
		x, err := c.message()
		if err == nil {
			err = s.res.SendIndex(ctx, at, x)
		}
		if err != nil {
			s.log.Debug("replicating failed", "to", at.Short(), "error", err)
		}
	}
}

func (p *push) message() (*resolver.Index, error) {
	doc, err := xmldoc.Marshal(p)
	return &resolver.Index{Handler: handlerName, Payload: string(doc)}, err
}

// pushed takes announcements of other peers. A rendezvous takes them from the
// peer itself, if it leases here, and copies from those that it trusts; nobody
// else may speak for a peer, whatever JXSE believes.
func (s *Service) pushed(_ context.Context, x *resolver.Index) {
	if s.rdv.Role() != rendezvous.Rendezvous {
		return
	}
	var p push
	if err := xmldoc.Unmarshal([]byte(x.Payload), &p); err != nil {
		s.stats.malformed.Add(1)
		s.log.Debug("index message dropped", "from", x.From.Short(), "error", err)
		return
	}
	own := p.Holder == x.From && s.rdv.HasClient(x.From)
	if !own && (p.Holder == s.self || p.TTL > 0 || !s.cfg.Trusted(x.From)) {
		s.stats.hostile.Add(1)
		s.log.Debug("index entries of somebody else dropped", "from", x.From.Short(), "holder", p.Holder.Short())
		return
	}
	now := time.Now()
	kept := p.Entries[:0]
	for _, e := range p.Entries {
		s.stats.indexed.Add(1)
		v, err := id.ParsePipe(e.Value)
		if err == nil && e.Field == fieldID && e.Millis >= 0 && isType(p.Key) {
			e.Value = v.String()
			if err = s.index.Add(p.Key, fieldID, e.Value, p.Holder, store.Deadline(now, e.Millis)); err == nil {
				kept = append(kept, e)
				continue
			}
		}
		s.stats.notIndexed.Add(1)
		s.log.Debug("index entry refused", "holder", p.Holder.Short(), "error", err)
	}
	p.Entries = kept
	if own && p.TTL > 0 && p.Key != string(advertisements.Propagate) {
		s.copies.put(s, func() {
			ctx, cancel := context.WithTimeout(s.ctx, announceWait)
			defer cancel()
			s.replicate(ctx, &p)
		})
	}
}

func isType(key string) bool {
	switch advertisements.PipeType(key) {
	case advertisements.Unicast, advertisements.UnicastSecure, advertisements.Propagate:
		return true
	}
	return false
}

// follow reacts to changes of this peer's place in the group.
func (s *Service) follow(events iter.Seq[rendezvous.Event]) {
	for ev := range events {
		switch ev.Kind {
		case rendezvous.Leased:
			s.leased()
		case rendezvous.ClientStayed:
			s.index.Renew(ev.Peer)
		case rendezvous.ClientLeft:
			if !s.rdv.HasClient(ev.Peer) { // it may be back already, with new entries
				s.index.RemoveHolder(ev.Peer)
			}
		}
	}
}

// leased announces everything to a new rendezvous and asks it what is being
// looked for.
func (s *Service) leased() {
	s.mu.Lock()
	var ins []*Input
	for _, in := range s.inputs {
		ins = append(ins, in)
	}
	for _, x := range s.searches {
		x.wakeUp()
	}
	s.mu.Unlock()
	ctx, cancel := context.WithTimeout(s.ctx, announceWait)
	defer cancel()
	s.announce(ctx, ins, forever)
}
