package commands

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/juxta-p2p/juxta/advertisements/credential"
	"github.com/juxta-p2p/juxta/core/identity"
	"github.com/juxta-p2p/juxta/peergroup"
	"github.com/juxta-p2p/juxta/peergroup/governance"
	"github.com/juxta-p2p/juxta/peergroup/membership"
	"github.com/juxta-p2p/juxta/shell/interp"
)

// inviteFor is how long an invitation is good unless told otherwise.
const inviteFor = 365 * 24 * time.Hour

// maxPEM bounds what is read as a request or an invitation.
const maxPEM = 64 << 10

func requestCommand(h *Host) *interp.Command {
	return &interp.Command{
		Name: "request", Family: familyGroups, Summary: "prints what a founder needs to invite this peer into a group",
		Complete: nothing,
		Details: "It is this peer's public key, which is no secret. The founder should make sure that it\narrives unaltered: both can compare the fingerprint.\n" +
			"JSON: variable, fingerprint.",
		Examples: []interp.Example{{Line: "request | exportfile bob.request", Text: "writes it to a file, to be sent"}, {Line: "r = request", Text: "keeps it in a variable"}},
		Run: func(_ context.Context, c *interp.Call) error {
			i, err := h.ownKey()
			if err != nil {
				return err
			}
			return printed(c, membership.Request(i), interp.Field{Name: "fingerprint", Value: i.Fingerprint()})
		},
	}
}

func inviteCommand(h *Host) *interp.Command {
	return &interp.Command{
		Name: "invite", Family: familyGroups, Summary: "invites somebody to the current group",
		Args: "NAME REQUEST", MinArgs: 2, MaxArgs: 2,
		Options: []interp.Option{{Letter: "t", Name: "term", Value: "DURATION", Help: "for how long (default 8760h, a year)"}},
		Details: "REQUEST is a file, or a variable, with what request printed at the other peer. What is\nprinted is for accept there; nobody else can use it. Only the founder of a\ngroup with certificates can invite, and the moderators of a closed one.\n" +
			"JSON: variable, name, serial, fingerprint, until.\nStatus 4: this peer may not invite.",
		Examples: []interp.Example{{Line: "invite bob bob.request | exportfile bob.pem", Text: "an invitation for a year", Before: withRequest},
			{Line: "invite -t 24h bob bob.request", Text: "for a day", Before: withRequest}},
		Run: func(_ context.Context, c *interp.Call) error {
			term, err := c.Duration("t", inviteFor)
			if err != nil {
				return err
			}
			return h.invite(c, c.Args[0].Text, c.Args[1], term)
		},
	}
}

// invite invites whoever made a request, under a name, or that of its fingerprint if it
// is empty.
func (h *Host) invite(c *interp.Call, name string, request interp.Arg, term time.Duration) error {
	g := h.group()
	m := g.Membership()
	b, err := pemOf(c, request)
	if err != nil {
		return err
	}
	key, err := membership.ReadRequest(b)
	if err != nil {
		return interp.Because(err, "that is no request").Try("request prints one at the peer to be invited")
	}
	spki, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return interp.Because(err, "that is no key")
	}
	if name == "" {
		name = identity.Fingerprint(spki)
	}
	if isClosed(g) {
		return inviteClosed(c, g, spki, name, term)
	}
	invitation, err := m.Invite(key, name, term)
	if err != nil {
		return notFounder(err)
	}
	var x *x509.Certificate
	for _, x = range m.Issued() {
		continue // the last is the one just issued
	}
	if x == nil {
		return interp.Failf("cannot show it")
	}
	return printed(c, invitation, interp.Field{Name: "name", Value: name}, interp.Field{Name: "serial", Value: x.SerialNumber.Text(16)},
		interp.Field{Name: "fingerprint", Value: identity.Fingerprint(spki)}, interp.Field{Name: "until", Value: x.NotAfter})
}

func acceptCommand(h *Host) *interp.Command {
	return &interp.Command{
		Name: "accept", Family: familyGroups, Summary: "takes an invitation, and joins the group",
		Args: "INVITATION", MinArgs: 1, MaxArgs: 1,
		Options: []interp.Option{interp.WaitOption("how long to wait for the rendezvous of a closed group (default 3s)")},
		Details: "INVITATION is a file, or a variable, with what invite printed at the other peer. That of a\nclosed group is joined, and becomes the current one; another one must be the current\ngroup already, and the invitation is kept, so that joining it again asks for nothing.\n" +
			"JSON: of a closed group variable, name, group_id, role, connected.\nStatus 4: it is for another peer or group, expired or revoked.",
		Examples: []interp.Example{{Line: "join crew; accept bob.pem", Text: "becomes a member of crew", Before: withInvitation}, {Line: "accept club.pem", Text: "joins a closed group",
			Before: "request | exportfile me.request\nann> newpgrp --closed -j club\nann> invite me me.request | exportfile club.pem"}},
		Run: func(ctx context.Context, c *interp.Call) error {
			g := h.group()
			b, err := pemOf(c, c.Args[0])
			if err != nil {
				return err
			}
			if inv := new(peergroup.Invitation); inv.UnmarshalText(b) == nil {
				return h.acceptClosed(ctx, c, inv)
			}
			if err := g.Membership().Accept(b); err != nil {
				return interp.Deniedf("the invitation is of no use: %v", err)
			}
			a, err := g.Membership().Apply(membership.MethodKey)
			if err == nil {
				_, err = g.Membership().Join(a)
			}
			if err != nil {
				return notMember(err, g.Name())
			}
			return nil
		},
	}
}

