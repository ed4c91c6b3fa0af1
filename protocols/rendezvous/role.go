package rendezvous

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/protocols/rendezvous/peerview"
)

// ErrRole is the cause when a role cannot be taken.
var ErrRole = errors.New("this role cannot be taken")

// Role returns what this peer is in the group at the moment.
func (s *Service) Role() Role { return Role(s.role.Load()) }

// SetRole makes this peer an edge or a rendezvous. An edge that becomes a
// rendezvous says goodbye to the one it leases from, grants leases, and joins
// the view of the others; a rendezvous that becomes an edge says goodbye to its
// clients and to the view, and looks for a lease. It returns when that is done,
// within a few seconds; taking the present role does nothing. Ad hoc peers stay
// what they are: the error wraps [ErrRole].
//
// A role that was set stays until it is set again, even if Config.Auto is set.
func (s *Service) SetRole(r Role) error {
	if r != Edge && r != Rendezvous || s.Role() == AdHoc {
		return fmt.Errorf("rendezvous: %w: %s to %s", ErrRole, s.Role(), r)
	}
	if err := s.change(r, true); err != nil {
		return err
	}
	s.wake()
	return nil
}

// SetAuto changes [Config.Auto]; 0 leaves the role to [Service.SetRole].
func (s *Service) SetAuto(every time.Duration) {
	s.auto.Store(int64(max(every, 0)))
	s.mu.Lock()
	s.chosen = false
	s.alone = time.Time{}
	s.mu.Unlock()
	s.wake()
}

// Auto returns the present value of [Config.Auto].
func (s *Service) Auto() time.Duration { return time.Duration(s.auto.Load()) }

// change takes another role. chosen says that somebody asked for it.
func (s *Service) change(r Role, chosen bool) error {
	s.turn.Lock()
	defer s.turn.Unlock()
	if s.ctx.Err() != nil {
		return fmt.Errorf("rendezvous: %w", context.Cause(s.ctx))
	}
	s.mu.Lock()
	s.chosen = chosen
	s.alone = time.Time{}
	s.mu.Unlock()
	if s.Role() == r {
		return nil
	}
	if r == Rendezvous {
		return s.serve()
	}
	s.stepBack()
	return nil
}

// serve takes the role of a rendezvous. s.turn is held.
func (s *Service) serve() error {
	v, err := peerview.New(peerview.Config{
		Scope: s.scope, Self: s.introduction, Seeds: s.seeds, Connect: s.cfg.Connect, Learn: s.cfg.Learn, Hear: s.cfg.Hear,
		Met: s.met, Shout: s.cfg.Shout, Accept: func(adv *advertisements.Rendezvous) bool { return s.cfg.Accept(adv.Peer) },
		Rand: s.fork(), Logger: s.log,
	})
	if err != nil {
		return err
	}
	stop := v.Watch(s.viewChanged)
	remove, err := s.scope.Handle(greeter+s.group.String(), id.ClassRendezvous.String()+s.param, s.receiveWalk)
	if err != nil {
		v.Close()
		return err
	}
	s.seen.grow(seenRendezvous)
	s.walked.grow(seenRendezvous)
	s.goodbye() // as an edge
	s.mu.Lock()
	old := s.lease
	s.lease, s.queue, s.others, s.warm, s.idle = nil, nil, nil, id.Peer{}, 0
	s.mu.Unlock()
	s.unserve = func() {
		remove()
		s.view.Store(nil)
		v.Close()
		stop()
		s.mu.Lock()
		clear(s.members)
		s.mu.Unlock()
	}
	s.view.Store(v)
	s.role.Store(uint32(Rendezvous))
	if old != nil {
		s.tell(Lost, old.adv.ID)
	}
	s.tell(RoleChanged, s.self)
	v.Kick()
	return nil
}

// stepBack takes the role of an edge. s.turn is held.
func (s *Service) stepBack() {
	s.goodbye() // as a rendezvous
	s.role.Store(uint32(Edge))
	s.mu.Lock()
	for _, p := range s.draw(s.View(), maxOthers) {
		if adv := s.members[p]; adv != nil {
			s.others = append(s.others, adv) // to lease from
		}
	}
	s.mu.Unlock()
	s.unserve()
	s.unserve = nil
	s.mu.Lock()
	gone := s.clients
	s.clients = map[id.Peer]*client{}
	s.failed, s.round = 0, time.Time{}
	s.mu.Unlock()
	for p := range gone {
		s.tell(ClientLeft, p)
	}
	s.tell(RoleChanged, s.self)
}

