package governance_test

import (
	"bytes"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/juxta-p2p/juxta/advertisements/credential"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/xmldoc"
	"github.com/juxta-p2p/juxta/peergroup"
	"github.com/juxta-p2p/juxta/peergroup/governance"
	"github.com/juxta-p2p/juxta/peergroup/peergrouptest"
)

// sworn is a member of a closed group.
type sworn struct {
	*member
	lobby *governance.Lobby
	ring  *governance.Keyring
	keys  *governance.Exchange
}

// swear has a member take part in the exchange of secrets. Those who show no
// credential of the group are not admitted.
func swear(t testing.TB, m *member, all *atomic.Pointer[[]*sworn], first, member bool) *sworn {
	t.Helper()
	s := &sworn{member: m}
	var err error
	if s.lobby, err = governance.NewLobby(m.Net().Resolver()); err != nil {
		t.Fatal(err)
	}
	if s.ring, err = governance.NewKeyring(governance.KeyringConfig{Group: crew}); err != nil {
		t.Fatal(err)
	}
	own := m.Peer().Identity()
	cfg := governance.ExchangeConfig{
		Lobby: s.lobby, Keyring: s.ring, Identity: own, First: first,
		Policy: func() *governance.Service { return m.policy },
		Admit: func(p id.Peer, _ []byte, n xmldoc.Node) error {
			c, err := credential.Parse(n)
			if err != nil {
				return err
			}
			if c.Kind != credential.Certificate {
				return errors.New("not a certificate")
			}
			_, err = c.Verify(credential.Rules{Group: crew, Peer: p})
			return err
		},
		Members: func() (list []id.Peer) {
			for _, o := range *all.Load() {
				list = append(list, o.ID())
			}
			return list
		},
	}
	if member {
		c, err := credential.Sign(own, crew)
		if err != nil {
			t.Fatal(err)
		}
		node, err := c.Node()
		if err != nil {
			t.Fatal(err)
		}
		cfg.Credential = func() xmldoc.Node { return node }
	}
	if s.keys, err = governance.NewExchange(cfg); err != nil {
		t.Fatal(err)
	}
	return s
}

// wire remembers everything that crosses links.
type wire struct {
	mu  sync.Mutex
	all bytes.Buffer
	on  bool
}

func (w *wire) tap(_, _ string, body []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.on && bytes.Contains(body, []byte("juxta.keys")) {
		w.all.Write(body)
	}
}

// closedCrew is a network of closed members with keys of their own.
func closedCrew(t testing.TB, rdv, edges int) ([]*sworn, *wire) {
	t.Helper()
	w := new(wire)
	_, members := crewOf(t, peergrouptest.Config{
		Rendezvous: rdv, Edges: edges, Latency: 20 * time.Millisecond, Seed: 9, Tap: w.tap,
		Configure: func(c *peergroup.Config) { c.PeerID, c.Identity, c.AllowClaimed = id.Peer{}, fresh(), true },
	}, crewAdvertisement(t, 3, 1), nil)
	w.mu.Lock()
	w.on = true
	w.mu.Unlock()
	all := new(atomic.Pointer[[]*sworn])
	all.Store(new([]*sworn))
	var list []*sworn
	for i, m := range members {
		list = append(list, swear(t, m, all, i == 0, true))
	}
	all.Store(&list)
	t.Cleanup(func() {
		for _, s := range list {
			s.keys.Close()
			s.lobby.Close()
		}
	})
	return list, w
}

