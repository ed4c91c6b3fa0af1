package content

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/peergroup"
	"github.com/juxta-p2p/juxta/peergroup/peergrouptest"
)

func peerOf(seed string) id.Peer { return id.PeerFromSeed(id.NetGroup, []byte(seed)) }

// A question is flooded over as many rendezvous as its hops say, and to the edges
// of each of them.
func TestFloodHops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		services := map[string]*Service{}
		hops := map[string]int{"e00001": 1, "e00002": 2, "e00003": 60}
		net := peergrouptest.New(t, peergrouptest.Config{
			Rendezvous: 8, Edges: 16, Seed: 1, Latency: 10 * time.Millisecond,
			Configure: func(c *peergroup.Config) {
				s := New(Config{Dir: filepath.Join(dir, c.Name), Index: Flood, Hops: hops[c.Name]})
				services[c.Name] = s
				c.Modules = append(c.Modules, s)
			},
		})
		y := &yard{t: t, dir: dir}
		for _, n := range net.Nodes() {
			m := &member{name: n.Name(), peer: n.Peer(), s: services[n.Name()]}
			m.share(y, n.Name()+".txt", []byte(n.Name()), Description{})
		}
		time.Sleep(5 * time.Minute)
		reached := func(from string) int {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			var got []string
			for h, err := range services[from].Find(ctx, Query{Name: "*.txt"}) {
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, h.Item.Name)
			}
			slices.Sort(got)
			t.Log(from, strings.Join(got, " "))
			if len(slices.Compact(slices.Clone(got))) != len(got) {
				t.Errorf("%s: found twice: %v", from, got)
			}
			return len(got)
		}
		one, two, all := reached("e00001"), reached("e00002"), reached("e00003")
		want(t, "with many hops", all, 24)
		if one >= two || two >= all {
			t.Errorf("with one hop %d, with two %d, with many %d", one, two, all)
		}
		want(t, "rendezvous", fmt.Sprint(net.Rendezvous(1).Net().Rendezvous().Role()), "rendezvous")
	})
}
