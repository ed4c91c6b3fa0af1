package pipe

import (
	"context"
	"fmt"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/protocols/rendezvous"
)

// Near sends a message on a propagate pipe to the listeners in the neighbourhood
// alone: broadcast transports and the neighbours known by link. Rendezvous do not
// relay it. It is for services that look for others of their kind near by; msg is
// not changed. The error wraps [ErrNobody] if there is no neighbourhood, or
// [ErrType] if adv is not of a propagate pipe.
func (s *Service) Near(ctx context.Context, adv *advertisements.Pipe, msg *message.Message) error {
	if adv.Type != advertisements.Propagate {
		return fmt.Errorf("pipe: send near by on %s: %w: %s", label(adv), ErrType, adv.Type)
	}
	h := &header{Source: s.self, Pipe: adv.ID, MsgID: id.NewUUID(), TTL: 1}
	doc, err := h.print()
	if err != nil {
		return err
	}
	out := msg.Clone()
	s.rdv.Strip(out)
	out.Replace(message.XML(message.Platform, elemHeader, doc))
	s.fresh(h.Pipe, h.MsgID) // it may come back
	if s.rdv.Near(ctx, out, wireService, s.param) == 0 {
		return fmt.Errorf("pipe: send near by on %s: %w", label(adv), rendezvous.ErrNobody)
	}
	return nil
}
