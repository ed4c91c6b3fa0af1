package commands

import (
	"bytes"
	"context"
	"errors"
	"os"
	"slices"

	"github.com/juxta-p2p/juxta/core/identity"
	"github.com/juxta-p2p/juxta/shell/interp"
)

func identityCommand(h *Host) *interp.Command {
	words := []string{"export", "passphrase", "rotate"}
	return &interp.Command{
		Name: "identity", Family: familyPeers, Summary: "takes care of the key that makes this peer who it is",
		Args: "export FILE | passphrase | rotate [routine|moved|compromised]", MinArgs: 1, MaxArgs: 2, File: func(n int) bool { return n == 1 },
		Complete: func(_ *interp.Session, n int) []interp.Suggestion {
			if n > 0 {
				return nil
			}
			var all []interp.Suggestion
			for _, w := range words {
				all = append(all, interp.Suggestion{Text: w})
			}
			return all
		},
		Details: "export writes the key, encrypted with a passphrase that is asked for, to a new file; put\nthat as identity.pem into the home folder of the machine that the peer moves to.\n" +
			"passphrase has the kept key encrypted with another one, or none. rotate makes a new key\nand so a new ID, at the next start; others can follow, since both keys sign that.\n" +
			"JSON: peer_id, and with rotate: new_id, reason, serial.",
		Examples: []interp.Example{{Line: "identity passphrase", Text: "asks for the old and the new one", Before: "| open sesame\n| open sesame"}, {Line: "identity rotate compromised", Text: "when others may have the key"}},
		Run: func(ctx context.Context, c *interp.Call) error {
			i := h.peer.Identity()
			if i == nil || i.Peer() != h.peer.ID() {
				return interp.Failf("this peer has no key that makes its ID")
			}
			switch what := c.Args[0].Text; {
			case what == "export" && len(c.Args) == 2:
				return exportIdentity(ctx, c, i, c.Text(1))
			case h.peer.Home() == "" && slices.Contains(words, what):
				return interp.Failf("this peer has no home folder, so its key is not kept")
			case what == "passphrase" && len(c.Args) == 1:
				return h.changePassphrase(ctx, c)
			case what == "rotate":
				return h.rotate(ctx, c, identity.Reason(c.Text(1)))
			}
			return interp.Usagef("identity wants to know what to do").Try("usage: %s", c.Command.Usage())
		},
	}
}

// secret asks for something that is not shown.
func secret(ctx context.Context, c *interp.Call, prompt string) ([]byte, error) {
	if c.Session.ReadSecret == nil {
		return nil, interp.Failf("there is nobody to ask for a passphrase")
	}
	text, err := c.Session.ReadSecret(ctx, prompt+": ")
	return []byte(text), err
}

// newSecret asks twice.
func newSecret(ctx context.Context, c *interp.Call, prompt string) ([]byte, error) {
	first, err := secret(ctx, c, prompt)
	if err != nil {
		return nil, err
	}
	second, err := secret(ctx, c, "once more")
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(first, second) {
		return nil, interp.Failf("the two are not the same")
	}
	return first, nil
}

func exportIdentity(ctx context.Context, c *interp.Call, i *identity.Identity, file string) error {
	passphrase, err := newSecret(ctx, c, "passphrase of the copy")
	if err != nil {
		return err
	}
	text, err := i.Export(passphrase)
	if err != nil {
		return interp.Because(err, "cannot export the key")
	}
	const mode = 0o600
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return interp.Because(err, "cannot write it")
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return interp.Because(err, "cannot write it")
	}
	c.Detail(interp.Field{Name: "peer_id", Value: i.Peer().String()})
	return nil
}

func (h *Host) changePassphrase(ctx context.Context, c *interp.Call) error {
	var old []byte
	cfg := identity.Config{Passphrase: func(prompt string) (given []byte, err error) {
		old, err = secret(ctx, c, prompt)
		return old, err
	}}
	if _, err := identity.Open(h.peer.Home(), cfg); err != nil { // before anybody thinks of a new one
		return interp.Because(err, "cannot read the key")
	}
	passphrase, err := newSecret(ctx, c, "new passphrase, or nothing")
	if err != nil {
		return err
	}
	cfg.Passphrase = func(string) ([]byte, error) { return old, nil }
	if err := identity.ChangePassphrase(h.peer.Home(), cfg, passphrase); err != nil {
		return interp.Because(err, "cannot change the passphrase")
	}
	if len(passphrase) == 0 {
		c.Notice("the key is kept unencrypted from now on")
	}
	c.Detail(interp.Field{Name: "peer_id", Value: h.peer.ID().String()})
	return nil
}

func (h *Host) rotate(ctx context.Context, c *interp.Call, why identity.Reason) error {
	if why != "" && why != identity.Routine && why != identity.Moved && why != identity.Compromised {
		return interp.Usagef("%q is none of routine, moved, compromised", string(why))
	}
	cfg := identity.Config{Passphrase: func(prompt string) ([]byte, error) { return secret(ctx, c, prompt) }}
	i, hand, err := identity.Rotate(h.peer.Home(), cfg, identity.Rotation{Reason: why})
	switch {
	case errors.Is(err, identity.ErrAside):
		c.Notice("%v", err)
	case err != nil:
		return interp.Because(err, "cannot replace the key")
	}
	c.Notice("this peer is another one when it starts again; until then it is who it was")
	c.Detail(interp.Field{Name: "peer_id", Value: hand.Old.String()}, interp.Field{Name: "new_id", Value: i.Peer().String()},
		interp.Field{Name: "reason", Value: string(hand.Reason)}, interp.Field{Name: "serial", Value: hand.Serial})
	return nil
}
