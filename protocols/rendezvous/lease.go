package rendezvous

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/core/xmldoc"
)

// Lease describes the lease of an edge.
type Lease struct {
	Peer    id.Peer       // the rendezvous
	Name    string        // its name
	Left    time.Duration // until it ends
	Renewal time.Duration // until it is renewed
}

type lease struct {
	adv   *advertisements.Peer
	until time.Time
	renew time.Time
}

// Lease returns the present lease of an edge.
func (s *Service) Lease() (Lease, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.lease
	if l == nil || !time.Now().Before(l.until) {
		return Lease{}, false
	}
	return Lease{Peer: l.adv.ID, Name: l.adv.Name, Left: time.Until(l.until), Renewal: time.Until(l.renew)}, true
}

// upkeep does what is due for an edge and returns when to look again.
func (s *Service) upkeep() time.Duration {
	now := time.Now()
	s.mu.Lock()
	l := s.lease
	lost := l != nil && !now.Before(l.until)
	if lost {
		s.lease = nil
	}
	s.mu.Unlock()
	switch {
	case lost:
		s.tell(Lost, l.adv.ID)
	case l != nil && now.Before(l.renew):
		return l.renew.Sub(now)
	case l != nil:
		s.renew(l)
		return max(min(l.until.Sub(now)/4, time.Minute), time.Second)
	}
	return s.ask()
}

// renew asks the present rendezvous to prolong the lease.
func (s *Service) renew(l *lease) {
	ctx, cancel := context.WithTimeout(s.ctx, sendTimeout)
	defer cancel()
	s.mu.Lock()
	s.asked[l.adv.ID] = time.Now()
	s.mu.Unlock()
	if msg := s.own(elemConnect); msg != nil {
		if err := s.scope.Send(ctx, l.adv.ID, id.ClassRendezvous.String(), s.param, msg); err != nil {
			s.log.Info("renewing the lease failed", "rendezvous", l.adv.ID.Short(), "error", err)
		}
	}
}

// ask requests a lease from some seeds, and returns when to look again: soon
// after a failure, then less and less often.
func (s *Service) ask() time.Duration {
	seeds := s.cfg.Seeds()
	msg := s.own(elemConnect)
	if len(seeds) == 0 || msg == nil {
		return retryMost
	}
	s.mu.Lock()
	s.rng.Shuffle(len(seeds), func(i, j int) { seeds[i], seeds[j] = seeds[j], seeds[i] })
	pause := min(retryFirst<<min(s.failed, 10), retryMost)
	pause = pause*3/4 + time.Duration(s.rng.Int64N(int64(pause)/2))
	s.failed++
	s.mu.Unlock()
	asked := false
	for _, seed := range seeds[:min(len(seeds), seedsPerRound)] {
		if err := s.askSeed(seed, msg); err != nil {
			if s.ctx.Err() == nil && !errors.Is(err, endpoint.ErrSelf) {
				s.log.Info("asking a seed failed", "seed", seed.String(), "error", err)
			}
			continue
		}
		asked = true
	}
	if asked {
		return max(pause, answerWait)
	}
	return pause
}

