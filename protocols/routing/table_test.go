package routing

import (
	"encoding/binary"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/transport/memory"
	"github.com/juxta-p2p/juxta/protocols/rendezvous"
)

func numbered(i int) id.Peer {
	return id.PeerFromSeed(id.NetGroup, binary.BigEndian.AppendUint32(nil, uint32(i)))
}

// order lists the table by use and checks that the list is whole in both
// directions.
func (t *table) order(tb testing.TB) (all []id.Peer) {
	tb.Helper()
	for e := t.newest; e != nil; e = e.older {
		if t.get(e.peer) != e || e.older != nil && e.older.newer != e || e.older == nil && t.oldest != e {
			tb.Fatal("the list is broken")
		}
		all = append(all, e.peer)
	}
	if len(all) != t.of.len() {
		tb.Fatalf("%d in the list, %d in the map", len(all), t.of.len())
	}
	return all
}

// TestTheLeastUsedRouteGoesFirst, and none that somebody waits for.
func TestTheLeastUsedRouteGoesFirst(t *testing.T) {
	var tab table
	for i := range maxRoutes {
		if _, n := tab.add(numbered(i)); n != 0 {
			t.Fatalf("%d had to go for number %d", n, i)
		}
	}
	tab.use(tab.get(numbered(0)))
	tab.get(numbered(1)).waiting = 1
	tab.remove(tab.get(numbered(5)))
	if _, n := tab.add(numbered(maxRoutes)); n != 0 {
		t.Fatal("there was room")
	}
	for i := range 3 { // 2, 3, 4
		if _, n := tab.add(numbered(maxRoutes + 1 + i)); n != 1 {
			t.Fatalf("%d had to go", n)
		}
	}
	order := tab.order(t)
	for i, want := range map[int]bool{0: true, 1: true, 2: false, 3: false, 4: false, 5: false, 6: true} {
		if got := slices.Contains(order, numbered(i)); got != want {
			t.Errorf("number %d is there: %t, want %t", i, got, want)
		}
	}
	if order[len(order)-1] != numbered(6) || len(order) != maxRoutes {
		t.Errorf("%d routes, the next to go is not number 6", len(order))
	}
	for _, e := range tab.of.many {
		e.waiting = 1
	}
	for i := range 2 * maxPassedOver {
		tab.add(numbered(2*maxRoutes + i))
	}
	if n := len(tab.order(t)); n != maxRoutes+2*maxPassedOver {
		t.Errorf("%d routes while all are waited for", n)
	}
	for _, e := range tab.of.many {
		e.waiting = 0
	}
	tab.add(numbered(3 * maxRoutes))
	tab.add(numbered(3*maxRoutes + 1))
	tab.add(numbered(3*maxRoutes + 2))
	if n := len(tab.order(t)); n != maxRoutes {
		t.Errorf("%d routes afterwards", n)
	}
}

// TestRoutesAreBounded: whatever strangers say, and whoever is looked for in vain.
func TestRoutesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{})
		a := newNode(t, net, "a", nodeConfig{})
		at := []endpoint.Address{mem("x")}
		for i := range maxRoutes + 10 {
			a.r.Hear(&advertisements.Route{Dest: numbered(i), Addresses: at})
		}
		if s := a.r.Stats(); s.Routes != maxRoutes || s.EvictedRoutes != 10 {
			t.Errorf("%+v", s)
		}
		for i := range 10 {
			a.r.Forget(numbered(maxRoutes + i))
			gone := &node{id: numbered(-1 - i)}
			if err := a.send(t.Context(), gone, "x"); err == nil {
				t.Fatal("sent to nobody")
			}
		}
		if s := a.r.Stats(); s.Routes != maxRoutes-10 || s.UnsentNoRoute != 10 {
			t.Errorf("who is looked for in vain stays in the table: %+v", s)
		}
	})
}

// TestForgettingWhileSomebodyLooks drops what is known, and the search goes on.
func TestForgettingWhileSomebodyLooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{Latency: time.Millisecond})
		newNode(t, net, "r", nodeConfig{role: rendezvous.Rendezvous})
		a := newNode(t, net, "a", nodeConfig{seeds: []string{"r"}})
		time.Sleep(time.Second)
		b := &node{id: id.PeerFromSeed(id.NetGroup, []byte("b"))}
		a.r.Learn(&advertisements.Route{Dest: b.id, Addresses: []endpoint.Address{mem("nowhere")}})
		sent := make(chan error, 1)
		go func() { sent <- a.send(t.Context(), b, "late") }()
		time.Sleep(2 * time.Second)
		a.r.Forget(b.id)
		if i := slices.IndexFunc(a.r.Routes(), func(i Info) bool { return i.Peer == b.id }); i < 0 || len(a.r.Routes()[i].Addresses) != 0 {
			t.Error("the address is still known, or nobody looks any more")
		}
		b = newNode(t, net, "b", nodeConfig{})
		a.r.Learn(b.route())
		if err := <-sent; err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Millisecond)
		b.want(t, a, "late")
	})
}

