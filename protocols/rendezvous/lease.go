package rendezvous

import (
	"context"
	"slices"
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
	Load    float64       // share of its leases that the rendezvous has granted, 0 to 1; 0 too if it does not say
	Spare   id.Peer       // the rendezvous to which a link is kept in case this one fails; zero if there is none
	Others  int           // further rendezvous known
}

type lease struct {
	adv   *advertisements.Peer
	until time.Time
	renew time.Time
	load  float64
	move  time.Time // when to try a rendezvous that is less loaded; zero if there is no need
}

// Lease returns the present lease of an edge.
func (s *Service) Lease() (Lease, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.lease
	if l == nil || !time.Now().Before(l.until) {
		return Lease{}, false
	}
	return Lease{
		Peer: l.adv.ID, Name: l.adv.Name, Left: time.Until(l.until), Renewal: time.Until(l.renew), Load: l.load,
		Spare: s.warm, Others: len(s.others),
	}, true
}

// upkeep does what is due for an edge and returns when to look again.
func (s *Service) upkeep() time.Duration {
	t := now()
	s.mu.Lock()
	l := s.lease
	lost := l != nil && !t.Before(l.until)
	if lost {
		s.lease = nil
	}
	s.mu.Unlock()
	switch {
	case lost:
		s.tell(Lost, l.adv.ID)
		return s.ask()
	case l == nil:
		return s.ask()
	}
	next := s.keepSpare(l)
	if d := s.relocate(l, t); d > 0 {
		next = min(next, d)
	}
	if t.Before(l.renew) {
		return min(next, l.renew.Sub(t))
	}
	s.renew(l)
	return min(next, max(min(l.until.Sub(t)/4, time.Minute), time.Second))
}

