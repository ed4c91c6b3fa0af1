package identity

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/juxta-p2p/juxta/core/xmldoc"
)

const (
	// SuccessionFile is the name of the file with the hand-overs of a peer itself,
	// beside its identity.
	SuccessionFile = "handovers.xml"

	// asideFile is where the old identity is kept until the new one is in its place.
	asideFile = "identity-old.pem"
)

// Rotation says how [Rotate] replaces a key. The zero value is a change of routine,
// to a key of Ed25519 kept as the old one was.
type Rotation struct {
	Algorithm  Algorithm // of the new key
	Reason     Reason    // "" means Routine
	Passphrase []byte    // of the new key; empty means that of the old one, if it has one
}

// Rotate replaces the key kept in the folder by a new one, and with it the ID of the
// peer. The hand-over from the old to the new one is kept beside it, see [Handovers],
// to be published as often as the peer starts: others follow it with a [Succession].
// A peer that runs is who it was until it starts again. One Rotate at a time: the lock
// of the home folder sees to that.
//
// A crash leaves either the old identity or the new one in its place, with all
// hand-overs that lead to it; the old key stays aside until then, and a file
// "identity-old.pem" that a crash left can be deleted. Errors are those of [Open] and
// of writing; the old identity is then still in place, but for an error of the last
// step, which wraps [ErrAside].
func Rotate(dir string, cfg Config, r Rotation) (*Identity, *Handover, error) {
	again := false // the passphrase is that of the old key, as far as it is known
	if ask := cfg.Passphrase; ask != nil {
		cfg.Passphrase = func(prompt string) ([]byte, error) {
			given, err := ask(prompt)
			if len(r.Passphrase) == 0 || again {
				r.Passphrase, again = bytes.Clone(given), true
			}
			return given, err
		}
	}
	old, err := Open(dir, cfg)
	if err != nil {
		return nil, nil, err
	}
	if r.Reason == "" {
		r.Reason = Routine
	}
	before, err := Handovers(dir, old)
	if err != nil {
		return nil, nil, err
	}
	fresh, err := New(r.Algorithm)
	if err != nil {
		return nil, nil, err
	}
	text, err := fresh.text(r.Passphrase)
	if err != nil {
		return nil, nil, err
	}
	h, err := NewHandover(old, fresh, r.Reason, int64(len(before))+1)
	if err != nil {
		return nil, nil, err
	}
	// The hand-overs first: one that leads to a key that never came into its place
	// is passed over by Handovers.
	if len(before) >= maxChain {
		before = before[1:]
	}
	doc, err := registerBounds.Marshal(&register{all: append(before, h)})
	if err != nil {
		return nil, nil, fmt.Errorf("identity: %w", err)
	}
	if err := replace(filepath.Join(dir, SuccessionFile), append(doc, '\n')); err != nil {
		return nil, nil, err
	}
	path, aside := filepath.Join(dir, File), filepath.Join(dir, asideFile)
	kept, err := readFile(path)
	if err != nil {
		return nil, nil, err
	}
	if err := replace(aside, kept); err != nil {
		return nil, nil, err
	}
	if err := replace(path, text); err != nil {
		return nil, nil, err
	}
	if err := os.Remove(aside); err != nil {
		return fresh, h, fmt.Errorf("identity: %w: %w", ErrAside, err)
	}
	return fresh, h, nil
}

// ErrAside is the cause if everything was done but the removal of the old key.
var ErrAside = errors.New("the old key is still there")

// Handovers returns the hand-overs kept in the folder that lead to the identity, the
// first first; none if it was never replaced. The error wraps [ErrFormat] if the file
// is damaged.
func Handovers(dir string, i *Identity) ([]*Handover, error) {
	path := filepath.Join(dir, SuccessionFile)
	doc, err := readFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	r := &register{}
	if err := xmldoc.Unmarshal(doc, r); err != nil {
		return nil, fmt.Errorf("identity: %w: %s: %w", ErrFormat, path, err)
	}
	var chain []*Handover
	for at, n := i.Peer(), len(r.all)-1; n >= 0; n-- {
		if h := r.all[n]; h.New == at && VerifyHandover(h) == nil {
			chain, at = append([]*Handover{h}, chain...), h.Old
		}
	}
	return chain, nil
}
