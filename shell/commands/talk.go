package commands

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/protocols/discovery"
	"github.com/juxta-p2p/juxta/protocols/pipe"
	"github.com/juxta-p2p/juxta/shell/interp"
)

func talkCommand(h *Host) *interp.Command {
	return &interp.Command{
		Name: "talk", Family: familyPipes, Summary: "chats with somebody",
		Args: "[USER [TEXT...]]", MaxArgs: -1, OptionsFirst: true,
		Options: []interp.Option{
			{Letter: "u", Name: "as", Value: "USER", Help: "speak as this user (default: the name of this peer)"},
			interp.WaitOption("how long to look for somebody (default 10s, with -search 3s)"),
			{Letter: "r", Name: "register", Value: "USER", Help: "publish a user at this peer"},
			{Name: "propagate", Help: "with -register: many peers may log in as this user, and all hear"},
			{Name: "secure", Help: "with -register: encrypted all the way, by both peers' keys"},
			{Letter: "l", Name: "login", Value: "USER", Help: "listen as this user"},
			{Name: "logout", Value: "USER", Help: "stop listening"},
			{Name: "lo", Value: "USER", Help: "the same"},
			{Letter: "f", Name: "search", Help: "list the users that can be found"},
		},
		Complete: h.completeUsers,
		Details: "An interactive shell is registered and logged in under the name of its peer from the\nstart, so talk NAME reaches it. " +
			"Without a text, every line you type is sent, until a line\nwith a single dot, or Ctrl-D. The user IP2PGRP is everybody in the current group who is\nlogged in as IP2PGRP. " +
			"What others say appears above the prompt:\n  # talk - ann to bob> hello\nJava and C shells understand each other with this one.\n" +
			"JSON: -search gives user, type, pipe_id; incoming words are notices with from, to,\nmessage, group, peer_id, proven.",
		Examples: []interp.Example{{Line: "talk ann hello, are you there?", Text: "says one thing to ann"}, {Line: "talk ann", Text: "a conversation; a dot ends it"},
			{Line: "talk -register bob; talk -login bob; talk -u bob ann", Text: "the original way, with a name of its own"}},
		Run: func(ctx context.Context, c *interp.Call) error {
			g := h.group()
			switch {
			case c.Flag("r"):
				t := advertisements.Unicast
				if c.Flag("propagate") {
					t = advertisements.Propagate
				} else if c.Flag("secure") {
					t = advertisements.UnicastSecure
				}
				return h.registerNew(ctx, c, talkKind, c.Value("r", ""), t)
			case c.Flag("l"):
				return h.login(ctx, g, c.Value("l", ""))
			case c.Flag("logout"):
				return h.logout(c.Value("logout", ""))
			case c.Flag("lo"):
				return h.logout(c.Value("lo", ""))
			case c.Flag("f"):
				return h.searchUsers(ctx, c, talkKind)
			case len(c.Args) == 0:
				return interp.Usagef("talk to whom?").Try("talk -search lists who can be found")
			}
			wait, err := c.Duration("w", dialWait)
			if err != nil {
				return err
			}
			return h.talk(ctx, c, wait)
		},
	}
}

// completeUsers lists the users in the own cache.
func (h *Host) completeUsers(_ *interp.Session, n int) []interp.Suggestion {
	if n > 0 {
		return nil
	}
	var all []interp.Suggestion
	found := h.group().Discovery().Local(discovery.Query{Kind: advertisements.Advs, Attr: "Name", Value: string(talkKind) + "*"})
	for _, p := range usersOf(found, talkKind) {
		all = append(all, interp.Suggestion{Text: talkKind.user(p), Description: "talk user"})
	}
	return all
}

// talk sends one text, or what the user types.
func (h *Host) talk(ctx context.Context, c *interp.Call, wait time.Duration) error {
	g := h.group()
	user := c.Args[0].Text
	if v, ok := c.Variable(c.Args[0]); ok {
		if p, ok := v.Object.(*advertisements.Peer); ok {
			user = p.Name
		}
	}
	me := c.Value("u", g.PeerName())
	out, err := h.dialTalk(ctx, user, wait)
	if err != nil {
		return err
	}
	defer out.Close()
	say := func(text string) error {
		short, cancel := context.WithTimeout(ctx, wait)
		defer cancel()
		if err := out.Send(short, talkMessage(me, g.Name(), text)); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return pipeError(err, "cannot reach "+user)
		}
		return nil
	}
	if len(c.Args) > 1 {
		return say(c.Text(1))
	}
	if c.HasInput() {
		for line := range c.Lines(ctx) {
			if err := say(line); err != nil {
				return err
			}
		}
		return ctx.Err()
	}
	if c.Session.ReadLine == nil {
		return interp.Usagef("talk wants a text here").Try("talk %s TEXT", user)
	}
	with := user
	if p := out.Peer(); !p.IsZero() {
		with = fmt.Sprintf("%s (%s)", user, p.Short()) // there may be others of that name
	}
	c.Notice("you talk to %s; a single dot ends", with)
	if !slices.Contains(h.loggedIn(), me) {
		c.Notice("%s is not logged in, so no answers will be heard; talk -login %s", me, me)
	}
	for {
		line, err := c.Session.ReadLine(ctx, me+" to "+user+"> ")
		switch {
		case errors.Is(err, io.EOF), err == nil && strings.TrimSpace(line) == ".":
			return nil
		case err != nil:
			return err
		case strings.TrimSpace(line) == "":
			continue
		}
		if err := say(line); err != nil {
			return err
		}
	}
}

// dialTalk opens the pipe of a user, or that of everybody.
func (h *Host) dialTalk(ctx context.Context, user string, wait time.Duration) (*pipe.Output, error) {
	if strings.EqualFold(user, everybody) {
		adv, err := everybodyPipe(h.group().ID())
		if err != nil {
			return nil, err
		}
		return h.dial(ctx, adv, wait)
	}
	o, err := h.dialUser(ctx, talkKind, user, wait, h.openPipe)
	return o.out, err
}