// inEpoch waits until all are in the same epoch, of at least that number.
func inEpoch(t testing.TB, most time.Duration, number uint64, all []*sworn) time.Duration {
	t.Helper()
	began := time.Now()
	for {
		missing, hashes := "", map[governance.Hash]bool{}
		for _, s := range all {
			e, ok := s.ring.Epoch()
			if !s.Up() {
				continue
			}
			if !ok || e.Number() < number {
				missing += " " + s.Name()
				continue
			}
			hashes[e.Hash()] = true
		}
		if missing == "" && len(hashes) == 1 {
			return time.Since(began)
		}
		if time.Since(began) > most {
			t.Fatalf("after %v not in epoch %d: %s, %d epochs", most, number, missing, len(hashes))
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func TestTheExcludedDoNotGetTheNewSecret(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all, w := closedCrew(t, 2, 18)
		t.Log("first secret after", inEpoch(t, 30*time.Second, 1, all))
		for i := range 10 { // everybody reads everybody
			sealed, err := all[i].ring.Seal([]byte("hello"), nil)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := all[19-i].ring.Open(sealed, nil); err != nil {
				t.Fatal(err)
			}
		}
		bad, moderator := all[10], all[2]
		if _, err := moderator.policy.Propose(t.Context(), governance.Act{Kind: governance.Exclude, Key: bad.Peer().Identity().SPKI(), Reason: "leaks"}); err != nil {
			t.Fatal(err)
		}
		if err := moderator.Kill(); err != nil { // its proposal is spread on return
			t.Fatal(err)
		}
		others := append(append([]*sworn{}, all[:10]...), all[11:]...)
		took := inEpoch(t, time.Minute, 2, others)
		t.Log("new secret after", took)
		if e, _ := bad.ring.Epoch(); e.Number() != 1 {
			t.Fatalf("the excluded member is in %v", e)
		}
		time.Sleep(35 * time.Second)
		sealed, err := all[3].ring.Seal([]byte("without you"), nil)
		if err != nil {
			t.Fatal(err)
		}
		var unknown *governance.EpochError
		if _, err := bad.ring.Open(sealed, nil); !errors.As(err, &unknown) {
			t.Fatalf("the excluded member reads on: %v", err)
		}
		bad.keys.Want()
		sealed, err = bad.ring.Seal([]byte("let me in"), nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := all[3].ring.Open(sealed, nil); !errors.Is(err, governance.ErrStale) {
			t.Fatalf("what the excluded member seals is read: %v", err)
		}
		time.Sleep(time.Minute)
		if e, _ := bad.ring.Epoch(); e.Number() != 1 {
			t.Fatalf("the excluded member got %v", e)
		}
		// Nothing on the wire names the group.
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.all.Len() == 0 {
			t.Fatal("nothing was tapped")
		}
		for _, part := range []string{crew.Unique(), crew.String(), strings.ToLower(crew.Unique()), crewName} {
			if bytes.Contains(w.all.Bytes(), []byte(part)) {
				t.Errorf("%q shows on the wire", part)
			}
		}
	})
}

func TestWhoIsNotAdmittedGetsNoSecret(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all, _ := closedCrew(t, 1, 4)
		inEpoch(t, 30*time.Second, 1, all)
		outsider := all[4]
		outsider.keys.Close()
		outsider.lobby.Close()
		synctest.Wait()
		list := all[:4]
		others := new(atomic.Pointer[[]*sworn])
		others.Store(&list)
		none := swear(t, outsider.member, others, false, false)
		defer func() { none.keys.Close(); none.lobby.Close() }()
		time.Sleep(30 * time.Second)
		if e, ok := none.ring.Epoch(); ok {
			t.Fatalf("one without credential got %v", e)
		}
		var refused uint64
		for _, s := range list {
			refused += s.keys.Stats().RefusedMembers
		}
		if refused == 0 {
			t.Fatal("nobody was asked")
		}
	})
}

func TestARevocationMakesANewSecret(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all, _ := closedCrew(t, 1, 5)
		inEpoch(t, 30*time.Second, 1, all)
		for _, s := range all {
			s.keys.Renew()
		}
		inEpoch(t, time.Minute, 2, all)
		time.Sleep(time.Minute)
		for _, s := range all {
			if e, _ := s.ring.Epoch(); e.Number() != 2 {
				t.Fatalf("%s is in %v", s.Name(), e)
			}
		}
	})
}
