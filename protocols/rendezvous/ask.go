package rendezvous

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/message"
)

// ask requests a lease: from the spare rendezvous, from others it was told of,
// and from the seeds, in this order, otherwise by chance. It asks one, and the
// next one when that fails or is silent for a moment; after some of them it
// pauses, longer and longer. It returns when to go on.
func (s *Service) ask() time.Duration {
	t := now()
	s.mu.Lock()
	if len(s.queue) == 0 && t.Before(s.round) {
		wait := s.round.Sub(t)
		s.mu.Unlock()
		return wait
	}
	fill := len(s.queue) == 0
	s.mu.Unlock()
	if fill {
		s.newRound(t)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.queue) == 0 {
		return retryMost // there is nobody
	}
	seed := s.queue[0]
	s.queue = s.queue[1:]
	if !s.taskLocked(func(ctx context.Context) { s.askOne(ctx, seed) }) {
		return retryMost
	}
	if len(s.queue) > 0 {
		return stagger
	}
	return max(s.round.Sub(t), time.Millisecond)
}

// newRound collects whom to ask, and says when the round after this one may
// begin.
func (s *Service) newRound(t time.Time) {
	seeds := s.seeds()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rng.Shuffle(len(seeds), func(i, j int) { seeds[i], seeds[j] = seeds[j], seeds[i] })
	var known []endpoint.Address
	for _, adv := range s.others {
		known = append(known, endpoint.PeerAddress(adv.Peer, "", ""))
	}
	s.rng.Shuffle(len(known), func(i, j int) { known[i], known[j] = known[j], known[i] })
	if !s.warm.IsZero() {
		known = slices.Insert(known, 0, endpoint.PeerAddress(s.warm, "", ""))
	}
	// Each round asks seeds too: what one was told of may all be gone.
	if room := seedsPerRound - min(len(seeds), 1); len(known) > room {
		known = known[:room]
	}
	var all []endpoint.Address
	for _, a := range slices.Concat(known, seeds) {
		if !slices.Contains(all, a) && len(all) < seedsPerRound {
			all = append(all, a)
		}
	}
	s.queue = all
	pause := min(retryFirst<<min(s.failed, 10), retryMost)
	pause = pause*3/4 + time.Duration(s.rng.Int64N(int64(pause)/2))
	s.failed++
	s.round = t.Add(max(pause, time.Duration(len(all))*stagger))
}

// askOne asks one rendezvous. If that fails, the next one is asked at once.
func (s *Service) askOne(ctx context.Context, seed endpoint.Address) {
	msg := s.own(elemConnect)
	if msg == nil {
		return
	}
	if err := s.askSeed(ctx, seed, msg); err != nil && ctx.Err() == nil {
		if !errors.Is(err, endpoint.ErrSelf) {
			s.log.Info("asking a rendezvous for a lease failed", "rendezvous", seed.String(), "error", err)
		}
		if p, ok := seed.Peer(); ok {
			s.mu.Lock()
			s.forget(p)
			s.mu.Unlock()
		}
		s.wake()
	}
}

func (s *Service) askSeed(ctx context.Context, seed endpoint.Address, msg *message.Message) error {
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	if p, ok := seed.Peer(); ok {
		if s.cfg.Connect != nil {
			// The group is not asked for a way to one of several.
			if _, err := s.cfg.Connect(ctx, p); err != nil && s.knows(p) {
				return err
			}
		}
		s.expect(p)
		return s.scope.Send(ctx, p, id.ClassRendezvous.String(), s.param, msg)
	}
	l, err := s.ep.Dial(ctx, seed)
	if err != nil {
		return err
	}
	s.expect(l.Peer())
	return s.scope.SendOn(ctx, l, id.ClassRendezvous.String(), s.param, msg)
}

// seeds returns the configured seeds and those that were added, as a slice that
// the caller may change.
func (s *Service) seeds() []endpoint.Address {
	all := slices.Clone(s.cfg.Seeds())
	s.mu.Lock()
	defer s.mu.Unlock()
	return append(all, s.added...)
}

// AddSeed adds the address of a rendezvous to those of Config.Seeds, until the
// service is closed, and asks it first if this edge has no lease. Of many the
// oldest goes.
func (s *Service) AddSeed(a endpoint.Address) {
	s.mu.Lock()
	if !slices.Contains(s.added, a) {
		if len(s.added) >= maxAdded {
			s.added = slices.Delete(s.added, 0, 1)
		}
		s.added = append(s.added, a)
	}
	if s.lease == nil && s.Role() == Edge {
		s.queue = slices.Insert(s.queue, 0, a)
	}
	s.mu.Unlock()
	if v := s.view.Load(); v != nil {
		v.Kick()
	}
	s.wake()
}

// ErrNoLease is the cause when a lease is to be ended that does not exist.
var ErrNoLease = errors.New("there is no such lease")

// Disconnect ends the lease that this edge has at the peer, or that the peer has
// here, and tells it. An edge looks for another one at once, which may be the
// same. The error wraps [ErrNoLease].
func (s *Service) Disconnect(p id.Peer) error {
	s.mu.Lock()
	_, theirs := s.clients[p]
	mine := s.lease != nil && s.lease.adv.ID == p
	s.mu.Unlock()
	if !theirs && !mine {
		return fmt.Errorf("rendezvous: peer %s: %w", p.Short(), ErrNoLease)
	}
	s.giveBack(p)
	s.drop(p)
	return nil
}

// knows reports whether the peer is a rendezvous that this edge was told of, with
// its addresses.
func (s *Service) knows(p id.Peer) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.ContainsFunc(s.others, func(o *advertisements.Rendezvous) bool { return o.Peer == p && o.Route != nil })
}

// expect allows the peer to grant a lease for a while.
func (s *Service) expect(p id.Peer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for p, when := range s.asked {
		if time.Since(when) > grantWindow {
			delete(s.asked, p)
		}
	}
	if s.asked == nil {
		s.asked = map[id.Peer]time.Time{}
	}
	s.asked[p] = time.Now()
}

// TrySeeds makes an edge without lease ask its seeds now rather than at the end
// of a pause: there may be new ones. A rendezvous looks for others there.
func (s *Service) TrySeeds() {
	s.mu.Lock()
	s.failed, s.round = 0, time.Time{}
	s.mu.Unlock()
	if v := s.view.Load(); v != nil {
		v.Kick()
	}
	s.wake()
}