func (s *Service) askSeed(seed endpoint.Address, msg *message.Message) error {
	ctx, cancel := context.WithTimeout(s.ctx, sendTimeout)
	defer cancel()
	if p, ok := seed.Peer(); ok {
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

// expect allows the peer to grant a lease for a while.
func (s *Service) expect(p id.Peer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for p, when := range s.asked {
		if time.Since(when) > grantWindow {
			delete(s.asked, p)
		}
	}
	s.asked[p] = time.Now()
}

// TrySeeds makes an edge without lease ask its seeds now rather than at the end
// of a pause: there may be new ones.
func (s *Service) TrySeeds() {
	s.mu.Lock()
	s.failed = 0
	s.mu.Unlock()
	s.wake()
}

// own makes a message of the own advertisement under that name.
func (s *Service) own(name string) *message.Message {
	doc, err := xmldoc.Marshal(s.cfg.Advertisement())
	if err != nil {
		s.log.Error("the own advertisement cannot be printed", "error", err)
		return nil
	}
	return message.New(message.XML(message.Platform, name, doc))
}

// receiveLease takes the messages of the lease protocol.
func (s *Service) receiveLease(ctx context.Context, in endpoint.Incoming) {
	m := in.Message
	switch {
	case s.cfg.Role == Rendezvous && has(m, elemConnect):
		s.connect(ctx, in)
	case s.cfg.Role == Edge && has(m, elemReply):
		s.granted(in)
	case has(m, elemDisconnect):
		s.disconnect(in)
	default:
		s.stats.badLease.Add(1)
	}
}

func has(m *message.Message, name string) bool {
	_, ok := m.Get(message.Platform, name)
	return ok
}

// peerIn reads a peer advertisement out of a message. It must be the sender's
// own, in this group.
func (s *Service) peerIn(in endpoint.Incoming, name string) *advertisements.Peer {
	e, _ := in.Message.Get(message.Platform, name)
	adv := new(advertisements.Peer)
	if err := xmldoc.Unmarshal(e.Body, adv); err != nil {
		s.log.Debug("peer advertisement of a lease message", "error", err)
		return nil
	}
	if adv.ID != in.From || adv.Group != s.group {
		s.log.Debug("peer advertisement of somebody else or of another group", "from", in.From.Short(), "peer", adv.ID.Short())
		return nil
	}
	return adv
}

// granted takes a lease from a rendezvous that was asked a moment ago.
func (s *Service) granted(in endpoint.Incoming) {
	ms, err := strconv.ParseInt(in.Message.Text(message.Platform, elemLease), 10, 64)
	adv := s.peerIn(in, elemReply)
	peer, perr := id.ParsePeer(in.Message.Text(message.Platform, elemPeer))
	if err != nil || perr != nil || adv == nil || peer != adv.ID {
		s.stats.badLease.Add(1)
		return
	}
	life := time.Duration(min(ms, int64(24*time.Hour/time.Millisecond))) * time.Millisecond
	now := time.Now()
	s.mu.Lock()
	when, ok := s.asked[peer]
	ok = ok && now.Sub(when) <= grantWindow
	other := s.lease != nil && s.lease.adv.ID != peer
	first := s.lease == nil
	if ok && !other && life > 0 {
		s.lease = &lease{adv: adv, until: now.Add(life), renew: now.Add(life - min(renewBefore, life/2))}
		s.failed = 0
	}
	if ok && !other && life <= 0 {
		s.lease = nil
	}
	s.mu.Unlock()
	switch {
	case !ok:
		s.stats.badLease.Add(1)
		return
	case other:
		return // two seeds granted; one lease is enough
	case life <= 0:
		s.tell(Lost, peer)
	case first:
		s.cfg.Met(adv, 2*life)
		s.tell(Leased, peer)
	default:
		s.cfg.Met(adv, 2*life)
		s.tell(Renewed, peer)
	}
	s.wake()
}

// disconnect ends the relation with the sender. Only the peer itself can.
func (s *Service) disconnect(in endpoint.Incoming) {
	adv := s.peerIn(in, elemDisconnect)
	if adv == nil {
		s.stats.badLease.Add(1)
		return
	}
	s.drop(adv.ID)
}

// drop forgets the lease at, or of, a peer.
func (s *Service) drop(p id.Peer) {
	s.mu.Lock()
	mine := s.lease != nil && s.lease.adv.ID == p
	if mine {
		s.lease = nil
		delete(s.asked, p)
	}
	_, theirs := s.clients[p]
	delete(s.clients, p)
	s.mu.Unlock()
	if mine {
		s.tell(Lost, p)
		s.wake()
	}
	if theirs {
		s.tell(ClientLeft, p)
	}
}

// linkChanged reacts to the end of the last link to the rendezvous: it is asked
// again at once, instead of being trusted until the lease ends.
func (s *Service) linkChanged(ev endpoint.LinkEvent) {
	if ev.Up || !ev.Last {
		return
	}
	s.mu.Lock()
	mine := s.lease != nil && s.lease.adv.ID == ev.Link.Peer()
	s.mu.Unlock()
	if mine {
		s.drop(ev.Link.Peer())
	}
}

func (s *Service) tell(k EventKind, p id.Peer) {
	if k != ClientStayed && k != Renewed {
		s.log.Info(k.String(), "peer", p.Short(), "group", s.group.Short())
	}
	s.events.Publish(Event{k, p})
}

// goodbye tells the rendezvous and the clients that this peer leaves.
func (s *Service) goodbye() {
	ctx, cancel := context.WithTimeout(context.Background(), goodbyeTimeout)
	defer cancel()
	s.mu.Lock()
	var to []id.Peer
	if s.lease != nil {
		to = append(to, s.lease.adv.ID)
	}
	for p := range s.clients {
		to = append(to, p)
	}
	s.mu.Unlock()
	if len(to) == 0 {
		return
	}
	msg := s.own(elemDisconnect)
	if msg == nil {
		return
	}
	for _, p := range to {
		if s.ep.LinkTo(p) == nil {
			continue // it will notice; dialling just to say goodbye is no service
		}
		if err := s.scope.Send(ctx, p, id.ClassRendezvous.String(), s.param, msg); err != nil {
			s.log.Debug("goodbye failed", "peer", p.Short(), "error", err)
		}
	}
}
