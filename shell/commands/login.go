package commands

import (
	"context"
	"errors"
	"io"
	"os"

	"github.com/juxta-p2p/juxta/peergroup"
	"github.com/juxta-p2p/juxta/peergroup/membership"
	"github.com/juxta-p2p/juxta/shell/interp"
)

func loginCommand(h *Host) *interp.Command {
	return &interp.Command{
		Name: "login", Family: familyGroups, Summary: "makes this peer a member of the current group",
		Args: "[GROUP]", MaxArgs: 1, Complete: h.completeGroups,
		Options: []interp.Option{fieldsOption(),
			{Letter: "r", Name: "resign", Help: "give the membership up instead, without leaving the group"},
			{Letter: "i", Help: "accepted as in the original shell; it changes nothing"}},
		Details: "What the group asks for, such as a name and a password, is asked here, the password\nwithout showing it, or comes from a file. A group that issues certificates asks for\nnothing, and takes the one that accept has taken.\n" +
			"A name left of = keeps the credential.\nJSON: variable (if there is a name for it), group, group_id, kind, name.\nStatus 4: the password is wrong, or there is no certificate.",
		Examples: []interp.Example{{Line: "login", Before: "| me", Text: "asks for what the current group wants to know"}, {Line: "mine = login", Before: "| me", Text: "and keeps the credential, for cat"},
			{Line: "login -f crew.txt crew", Before: "join crew; chpgrp rootgroup", Text: "takes it from lines like \"password: …\""}},
		Run: func(ctx context.Context, c *interp.Call) error {
			g := h.group()
			if len(c.Args) == 1 {
				var err error
				if g, err = h.findGroup(c, c.Args[0]); err != nil {
					return err
				}
			}
			m := g.Membership()
			if c.Flag("r") {
				m.Resign()
				return nil
			}
			a, err := m.Apply("")
			if err != nil {
				return interp.Because(err, "cannot apply")
			}
			if err := fill(ctx, c, a); err != nil {
				return notMember(err, g.Name())
			}
			cred, err := m.Join(a)
			if err != nil {
				return notMember(err, g.Name())
			}
			if err := m.SetDefault(cred); err != nil {
				return interp.Because(err, "cannot show it")
			}
			fields := []interp.Field{{Name: "group", Value: g.Name()}, {Name: "group_id", Value: g.ID().String()},
				{Name: "kind", Value: cred.Kind.String()}, {Name: "name", Value: cred.Subject()}}
			switch {
			case c.Named():
				return c.Made(cred, "", fields...)
			case c.JSON():
				c.Row(fields...)
			}
			return nil
		},
	}
}

// fieldsOption is the option of commands that may ask for a password.
func fieldsOption() interp.Option {
	return interp.Option{Letter: "f", Name: "fields", Value: "FILE", Help: "take what the group asks for from a file with lines \"field: value\""}
}

// errNobody is why nothing could be asked.
var errNobody = errors.New("nobody is there to be asked")

// fill fills in an application from a file, and asks for the rest.
func fill(ctx context.Context, c *interp.Call, a *membership.Authenticator) error {
	if name := c.Value("f", ""); name != "" {
		f, err := os.Open(name)
		if err != nil {
			return interp.Because(err, "cannot read it")
		}
		defer f.Close()
		if err := a.Load(f); err != nil {
			return err
		}
	}
	return a.Ask(func(f membership.Field) (string, error) {
		ask := c.Session.ReadLine
		if f.Secret {
			ask = c.Session.ReadSecret // and never where it would be shown
		}
		if ask == nil {
			return "", errNobody
		}
		c.Flush()
		prompt := f.Name + ": "
		if f.Default != "" {
			prompt = f.Name + " (" + f.Default + "): "
		}
		answer, err := ask(ctx, prompt)
		if errors.Is(err, io.EOF) {
			return "", errNobody
		}
		return answer, err
	})
}

// notMember is an error of one who did not become a member.
func notMember(err error, group string) error {
	var e *interp.Error
	switch {
	case errors.As(err, &e):
		return e
	case errors.Is(err, errNobody):
		return interp.Deniedf("%s asks for a name or a password, and nobody is there to be asked", group).Try("login -f FILE takes them from a file")
	case errors.Is(err, membership.ErrPassword), errors.Is(err, membership.ErrName):
		return interp.Deniedf("the name or the password is wrong")
	case errors.Is(err, membership.ErrNotInvited):
		return interp.Deniedf("this peer has no certificate of %s", group).Try("request prints what its founder needs to invite it; accept takes the invitation")
	}
	return interp.Because(err, "no member of %s", group)
}

// asks reports whether a group wants to know something of who joins it.
func asks(g *peergroup.Group) bool { return g.Membership().Member() != nil }
