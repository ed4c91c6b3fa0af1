package peergroup

import (
	"errors"
	"fmt"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/advertisements/credential"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/xmldoc"
	"github.com/juxta-p2p/juxta/peergroup/access"
	"github.com/juxta-p2p/juxta/peergroup/membership"
	"github.com/juxta-p2p/juxta/protocols/pipe"
	"github.com/juxta-p2p/juxta/protocols/resolver"
)

// rules are who is a member of a group and who may do what there. The functions that
// services ask are nil in a group that is open to everybody.
type rules struct {
	members *membership.Service
	rights  *access.Control

	credential func() xmldoc.Node
	permit     func() error
	admit      func(resolver.Shown) error
	publish    func(advertisements.Advertisement) error
	pipes      pipe.Guard
}

// guarded reports whether the group has rules.
func (r *rules) guarded() bool {
	return r.members.Kind() != membership.None || r.rights.Kind() != access.Always
}

// startRules reads the rules of the group's advertisement. The error wraps
// [membership.ErrMalformed] or [access.ErrMalformed] if they make no sense.
func (g *Group) startRules(how entry) (err error) {
	issuer := how.issuer
	r := &g.rules
	parm, _ := g.adv.Service(id.ClassMembership)
	spec := how.plan.kind(id.ClassMembership)
	if spec == membership.Certificate.Spec() && parm.IsZero() {
		spec = id.SpecMembershipNone // as JXSE makes them: everybody's own certificate is as good as another
	}
	if r.members, err = membership.New(membership.Config{
		Group: g.adv.ID, Peer: g.peer.id, Identity: g.peer.proof(), Spec: spec, Parm: parm, Issuer: issuer,
		Store: g.peer.membershipStore(g.adv.ID), Logger: g.log,
	}); err != nil {
		return err
	}
	if issuer != nil && r.members.Kind() != membership.Certificate {
		return errors.New("peergroup: Spec.Issuer is set, and Spec.Membership does not rest on certificates")
	}
	parm, _ = g.adv.Service(id.ClassAccess)
	if r.rights, err = access.New(how.plan.kind(id.ClassAccess), parm); err != nil {
		return err
	}
	if !r.guarded() {
		return nil
	}
	r.credential, r.permit, r.admit, r.publish = r.members.Shown, r.members.Member, r.take, g.mayPublish
	r.pipes = pipe.Guard{Permit: r.members.Member, Proof: r.proof, Admit: r.hear, Reach: r.reach}
	return nil
}

// mayPublish lets a peer that is no member yet say nothing but who it is.
func (g *Group) mayPublish(adv advertisements.Advertisement) error {
	switch adv := adv.(type) {
	case *advertisements.Peer:
		if adv.ID == g.peer.id {
			return nil
		}
	case *advertisements.Rendezvous:
		if adv.Peer == g.peer.id {
			return nil
		}
	}
	return g.rules.members.Member()
}

// check tells what a credential is worth.
func (r *rules) check(n xmldoc.Node, from id.Peer) (*credential.Credential, credential.Standing, error) {
	if r.members.Kind() != membership.None || n.IsZero() {
		return r.members.Check(n, from)
	}
	// Names of a group without membership, which its list of rights may have.
	c, err := credential.Parse(n)
	if err != nil || c.Kind != credential.None {
		return nil, credential.Claimed, nil
	}
	if _, err := c.Verify(credential.Rules{Group: r.members.Group(), Peer: from}); err != nil {
		return nil, credential.Claimed, nil
	}
	return c, credential.Claimed, nil
}

// take decides about a message of the resolver.
func (r *rules) take(x resolver.Shown) error {
	c, standing, err := r.check(x.Credential, x.Peer)
	if err != nil {
		return err
	}
	if op := operation(x); op != "" && r.rights.Kind() != access.Always {
		return r.rights.Permit(op, c, standing)
	}
	return nil
}

// operation names what a message of the resolver asks for; nothing if it answers what
// this peer has asked.
func operation(x resolver.Shown) string {
	if x.Kind == resolver.Answer {
		return ""
	}
	switch x.Handler {
	case id.ClassDiscovery.String():
		if x.Kind == resolver.Question {
			return access.DiscoveryFind
		}
		return access.DiscoveryPublish
	case id.ClassPipe.String():
		if x.Kind == resolver.Notice {
			return "" // late answers to own questions
		}
		return access.PipeBind
	case callHandler:
		return access.ModuleCall
	case revocations:
		return ""
	}
	if x.Kind == resolver.Question {
		return access.ResolverQuery
	}
	return ""
}

// proof is what goes along with messages of propagate pipes.
func (r *rules) proof() []byte { return r.members.Document() }

// hear decides about a message of a pipe.
func (r *rules) hear(from id.Peer, proof []byte) error {
	var c *credential.Credential
	var standing credential.Standing
	switch {
	case r.members.Kind() == membership.None:
		if len(proof) > 0 {
			if n, err := xmldoc.ParseNode(proof); err == nil {
				c, standing, _ = r.check(n, from)
			}
		}
	case len(proof) > 0:
		var err error
		if c, standing, err = r.members.CheckDocument(proof, from); err != nil {
			return err
		}
	default:
		var ok bool
		if c, standing, ok = r.members.Known(from); !ok {
			_, _, err := r.members.CheckDocument(nil, from) // which counts it
			return err
		}
	}
	if r.rights.Kind() == access.Always {
		return nil
	}
	return r.rights.Permit(access.PipeSend, c, standing)
}

// reach keeps messages from those who were members.
func (r *rules) reach(to id.Peer) error {
	if r.members.Out(to) {
		return fmt.Errorf("peergroup: %s: %w", to.Short(), credential.ErrRevoked)
	}
	return nil
}

// becomeMember applies for membership, as far as something is to be said.
func (g *Group) becomeMember(cfg JoinConfig) error {
	m := g.rules.members
	if cfg.Invitation != nil {
		if err := m.Accept(cfg.Invitation); err != nil {
			return err
		}
	}
	if m.Kind() == membership.None && cfg.Apply == nil {
		return nil
	}
	a, err := m.Apply("")
	if err != nil {
		return err
	}
	switch {
	case len(a.Fields()) == 0:
		if a.Ready() != nil {
			return nil // it has no certificate yet
		}
	case cfg.Apply == nil:
		return nil
	default:
		if err := cfg.Apply(a); err != nil {
			return err
		}
	}
	_, err = m.Join(a)
	return err
}

// rule puts the rules of a group to be created into its advertisement, and returns the
// services that stand for them in its list.
func (g *Group) rule(adv *advertisements.Group, spec Spec) ([]id.ModuleSpec, error) {
	if spec.Membership.IsZero() && spec.Issuer != nil {
		return nil, errors.New("Spec.Issuer is set, and Spec.Membership is not")
	}
	var list []id.ModuleSpec
	if !spec.Membership.IsZero() {
		k, err := membership.KindOf(id.ModuleSpec{}, spec.Membership)
		if err != nil {
			return nil, err
		}
		adv.SetService(id.ClassMembership, spec.Membership)
		list = append(list, k.Spec())
	}
	if !spec.Access.IsZero() {
		k, err := access.KindOf(id.ModuleSpec{}, spec.Access)
		if err != nil {
			return nil, err
		}
		adv.SetService(id.ClassAccess, spec.Access)
		list = append(list, k.Spec())
	}
	return list, nil
}
