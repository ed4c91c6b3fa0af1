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
			{Name: "secure", Help: "with -register: encrypted (not served by this version)"},
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
					return interp.Failf("secure pipes are not served by this version")
				}
				return h.registerNew(ctx, c, c.Value("r", ""), t)
			case c.Flag("l"):
				return h.login(ctx, g, c.Value("l", ""))
			case c.Flag("logout"):
				return h.logout(c.Value("logout", ""))
			case c.Flag("lo"):
				return h.logout(c.Value("lo", ""))
			case c.Flag("f"):
				return h.searchUsers(ctx, c)
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
	found := h.group().Discovery().Local(discovery.Query{Kind: advertisements.Advs, Attr: "Name", Value: talkName + "*"})
	for _, p := range talkUsers(found) {
		all = append(all, interp.Suggestion{Text: strings.TrimPrefix(p.Name, talkName), Description: "talk user"})
	}
	return all
}

// registerNew registers a user, unless somebody else has the name.
func (h *Host) registerNew(ctx context.Context, c *interp.Call, user string, t advertisements.PipeType) error {
	switch {
	case user == "" || strings.Contains(user, "*"):
		return interp.Usagef("%q is no name for a user", user)
	case strings.EqualFold(user, everybody):
		return interp.Failf("%s is there always; talk -login %s", everybody, everybody)
	}
	wait, err := c.Duration("w", defaultWait)
	if err != nil {
		return err
	}
	g := h.group()
	own := h.ownPipe(g, user, t)
	var other *advertisements.Pipe
	findOne(ctx, g, discovery.Query{Kind: advertisements.Advs, Attr: "Name", Value: own.Name}, wait, func(r discovery.Result) bool {
		p, ok := r.Adv.(*advertisements.Pipe)
		if ok && p.Name == own.Name && p.ID != own.ID {
			other = p
		}
		return other != nil
	})
	if err := ctx.Err(); err != nil {
		return err
	}
	if other != nil && (t != advertisements.Propagate || other.Type != advertisements.Propagate) {
		return interp.Failf("somebody else is registered as %s already", user).Try("choose another name")
	}
	return h.register(ctx, g, user, t)
}

// searchUsers lists the users that can be found.
func (h *Host) searchUsers(ctx context.Context, c *interp.Call) error {
	wait, err := c.Duration("w", defaultWait)
	if err != nil {
		return err
	}
	found, err := collect(ctx, h.group(), discovery.Query{Kind: advertisements.Advs, Attr: "Name", Value: talkName + "*"}, wait)
	if err != nil && !errors.Is(err, discovery.ErrNobody) {
		return err
	}
	users := talkUsers(found)
	for _, p := range users {
		c.Row(interp.Field{Name: "user", Value: strings.TrimPrefix(p.Name, talkName)}, interp.Field{Name: "type", Value: string(p.Type)},
			interp.Field{Name: "pipe_id", Value: p.ID.String(), Short: p.ID.Short()})
	}
	if err := waited(ctx); err != nil {
		return err
	}
	if len(users) == 0 {
		return interp.NotFoundf("no users were found")
	}
	return nil
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
	out, err := h.dialUser(ctx, user, wait)
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

// dialUser finds the pipe of a user and opens it. Several peers may have
// published the name, some of them long ago, so the first that answers counts.
func (h *Host) dialUser(ctx context.Context, user string, wait time.Duration) (*pipe.Output, error) {
	g := h.group()
	if strings.EqualFold(user, everybody) {
		adv, err := everybodyPipe(g.ID())
		if err != nil {
			return nil, err
		}
		return h.dial(ctx, adv, wait)
	}
	short, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	type answer struct {
		out *pipe.Output
		err error
	}
	answers := make(chan answer)
	var tried []*advertisements.Pipe
	var self *advertisements.Pipe // of the same name: the last that is meant
	pending := 0
	var out *pipe.Output
	var failure error
	take := func(a answer) {
		pending--
		switch {
		case a.err != nil:
			failure = a.err
		case out == nil:
			out = a.out
			cancel()
		default:
			a.out.Close()
		}
	}
	try := func(r discovery.Result) bool {
		for _, p := range talkUsers([]discovery.Result{r}) {
			known := slices.ContainsFunc(tried, func(x *advertisements.Pipe) bool { return x.ID == p.ID })
			if known || p.Name != talkName+user || len(tried) >= maxCandidates {
				continue
			}
			if p.ID == h.ownPipe(g, user, p.Type).ID {
				self = p
				continue
			}
			tried = append(tried, p)
			pending++
			go func() { // waited for below
				o, err := g.Pipes().Dial(short, p)
				answers <- answer{o, err}
			}()
		}
		select {
		case a := <-answers:
			take(a)
		default:
		}
		return out != nil
	}
	q := discovery.Query{Kind: advertisements.Advs, Attr: "Name", Value: talkName + user}
	for _, r := range g.Discovery().Local(q) {
		try(r)
	}
	search := wait
	if self != nil {
		search = min(wait, namesakeWait)
	}
	searching := make(chan struct{})
	results := make(chan discovery.Result)
	go func() { // waited for below
		defer close(searching)
		findOne(short, g, q, search, func(r discovery.Result) bool {
			select {
			case results <- r:
			case <-short.Done():
				return true
			}
			return false
		})
	}()
	for done := false; !done || pending > 0; {
		select {
		case r := <-results:
			if out == nil {
				try(r)
			}
		case a := <-answers:
			take(a)
		case <-searching:
			done, searching = true, nil
		}
	}
	switch {
	case out != nil:
		return out, nil
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case self != nil:
		return h.dial(ctx, self, wait)
	case len(tried) == 0:
		return nil, interp.NotFoundf("nobody called %q was found in %s", user, g.Name()).Try("talk -search lists who can be found")
	case errors.Is(failure, pipe.ErrSecure):
		return nil, pipeError(failure, "cannot talk to "+user)
	}
	return nil, interp.NotFoundf("%s is known, but does not answer", user)
}

const (
	// maxCandidates bounds the pipes of one name that are tried.
	maxCandidates = 8

	// namesakeWait is how long others of the name are looked for before the user
	// of that name at this peer is meant.
	namesakeWait = 2 * time.Second
)
