package commands

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/juxta-p2p/juxta/peergroup"
	"github.com/juxta-p2p/juxta/peergroup/governance"
	"github.com/juxta-p2p/juxta/shell/interp"
)

func banCommand(h *Host) *interp.Command {
	return &interp.Command{
		Name: "ban", Family: familyGroups, Summary: "shuts a peer out of the current group, withdraws content, or lists that",
		Args: "[PEER]", MaxArgs: 1,
		Options: []interp.Option{
			{Letter: "l", Name: "list", Help: "list who is shut out, and what waits for votes"},
			{Letter: "r", Name: "reason", Value: "TEXT", Help: "why, for the members"},
			{Letter: "t", Name: "term", Value: "TIME", Help: "for how long, such as 24h (default: for ever)"},
			{Letter: "k", Name: "key", Help: "shut out the key alone, and not the addresses it comes from"},
			{Letter: "c", Name: "content", Value: "HASH", Help: "withdraw a content instead: no member shares, gives or fetches it any more"},
			{Letter: "y", Name: "approve", Value: "ACT", Help: "vote for what another moderator has proposed"},
			{Letter: "u", Name: "undo", Value: "ACT", Help: "let in again whom an act shuts out, or take a withdrawal back"},
		},
		Complete: func(s *interp.Session, n int) []interp.Suggestion { return s.Variables(classPeerAdv) },
		Details: "The group must have been made with moderators (newpgrp --moderated or --closed), and only they can do it.\n" +
			"Every member knows within seconds and takes nothing from the peer any more, under whatever ID of its key,\n" +
			"nor from its addresses. An ACT is the beginning of its name, as ban lists it.\n" +
			"JSON: of the list act, what, reason, until, state, votes, quorum; of an act act, what, in_effect, votes, quorum.",
		Examples: []interp.Example{{Line: "ban", Text: "who is shut out of this group", Before: withModerators},
			{Line: "ban -r spam -t 24h bob", Text: "shuts a peer out for a day", Before: withModerators + "\nbob> join team"},
			{Line: "ban -y 3f9a01c2", Text: "votes for a proposal", Before: withModerators, Status: interp.StatusNotFound}, {Line: "ban -u 3f9a01c2", Text: "takes an exclusion back", Before: withModerators, Status: interp.StatusNotFound},
			{Line: "ban -c 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08 -r stolen", Text: "withdraws a file", Before: withModerators}},
		Run: func(ctx context.Context, c *interp.Call) error {
			g := h.group()
			policy := g.Governance()
			if policy == nil {
				return interp.Failf("%s has no moderators", g.Name()).Try("newpgrp --moderated -j NAME makes a group that has")
			}
			term, err := c.Duration("t", 0)
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(ctx, dialWait)
			defer cancel()
			switch {
			case c.Value("y", "") != "":
				return h.approve(ctx, c, policy, c.Value("y", ""))
			case c.Value("u", "") != "":
				return h.unban(ctx, c, policy, c.Value("u", ""))
			case c.Value("c", "") != "":
				return withdraw(ctx, c, policy, c.Value("c", ""))
			case len(c.Args) == 0 || c.Flag("l"):
				listBans(c, policy)
				return nil
			}
			who, err := h.findPeer(ctx, c, c.Args[0], defaultWait)
			if err != nil {
				return err
			}
			if who == h.peer.ID() {
				return interp.Failf("that is this peer").Try("leave leaves the group")
			}
			acts, err := g.Exclude(ctx, who, peergroup.Exclusion{Reason: c.Value("r", ""), Term: term, KeepAddress: c.Flag("k")})
			if err != nil {
				return notModerator(err, "cannot shut out %s", c.Args[0].Text)
			}
			return told(c, policy, acts)
		},
	}
}

// told writes what has become of acts.
func told(c *interp.Call, policy *governance.Service, acts []governance.ID) error {
	for _, a := range acts {
		m, err := policy.Motion(a.String())
		if err != nil {
			continue // replaced meanwhile
		}
		act := m.Act()
		state := "in effect"
		if s := policy.State(); !s.InEffect(a) {
			state = fmt.Sprintf("proposed, %d of %d votes; ban -y %s votes for it", len(m.Signers()), s.Quorum, a.Short())
		}
		c.Line(fmt.Sprintf("%s: %s, %s", a.Short(), act.String(), state), interp.Field{Name: "act", Value: a.String()}, interp.Field{Name: "what", Value: act.String()},
			interp.Field{Name: "in_effect", Value: policy.State().InEffect(a)}, interp.Field{Name: "votes", Value: len(m.Signers())}, interp.Field{Name: "quorum", Value: policy.State().Quorum})
	}
	return nil
}

