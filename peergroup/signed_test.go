package peergroup_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/advertisements/credential"
	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/identity"
	"github.com/juxta-p2p/juxta/core/transport/memory"
	"github.com/juxta-p2p/juxta/peergroup"
	"github.com/juxta-p2p/juxta/protocols/discovery"
)

// withKey is the configuration of a peer in a memory network whose ID is made of a key.
func withKey(network *memory.Network, name string, seeds ...string) peergroup.Config {
	cfg := inBox(network, name, peergroup.Roles{}, seeds...)
	cfg.PeerID, cfg.AllowClaimed = id.Peer{}, true // links in memory prove nothing
	return cfg
}

// A group that refuses unsigned advertisements shows the signed one of two pipes of
// the same name.
func TestPolicyOnUnsigned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := memory.New(memory.Config{})
		start(t, inBox(network, "rdv", peergroup.Roles{Rendezvous: true}))
		ann, eve, bob := start(t, withKey(network, "ann", "rdv")), start(t, withKey(network, "eve", "rdv")), start(t, withKey(network, "bob", "rdv"))
		for _, p := range []*peergroup.Peer{ann, eve, bob} {
			leased(t, p.Net())
		}
		signed, err := ann.Net().Sign(advertisements.NewPipe(id.NetGroup, "chat", advertisements.Unicast))
		if err != nil {
			t.Fatal(err)
		}
		publish := func(p *peergroup.Peer, adv advertisements.Advertisement) {
			if err := p.Net().Discovery().Publish(t.Context(), adv, discovery.Lifetime{}); err != nil {
				t.Fatal(err)
			}
		}
		publish(ann, signed)
		publish(eve, advertisements.NewPipe(id.NetGroup, "chat", advertisements.Unicast))
		time.Sleep(time.Second)
		all := func(p *peergroup.Peer) (verdicts []advertisements.Verdict) {
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
			defer cancel()
			for r, err := range p.Net().Discovery().Find(ctx, discovery.Query{Kind: advertisements.Advs, Attr: "Name", Value: "chat"}) {
				if err != nil {
					t.Fatal(err)
				}
				verdicts = append(verdicts, r.Verdict)
			}
			return verdicts
		}
		if got := all(bob); len(got) != 2 {
			t.Errorf("taking everything bob finds %v", got)
		}
		bob.Net().SetUnsigned(advertisements.RefuseUnsigned)
		got := all(bob)
		if len(got) != 1 || !got[0].Signed || got[0].Signer.Peer != ann.ID() || got[0].Signer.Standing != credential.Proven || bob.Net().Unsigned() != advertisements.RefuseUnsigned {
			t.Errorf("bob finds %v", got)
		}
		refused := uint64(0)
		for _, m := range bob.Metrics() {
			if m.Service == "discovery" && m.Name == "dropped_unsigned" && m.Loss {
				refused += m.Value
			}
		}
		if refused == 0 {
			t.Error("no metric tells of what was refused")
		}
	})
}

func TestSignWithoutAKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := start(t, inBox(memory.New(memory.Config{}), "a", peergroup.Roles{}))
		if _, err := p.Net().Sign(advertisements.NewPipe(id.NetGroup, "chat", advertisements.Unicast)); !errors.Is(err, peergroup.ErrNoKey) {
			t.Error(err)
		}
	})
}

// A peer whose key was replaced twice is followed, and a thief's hand-over is found out.
func TestFollow(t *testing.T) {
	annHome, bobHome := t.TempDir(), t.TempDir()
	first, _, err := identity.LoadOrCreate(annHome, identity.Config{})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, _, err := identity.Rotate(annHome, identity.Config{}, identity.Rotation{}); err != nil {
			t.Fatal(err)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		network := memory.New(memory.Config{})
		home := func(name, dir string) *peergroup.Peer {
			cfg := withKey(network, name)
			cfg.Transports = []endpoint.Transport{network.Transport(memory.TransportConfig{Name: name, Segment: "lan"})}
			cfg.Roles.AdHoc = true
			cfg.Home = dir
			return start(t, cfg)
		}
		ann, bob := home("ann", annHome), home("bob", bobHome)
		ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
		defer cancel()
		now, err := bob.Follow(ctx, first.Peer())
		if err != nil || now != ann.ID() || now == first.Peer() {
			t.Fatalf("ann is now %s, %v; want %s", now, err, ann.ID())
		}
		if kept, err := identity.LoadSuccession(filepath.Join(bobHome, "succession.xml")); err != nil || len(kept.Handovers()) != 2 {
			t.Errorf("not kept: %v", err)
		}
		eve, err := identity.New(identity.Ed25519)
		if err != nil {
			t.Fatal(err)
		}
		forged, err := identity.NewHandover(first, eve, identity.Routine, 1)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := bob.Succession().Add(forged); !errors.Is(err, identity.ErrFork) {
			t.Error(err)
		}
		if now, err = bob.Follow(ctx, first.Peer()); !errors.Is(err, identity.ErrFork) || now != first.Peer() {
			t.Errorf("after a theft ann is %s, %v", now, err)
		}
	})
}

// A home whose key is encrypted, and one with a damaged register of hand-overs.
func TestEncryptedHome(t *testing.T) {
	dir := t.TempDir()
	made, _, err := identity.LoadOrCreate(dir, identity.Config{})
	if err != nil {
		t.Fatal(err)
	}
	secret := []byte("a long sentence")
	if err := identity.ChangePassphrase(dir, identity.Config{}, secret); err != nil {
		t.Fatal(err)
	}
	cfg := withKey(memory.New(memory.Config{}), "ann")
	cfg.Home = dir
	if _, err := peergroup.Start(t.Context(), cfg); !errors.Is(err, identity.ErrEncrypted) {
		t.Error(err)
	}
	cfg = withKey(memory.New(memory.Config{}), "ann")
	cfg.Home, cfg.Passphrase = dir, func(string) ([]byte, error) { return secret, nil }
	p, err := peergroup.Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if p.ID() != made.Peer() {
		t.Error("another peer came back")
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "succession.xml"), []byte("<x"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg.Transports = withKey(memory.New(memory.Config{}), "ann").Transports
	if _, err := peergroup.Start(t.Context(), cfg); !errors.Is(err, identity.ErrFormat) {
		t.Error(err)
	}
}
