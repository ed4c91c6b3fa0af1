package commands

import (
	"bytes"
	"context"
	"crypto/x509"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/advertisements/credential"
	"github.com/juxta-p2p/juxta/core/identity"
	"github.com/juxta-p2p/juxta/shell/interp"
)

// The commands pse.* of the original shell act on a key store with many keys. A peer here
// has one key, which makes its ID, and the founder of a group that of the group.
// So those that show, request, sign and take certificates do so with these keys;
// those that make and delete keys say what to do instead.

// maxTermDays bounds what pse.signcsr takes, so that the time can be counted.
const maxTermDays = 100 * 365

func psestatusCommand(h *Host) *interp.Command {
	return &interp.Command{
		Name: "pse.status", Family: familyGroups, Summary: "tells which keys and certificates this peer has in the current group", Complete: nothing,
		Details:  "JSON: key (algorithm of the peer's key), fingerprint, kept (where), group, membership (its kind), member,\nfounder (whether this peer has the group's key), issued, revoked (certificates).",
		Examples: []interp.Example{{Line: "pse.status", Text: "on one screen"}, {Line: "newpgrp -j --certificates team; pse.status", Text: "that of the founder of a group"}},
		Run: func(_ context.Context, c *interp.Call) error {
			i, err := h.ownKey()
			if err != nil {
				return err
			}
			kept := "nowhere: this peer has no home folder"
			if h.peer.Home() != "" {
				kept = identity.File + " in the home folder"
			}
			m := h.group().Membership()
			c.Detail(interp.Field{Name: "key", Value: i.Certificate().Leaf.PublicKeyAlgorithm.String()}, interp.Field{Name: "fingerprint", Value: i.Fingerprint()},
				interp.Field{Name: "kept", Value: kept}, interp.Field{Name: "group", Value: h.group().Name()}, interp.Field{Name: "membership", Value: m.Kind().String()},
				interp.Field{Name: "member", Value: m.Member() == nil}, interp.Field{Name: "founder", Value: m.CanInvite()},
				interp.Field{Name: "issued", Value: len(m.Issued())}, interp.Field{Name: "revoked", Value: len(m.Revocations())})
			return nil
		},
	}
}

// ownKey returns the key of which the peer's ID is made.
func (h *Host) ownKey() (*identity.Identity, error) {
	i := h.peer.Identity()
	if i == nil || i.Peer() != h.peer.ID() {
		return nil, interp.Failf("this peer's ID is not made of a key").Try("peers with a home have one: start juxta with --home DIR")
	}
	return i, nil
}

// pseCert is a certificate, and what it is for.
type pseCert struct {
	is   *x509.Certificate
	what string
}

// What certificates and keys are for.
const (
	pseOfPeer   = "peer"   // signed by the peer itself
	pseOfMember = "member" // by which this peer is a member
	pseOfGroup  = "group"  // the group's own
	pseIssued   = "issued" // by this peer, to a member
)

// pseCerts lists the certificates that this peer has in the current group, each once.
func (h *Host) pseCerts() []pseCert {
	var all []pseCert
	add := func(x *x509.Certificate, what string) {
		if x != nil && !slices.ContainsFunc(all, func(y pseCert) bool { return bytes.Equal(x.Raw, y.is.Raw) }) {
			all = append(all, pseCert{x, what})
		}
	}
	if i, err := h.ownKey(); err == nil {
		add(i.Certificate().Leaf, pseOfPeer)
	}
	m := h.group().Membership()
	for _, cred := range m.Credentials() {
		if len(cred.Chain) > 0 {
			add(cred.Chain[0], pseOfMember)
		}
	}
	add(m.Root(), pseOfGroup)
	for _, x := range m.Issued() {
		add(x, pseIssued)
	}
	return all
}

func psecertsCommand(h *Host) *interp.Command {
	return &interp.Command{
		Name: "pse.certs", Family: familyGroups, Summary: "lists the certificates that this peer has in the current group", Complete: nothing,
		Options: []interp.Option{{Letter: "l", Name: "long", Help: "with serial numbers and times"}, {Letter: "c", Name: "chain", Help: "with whoever has signed them"}},
		Details: "It leaves cert0, cert1, …; cat shows them. \"peer\" is what the peer has signed itself, \"member\" what it was\ninvited with, \"group\" the group's own, \"issued\" what this peer has given to others.\n" +
			"JSON: variable, subject, of, fingerprint, serial, since, until; with -c also issuer.\nStatus 3: there is none.",
		Examples: []interp.Example{{Line: "pse.certs", Text: "all of them"}, {Line: "pse.certs -l -c; cat -p cert0", Text: "with all that they say"}},
		Run: func(_ context.Context, c *interp.Call) error {
			c.Session.Vars.Number("cert")
			all := h.pseCerts()
			for n, x := range all {
				name := fmt.Sprint("cert", n)
				if err := c.Session.Store(name, x.is); err != nil {
					return interp.Because(err, "cannot keep the result")
				}
				fields := []interp.Field{{Name: "variable", Value: name}, {Name: "subject", Value: x.is.Subject.CommonName}, {Name: "of", Value: x.what},
					{Name: "fingerprint", Value: identity.Fingerprint(x.is.RawSubjectPublicKeyInfo)}, {Name: "serial", Value: x.is.SerialNumber.Text(16), Long: true},
					{Name: "since", Value: x.is.NotBefore, Long: true}, {Name: "until", Value: x.is.NotAfter, Long: true}}
				if c.Flag("c") {
					fields = append(fields, interp.Field{Name: "issuer", Value: x.is.Issuer.CommonName})
				}
				c.Emit(interp.Record{Wide: c.Flag("l"), Fields: fields})
			}
			if len(all) == 0 {
				return interp.NotFoundf("this peer has no certificate in %s", h.group().Name())
			}
			return nil
		},
	}
}

