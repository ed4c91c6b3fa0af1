package peergroup

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/xmldoc"
	"github.com/juxta-p2p/juxta/peergroup/governance"
	"github.com/juxta-p2p/juxta/peergroup/membership"
	"github.com/juxta-p2p/juxta/protocols/rendezvous"
)

// Spec describes a group to be created.
type Spec struct {
	// Name is how others find the group; it need not be unique.
	Name string

	// Description may be empty.
	Description string

	// ID of the group; zero means a new random one.
	ID id.Group

	// Membership says who may be a member: parameters made by package membership; zero
	// lets everybody.
	Membership xmldoc.Node

	// Issuer is the key of a group whose Membership rests on certificates, by which this
	// peer invites members and revokes them; it is kept in the peer's home folder.
	Issuer *membership.Issuer

	// Access says who may do what: parameters made by package access; zero lets every
	// member do everything.
	Access xmldoc.Node

	// Apply fills in this peer's own application for membership, see [JoinConfig.Apply].
	Apply func(*membership.Authenticator) error

	// Charter says by whom the group is moderated, and whether it is closed; nil
	// leaves it open to everybody, for ever. Group, and Moderators if there are none,
	// are set: to the ID of the group and to this peer, which signs it. It needs a
	// peer whose ID is made of its key.
	Charter *governance.Charter

	// Services are the modules that every member has, beside the standard ones or, of
	// the same class, in their place. Each member takes its own implementation of
	// them, see [Config.Implementations].
	Services []GroupService

	// ModuleSpec is the specification of the group, if it has other services than
	// the standard ones; zero means a new random one. It names this list of services,
	// so groups with the same list may share it.
	ModuleSpec id.ModuleSpec

	// Modules are started in the group at this peer, in this order, after Services.
	Modules []Module
}

// Create makes a group within this one, joins it, and publishes its advertisement
// here, so that others can find and join it. This peer is the group's first
// rendezvous; when it leaves, another member becomes one. Without Membership and Access
// in the specification everybody can be a member, and may do everything.
//
// A group with services or rules of its own has a specification of its own, and how that is
// implemented is published along with it: for Juxta, and for Java peers with the
// services that they know. What Spec.Services names must be in
// [Config.Implementations]; the error is otherwise a [ModuleError].
//
// The advertisement of a closed group is not published, and outsiders see nothing of
// it; others join by [Group.Accept] with what [Group.Invite] has made for them.
func (g *Group) Create(ctx context.Context, spec Spec) (*Group, error) {
	if spec.Name == "" {
		return nil, errors.New("peergroup: Spec.Name is not set")
	}
	if spec.ID.IsZero() {
		spec.ID = id.NewGroup(id.Group{})
	}
	adv := &advertisements.Group{ID: spec.ID, Name: spec.Name, Desc: spec.Description}
	rules, err := g.rule(adv, spec)
	if err != nil {
		return nil, fmt.Errorf("peergroup: creating %q: %w", spec.Name, err)
	}
	plan, err := g.peer.planOf(adv, spec, rules)
	if err != nil {
		return nil, fmt.Errorf("peergroup: creating %q: %w", spec.Name, err)
	}
	if spec.Charter != nil {
		if err := g.charter(adv, *spec.Charter); err != nil {
			return nil, fmt.Errorf("peergroup: creating %q: %w", adv.Name, err)
		}
	}
	return g.enter(ctx, adv, entry{JoinConfig: JoinConfig{Apply: spec.Apply, Rendezvous: true, Modules: spec.Modules}, founder: true, issuer: spec.Issuer, plan: plan})
}

// JoinConfig says how to join a group; the zero value is what [Group.Join] does.
type JoinConfig struct {
	// Apply fills in the application for membership, if the group asks for anything;
	// package membership has fields, [membership.Authenticator.Ask] and
	// [membership.Authenticator.Load]. Joining fails if it fails, or if what it filled
	// in is wrong. nil leaves becoming a member for later, see [Group.Membership].
	Apply func(*membership.Authenticator) error

	// Invitation is a certificate of the group for this peer, see
	// [membership.Service.Accept]; nil means that there is none, or that it was accepted
	// before and is kept in the home folder.
	Invitation []byte

	// Rendezvous makes this peer a rendezvous of the group.
	Rendezvous bool

	// Modules are started in the group, in this order.
	Modules []Module
}

