package rendezvous

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/core/xmldoc"
)

// Elements that a rendezvous adds to what it answers to a request for a lease, and
// to its goodbye, in a namespace of their own; JXSE passes over them. A message
// with a load but without a lease is a refusal.
const (
	elemOwn      = "juxta"
	elemLoad     = "RdvLoad"     // leases granted and most that are, "87/1000"
	elemReferral = "RdvReferral" // advertisement of another rendezvous; several
)

// refer adds to an answer how busy this rendezvous is and where else to go.
func (s *Service) refer(reply *message.Message) {
	s.mu.Lock()
	load := fmt.Sprintf("%d/%d", len(s.clients), s.cfg.MaxClients)
	var all []*advertisements.Rendezvous
	for _, p := range s.draw(s.View(), referrals) {
		if adv := s.members[p]; adv != nil {
			all = append(all, adv)
		}
	}
	s.mu.Unlock()
	reply.Add(message.Text(elemOwn, elemLoad, load))
	for _, adv := range all {
		if doc, err := xmldoc.Marshal(adv); err == nil {
			reply.Add(message.XML(elemOwn, elemReferral, doc))
		}
	}
}

// draw takes n peers by chance. s.mu is held.
func (s *Service) draw(from []id.Peer, n int) []id.Peer {
	if len(from) <= n {
		return from
	}
	var drawn []id.Peer
	for len(drawn) < n {
		if p := from[s.rng.IntN(len(from))]; !slices.Contains(drawn, p) {
			drawn = append(drawn, p)
		}
	}
	return drawn
}

// loadIn returns the share of leases granted that a message tells.
func loadIn(msg *message.Message) float64 {
	some, all, ok := strings.Cut(msg.Text(elemOwn, elemLoad), "/")
	n, err1 := strconv.ParseUint(some, 10, 31)
	m, err2 := strconv.ParseUint(all, 10, 31)
	if !ok || err1 != nil || err2 != nil || m == 0 {
		return 0
	}
	return min(float64(n)/float64(m), 1)
}

// referrals takes over which other rendezvous the message names.
func (s *Service) referrals(in endpoint.Incoming) {
	n := 0
	for e := range in.Message.All() {
		if e.Namespace != elemOwn || e.Name != elemReferral {
			continue
		}
		if n++; n > referrals {
			s.stats.badLease.Add(1)
			return
		}
		adv := new(advertisements.Rendezvous)
		if err := xmldoc.Unmarshal(e.Body, adv); err != nil {
			s.stats.badLease.Add(1)
			s.log.Debug("referral to a rendezvous", "from", in.From.Short(), "error", err)
			continue
		}
		s.Suggest(adv)
	}
}

// Suggest tells an edge of a rendezvous of the group, which it may turn to when
// it needs one. What is not one of this group is ignored.
func (s *Service) Suggest(adv *advertisements.Rendezvous) {
	if adv.Group != s.group || adv.Service != advertisements.RendezvousService(s.group) || adv.Peer.IsZero() || adv.Peer == s.self ||
		s.Role() != Edge || !s.cfg.Accept(adv.Peer) {
		return
	}
	s.cfg.Hear(adv.Route)
	s.mu.Lock()
	i := slices.IndexFunc(s.others, func(o *advertisements.Rendezvous) bool { return o.Peer == adv.Peer })
	switch {
	case i >= 0:
		s.others[i] = adv
	case len(s.others) < maxOthers:
		s.others = append(s.others, adv)
	default:
		s.others[s.rng.IntN(maxOthers)] = adv
	}
	first := s.lease == nil
	s.mu.Unlock()
	if first {
		s.wake()
	}
}

// forget drops a rendezvous that cannot be reached. s.mu is held.
func (s *Service) forget(p id.Peer) {
	s.others = slices.DeleteFunc(s.others, func(o *advertisements.Rendezvous) bool { return o.Peer == p })
	if s.warm == p {
		s.warm = id.Peer{}
	}
}

// refused takes the answer of a rendezvous that has no lease to give.
func (s *Service) refused(in endpoint.Incoming) {
	s.mu.Lock()
	when, ok := s.asked[in.From]
	ok = ok && time.Since(when) <= grantWindow
	if ok && s.moving == in.From {
		s.moving = id.Peer{}
	}
	s.mu.Unlock()
	if !ok {
		s.stats.badLease.Add(1)
		return
	}
	s.stats.turnedAway.Add(1)
	s.log.Info("a rendezvous has no lease to give", "rendezvous", in.From.Short())
	s.referrals(in)
	s.mu.Lock()
	s.forget(in.From)
	if len(s.queue) == 0 && len(s.others) > 0 {
		s.round = time.Time{} // go where it pointed
	}
	s.mu.Unlock()
	s.wake()
}

// keepSpare keeps a link to one more rendezvous, so that the edge can turn to it
// in one round trip, and has the present one name more when few are left. It
// returns when to look again.
func (s *Service) keepSpare(l *lease) time.Duration {
	if s.cfg.Connect == nil {
		return time.Hour
	}
	s.mu.Lock()
	few := len(s.others) < min(fewOthers, s.named) && time.Since(s.topped) >= topUpEvery
	if few {
		s.topped = time.Now()
	}
	s.mu.Unlock()
	if few {
		s.renew(l)
	}
	return s.warmUp(l)
}

func (s *Service) warmUp(l *lease) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.warm.IsZero() && s.ep.LinkTo(s.warm) != nil {
		return time.Hour // the end of the link wakes the loop
	}
	s.warm = id.Peer{}
	var choice []id.Peer
	for _, o := range s.others {
		if o.Peer != l.adv.ID {
			choice = append(choice, o.Peer)
		}
	}
	if len(choice) == 0 || s.warming {
		return time.Hour
	}
	if wait := time.Until(s.warmed.Add(spareEvery)); wait > 0 {
		return wait
	}
	s.warmed = time.Now()
	p := choice[s.rng.IntN(len(choice))]
	s.warming = s.taskLocked(func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, sendTimeout)
		defer cancel()
		_, err := s.cfg.Connect(ctx, p)
		s.mu.Lock()
		s.warming = false
		if err == nil {
			s.warm = p
		} else {
			s.forget(p)
		}
		s.mu.Unlock()
		if err != nil && ctx.Err() == nil {
			s.log.Debug("a spare rendezvous cannot be reached", "rendezvous", p.Short(), "error", err)
		}
		s.wake()
	})
	return time.Hour
}

// relocate asks another rendezvous for a lease when the present one is crowded;
// whether to move is decided when it answers. It returns when to look again, 0
// for not at all.
func (s *Service) relocate(l *lease, t time.Time) time.Duration {
	s.mu.Lock()
	if l.move.IsZero() {
		s.mu.Unlock()
		return 0
	}
	if wait := l.move.Sub(t); wait > 0 {
		s.mu.Unlock()
		return wait
	}
	l.move = time.Time{} // the next renewal tells whether it still is
	p := s.warm
	if p.IsZero() && len(s.others) > 0 {
		p = s.others[s.rng.IntN(len(s.others))].Peer
	}
	if p.IsZero() || p == l.adv.ID {
		s.mu.Unlock()
		return 0
	}
	s.moving = p
	s.taskLocked(func(ctx context.Context) { s.askOne(ctx, endpoint.PeerAddress(p, "", "")) })
	s.mu.Unlock()
	return 0
}
