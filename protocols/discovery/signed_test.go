package discovery_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/advertisements/credential"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/identity"
	"github.com/juxta-p2p/juxta/core/transport/memory"
	"github.com/juxta-p2p/juxta/protocols/discovery"
	"github.com/juxta-p2p/juxta/protocols/resolver"
)

func signed(tb testing.TB, adv advertisements.Advertisement) (*advertisements.Signed, *identity.Identity) {
	tb.Helper()
	i, err := identity.New(identity.Ed25519)
	if err != nil {
		tb.Fatal(err)
	}
	c, err := credential.Sign(i, id.NetGroup)
	if err != nil {
		tb.Fatal(err)
	}
	s, err := advertisements.Sign(adv, i, c)
	if err != nil {
		tb.Fatal(err)
	}
	return s, i
}

// judging has a group with a policy on unsigned advertisements.
func judging(p advertisements.Policy) func(*discovery.Config) {
	return func(cfg *discovery.Config) {
		cfg.Judge = func(adv advertisements.Advertisement) (advertisements.Verdict, error) {
			return p.Judge(adv, credential.Rules{Group: id.NetGroup, Now: time.Now().Add(365 * 24 * time.Hour * 40)})
		}
	}
}

// A signed pipe is found by its name, beside the unsigned one of another peer, and the
// finder learns who signed it.
func TestSignedIsFoundByTheFieldsOfItsPayload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{})
		a, b := start(t, net, "ann", setup{segment: "lan"}), start(t, net, "bob", setup{segment: "lan"})
		chat := pipe("chat")
		whole, who := signed(t, chat)
		for _, adv := range []advertisements.Advertisement{chat, whole} {
			if err := a.disc.Publish(t.Context(), adv, discovery.Lifetime{}); err != nil {
				t.Fatal(err)
			}
		}
		for range 2 { // from afar, then from the own cache
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			saw := map[bool]discovery.Result{}
			for r, err := range b.disc.Find(ctx, discovery.Query{Kind: advertisements.Advs, Attr: "Name", Value: "chat"}) {
				if err != nil {
					t.Fatal(err)
				}
				if saw[r.Verdict.Signed] = r; len(saw) == 2 {
					break
				}
			}
			cancel()
			r, ok := saw[true]
			if !ok || len(saw) != 2 {
				t.Fatalf("found %v", saw)
			}
			if r.Adv.(*advertisements.Pipe).ID != chat.ID || r.Verdict.Signer.Peer != who.Peer() || r.Verdict.Signer.Standing != credential.Proven || !strings.Contains(string(r.Document), "jxta:SA") {
				t.Errorf("%+v", r)
			}
		}
		if s := b.disc.Stats(); s.Signed == 0 || s.DroppedUnsigned+s.DroppedBadlySigned > 0 {
			t.Errorf("%+v", s)
		}
	})
}

// A group that refuses unsigned advertisements keeps none, but for what a peer says
// about itself; wrong signatures are counted apart.
func TestUnsignedIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{})
		strict := func(cfg *discovery.Config) {
			cfg.Judge = func(adv advertisements.Advertisement) (advertisements.Verdict, error) {
				return advertisements.RefuseUnsigned.Judge(adv, credential.Rules{Group: id.NetGroup})
			}
		}
		a, b := start(t, net, "ann", setup{segment: "lan"}), start(t, net, "bob", setup{segment: "lan", config: strict})
		whole, _ := signed(t, pipe("chat"))
		bad := strings.Replace(document(t, whole), "</Credential><Signature>", "</Credential><Signature>AAAA", 1)
		other := *a.adv
		other.ID = id.PeerFromSeed(id.NetGroup, []byte("eve"))
		tell(t, a, b, &resolver.RawResponse{Body: answer(60_000, document(t, pipe("chat")), document(t, whole), bad, document(t, a.adv), document(t, &other))})
		synctest.Wait()
		s := b.disc.Stats()
		if s.Published != 2 || s.Signed != 1 || s.DroppedUnsigned != 2 || s.DroppedBadlySigned != 1 || s.DroppedMalformed != 0 {
			t.Errorf("%+v", s)
		}
		found := b.disc.Local(discovery.Query{Kind: advertisements.Advs})
		if len(found) != 1 || !found[0].Verdict.Signed {
			t.Errorf("kept %+v", found)
		}
	})
}

// What was kept while the certificate was valid is not given out as signed afterwards.
func TestSignatureExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{})
		a := start(t, net, "ann", setup{segment: "lan", config: judging(advertisements.MarkUnsigned)})
		whole, _ := signed(t, pipe("chat"))
		if err := a.disc.Publish(t.Context(), whole, discovery.Lifetime{}); err != nil {
			t.Fatal(err)
		}
		if found := a.disc.Local(discovery.Query{Kind: advertisements.Advs}); len(found) != 0 {
			t.Errorf("found %+v", found)
		}
		if s := a.disc.Stats(); s.DroppedBadlySigned != 1 {
			t.Errorf("%+v", s)
		}
	})
}
