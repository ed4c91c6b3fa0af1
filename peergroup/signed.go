package peergroup

import (
	"errors"
	"fmt"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/advertisements/credential"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/peergroup/governance"
)

// ErrNoKey is the cause when something must be signed by a peer whose ID is not made
// of a key.
var ErrNoKey = errors.New("this peer has no key that proves its ID")

// Sign signs an advertisement as this peer in this group, to be published like others:
//
//	signed, err := g.Sign(adv)
//	err = g.Discovery().Publish(ctx, signed, discovery.Lifetime{})
//
// Others find it by the fields of adv among the advertisements of kind
// [advertisements.Advs]; see [advertisements.Signed]. The error wraps [ErrNoKey], or
// is that of [advertisements.Sign].
func (g *Group) Sign(adv advertisements.Advertisement) (*advertisements.Signed, error) {
	ident := g.peer.proof()
	if ident == nil {
		return nil, fmt.Errorf("peergroup: %w", ErrNoKey)
	}
	c, err := credential.Sign(ident, g.adv.ID)
	if err != nil {
		return nil, fmt.Errorf("peergroup: %w", err)
	}
	s, err := advertisements.Sign(adv, ident, c)
	if err != nil {
		return nil, fmt.Errorf("peergroup: %w", err)
	}
	return s, nil
}

// SetUnsigned says what this peer makes of advertisements of the group that nobody has
// signed, from now on. What is in the cache is judged when it is found.
func (g *Group) SetUnsigned(p advertisements.Policy) { g.unsigned.Store(uint32(p)) }

// Unsigned returns what this peer makes of unsigned advertisements; first they are
// accepted.
func (g *Group) Unsigned() advertisements.Policy { return advertisements.Policy(g.unsigned.Load()) }

// judge decides about an advertisement in the group. Those of peers that are shut out
// are not taken.
func (g *Group) judge(adv advertisements.Advertisement) (advertisements.Verdict, error) {
	if g.policy != nil {
		var of id.Peer
		switch adv := adv.(type) {
		case *advertisements.Peer:
			of = adv.ID
		case *advertisements.Rendezvous:
			of = adv.Peer
		}
		if s := g.policy.service.Load(); s != nil && !of.IsZero() {
			if err := s.Judge(governance.Subject{Peer: of}); err != nil {
				return advertisements.Verdict{}, err
			}
		}
	}
	return g.Unsigned().Judge(adv, credential.Rules{Group: g.adv.ID, Now: g.peer.cfg.Clock()})
}
