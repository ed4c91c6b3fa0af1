package discovery

import (
	"errors"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/id"
)

// judge decides whether an advertisement that a peer gave is of use, and counts those
// that are not.
func (s *Service) judge(adv advertisements.Advertisement, from id.Peer) (advertisements.Verdict, bool) {
	v, err := s.cfg.Judge(adv)
	switch {
	case err == nil:
		return v, true
	case errors.Is(err, advertisements.ErrUnsigned) && !from.IsZero() && about(adv) == from:
		return advertisements.Verdict{Adv: adv}, true
	}
	s.misjudged(from, err)
	return advertisements.Verdict{}, false
}

// misjudged counts an advertisement that is refused for want of a good signature.
func (s *Service) misjudged(from id.Peer, err error) {
	if errors.Is(err, advertisements.ErrUnsigned) {
		s.stats.unsigned.Add(1)
	} else {
		s.stats.badlySigned.Add(1)
	}
	s.log.Debug("advertisement refused", "from", from.Short(), "error", err)
}

// about returns the peer that an unsigned advertisement describes.
func about(adv advertisements.Advertisement) id.Peer {
	switch adv := adv.(type) {
	case *advertisements.Peer:
		return adv.ID
	case *advertisements.Rendezvous:
		return adv.Peer
	}
	return id.Peer{}
}
