package content

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/juxta-p2p/juxta/peergroup"
	"github.com/juxta-p2p/juxta/peergroup/governance"
)

// TestModeratorsWithdraw: what the moderators of a group withdraw is gone at every
// member, and comes back when they say so.
func TestModeratorsWithdraw(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		y := newYard(t)
		ann, bob := y.add("ann", Config{}), y.add("bob", Config{})
		files := map[*member]*Service{ann: New(Config{Dir: t.TempDir()}), bob: New(Config{Dir: t.TempDir()})}
		crew, err := ann.peer.Net().Create(t.Context(), peergroup.Spec{Name: "crew", Charter: &governance.Charter{}, Modules: []peergroup.Module{files[ann]}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := bob.peer.Net().Join(t.Context(), crew.Advertisement(), files[bob]); err != nil {
			t.Fatal(err)
		}
		time.Sleep(30 * time.Second)
		items, err := files[bob].Share(t.Context(), bob.write(y, "song", []byte("la la")), Description{})
		if err != nil {
			t.Fatal(err)
		}
		fetch := func() error {
			_, err := files[ann].Fetch(t.Context(), items[0].ID, FetchConfig{Folder: t.TempDir(), Patience: 5 * time.Second})
			return err
		}
		if err := fetch(); err != nil {
			t.Fatal(err)
		}
		act := governance.Act{Kind: governance.Withdraw, Content: governance.Hash(items[0].ID)}
		if _, err := crew.Governance().Propose(t.Context(), act); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		if err := fetch(); !errors.Is(err, ErrRefused) {
			t.Errorf("the moderator fetches what is withdrawn: %v", err)
		}
		if _, err := files[bob].Open(t.Context(), items[0].ID); !errors.Is(err, ErrRefused) {
			t.Errorf("a member reads what is withdrawn: %v", err)
		}
		act.Kind = governance.Reinstate
		if _, err := crew.Governance().Propose(t.Context(), act); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		if _, err := files[bob].Share(t.Context(), bob.write(y, "song", []byte("la la")), Description{}); err != nil {
			t.Errorf("what is reinstated: %v", err)
		}
		if err := fetch(); err != nil {
			t.Errorf("what is reinstated: %v", err)
		}
	})
}