// Join makes this peer a member of a group that was found in this one, with the
// modules given. The error wraps [ErrJoined] if it is one already; if the group has a
// charter that is not in order, it is one of package governance.
//
// Join does not wait for other members. Until a rendezvous of the group is
// found, only members near by are reached; [rendezvous.Service.WaitConnected]
// tells.
//
// If the group has a specification of its own, how it is implemented is looked for
// here, in the own cache and then at others, until ctx ends or half a minute has
// passed. Its modules are started from [Config.Implementations]; what is not there is
// gone without, see [Group.Modules]. The error is a [ModuleError] if nothing was found,
// or a service is missing that no group can be without.
//
// A group that asks for a password or a certificate is entered without: until this peer
// has become a member, by [Group.Membership], its services refuse with
// [membership.ErrNotMember]. A certificate that it has accepted before makes it one at
// once.
func (g *Group) Join(ctx context.Context, adv *advertisements.Group, modules ...Module) (*Group, error) {
	return g.JoinWith(ctx, adv, JoinConfig{Modules: modules})
}

// JoinWith is [Group.Join] with an application for membership, or as a rendezvous.
func (g *Group) JoinWith(ctx context.Context, adv *advertisements.Group, cfg JoinConfig) (*Group, error) {
	return g.enter(ctx, adv, entry{JoinConfig: cfg})
}

// role is the role with which this peer joins a group in another one.
func (how *entry) role(in *Group) rendezvous.Role {
	switch {
	case how.Rendezvous:
		return rendezvous.Rendezvous
	case in.rdv.Role() == rendezvous.AdHoc:
		return rendezvous.AdHoc
	}
	return rendezvous.Edge
}

func (g *Group) enter(ctx context.Context, adv *advertisements.Group, how entry) (*Group, error) {
	if g.ctx.Err() != nil {
		return nil, fmt.Errorf("peergroup: %w", ErrLeft)
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("peergroup: joining %q: %w", adv.Name, context.Cause(ctx))
	}
	if adv.ID == id.WorldGroup || adv.ID == g.peer.cfg.Net || g.peer.member(adv.ID) {
		return nil, fmt.Errorf("peergroup: joining %q: %w", adv.Name, ErrJoined)
	}
	var err error
	if how.plan == nil {
		if how.plan, err = g.planFor(ctx, adv, how.impls); err != nil {
			return nil, fmt.Errorf("peergroup: joining %q: %w", adv.Name, err)
		}
	}
	role := how.role(g)
	c, err := g.peer.newGroup(g, adv.Clone(), role, how)
	if err != nil {
		return nil, fmt.Errorf("peergroup: joining %q: %w", adv.Name, err)
	}
	if !c.hidden() {
		if err := g.publishImplementations(ctx, how.plan); err != nil {
			c.leave()
			return nil, fmt.Errorf("peergroup: joining %q: %w", adv.Name, err)
		}
	}
	if err := c.start(how.plan, how.founder); err != nil {
		c.leave()
		_, err = g.mods.stats.count(nil, err)
		return nil, fmt.Errorf("peergroup: joining %q: %w", adv.Name, err)
	}
	if err := c.becomeMember(how.JoinConfig); err != nil {
		c.leave()
		return nil, fmt.Errorf("peergroup: joining %q: %w", adv.Name, err)
	}
	for _, m := range how.Modules {
		if _, err := c.Load(m); err != nil {
			c.leave()
			return nil, err
		}
	}
	if role != rendezvous.AdHoc {
		c.Go(c.findRendezvous)
	}
	g.mu.Lock()
	if g.ctx.Err() != nil {
		g.mu.Unlock()
		c.leave()
		return nil, fmt.Errorf("peergroup: %w", ErrLeft)
	}
	g.children = append(g.children, c)
	g.mu.Unlock()
	return c, nil
}

// member reports whether the peer is in a group.
func (p *Peer) member(want id.Group) bool {
	var in func(g *Group) bool
	in = func(g *Group) bool { return g.adv.ID == want || slices.ContainsFunc(g.Groups(), in) }
	return in(p.net)
}