// introduction is how a rendezvous introduces itself to the others.
func (s *Service) introduction() *advertisements.Rendezvous {
	adv := s.cfg.Advertisement()
	route, _ := adv.Route()
	return &advertisements.Rendezvous{
		Group: s.group, Peer: s.self, Service: advertisements.RendezvousService(s.group), Name: adv.Name, Route: route,
	}
}

// met remembers the advertisement of a member of the view.
func (s *Service) met(adv *advertisements.Rendezvous) {
	s.mu.Lock()
	if s.members == nil {
		s.members = map[id.Peer]*advertisements.Rendezvous{}
	}
	s.members[adv.Peer] = adv
	s.mu.Unlock()
	s.cfg.MetRendezvous(adv)
}

func (s *Service) viewChanged(ev peerview.Event) {
	if ev.Kind == peerview.Joined {
		s.tell(ViewJoined, ev.Peer)
		return
	}
	s.mu.Lock()
	delete(s.members, ev.Peer)
	s.mu.Unlock()
	s.tell(ViewLeft, ev.Peer)
}

// View returns the other rendezvous of the group that this one knows, in order
// of peer ID; none for edges and ad hoc peers. It must not be changed.
func (s *Service) View() []id.Peer {
	if v := s.view.Load(); v != nil {
		return v.Peers()
	}
	return nil
}

// InView reports whether the peer is one of [Service.View].
func (s *Service) InView(p id.Peer) bool {
	v := s.view.Load()
	return v != nil && v.Has(p)
}

// PeerView returns the view with its details, nil for edges and ad hoc peers.
func (s *Service) PeerView() *peerview.View { return s.view.Load() }

// HearView takes a message that came over the propagate pipe of the view, see
// [peerview.PipeID]; edges ignore it.
func (s *Service) HearView(ctx context.Context, from id.Peer, msg *message.Message) {
	if v := s.view.Load(); v != nil {
		v.Hear(ctx, endpoint.Incoming{Message: msg, From: from})
	}
}

// look decides, if it is left to the peer, whether the role fits, and returns
// when to look again; 0 means not by itself.
func (s *Service) look() time.Duration {
	every := s.Auto()
	s.mu.Lock()
	chosen := s.chosen
	if every <= 0 || chosen {
		s.mu.Unlock()
		return 0
	}
	now := time.Now()
	if s.alone.IsZero() { // a moment before the first decision, not the same for all
		s.alone = now.Add(every/2 + time.Duration(s.rng.Int64N(int64(every))))
	}
	wait := s.alone.Sub(now)
	leased := s.lease != nil
	if leased && s.Role() == Edge {
		s.alone = time.Time{}
		s.mu.Unlock()
		return 0 // the end of the lease wakes the loop
	}
	if wait > 0 {
		s.mu.Unlock()
		return wait
	}
	s.alone = time.Time{}
	clients, dice := len(s.clients), s.rng.IntN(100)
	if s.idle++; clients > 0 {
		s.idle = 0
	}
	idle := s.idle
	s.mu.Unlock()
	var err error
	switch {
	case s.Role() == Edge:
		err = s.change(Rendezvous, false)
	case s.superfluous(clients, idle, dice):
		err = s.change(Edge, false)
	}
	if err != nil && s.ctx.Err() == nil {
		s.log.Warn("the role could not be changed", "error", err)
	}
	return every / 2
}

// superfluous reports whether the group can do without this rendezvous: it has no
// client, or among many rendezvous hardly any. Of several without clients the one
// with the least ID stays the longest, so that they do not all go at once.
func (s *Service) superfluous(clients, idle, dice int) bool {
	view := s.View()
	switch {
	case len(view) == 0:
		return false
	case clients == 0:
		return len(view) > viewEnough || view[0].String() < s.self.String() || idle > idleLooks
	}
	return len(view) > viewEnough && clients < fewClients && dice < stepBackPercent
}
