package rendezvous

import (
	"context"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/message"
)

// Names of the elements that a walk through the rendezvous adds.
const (
	elemWalk        = "LimitedRangeRdvMessage"
	elemWalkService = "RdvWalkSvcName"
	elemWalkParam   = "RdvWalkSvcParam"
)

// Give gives a message that [Service.Stamp] has returned to one peer, and says
// what went wrong if it could not. Whoever spreads a message to many peers one
// by one can so tell the slow ones.
func (s *Service) Give(ctx context.Context, p id.Peer, stamped *message.Message) error {
	err := s.path(p).Send(ctx, stamped)
	if err != nil {
		s.stats.unsent.Add(1)
		return err
	}
	s.stats.sent.Add(1)
	return nil
}

// path returns the way to the propagation service of a peer.
func (s *Service) path(p id.Peer) *endpoint.Path {
	s.pmu.Lock()
	defer s.pmu.Unlock()
	x := s.paths[p]
	if x == nil {
		if s.paths == nil || len(s.paths) >= maxPaths {
			s.paths = map[id.Peer]*endpoint.Path{}
		}
		x = s.scope.Path(p, propagateService, s.param, false)
		s.paths[p] = x
	}
	return x
}

// Unstamp removes the propagation header, so that the message can be stamped as
// a new one.
func (s *Service) Unstamp(msg *message.Message) { msg.Remove(message.Platform, s.elem) }

// Strip removes everything that propagation and walking have left in a message,
// which is no business of applications.
func (s *Service) Strip(msg *message.Message) {
	s.Unstamp(msg)
	for _, name := range [...]string{elemWalk, elemWalkService, elemWalkParam} {
		msg.Remove(message.Platform, name)
	}
}
