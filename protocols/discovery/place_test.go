package discovery_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/transport/memory"
	"github.com/juxta-p2p/juxta/protocols/discovery"
	"github.com/juxta-p2p/juxta/protocols/rendezvous"
)

// Four rendezvous that know each other: what an edge of one announces is found by
// edges of the others through the copies, and so is what a rendezvous has.
func TestReplicasAmongRendezvous(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := group(t, 4, 1)
		rdvs, edges := n.rdvs, n.edges
		want := []string{}
		for i := range 12 {
			name := fmt.Sprint("pipe ", string(rune('a'+i)))
			want = append(want, name)
			publish(t, edges[0], discovery.Lifetime{}, name)
		}
		publish(t, rdvs[0], discovery.Lifetime{}, "rendezvous's")
		publish(t, rdvs[0], discovery.Lifetime{Remote: -1}, "private")
		settle()
		for _, name := range append(want, "rendezvous's") {
			for _, p := range []*peer{edges[1], edges[2], edges[3], rdvs[1], rdvs[2], rdvs[3]} {
				q := byName(name)
				q.RemoteOnly = true
				expect(t, p, soon, q, name)
			}
		}
		expect(t, edges[1], soon, byName("private"), "")
		// Nobody but a rendezvous copies, and only in its place.
		index(t, edges[1], rdvs[2], claim(edges[0].id, 0, "Name", "bait", 60000))
		settle()
		if n := rdvs[2].disc.Stats().DroppedForeignIndex; n != 1 {
			t.Errorf("%d index messages of strangers dropped", n)
		}
		// What is withdrawn is withdrawn there too.
		if err := edges[0].disc.Remove(t.Context(), pipe(want[0])); err != nil {
			t.Fatal(err)
		}
		if err := rdvs[0].disc.Remove(t.Context(), pipe("rendezvous's")); err != nil {
			t.Fatal(err)
		}
		settle()
		asked := edges[0].disc.Stats().Queries
		q := byName(want[0])
		q.RemoteOnly = true
		for _, p := range edges[1:] {
			_, _ = look(p, soon, q)
		}
		if n := edges[0].disc.Stats().Queries; n != asked {
			t.Errorf("%d queries for what was withdrawn", n-asked)
		}
		for i, r := range rdvs {
			if st := r.disc.Stats(); st.UnsentEntries+st.DroppedRefused+st.DroppedOverBudget > 0 {
				t.Errorf("rendezvous %d: %+v", i, st)
			}
		}
	})
}

// A large answer is cut to what fits in a message.
func TestLargeAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, _, e := star(t, "ann", "bob")
		for i := range 30 {
			ad := pipe(fmt.Sprint("large ", i))
			ad.Desc = strings.Repeat("<&>", 2000)
			if err := e[0].disc.Publish(t.Context(), ad, discovery.Lifetime{}); err != nil {
				t.Fatal(err)
			}
		}
		settle()
		q := byName("large*")
		q.RemoteOnly = true
		found, err := look(e[1], soon, q)
		if err != nil || len(found) == 0 || len(found) == 30 {
			t.Errorf("%d found, %v", len(found), err)
		}
		if st := e[0].disc.Stats(); st.Unsent > 0 {
			t.Errorf("%+v", st)
		}
		for _, r := range found {
			if r.Adv.(*advertisements.Pipe).Desc != strings.Repeat("<&>", 2000) {
				t.Error("the text is another")
			}
		}
	})
}

// An edge announces whatever it has of a kind in one message, as JXSE does.
func TestLargeAnnouncements(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{})
		rdv := start(t, net, "rdv", setup{role: rendezvous.Rendezvous})
		edge := start(t, net, "edge", setup{seeds: []string{"rdv"}})
		connected(t, edge) // else it depends on the scheduler how much is there when the lease comes
		settle()
		before := edge.disc.Stats().Pushed
		for i := range 900 {
			publish(t, edge, discovery.Lifetime{}, fmt.Sprint("p", i))
		}
		g := &advertisements.Group{
			ID: id.GroupFromSeed(id.NetGroup, []byte("g")), Spec: id.SpecGenericGroup, Name: "g", Desc: strings.Repeat("long ", 1000),
		}
		if err := edge.disc.Publish(t.Context(), g, discovery.Lifetime{}); err != nil {
			t.Fatal(err)
		}
		settle()
		if st := edge.disc.Stats(); rdv.disc.Index().Entries != 2+2*900+3 || st.Pushed-before > 4 || st.Unsent > 0 {
			t.Errorf("%d entries, %+v; the description is too long to be one", rdv.disc.Index().Entries, st)
		}
		if n := rdv.disc.Stats().DroppedRefused; n != 0 {
			t.Errorf("%d entries too long for an index were sent", n)
		}
		// A rendezvous that vanishes without a word is noticed, and the next told.
		for _, l := range edge.ep.Links() {
			_ = l.Close()
		}
		settle()
		connected(t, edge)
		settle()
		if n := rdv.disc.Index().Entries; n != 2+2*900+3 {
			t.Errorf("%d entries after the lease was renewed", n)
		}
	})
}
