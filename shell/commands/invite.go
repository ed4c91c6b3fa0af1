package commands

import (
	"context"
	"encoding/base64"
	"errors"
	"os"
	"strings"

	"github.com/juxta-p2p/juxta/advertisements/credential"
	"github.com/juxta-p2p/juxta/peergroup"
	"github.com/juxta-p2p/juxta/shell/interp"
)

func inviteCommand(h *Host) *interp.Command {
	return &interp.Command{
		Name: "invite", Family: familyGroups, Summary: "invites somebody to the current group, if it is closed",
		Args: "[KEY]", MaxArgs: 1, Complete: nothing,
		Options: []interp.Option{
			{Letter: "k", Name: "key", Help: "write the key of this peer, which others need for inviting it"},
			{Letter: "n", Name: "name", Value: "NAME", Help: "name of the invited, for the members"},
			{Letter: "t", Name: "term", Value: "TIME", Help: "how long the invitation holds (default ten years)"},
			{Letter: "o", Name: "output", Value: "FILE", Help: "write the invitation, or the key, there"},
		},
		Details: "Only moderators can invite. Whoever is invited tells them the key of the peer (invite -k), gets the\n" +
			"invitation by whatever way, and joins with accept. It is of no use without the key.\n" +
			"JSON: group_id, name, invitation; with -k: key.",
		Examples: []interp.Example{{Line: "invite -k", Text: "the key of this peer"}, {Line: "invite -n bob -o bob.txt MCowBQYDK2VwAyEA...", Text: "an invitation in a file"}},
		Run: func(_ context.Context, c *interp.Call) error {
			if c.Flag("k") {
				ident := h.peer.Identity()
				if ident == nil {
					return interp.Failf("the ID of this peer is not made of a key")
				}
				text := base64.StdEncoding.EncodeToString(ident.SPKI())
				if file := c.Value("o", ""); file != "" {
					return written(os.WriteFile(file, []byte(text+"\n"), 0o600))
				}
				c.Line(text, interp.Field{Name: "key", Value: text})
				return nil
			}
			if len(c.Args) == 0 {
				return interp.Usagef("invite wants the key of whom to invite").Try("the other one gets it by invite -k")
			}
			text := c.Args[0].Text
			if v, ok := c.Variable(c.Args[0]); ok {
				if d, ok := v.Object.(Document); ok {
					text = string(d)
				}
			}
			key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text))
			if err != nil {
				return interp.Usagef("that is no key").Try("the other one gets it by invite -k")
			}
			term, err := c.Duration("t", 0)
			if err != nil {
				return err
			}
			g := h.group()
			inv, err := g.Invite(key, c.Value("n", ""), term)
			if err != nil {
				failed := notModerator(err, "cannot invite to %s", g.Name())
				if errors.Is(err, peergroup.ErrNotClosed) {
					return interp.Because(err, "cannot invite to %s", g.Name()).Try("whoever finds it can join it; newpgrp --closed -j NAME makes one that is closed")
				}
				return failed
			}
			pem, err := inv.MarshalText()
			if err != nil {
				return interp.Because(err, "cannot print the invitation")
			}
			if file := c.Value("o", ""); file != "" {
				if err := written(os.WriteFile(file, pem, 0o600)); err != nil {
					return err
				}
				pem = nil
			}
			if c.JSON() {
				c.Row(interp.Field{Name: "group_id", Value: g.ID().String()}, interp.Field{Name: "name", Value: c.Value("n", "")},
					interp.Field{Name: "invitation", Value: string(pem)})
				return nil
			}
			c.Print(string(pem))
			return nil
		},
	}
}

func written(err error) error {
	if err != nil {
		return interp.Because(err, "cannot write it")
	}
	return nil
}

func acceptCommand(h *Host) *interp.Command {
	return &interp.Command{
		Name: "accept", Family: familyGroups, Summary: "joins a closed group by an invitation and makes it the current one",
		Args: "FILE", MinArgs: 1, MaxArgs: 1,
		Options: []interp.Option{interp.WaitOption("how long to wait for the group's rendezvous (default 3s)")},
		Details: "The invitation is a file, or a document in a variable. It must have been made for the key of this peer.\n" +
			"JSON: variable, name, group_id, role, connected.",
		Examples: []interp.Example{{Line: "accept bob.txt", Text: "joins the group that the invitation is for"}, {Line: "inv = importfile bob.txt; accept inv", Text: "the same in two steps"}},
		Run: func(ctx context.Context, c *interp.Call) error {
			wait, err := c.Duration("w", defaultWait)
			if err != nil {
				return err
			}
			var text []byte
			if v, ok := c.Variable(c.Args[0]); ok {
				if d, ok := v.Object.(Document); ok {
					text = d
				}
			}
			if text == nil {
				if text, err = os.ReadFile(c.Args[0].Text); err != nil {
					return interp.Because(err, "cannot read the invitation")
				}
			}
			inv := new(peergroup.Invitation)
			if err := inv.UnmarshalText(text); err != nil {
				return interp.Because(err, "cannot take %s", c.Args[0].Text)
			}
			g, err := h.group().Accept(ctx, inv)
			switch {
			case errors.Is(err, peergroup.ErrJoined):
				return alreadyIn(inv.Group.Name)
			case errors.Is(err, credential.ErrOtherKey):
				return interp.Because(err, "cannot join %q", inv.Group.Name).Try("invite -k tells the key of this peer")
			case err != nil:
				return interp.Because(err, "cannot join %q", inv.Group.Name)
			}
			return h.entered(ctx, c, g, wait)
		},
	}
}