func psekeysCommand(h *Host) *interp.Command {
	return &interp.Command{
		Name: "pse.keys", Family: familyGroups, Summary: "lists the private keys that this peer has in the current group", Complete: nothing,
		Options: []interp.Option{{Letter: "l", Name: "long", Help: "with the IDs that are theirs"}},
		Details: "The keys themselves are never shown: identity export makes an encrypted copy of the peer's.\n" +
			"JSON: of (peer or group), name, algorithm, fingerprint, id.\nStatus 3: there is none.",
		Examples: []interp.Example{{Line: "pse.keys", Text: "the peer's, and of groups made here theirs"}, {Line: "pse.keys -l", Text: "whose they are"}},
		Run: func(_ context.Context, c *interp.Call) error {
			n := 0
			show := func(what, name, urn string, x *x509.Certificate) {
				n++
				c.Emit(interp.Record{Wide: c.Flag("l"), Fields: []interp.Field{{Name: "of", Value: what}, {Name: "name", Value: name},
					{Name: "algorithm", Value: x.PublicKeyAlgorithm.String()}, {Name: "fingerprint", Value: identity.Fingerprint(x.RawSubjectPublicKeyInfo)},
					{Name: "id", Value: urn, Long: true}}})
			}
			if i, err := h.ownKey(); err == nil {
				show(pseOfPeer, h.peer.Name(), h.peer.ID().String(), i.Certificate().Leaf)
			}
			g := h.group()
			if m := g.Membership(); m.CanInvite() && m.Root() != nil {
				show(pseOfGroup, g.Name(), g.ID().String(), m.Root())
			}
			if n == 0 {
				return interp.NotFoundf("this peer has no key").Try("peers with a home have one: start juxta with --home DIR")
			}
			return nil
		},
	}
}

func psenewcsrCommand(h *Host) *interp.Command {
	request := requestCommand(h)
	request.Name, request.Args, request.MaxArgs = "pse.newcsr", "[CREDENTIAL]", 1
	request.Summary = "prints a request for a certificate, as request does"
	request.Details += "\nWhose request it is is not asked: a peer has one key."
	request.Examples = []interp.Example{{Line: "csr = pse.newcsr", Text: "keeps it in a variable"}, {Line: "who; pse.newcsr cred0", Text: "as the original shell has it"}}
	return request
}

func psesigncsrCommand(h *Host) *interp.Command {
	return &interp.Command{
		Name: "pse.signcsr", Family: familyGroups, Summary: "signs a request with the key of the current group, as invite does",
		Args: "[CREDENTIAL] DAYS REQUEST", MinArgs: 2, MaxArgs: 3,
		Options: []interp.Option{{Letter: "n", Name: "name", Value: "NAME", Help: "name of the member in the certificate (default: of the request, its fingerprint)"}},
		Details: "REQUEST is a file or a variable. The group's key signs, whatever credential stands first. The result is for\npse.importcert, or accept, at the peer that has asked.\n" +
			"JSON: variable, name, serial, fingerprint, until.\nStatus 4: this peer may not invite.",
		Examples: []interp.Example{{Line: "pse.signcsr -n bob 365 bob.request | exportfile bob.pem", Text: "a certificate for a year", Before: withRequest},
			{Line: "who; c = pse.signcsr cred0 1 bob.request; cat c", Text: "for a day", Before: withRequest}},
		Run: func(_ context.Context, c *interp.Call) error {
			at := len(c.Args) - 2 // DAYS and REQUEST come last
			if at == 1 {
				if v, _ := c.Variable(c.Args[0]); !isCredential(v) {
					return interp.Usagef("%q is no variable with a credential", c.Args[0].Text).Try("who leaves cred0")
				}
			}
			days, err := strconv.Atoi(c.Args[at].Text)
			if err != nil || days < 1 || days > maxTermDays {
				return interp.Usagef("pse.signcsr wants a number of days from 1 to %d, not %q", maxTermDays, c.Args[at].Text)
			}
			return h.invite(c, c.Value("n", ""), c.Args[at+1], time.Duration(days)*24*time.Hour)
		},
	}
}

func isCredential(v interp.Variable) bool {
	_, ok := v.Object.(*credential.Credential)
	return ok
}

