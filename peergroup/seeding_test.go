package peergroup_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/transport/memory"
	"github.com/juxta-p2p/juxta/core/xmldoc"
	"github.com/juxta-p2p/juxta/peergroup"
	"github.com/juxta-p2p/juxta/protocols/rendezvous/seeding"
)

// file writes a document and returns its URI.
func file(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return "file://" + path
}

func TestSeedsComeFromAList(t *testing.T) {
	list := file(t, "seeds.txt", "mem://nobody\nmem://r\n")
	synctest.Test(t, func(t *testing.T) {
		network := memory.New(memory.Config{Latency: 5 * time.Millisecond})
		start(t, inBox(network, "r", peergroup.Roles{Rendezvous: true}))
		cfg := inBox(network, "a", peergroup.Roles{})
		cfg.SeedLists = []string{list}
		a := start(t, cfg)
		leased(t, a.Net())
		if s := a.SeedLists(); len(s) != 1 || s[0].Addresses != 2 || s[0].Err != nil {
			t.Errorf("status %+v", s)
		}
		cfg = inBox(network, "b", peergroup.Roles{})
		cfg.SeedLists = []string{"ftp://somewhere/seeds"}
		if p, err := peergroup.Start(t.Context(), cfg); err == nil {
			_ = p.Close()
			t.Error("a list that cannot be loaded was taken")
		}
	})
}

func TestAccessListSaysWhoMayServe(t *testing.T) {
	good, bad := id.PeerFromSeed(id.NetGroup, []byte("good")), id.PeerFromSeed(id.NetGroup, []byte("bad"))
	doc, err := xmldoc.Marshal(&seeding.ACL{Peers: []seeding.Entry{{Peer: good}, {Peer: bad, Deny: true}}})
	if err != nil {
		t.Fatal(err)
	}
	list := file(t, "acl.xml", string(doc))
	synctest.Test(t, func(t *testing.T) {
		network := memory.New(memory.Config{Latency: 5 * time.Millisecond})
		start(t, inBox(network, "bad", peergroup.Roles{Rendezvous: true}))
		cfg := inBox(network, "a", peergroup.Roles{}, "bad", "good")
		cfg.AccessList = list
		a := start(t, cfg)
		time.Sleep(time.Minute)
		if l, ok := a.Net().Rendezvous().Lease(); ok {
			t.Fatalf("a lease from %s, which may not serve", l.Name)
		}
		cfg = inBox(network, "good", peergroup.Roles{Rendezvous: true}, "bad")
		cfg.AccessList = list
		g := start(t, cfg)
		time.Sleep(time.Minute)
		if l, ok := a.Net().Rendezvous().Lease(); !ok || l.Peer != good {
			t.Errorf("lease %+v %v", l, ok)
		}
		if v := g.Net().Rendezvous().View(); len(v) != 0 {
			t.Errorf("view %v", fmt.Sprint(v))
		}
	})
}
