package content

import (
	"fmt"
	"path/filepath"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/peergroup"
	"github.com/juxta-p2p/juxta/peergroup/peergrouptest"
	"github.com/juxta-p2p/juxta/protocols/pipe"
)

// have returns the members that share a content.
func (y *yard) have(c ID, all []*member) (have []*member) {
	for _, m := range all {
		if _, ok := m.s.file(c); ok && m.peer.Endpoint() != nil && y.all[m.name] != nil {
			have = append(have, m)
		}
	}
	return have
}

// Of three who have it two die: within a minute three have it again, no more.
func TestReplicas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		y := newYard(t)
		var all []*member
		for i := range 8 {
			all = append(all, y.add(fmt.Sprint("k", i), Config{Keep: true}))
		}
		time.Sleep(10 * time.Second)
		song := octets(9, 3*ChunkSize)
		it := all[0].share(y, "song", song, Description{Replicas: 3, Words: []string{"chopin"}})
		plain := all[0].share(y, "plain", []byte("x"), Description{})
		time.Sleep(30 * time.Second)
		have := y.have(it.ID, all)
		if len(have) != 3 {
			t.Fatalf("%d have it, want 3", len(have))
		}
		want(t, "of what needs no replica", len(y.have(plain.ID, all)), 1)
		for _, m := range have[:2] { // the first shared it
			y.kill(m)
			delete(y.all, m.name)
		}
		time.Sleep(time.Minute)
		again := y.have(it.ID, all)
		if len(again) != 3 {
			t.Fatalf("after a minute %d have it, want 3", len(again))
		}
		for _, m := range again {
			want(t, m.name+" says", fmt.Sprint(m.s.Shared()[0]), fmt.Sprint(it))
			l, _ := m.s.file(it.ID)
			y.same(l.root+"/"+l.name, song)
		}
		time.Sleep(10 * time.Minute)
		want(t, "after a while", len(y.have(it.ID, all)), 3)
		var seeker *member
		for _, m := range all {
			if _, has := m.s.file(it.ID); y.all[m.name] != nil && !has {
				seeker = m
			}
		}
		if n := len(y.find(seeker, Query{Words: []string{"chopin"}})); n != 3 {
			t.Errorf("%d replicas are found, want 3", n)
		}
	})
}

// A member without room is passed over, one that appears later is called.
func TestReplicasWithoutRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		y := newYard(t)
		ann := y.add("ann", Config{})
		full := []*member{y.add("full", Config{Keep: true, Quota: 1000}), y.add("none", Config{Keep: true, Quota: -1}), y.add("no", Config{})}
		it := ann.share(y, "song", octets(10, 5000), Description{Replicas: 2})
		time.Sleep(2 * time.Minute)
		want(t, "without room", len(y.have(it.ID, full)), 0)
		late := y.add("late", Config{Keep: true})
		time.Sleep(time.Minute)
		want(t, "with room", len(y.have(it.ID, []*member{late})), 1)
		y.serve(late, Config{Keep: true})
		want(t, "after a restart", len(y.have(it.ID, []*member{late})), 1)
		want(t, "without hashing", late.s.Stats().Hashed, 0)
	})
}

// Beats that cannot be read, and of more members than are remembered, do nothing
// but count.
func TestBeatsOfStrangers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		y := newYard(t)
		ann := y.add("ann", Config{Keep: true})
		beat := func(from, version, free string) {
			ann.s.hearBeat(pipe.Message{
				Message: message.New(message.Text(beatSpace, beatVersion, version), message.Text(beatSpace, beatFree, free)),
				From:    id.PeerFromSeed(id.NetGroup, []byte(from)),
			})
		}
		beat("x", "", "1")
		beat("x", "-1", "1")
		beat("x", "1", "much")
		want(t, "malformed", ann.s.Stats().DroppedMalformed, 3)
		for i := range maxKeepers + 10 {
			beat(strconv.Itoa(i), "7", "1")
		}
		want(t, "forgotten", ann.s.Stats().Forgotten, 10)
		want(t, "known", ann.s.Stats().Keepers, maxKeepers+1)
		time.Sleep(deadAfter + checkEvery + time.Second)
		want(t, "known after a while", ann.s.Stats().Keepers, 1)
	})
}

// It is the same where members know each other through rendezvous alone.
func TestReplicasOverRendezvous(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		services := map[string]*Service{}
		net := peergrouptest.New(t, peergrouptest.Config{
			Rendezvous: 3, Edges: 9, Seed: 2, Latency: 20 * time.Millisecond,
			Configure: func(c *peergroup.Config) {
				s := New(Config{Dir: filepath.Join(dir, c.Name), Keep: true})
				services[c.Name] = s
				c.Modules = append(c.Modules, s)
			},
		})
		time.Sleep(2 * time.Minute)
		first := net.Edge(1)
		m := &member{name: first.Name(), peer: first.Peer(), s: services[first.Name()]}
		it := m.share(&yard{t: t, dir: dir}, "song", octets(12, 2*ChunkSize), Description{Replicas: 3})
		have := func() (up []*peergrouptest.Node) {
			for _, n := range net.Nodes() {
				if _, ok := services[n.Name()].file(it.ID); ok {
					up = append(up, n)
				}
			}
			return up
		}
		time.Sleep(30 * time.Second)
		up := have()
		if len(up) != 3 {
			t.Fatalf("%d have it, want 3", len(up))
		}
		for _, n := range up[1:] {
			if err := n.Kill(); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Minute)
		want(t, "after a minute", len(have()), 3)
	})
}
