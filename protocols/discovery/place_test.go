package discovery_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/transport/memory"
	"github.com/juxta-p2p/juxta/protocols/discovery"
	"github.com/juxta-p2p/juxta/protocols/rendezvous"
)

// Four rendezvous that know each other, and that walk nothing: what an edge of
// one announces is found by edges of the others only through the replicas.
func TestReplicasAmongRendezvous(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{Latency: time.Millisecond})
		var view []id.Peer
		var all []*peer
		for i := range 4 {
			r := start(t, net, fmt.Sprint("r", i), setup{
				role:   rendezvous.Rendezvous,
				config: func(c *discovery.Config) { c.View = func() []id.Peer { return others(view, c.Resolver.Peer()) } },
			})
			all = append(all, r)
		}
		for i, r := range all {
			view = append(view, r.id)
			for k := range i {
				if _, err := r.ep.Dial(t.Context(), addr(fmt.Sprint("r", k))); err != nil {
					t.Fatal(err)
				}
			}
		}
		var edges []*peer
		for i := range 4 {
			e := start(t, net, fmt.Sprint("e", i), setup{seeds: []string{fmt.Sprint("r", i)}})
			connected(t, e)
			edges = append(edges, e)
		}
		want := []string{}
		for i := range 12 {
			name := fmt.Sprint("pipe ", string(rune('a'+i)))
			want = append(want, name)
			publish(t, edges[0], discovery.Lifetime{}, name)
		}
		settle()
		for _, name := range want {
			for _, p := range []*peer{edges[1], edges[2], edges[3], all[1], all[2], all[3]} {
				q := byName(name)
				q.RemoteOnly = true
				expect(t, p, soon, q, name)
			}
		}
		// Nobody but a rendezvous replicates, and only in its place.
		index(t, edges[1], all[2], claim(edges[0].id, 0, "Name", "bait", 60000))
		settle()
		if n := all[2].disc.Stats().DroppedForeignIndex; n != 1 {
			t.Errorf("%d index messages of strangers dropped", n)
		}
		// What is withdrawn is withdrawn there too.
		if err := edges[0].disc.Remove(t.Context(), pipe(want[0])); err != nil {
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
	})
}

func others(view []id.Peer, self id.Peer) (rest []id.Peer) {
	for _, p := range view {
		if p != self {
			rest = append(rest, p)
		}
	}
	return rest
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

// An edge with many advertisements announces them in several messages.
func TestLargeAnnouncements(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{})
		rdv := start(t, net, "rdv", setup{role: rendezvous.Rendezvous})
		edge := start(t, net, "edge", setup{seeds: []string{"rdv"}})
		for i := range 900 {
			publish(t, edge, discovery.Lifetime{}, fmt.Sprint("p", i))
		}
		g := &advertisements.Group{
			ID: id.GroupFromSeed(id.NetGroup, []byte("g")), Spec: id.SpecGenericGroup, Name: "g", Desc: strings.Repeat("long ", 1000),
		}
		if err := edge.disc.Publish(t.Context(), g, discovery.Lifetime{}); err != nil {
			t.Fatal(err)
		}
		connected(t, edge)
		settle()
		if st := edge.disc.Stats(); rdv.disc.Index().Entries != 2+2*900+3 || st.Pushed < 5 || st.Unsent > 0 {
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
