package commands

import (
	"context"
	"errors"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/peergroup"
	"github.com/juxta-p2p/juxta/peergroup/membership"
	"github.com/juxta-p2p/juxta/protocols/discovery"
	"github.com/juxta-p2p/juxta/protocols/rendezvous"
	"github.com/juxta-p2p/juxta/shell/interp"
)

func joinCommand(h *Host) *interp.Command {
	return &interp.Command{
		Name: "join", Family: familyGroups, Summary: "joins a group and makes it the current one",
		Args: "[GROUP]", MaxArgs: 1,
		Options: []interp.Option{
			{Letter: "d", Value: "GROUP", Help: "the group, as in the original shell"},
			{Letter: "r", Name: "rendezvous", Help: "be a rendezvous of the group, where others can meet"},
			fieldsOption(),
			{Letter: "A", Help: "do not apply for membership; login does so later"},
			interp.WaitOption("how long to look for the group, and then for its rendezvous (default 3s)"),
		},
		Complete: func(s *interp.Session, n int) []interp.Suggestion {
			if n > 0 {
				return nil
			}
			return append(s.Variables(classGroupAdv), h.knownGroups()...)
		},
		Details: "A group is the variable of its advertisement, its name or its ID. Without an argument\nit lists the groups that were joined. What the group asks for, such as a password, is\nasked as login does.\n" +
			"JSON: variable, name, group_id, role, connected.",
		Examples: []interp.Example{{Line: "groups -r; join group0", Text: "joins the first group found"}, {Line: "join crew", Text: "looks for a group of that name"},
			{Line: "join -r crew", Text: "joins it as a rendezvous"},
			{Line: "join -f crew.txt crew", Text: "takes name and password from a file"}},
		Run: func(ctx context.Context, c *interp.Call) error {
			wait, err := c.Duration("w", defaultWait)
			if err != nil {
				return err
			}
			a := interp.Arg{Text: c.Value("d", "")}
			switch {
			case a.Text == "" && len(c.Args) == 0:
				h.listJoined(c)
				return nil
			case a.Text == "":
				a = c.Args[0]
			}
			if g, err := h.findGroup(c, a); err == nil {
				return alreadyIn(g.Name())
			}
			adv, err := h.findGroupAdv(ctx, c, a, wait)
			if err != nil {
				return err
			}
			return h.join(ctx, c, adv, c.Flag("r"), wait)
		},
	}
}

func alreadyIn(name string) error {
	return interp.Failf("this peer is in %q already", name).Try("chpgrp makes it the current group")
}

// howToJoin says what makes this peer a member of the group that it is in.
func howToJoin(g *peergroup.Group) string {
	if a, err := g.Membership().Apply(""); err == nil && len(a.Fields()) > 0 {
		return "login asks for a name or a password"
	}
	return "its founder needs what request prints, and accept takes the invitation"
}

// application asks for what a group wants to know, nil if that is nothing, or if there is
// nobody to be asked.
func (h *Host) application(ctx context.Context, c *interp.Call, adv *advertisements.Group) func(*membership.Authenticator) error {
	parm, _ := adv.Service(id.ClassMembership)
	kind, err := membership.KindOf(id.ModuleSpec{}, parm)
	if err != nil || kind == membership.None || c.Flag("A") || c.Value("f", "") == "" && c.Session.ReadSecret == nil {
		return nil
	}
	return func(a *membership.Authenticator) error { return fill(ctx, c, a) }
}

// knownGroups lists the names of groups in the own cache.
func (h *Host) knownGroups() []interp.Suggestion {
	var all []interp.Suggestion
	for _, r := range h.group().Discovery().Local(discovery.Query{Kind: advertisements.Groups}) {
		if g, ok := r.Adv.(*advertisements.Group); ok && g.ID != id.NetGroup {
			all = append(all, interp.Suggestion{Text: g.Name, Description: "group " + g.ID.Short()})
		}
	}
	return all
}

// findGroupAdv returns the advertisement of a group: that of a variable, or the
// one with that name or ID.
func (h *Host) findGroupAdv(ctx context.Context, c *interp.Call, a interp.Arg, wait time.Duration) (*advertisements.Group, error) {
	if v, ok := c.Variable(a); ok {
		switch x := v.Object.(type) {
		case *advertisements.Group:
			return x, nil
		case *peergroup.Group:
			return x.Advertisement(), nil
		}
	}
	q := discovery.Query{Kind: advertisements.Groups, Attr: "Name", Value: a.Text}
	if gid, err := id.ParseGroup(a.Text); err == nil {
		q.Attr, q.Value = "GID", gid.String()
	}
	g := h.group()
	found, err := lookUp[*advertisements.Group](ctx, g, q, wait)
	if err != nil {
		return nil, err
	}
	switch len(found) {
	case 0:
		return nil, interp.NotFoundf("no group %q was found in %s", a.Text, g.Name()).Try("groups -r lists those that are known; newpgrp -j %s makes one", a.Text)
	case 1:
		return found[0], nil
	}
	return nil, duplicates("groups", a.Text, len(found))
}

// join joins a group, makes it the current one and tells about it.
func (h *Host) join(ctx context.Context, c *interp.Call, adv *advertisements.Group, rdv bool, wait time.Duration) error {
	h.mu.Lock()
	spec, made := h.made[adv.ID]
	h.mu.Unlock()
	apply := h.application(ctx, c, adv)
	in := h.group()
	var g *peergroup.Group
	var err error
	if made {
		spec.Apply = apply
		g, err = in.Create(ctx, spec)
	} else {
		g, err = in.JoinWith(ctx, adv, peergroup.JoinConfig{Apply: apply, Rendezvous: rdv})
	}
	switch {
	case errors.Is(err, peergroup.ErrJoined):
		return alreadyIn(adv.Name)
	case errors.Is(err, membership.ErrPassword), errors.Is(err, membership.ErrName):
		return notMember(err, adv.Name)
	case err != nil:
		return interp.Because(err, "cannot join %q", adv.Name)
	}
	return h.entered(ctx, c, g, wait)
}

// entered makes a group that was joined the current one and tells about it.
func (h *Host) entered(ctx context.Context, c *interp.Call, g *peergroup.Group, wait time.Duration) error {
	if _, err := c.Store(g); err != nil {
		return err
	}
	if err := h.changeGroup(g); err != nil {
		return err
	}
	h.mu.Lock()
	auto := h.auto
	h.mu.Unlock()
	if asks(g) {
		c.Notice("this peer is in %s, but no member: %s", g.Name(), howToJoin(g))
		auto = false
	}
	if auto {
		if err := h.loginSelf(ctx, g); err != nil {
			c.Notice("nobody can talk to you in %s: %v", g.Name(), err)
		}
	}
	if g.Rendezvous().Role() == rendezvous.Edge && wait > 0 {
		ctx, cancel := context.WithTimeout(ctx, wait)
		defer cancel()
		_ = g.Rendezvous().WaitConnected(ctx) // what came of it is told below
	}
	if c.JSON() {
		c.Row(interp.Field{Name: "name", Value: g.Name()}, interp.Field{Name: "group_id", Value: g.ID().String()},
			interp.Field{Name: "role", Value: g.Rendezvous().Role().String()}, interp.Field{Name: "connected", Value: g.Rendezvous().Connected()})
	}
	if g.Rendezvous().Role() == rendezvous.Edge && !g.Rendezvous().Connected() {
		c.Notice("%s has no rendezvous that answers; only members near by can be reached; join -r makes a member one", g.Name())
	}
	return waited(ctx)
}