// renew asks the present rendezvous to prolong the lease.
func (s *Service) renew(l *lease) {
	ctx, cancel := context.WithTimeout(s.ctx, sendTimeout)
	defer cancel()
	s.expect(l.adv.ID)
	if msg := s.own(elemConnect); msg != nil {
		if err := s.scope.Send(ctx, l.adv.ID, id.ClassRendezvous.String(), s.param, msg); err != nil {
			s.stats.unsentLease.Add(1)
			s.log.Info("renewing the lease failed", "rendezvous", l.adv.ID.Short(), "error", err)
		}
	}
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
	switch role := s.Role(); {
	case role == Rendezvous && has(m, elemConnect):
		s.connect(ctx, in)
	case role == Edge && has(m, elemReply):
		s.granted(in)
	case has(m, elemDisconnect):
		s.disconnect(in)
	case role == Edge && m.Text(elemOwn, elemLoad) != "":
		s.refused(in)
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

// granted takes a lease from a rendezvous that was asked a moment ago. A second
// one is given back, unless it is better than the first and was asked for that.
func (s *Service) granted(in endpoint.Incoming) {
	ms, err := strconv.ParseInt(in.Message.Text(message.Platform, elemLease), 10, 64)
	adv := s.peerIn(in, elemReply)
	peer, perr := id.ParsePeer(in.Message.Text(message.Platform, elemPeer))
	if err != nil || perr != nil || adv == nil || peer != adv.ID || !s.cfg.Accept(peer) {
		s.stats.badLease.Add(1)
		return
	}
	life := time.Duration(min(ms, int64(24*time.Hour/time.Millisecond))) * time.Millisecond
	load := loadIn(in.Message)
	t := now()
	s.mu.Lock()
	when, ok := s.asked[peer]
	ok = ok && t.Sub(when) <= grantWindow && s.Role() == Edge
	old := s.lease
	other := old != nil && old.adv.ID != peer
	moving := other && s.moving == peer && load+worthMoving < old.load
	if ok && (!other || moving) && life > 0 {
		l := &lease{adv: adv, until: t.Add(life), renew: t.Add(life - min(renewBefore, life/2)), load: load}
		if load >= crowded {
			l.move = t.Add(moveAfter/2 + time.Duration(s.rng.Int64N(int64(moveAfter))))
		}
		s.lease = l
		s.failed, s.queue, s.round = 0, nil, time.Time{}
		if s.warm == peer {
			s.warm = id.Peer{}
		}
	}
	if ok && !other && life <= 0 {
		s.lease = nil
	}
	if s.moving == peer {
		s.moving = id.Peer{}
	}
	s.mu.Unlock()
	if !ok {
		s.stats.badLease.Add(1)
		return
	}
	s.referrals(in)
	s.mu.Lock()
	s.named = len(s.others)
	s.mu.Unlock()
	switch {
	case moving && life > 0:
		s.giveBack(old.adv.ID)
		s.tell(Lost, old.adv.ID)
		s.cfg.Met(adv, 2*life)
		s.tell(Leased, peer)
	case other:
		s.giveBack(peer)
		return
	case life <= 0:
		s.tell(Lost, peer)
	case old == nil:
		s.cfg.Met(adv, 2*life)
		s.tell(Leased, peer)
	default:
		s.cfg.Met(adv, 2*life)
		s.tell(Renewed, peer)
	}
	s.wake()
}

// giveBack tells a rendezvous that its lease is not used.
func (s *Service) giveBack(p id.Peer) {
	s.task(func(ctx context.Context) {
		msg := s.own(elemDisconnect)
		if msg == nil {
			return
		}
		if err := s.scope.Send(endpoint.KnownWays(ctx), p, id.ClassRendezvous.String(), s.param, msg); err != nil {
			s.stats.unsentLease.Add(1)
			s.log.Debug("a lease was not given back", "rendezvous", p.Short(), "error", err)
		}
	})
}

// disconnect ends the relation with the sender. Only the peer itself can.
func (s *Service) disconnect(in endpoint.Incoming) {
	adv := s.peerIn(in, elemDisconnect)
	if adv == nil {
		s.stats.badLease.Add(1)
		return
	}
	if l, ok := s.Lease(); ok && l.Peer == adv.ID {
		s.referrals(in)
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
	if s.warm == p {
		s.warm = id.Peer{}
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

// Relations returns the peers this one has to do with in the group: the rendezvous
// it leases from and those it was told of, its clients, and the view.
func (s *Service) Relations() []id.Peer {
	var list []id.Peer
	s.mu.Lock()
	if s.lease != nil {
		list = append(list, s.lease.adv.ID)
	}
	for _, adv := range s.others {
		list = append(list, adv.Peer)
	}
	for p := range s.clients {
		list = append(list, p)
	}
	s.mu.Unlock()
	if v := s.view.Load(); v != nil {
		list = append(list, v.Peers()...)
	}
	return list
}

// Expel ends every relation with a peer without telling it: the lease at it, its
// lease here, its place in the view. Config.Accept keeps it from coming back as a
// rendezvous.
func (s *Service) Expel(p id.Peer) {
	if v := s.view.Load(); v != nil {
		v.Expel(p)
	}
	s.mu.Lock()
	s.others = slices.DeleteFunc(s.others, func(adv *advertisements.Rendezvous) bool { return adv.Peer == p })
	s.mu.Unlock()
	s.drop(p)
}

// linkChanged reacts to the end of the last link to a peer. The rendezvous is
// asked again at once, instead of being trusted until the lease ends; so is
// another one if it was the spare. A client has a while to come back.
func (s *Service) linkChanged(ev endpoint.LinkEvent) {
	if ev.Up || !ev.Last {
		return
	}
	p := ev.Link.Peer()
	s.mu.Lock()
	mine := s.lease != nil && s.lease.adv.ID == p
	spare := s.warm == p
	c := s.clients[p]
	if c != nil {
		c.down = time.Now()
	}
	s.mu.Unlock()
	switch {
	case mine:
		s.drop(p)
	case spare, c != nil:
		s.wake()
	}
}

func (s *Service) tell(k EventKind, p id.Peer) {
	switch k {
	case ClientStayed, Renewed, ViewJoined, ViewLeft:
	default:
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
	if s.Role() == Rendezvous {
		s.refer(msg)
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