// listBans lists the exclusions in force or to come, and the proposals.
func listBans(c *interp.Call, policy *governance.Service) {
	s, now := policy.State(), time.Now()
	row := func(a governance.ID, act *governance.Act, state string, until time.Time, votes int) {
		var end any = "for ever"
		if !until.IsZero() {
			end = until.UTC()
		}
		c.Row(interp.Field{Name: "act", Value: a.String(), Short: a.Short()}, interp.Field{Name: "what", Value: act.String()}, interp.Field{Name: "reason", Value: act.Reason},
			interp.Field{Name: "until", Value: end}, interp.Field{Name: "state", Value: state},
			interp.Field{Name: "votes", Value: votes}, interp.Field{Name: "quorum", Value: s.Quorum, Long: true})
	}
	for _, e := range policy.List() {
		state := "in force"
		if !e.At(now) {
			state = "to come"
		}
		row(e.ID, &e.Act, state, e.Until, len(e.By))
	}
	for _, w := range s.Withdrawals {
		row(w.ID, &governance.Act{Kind: governance.Withdraw, Content: w.Content, Reason: w.Reason}, "withdrawn", time.Time{}, len(w.By))
	}
	for _, m := range s.Proposals {
		act := m.Act()
		row(m.ID(), &act, "proposed", act.Until(), len(m.Signers()))
	}
}

// approve votes for an act.
func (h *Host) approve(ctx context.Context, c *interp.Call, policy *governance.Service, name string) error {
	m, err := policy.Motion(name)
	if err != nil {
		return unknownAct(name)
	}
	if err := policy.Approve(ctx, m.ID()); err != nil {
		return notModerator(err, "cannot vote for %s", name)
	}
	return told(c, policy, []governance.ID{m.ID()})
}

// unban ends an exclusion.
func (h *Host) unban(ctx context.Context, c *interp.Call, policy *governance.Service, name string) error {
	m, err := policy.Motion(name)
	if err != nil {
		return unknownAct(name)
	}
	undo := governance.Act{Kind: governance.Readmit, Target: m.ID()}
	if act := m.Act(); act.Kind == governance.Withdraw {
		undo = governance.Act{Kind: governance.Reinstate, Content: act.Content}
	}
	a, err := policy.Propose(ctx, undo)
	if err != nil {
		return notModerator(err, "cannot undo %s", name)
	}
	return told(c, policy, []governance.ID{a})
}

// withdraw withdraws a content.
func withdraw(ctx context.Context, c *interp.Call, policy *governance.Service, hash string) error {
	act := governance.Act{Kind: governance.Withdraw, Reason: c.Value("r", "")}
	if err := act.Content.UnmarshalText([]byte(hash)); err != nil || act.Content.IsZero() {
		return interp.Usagef("a content is named by 64 hex digits")
	}
	a, err := policy.Propose(ctx, act)
	if err != nil {
		return notModerator(err, "cannot withdraw it")
	}
	return told(c, policy, []governance.ID{a})
}

func unknownAct(name string) error {
	return interp.NotFoundf("there is no act %q, or more than one begins so", name).Try("ban -l lists them")
}

// notModerator says what to do about an error of the policy.
func notModerator(err error, format string, args ...any) error {
	failed := interp.Because(err, format, args...)
	if errors.Is(err, governance.ErrNotModerator) {
		return failed.Try("ask a moderator of the group")
	}
	return failed
}

// charterOf returns the charter that the options of newpgrp ask for; nil for none.
func charterOf(c *interp.Call) (*governance.Charter, error) {
	mode := governance.Open
	switch {
	case c.Flag("closed"):
		mode = governance.Closed
	case c.Flag("moderated"):
	default:
		return nil, nil
	}
	if !c.Flag("j") {
		return nil, interp.Usagef("a group with moderators is made and joined at once").Try("newpgrp --%s -j NAME", map[bool]string{true: "closed", false: "moderated"}[mode == governance.Closed])
	}
	return &governance.Charter{Mode: mode}, nil
}

// ownGroup makes a group with moderators and joins it.
func (h *Host) ownGroup(ctx context.Context, c *interp.Call, spec peergroup.Spec) error {
	g, err := h.group().Create(ctx, spec)
	if err != nil {
		return interp.Because(err, "cannot make %q", spec.Name)
	}
	return h.entered(ctx, c, g, 0)
}
