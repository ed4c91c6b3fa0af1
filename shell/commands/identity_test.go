package commands_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/identity"
	"github.com/juxta-p2p/juxta/peergroup"
	"github.com/juxta-p2p/juxta/shell/commands"
	"github.com/juxta-p2p/juxta/shell/interp"
)

// TestIdentity: the key is encrypted, copied and replaced, and compared with that of
// another peer.
func TestIdentity(t *testing.T) {
	dir := t.TempDir()
	peer, err := peergroup.Start(t.Context(), peergroup.Config{Name: "ann", Home: dir, ClientOnly: true, NoLAN: true, NoMulticast: true})
	if err != nil {
		t.Fatal(err)
	}
	defer peer.Close()
	var out bytes.Buffer
	var secrets []string
	host := commands.New(peer)
	s := interp.New(interp.Config{Commands: host.Commands(), Out: &out, Err: &out, Describe: host.Describe, ReadSecret: func(context.Context, string) (string, error) {
		if len(secrets) == 0 {
			return "", errors.New("asked too often")
		}
		next := secrets[0]
		secrets = secrets[1:]
		return next, nil
	}})
	defer s.Close()
	if err := host.Attach(s); err != nil {
		t.Fatal(err)
	}
	bob, err := identity.New(identity.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	phrase, err := identity.PeerPhrase(bob.Peer(), peer.ID())
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "copy.pem")
	for _, tt := range []struct {
		line, secrets, out string
		status             int
	}{
		{"whoami", "", "fingerprint: " + peer.Identity().Fingerprint(), 0},
		{"whoami -p " + bob.Peer().String(), "", "phrase: " + phrase, 0},
		{"whoami -p " + id.NewPeer(id.NetGroup).String(), "", "not made of a key", 1},
		{"identity export '" + file + "'", "a long sentence|another one", "not the same", 1},
		{"identity export '" + file + "'", "a long sentence|a long sentence", peer.ID().String(), 0},
		{"identity export '" + file + "'", "a long sentence|a long sentence", "exists", 1},
		{"identity export '" + file + "x'", "short|short", "passphrase", 1},
		{"identity passphrase", "first one|first one", peer.ID().String(), 0},
		{"identity passphrase", "first one|second one|second one", peer.ID().String(), 0},
		{"identity rotate tired", "", "none of routine", 2},
		{"identity rotate compromised", "second one", "reason: compromised", 0},
		{"identity passphrase", "second one||", "unencrypted from now on", 0},
		{"identity", "", "usage", 2},
		{"identity burn", "", "usage", 2},
	} {
		out.Reset()
		secrets = nil
		if tt.secrets != "" {
			secrets = strings.Split(tt.secrets, "|")
		}
		if status := s.Run(t.Context(), tt.line); status != tt.status || !strings.Contains(out.String(), tt.out) || len(secrets) > 0 {
			t.Errorf("%s: status %d, %q, %d passphrases left", tt.line, status, out.String(), len(secrets))
		}
	}
	kept, err := identity.Load(dir)
	if err != nil || kept.Peer() == peer.ID() {
		t.Fatal("the key was not replaced", err)
	}
	if all, err := identity.Handovers(dir, kept); err != nil || len(all) != 1 || all[0].Old != peer.ID() || all[0].Reason != identity.Compromised {
		t.Error(all, err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	moved, err := identity.ParseEncrypted(text, func() ([]byte, error) { return []byte("a long sentence"), nil })
	if err != nil || moved.Peer() != peer.ID() {
		t.Error(moved, err)
	}
}
