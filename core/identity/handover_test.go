package identity_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/identity"
	"github.com/juxta-p2p/juxta/core/xmldoc"
)

func handover(t testing.TB, old, new *identity.Identity, why identity.Reason) *identity.Handover {
	t.Helper()
	h, err := identity.NewHandover(old, new, why, 1)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestSignFor(t *testing.T) {
	each(t, func(t *testing.T, i *identity.Identity) {
		sig, err := i.SignFor("order 1", []byte("ab"), []byte("c"))
		if err != nil {
			t.Fatal(err)
		}
		check := func(context string, parts ...string) error {
			var all [][]byte
			for _, p := range parts {
				all = append(all, []byte(p))
			}
			return identity.VerifyFor(i.PublicKey(), context, sig, all...)
		}
		if err := check("order 1", "ab", "c"); err != nil {
			t.Error(err)
		}
		for name, err := range map[string]error{
			"another purpose": check("order 2", "ab", "c"), "no purpose": check("", "ab", "c"), "divided otherwise": check("order 1", "a", "bc"),
			"joined": check("order 1", "abc"), "one more": check("order 1", "ab", "c", ""),
			"without purpose": identity.Verify(i.PublicKey(), []byte("abc"), sig),
		} {
			if !errors.Is(err, identity.ErrSignature) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if _, err := i.SignFor(""); err == nil {
			t.Error("signed for nothing")
		}
	})
}

func TestHandover(t *testing.T) {
	r, err := rsaIdentity()
	if err != nil {
		t.Fatal(err)
	}
	each(t, func(t *testing.T, old *identity.Identity) {
		fresh := newIdentity(t)
		h := handover(t, old, fresh, identity.Moved)
		doc, err := xmldoc.Marshal(h)
		if err != nil {
			t.Fatal(err)
		}
		got := &identity.Handover{}
		if err := xmldoc.Unmarshal(doc, got); err != nil {
			t.Fatal(err)
		}
		if err := identity.VerifyHandover(got); err != nil {
			t.Error(err)
		}
		again, err := xmldoc.Marshal(got)
		if err != nil || !bytes.Equal(again, doc) || !got.Time.Equal(h.Time) || got.Reason != identity.Moved {
			t.Errorf("read and printed again it is %s (%v)", again, err)
		}
		if !got.Old.Proves(got.OldKey()) || !got.New.Proves(got.NewKey()) || got.New != fresh.Peer() {
			t.Error("other keys than it says")
		}
	})
	ann, bob, eve := newIdentity(t), newIdentity(t), newIdentity(t)
	for name, f := range map[string]func(h *identity.Handover){
		"another peer before":   func(h *identity.Handover) { h.Old = eve.Peer() },
		"another peer after":    func(h *identity.Handover) { h.New = eve.Peer() },
		"another reason":        func(h *identity.Handover) { h.Reason = identity.Compromised },
		"no reason":             func(h *identity.Handover) { h.Reason = "" },
		"another time":          func(h *identity.Handover) { h.Time = h.Time.Add(1e9) },
		"another serial":        func(h *identity.Handover) { h.Serial++ },
		"no serial":             func(h *identity.Handover) { h.Serial = 0 },
		"back to itself":        func(h *identity.Handover) { h.New = h.Old },
		"a peer without a key":  func(h *identity.Handover) { h.Old = id.NewPeer(id.NetGroup) },
		"nothing":               func(h *identity.Handover) { *h = identity.Handover{} },
		"keys the wrong way":    func(h *identity.Handover) { h.Old, h.New = h.New, h.Old },
		"another's whole claim": func(h *identity.Handover) { *h = swapSignatures(t, h, handover(t, eve, bob, identity.Routine)) },
	} {
		h := handover(t, ann, bob, identity.Routine)
		f(h)
		if err := identity.VerifyHandover(h); !errors.Is(err, identity.ErrHandover) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := identity.VerifyHandover(nil); !errors.Is(err, identity.ErrHandover) {
		t.Error(err)
	}
	if _, err := identity.NewHandover(ann, ann, identity.Routine, 1); !errors.Is(err, identity.ErrHandover) {
		t.Error(err)
	}
	if _, err := identity.NewHandover(ann, r, identity.Routine, 0); !errors.Is(err, identity.ErrHandover) {
		t.Error(err)
	}
}

// swapSignatures gives the one document the old signature of the other.
func swapSignatures(t *testing.T, h, from *identity.Handover) identity.Handover {
	t.Helper()
	part := func(h *identity.Handover) (before, sig, after string) {
		doc, err := xmldoc.Marshal(h)
		if err != nil {
			t.Fatal(err)
		}
		before, rest, _ := strings.Cut(string(doc), "<OldSignature>")
		sig, after, _ = strings.Cut(rest, "</OldSignature>")
		return before, sig, after
	}
	before, _, after := part(h)
	_, sig, _ := part(from)
	var got identity.Handover
	if err := xmldoc.Unmarshal([]byte(before+"<OldSignature>"+sig+"</OldSignature>"+after), &got); err != nil {
		t.Fatal(err)
	}
	return got
}

func TestSuccession(t *testing.T) {
	var peers []*identity.Identity
	for range 6 {
		peers = append(peers, newIdentity(t))
	}
	p := func(n int) id.Peer { return peers[n].Peer() }
	var s identity.Succession
	for _, n := range []int{2, 0, 1} { // in whatever order
		if fresh, err := s.Add(handover(t, peers[n], peers[n+1], identity.Routine)); err != nil || !fresh {
			t.Fatal(fresh, err)
		}
	}
	for n, want := range []int{3, 3, 3, 3, 4} {
		if got, err := s.Present(p(n)); err != nil || got != p(want) {
			t.Errorf("%d is now %s, want %d (%v)", n, got, want, err)
		}
	}
	if way, err := s.Way(p(0)); err != nil || len(way) != 3 || way[0].Old != p(0) || way[2].New != p(3) {
		t.Error(way, err)
	}
	if fresh, err := s.Add(handover(t, peers[0], peers[1], identity.Compromised)); err != nil || fresh {
		t.Error("the same again:", fresh, err)
	}
	if _, err := s.Add(handover(t, peers[3], peers[0], identity.Routine)); !errors.Is(err, identity.ErrLoop) {
		t.Error("a loop:", err)
	}
	if _, err := s.Add(&identity.Handover{}); !errors.Is(err, identity.ErrHandover) {
		t.Error("none:", err)
	}
	if s.Compromised(p(1)) {
		t.Error("compromised without a cause")
	}

	// A thief of the key of 1 names 4.
	fresh, err := s.Add(handover(t, peers[1], peers[4], identity.Routine))
	var fork *identity.ForkError
	if !fresh || !errors.As(err, &fork) || !errors.Is(err, identity.ErrFork) || !cmp.Equal(fork.Successors, []id.Peer{p(2), p(4)}, cmp.Comparer(func(a, b id.Peer) bool { return a == b })) {
		t.Fatal(fresh, err)
	}
	if got, err := s.Present(p(0)); !errors.Is(err, identity.ErrFork) || got != p(1) {
		t.Errorf("stops at %s, %v", got, err)
	}
	if !s.Compromised(p(1)) {
		t.Error("not compromised")
	}
	if _, err := s.Add(handover(t, peers[4], peers[1], identity.Routine)); !errors.Is(err, identity.ErrLoop) {
		t.Error("a loop through the other branch:", err)
	}
	if err := s.Settle(p(1), p(5)); !errors.Is(err, identity.ErrHandover) {
		t.Error(err)
	}
	if err := s.Settle(p(1), p(2)); err != nil {
		t.Fatal(err)
	}

	// On disk.
	path := filepath.Join(t.TempDir(), "known.xml")
	for range 2 {
		if err := s.Save(path); err != nil {
			t.Fatal(err)
		}
	}
	back, err := identity.LoadSuccession(path)
	if err != nil || len(back.Handovers()) != 4 {
		t.Fatal(back.Handovers(), err)
	}
	if got, err := back.Present(p(0)); err != nil || got != p(3) || !back.Compromised(p(1)) {
		t.Error(got, err)
	}
	doc, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for n := 0; n < len(doc)-2; n += 7 {
		if err := os.WriteFile(path, doc[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := identity.LoadSuccession(path); !errors.Is(err, identity.ErrFormat) {
			t.Fatalf("cut at %d: %v", n, err)
		}
	}
	altered := bytes.Replace(doc, []byte("<Reason>routine"), []byte("<Reason>roufine"), 1)
	if err := os.WriteFile(path, altered, 0o600); err != nil {
		t.Fatal(err)
	}
	if back, err = identity.LoadSuccession(path); err != nil || len(back.Handovers()) != 3 {
		t.Errorf("with one altered there are %d (%v)", len(back.Handovers()), err)
	}
	if _, err := identity.LoadSuccession(path + "x"); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

func TestSuccessionIsBounded(t *testing.T) {
	ann := newIdentity(t)
	var s identity.Succession
	for range identity.MaxSuccessors {
		if _, err := s.Add(handover(t, ann, newIdentity(t), identity.Routine)); err != nil && !errors.Is(err, identity.ErrFork) {
			t.Fatal(err)
		}
	}
	if _, err := s.Add(handover(t, ann, newIdentity(t), identity.Routine)); !errors.Is(err, identity.ErrFull) {
		t.Error("successors:", err)
	}
	to := newIdentity(t) // many into one is no fork
	for len(s.Handovers()) < identity.MaxHandovers {
		if _, err := s.Add(handover(t, newIdentity(t), to, identity.Routine)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Add(handover(t, newIdentity(t), to, identity.Routine)); !errors.Is(err, identity.ErrFull) {
		t.Error("all:", err)
	}
	path := filepath.Join(t.TempDir(), "full.xml")
	if err := s.Save(path); err != nil {
		t.Fatal(err)
	}
	if back, err := identity.LoadSuccession(path); err != nil || len(back.Handovers()) != identity.MaxHandovers {
		t.Error(err)
	}
}

func TestRotate(t *testing.T) {
	dir := t.TempDir()
	first, _, err := identity.LoadOrCreate(dir, identity.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if all, err := identity.Handovers(dir, first); err != nil || len(all) != 0 {
		t.Error(all, err)
	}
	asked := 0
	cfg := says(&asked, "wrong wrong", string(secret), string(secret))
	second, h, err := identity.Rotate(dir, cfg, identity.Rotation{Passphrase: secret})
	if err != nil || h.Old != first.Peer() || h.New != second.Peer() || h.Serial != 1 || h.Reason != identity.Routine || asked != 0 {
		t.Fatal(h, err)
	}
	before, err := os.ReadFile(filepath.Join(dir, identity.File))
	if err != nil || !identity.IsEncrypted(before) {
		t.Error("the new key is not encrypted", err)
	}
	third, h, err := identity.Rotate(dir, cfg, identity.Rotation{Reason: identity.Compromised})
	if err != nil || h.Serial != 2 || asked != 2 {
		t.Fatal(h, asked, err)
	}
	if kept, err := identity.Open(dir, cfg); err != nil || kept.Peer() != third.Peer() { // with the same passphrase
		t.Fatal(kept, err)
	}
	all, err := identity.Handovers(dir, third)
	if err != nil || len(all) != 2 || all[0].Old != first.Peer() || all[1].New != third.Peer() {
		t.Fatal(all, err)
	}
	var s identity.Succession
	for _, h := range all {
		if _, err := s.Add(h); err != nil {
			t.Error(err)
		}
	}
	if got, err := s.Present(first.Peer()); err != nil || got != third.Peer() {
		t.Error(got, err)
	}

	// A crash just before the new key came into its place.
	if err := os.WriteFile(filepath.Join(dir, identity.File), before, 0o600); err != nil {
		t.Fatal(err)
	}
	if all, err := identity.Handovers(dir, second); err != nil || len(all) != 1 || all[0].New != second.Peer() {
		t.Error("after a crash:", all, err)
	}
	asked = 1 // the right one comes next
	again, h, err := identity.Rotate(dir, cfg, identity.Rotation{})
	if err != nil || h.Serial != 2 {
		t.Fatal(h, err)
	}
	if all, err = identity.Handovers(dir, again); err != nil || len(all) != 2 {
		t.Error(all, err)
	}
	names, err := os.ReadDir(dir)
	if err != nil || len(names) != 2 {
		t.Error("left behind:", names, err)
	}
	if _, _, err := identity.Rotate(dir, identity.Config{}, identity.Rotation{}); !errors.Is(err, identity.ErrEncrypted) {
		t.Error(err)
	}
	if _, _, err := identity.Rotate(t.TempDir(), cfg, identity.Rotation{}); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

func TestPhrase(t *testing.T) {
	a, b := newIdentity(t).SPKI(), newIdentity(t).SPKI()
	one := identity.Phrase(a, b)
	if one != identity.Phrase(b, a) {
		t.Error("the two read different words")
	}
	if len(strings.Fields(one)) != identity.PhraseWords || one == identity.Phrase(a, a) {
		t.Error(one)
	}
	if got, want := identity.Phrase([]byte("ann"), []byte("bob")), "lettuce glacier mitten hockey clover hockey kiwi butter"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestPeerPhrase(t *testing.T) {
	a, b := newIdentity(t).Peer(), newIdentity(t).Peer()
	one, err := identity.PeerPhrase(a, b)
	if err != nil {
		t.Fatal(err)
	}
	if other, err := identity.PeerPhrase(b, a); err != nil || other != one || len(strings.Fields(one)) != identity.PhraseWords {
		t.Errorf("%q and %q, %v", one, other, err)
	}
	if _, err := identity.PeerPhrase(a, id.NewPeer(id.NetGroup)); !errors.Is(err, identity.ErrUnprovable) {
		t.Error(err)
	}
}

func FuzzHandover(f *testing.F) {
	h := handover(f, newIdentity(f), newIdentity(f), identity.Routine)
	doc, err := xmldoc.Marshal(h)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(doc)
	for n := range doc {
		if n%16 == 0 {
			f.Add(doc[:n])
		}
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		h := &identity.Handover{}
		if xmldoc.Unmarshal(doc, h) != nil {
			return
		}
		_ = identity.VerifyHandover(h)
		again, err := xmldoc.Marshal(h)
		if err != nil {
			t.Fatal(err)
		}
		if err := xmldoc.Unmarshal(again, &identity.Handover{}); err != nil {
			t.Fatal(err)
		}
	})
}

func BenchmarkVerifyHandover(b *testing.B) {
	h := handover(b, newIdentity(b), newIdentity(b), identity.Routine)
	for b.Loop() {
		if err := identity.VerifyHandover(h); err != nil {
			b.Fatal(err)
		}
	}
}