func pseimportcertCommand(h *Host) *interp.Command {
	accept := acceptCommand(h)
	return &interp.Command{
		Name: "pse.importcert", Family: familyGroups, Summary: "takes a certificate for this peer, as accept does",
		Args: "[ID] CERTIFICATE", MinArgs: 1, MaxArgs: 2, Complete: func(s *interp.Session, _ int) []interp.Suggestion { return s.Variables(classDocument, classCert) },
		Options: []interp.Option{interp.WaitOption("how long to wait for the rendezvous of a closed group (default 3s)"),
			{Letter: "t", Name: "trust", Help: "accepted as in the original shell: nothing is trusted here but what proves itself"}},
		Details: "CERTIFICATE is a file or a variable. ID, the name of a key, is not needed: a certificate says for which key it is.\n" +
			"JSON: as accept.\nStatus 4: it is for another peer or group, expired or revoked.",
		Examples: []interp.Example{{Line: "join crew; pse.importcert bob.pem", Text: "becomes a member of crew", Before: withInvitation},
			{Line: "peers; pse.importcert -t peer0", Text: "says why there is nothing to trust", Status: interp.StatusFailed},
			{Line: "join crew; pse.importcert -w 3s me bob.pem", Text: "as the original shell has it", Before: withInvitation}},
		Run: func(ctx context.Context, c *interp.Call) error {
			c.Args = c.Args[len(c.Args)-1:]
			if v, _ := c.Variable(c.Args[0]); v.Object != nil {
				if _, ok := v.Object.(*advertisements.Peer); ok {
					return interp.Failf("nothing has to be trusted: the ID of a peer is made of its key").Try("whoami -p PEER shows words to compare with its owner")
				}
			}
			return accept.Run(ctx, c)
		},
	}
}

func psedumpcredCommand(h *Host) *interp.Command {
	return &interp.Command{
		Name: "pse.dumpcred", Family: familyGroups, Summary: "prints the certificates of a credential as PEM",
		Args: "[CREDENTIAL]", MaxArgs: 1, Complete: func(s *interp.Session, _ int) []interp.Suggestion { return s.Variables(classCred) },
		Options: []interp.Option{{Letter: "a", Name: "ascii", Help: "accepted as in the original shell; PEM is that anyway"},
			{Letter: "p", Name: "private", Help: "says how to get the private key"}, {Letter: "x", Name: "password", Value: "PASSWORD", Help: "likewise"}},
		Details: "Without CREDENTIAL that which this peer shows in the current group. Private keys are not printed.\n" +
			"JSON: variable, certificates (how many).\nStatus 3: it has none.",
		Examples: []interp.Example{{Line: "who; pse.dumpcred -a cred0", Text: "the one by which this peer is a member, and the group's", Before: "newpgrp -j --certificates team"},
			{Line: "pse.dumpcred -p -x sesame", Text: "says what to do instead", Status: interp.StatusFailed}},
		Run: func(_ context.Context, c *interp.Call) error {
			if c.Flag("p") || c.Flag("x") {
				return interp.Failf("private keys are not printed").Try("identity export FILE writes this peer's, encrypted with a passphrase")
			}
			cred := h.group().Membership().Default()
			if len(c.Args) > 0 {
				v, _ := c.Variable(c.Args[0])
				var ok bool
				if cred, ok = v.Object.(*credential.Credential); !ok {
					return interp.Usagef("%q is no variable with a credential", c.Args[0].Text).Try("who leaves cred0")
				}
			}
			if cred == nil || len(cred.Chain) == 0 {
				return interp.NotFoundf("it has no certificate").Try("only groups made with newpgrp --certificates have them; pse.certs lists that of the peer")
			}
			chain := slices.Clone(cred.Chain)
			if root := h.group().Membership().Root(); root != nil && cred.Group == h.group().ID() && !slices.ContainsFunc(chain, root.Equal) {
				chain = append(chain, root)
			}
			return printed(c, []byte(pemText(chain...)), interp.Field{Name: "certificates", Value: len(chain)})
		},
	}
}

func psecreatekeyCommand(*Host) *interp.Command {
	return instead("pse.createkey", "[SUBJECT] [ID] [PASSWORD]", "a peer has one key, which makes its ID and is there from its first start",
		"identity rotate replaces it, identity passphrase protects it, newpgrp --certificates makes the key of a group",
		interp.Option{Letter: "i", Value: "CREDENTIAL", Help: "who signs"})
}

func psedupkeyCommand(*Host) *interp.Command {
	return instead("pse.dupkey", "[CREDENTIAL] [SUBJECT] [ID] [PASSWORD]", "a peer has one key and one ID, which is made of it",
		"identity export makes a copy for another machine, newpgrp and invite give the same peer other names in other groups")
}

func pseeraseCommand(*Host) *interp.Command {
	return instead("pse.erase", "[ID]", "without its key this peer would be another one, and a group without its own could not be led any more",
		"identity rotate replaces the peer's, login -r gives up a membership, revoke takes back what others were given")
}