// isClosed reports whether outsiders see nothing of a group.
func isClosed(g *peergroup.Group) bool {
	p := g.Governance()
	return p != nil && p.Charter().Mode == governance.Closed
}

// inviteClosed invites to a closed group.
func inviteClosed(c *interp.Call, g *peergroup.Group, spki []byte, name string, term time.Duration) error {
	inv, err := g.Invite(spki, name, term)
	if errors.Is(err, governance.ErrNotModerator) {
		return interp.Deniedf("only moderators of %s can invite", g.Name())
	}
	if err != nil {
		return interp.Because(err, "cannot invite")
	}
	text, err := inv.MarshalText()
	if err != nil {
		return interp.Because(err, "cannot print the invitation")
	}
	return printed(c, text, interp.Field{Name: "name", Value: name}, interp.Field{Name: "serial", Value: inv.Certificate.SerialNumber.Text(16)},
		interp.Field{Name: "fingerprint", Value: identity.Fingerprint(spki)}, interp.Field{Name: "until", Value: inv.Certificate.NotAfter})
}

// acceptClosed joins a closed group and makes it the current one.
func (h *Host) acceptClosed(ctx context.Context, c *interp.Call, inv *peergroup.Invitation) error {
	wait, err := c.Duration("w", defaultWait)
	if err != nil {
		return err
	}
	g, err := h.group().Accept(ctx, inv)
	switch {
	case errors.Is(err, peergroup.ErrJoined):
		return alreadyIn(inv.Group.Name)
	case errors.Is(err, credential.ErrOtherKey):
		return interp.Deniedf("the invitation is for another peer").Try("request prints what is needed to invite this one")
	case err != nil:
		return interp.Because(err, "cannot join %q", inv.Group.Name)
	}
	return h.entered(ctx, c, g, wait)
}

func revokeCommand(h *Host) *interp.Command {
	return &interp.Command{
		Name: "revoke", Family: familyGroups, Summary: "takes certificates of the current group back",
		Args: "NAME", MinArgs: 1, MaxArgs: -1, Complete: nothing,
		Details:  "NAME is that of the certificate, or its serial number; who -i lists them. All members\nhear of it at once, or within a minute, and then refuse whoever has it.\nJSON: name, serial.\nStatus 3: there is no such certificate. Status 4: this peer is not the founder.",
		Examples: []interp.Example{{Line: "revoke bob", Text: "takes back what bob has", Before: withInvited}, {Line: "revoke 5f1c29", Text: "one certificate, by its number", Before: withInvited, Status: interp.StatusNotFound}},
		Run: func(_ context.Context, c *interp.Call) error {
			m := h.group().Membership()
			if !m.CanInvite() {
				return notFounder(membership.ErrNoIssuer)
			}
			var all []*x509.Certificate
			for i := range c.Args {
				found := false
				for _, x := range m.Issued() {
					if name := c.Args[i].Text; x.Subject.CommonName == name || x.SerialNumber.Text(16) == name {
						all, found = append(all, x), true
					}
				}
				if !found {
					return interp.NotFoundf("no certificate is called %q", c.Args[i].Text).Try("who -i lists them")
				}
			}
			if err := m.Revoke(all...); err != nil {
				return notFounder(err)
			}
			if c.JSON() {
				for _, x := range all {
					c.Row(interp.Field{Name: "name", Value: x.Subject.CommonName}, interp.Field{Name: "serial", Value: x.SerialNumber.Text(16)})
				}
			}
			return nil
		},
	}
}

// notFounder is an error of issuing or revoking.
func notFounder(err error) error {
	if errors.Is(err, membership.ErrNoIssuer) {
		return interp.Deniedf("only the founder of a group with certificates can do that").Try("newpgrp --certificates makes such a group")
	}
	return interp.Because(err, "cannot do that")
}

// printed is a PEM as result: in a variable if there is one, else as text.
func printed(c *interp.Call, b []byte, fields ...interp.Field) error {
	if c.Named() || c.JSON() {
		return c.Made(Document(b), fmt.Sprintf("document of %d octets", len(b)), fields...)
	}
	c.Print(string(b))
	return nil
}

// pemOf reads a PEM from the variable or the file that an argument names.
func pemOf(c *interp.Call, a interp.Arg) ([]byte, error) {
	if v, ok := c.Variable(a); ok {
		if doc, ok := v.Object.(Document); ok {
			return doc, nil
		}
		return []byte(c.Session.TextOf(v.Object)), nil
	}
	f, err := os.Open(a.Text)
	if err != nil {
		return nil, interp.Because(err, "cannot read it")
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxPEM+1))
	switch {
	case err != nil:
		return nil, interp.Because(err, "cannot read it")
	case len(b) > maxPEM:
		return nil, interp.Failf("%s is larger than %d KiB", a.Text, maxPEM>>10)
	}
	return b, nil
}