// TestOrderOfWays: the shorter first, of equal ones the newer unless the older is in
// use; one for each first and last peer; at most four.
func TestOrderOfWays(t *testing.T) {
	var e entry
	now := moment(1)
	ids := func(text string) (all []id.Peer) {
		for _, c := range text {
			all = append(all, numbered(int(c)))
		}
		return all
	}
	add := func(text string, hearsay bool) { e.addWay(way{hops: ids(text), hearsay: hearsay}, now) }
	want := func(want string) {
		t.Helper()
		s := []string{}
		for _, w := range e.ways {
			text := ""
			for _, h := range w.hops {
				for c := 'a'; c <= 'z'; c++ {
					if numbered(int(c)) == h {
						text += string(c)
					}
				}
			}
			s = append(s, text)
		}
		if got := strings.Join(s, " "); got != want {
			t.Errorf("the ways are %s, want %s", got, want)
		}
	}
	add("ab", false)
	add("cd", false)
	want("cd ab")
	e.ways[1].used = now // ab
	add("ef", false)
	want("ef cd ab")
	add("axb", false) // no news: the way in use is shorter
	want("ef cd ab")
	add("g", true)
	want("g ef cd ab")
	e.ways[0].used = now
	add("h", true)
	want("g h ef cd")
	add("i", false)
	want("g i h ef")
	add("xyz", false)
	want("g i h ef")
	add("exf", false) // takes the place of the one that nobody uses
	want("g i h exf")
	now += wayInUse + 1
	add("j", false)
	want("j g i h")
	if !e.ways[3].hearsay || e.ways[1].hearsay == false {
		t.Error("what was hearsay is none")
	}
	add("h", false)
	want("j g i h")
	if e.ways[3].hearsay {
		t.Error("what was confirmed is hearsay")
	}
	e.expire(now + routeLife - 1)
	want("j h")
	e.expire(now + routeLife)
	want("")
	for i := range 2 * maxHops {
		e.blame(numbered(i), now)
		e.blame(numbered(i), now)
	}
	if len(e.bad) != maxHops || e.blamed(numbered(0), now) || !e.blamed(numbered(2*maxHops-1), now) || e.blamed(numbered(2*maxHops-1), now+badHopLife) {
		t.Errorf("%d are blamed", len(e.bad))
	}
	e.absolve(numbered(2*maxHops - 1))
	if e.blamed(numbered(2*maxHops-1), now) {
		t.Error("not absolved")
	}
}

// TestHopsAreUsedAtOnce while the addresses are tried: a link to the peer then takes
// the place of the way through others. Where no address answers, messages go on
// through the hops.
func TestHopsAreUsedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{})
		a, b := newNode(t, net, "a", nodeConfig{}), newNode(t, net, "b", nodeConfig{})
		old, via := newNode(t, net, "old", nodeConfig{}), newNode(t, net, "via", nodeConfig{})
		a.dial(t, old)
		a.dial(t, via)
		via.dial(t, b)
		through := func(n *node) {
			a.r.Learn(&advertisements.Route{Dest: b.id, Hops: []advertisements.AccessPoint{{Peer: n.id}}})
		}
		through(old)
		a.r.Learn(b.route())
		through(old)
		through(via)
		got, _ := a.r.Route(b.id)
		if !slices.Equal(got.Addresses, b.route().Addresses) || !slices.Equal(got.Hops, []id.Peer{via.id}) || len(got.Ways) != 2 || got.Kind != KindHops {
			t.Fatalf("known is %+v", got)
		}
		if err := a.send(t.Context(), b, "through"); err != nil {
			t.Fatal(err)
		}
		b.want(t, a, "through")
		if via.r.Stats().Forwarded != 1 || a.ep.LinkTo(b.id) == nil || a.r.Stats().Upgraded != 1 {
			t.Errorf("%d passed on, %+v", via.r.Stats().Forwarded, a.r.Stats())
		}
		if err := a.send(t.Context(), b, "straight"); err != nil {
			t.Fatal(err)
		}
		b.want(t, a, "straight")
		if got, _ := a.r.Route(b.id); via.r.Stats().Forwarded != 1 || got.Kind != "mem" || !got.Linked {
			t.Errorf("%d passed on, %+v", via.r.Stats().Forwarded, got)
		}
		// The address is of no use, but there is a link between the hop and b.
		a.r.Forget(b.id)
		a.r.Learn(&advertisements.Route{Dest: b.id, Addresses: []endpoint.Address{mem("nowhere")}})
		through(via)
		_ = a.ep.LinkTo(b.id).Close()
		synctest.Wait()
		for i, text := range []string{"tried", "rests"} {
			if err := a.send(t.Context(), b, text); err != nil {
				t.Fatal(err)
			}
			b.want(t, a, text)
			if n := via.r.Stats().Forwarded; n != uint64(i+2) {
				t.Errorf("%d passed on", n)
			}
		}
		if s := a.ep.Stats(); s.FailedDials != 1 {
			t.Errorf("the address was tried %d times", s.FailedDials)
		}
	})
}

func BenchmarkLearnWhenFull(b *testing.B) {
	var tab table
	for i := range maxRoutes {
		tab.add(numbered(i))
	}
	more := make([]id.Peer, maxRoutes)
	for i := range more {
		more[i] = numbered(maxRoutes + i)
	}
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		p := more[n%len(more)]
		if e := tab.get(p); e != nil {
			tab.remove(e)
		}
		tab.add(p)
		n++
	}
}
