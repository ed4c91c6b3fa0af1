package id_test

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/juxta-p2p/juxta/core/id"
)

// TestDerivedIDs: the pipes on which the rendezvous of a group look for each
// other, which JXSE 2.5 computes and which were seen in its traffic, and content
// IDs as JXSE 2.7 makes them, which are read and kept.
func TestDerivedIDs(t *testing.T) {
	b, err := os.ReadFile("testdata/derived.json")
	if err != nil {
		t.Fatal(err)
	}
	var d struct {
		Pipes []struct {
			View string `json:"view_group"`
			In   string `json:"pipe_in_group"`
			Pipe string `json:"pipe_id"`
		} `json:"peerview_pipe_ids"`
		Contents []struct{ Kind, ID string } `json:"content_ids"`
	}
	if err := json.Unmarshal(b, &d); err != nil {
		t.Fatal(err)
	}
	if len(d.Pipes) != 2 || len(d.Contents) != 3 {
		t.Fatalf("%d pipes, %d contents", len(d.Pipes), len(d.Contents))
	}
	for _, p := range d.Pipes {
		view, err := id.ParseGroup(p.View)
		if err != nil {
			t.Fatal(err)
		}
		in, err := id.ParseGroup(p.In)
		if err != nil {
			t.Fatal(err)
		}
		seed := "PeerView" + view.Unique() + id.ClassRendezvous.String() + view.Unique()
		if got := id.PipeFromSeed(in, []byte(seed)); got.String() != p.Pipe {
			t.Errorf("the pipe of %s in %s is %s, want %s", view, in, got, p.Pipe)
		}
	}
	for _, c := range d.Contents {
		got, err := id.Parse(c.ID)
		if err != nil || got.String() != c.ID || got.Kind() != id.KindContent {
			t.Errorf("%s: %q, a %s, %v", c.Kind, got, got.Kind(), err)
		}
		if _, err := id.ParseCodat(c.ID); err == nil {
			t.Errorf("%s is taken for a codat, which JXSE 2.5 has in its place", c.Kind)
		}
	}
}

// TestWellKnownGroupsHaveOneSpelling: a peer of the net group names it by its
// octets inside its own ID, and by its name everywhere else.
func TestWellKnownGroupsHaveOneSpelling(t *testing.T) {
	for _, g := range []struct {
		group  id.Group
		octets string
	}{
		{id.NetGroup, "YabadabaNPG P2P3"},
		{id.WorldGroup, "YabadabaJxtaP2P3"},
	} {
		digits := strings.ToUpper(hex.EncodeToString([]byte(g.octets)))
		if p := id.NewPeer(g.group).String(); !strings.HasPrefix(p, "urn:jxta:uuid-"+digits) {
			t.Errorf("a peer of %s is %s", g.group, p)
		}
		for _, spelling := range []string{"uuid-" + digits + "02", "cbid-" + digits + "02", "uuid-" + strings.ToLower(digits) + "02"} {
			if got, err := id.ParseGroup("urn:jxta:" + spelling); err != nil || got != g.group {
				t.Errorf("%s is %s, %v", spelling, got, err)
			}
		}
	}
}
