package jxsetest_test

import (
	"slices"
	"testing"
	"time"

	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/peergroup"
)

// A small Java view looks around 0, 9, 54 and 147 s after it began, asks its
// neighbours every 30 s, and is told of one member at random by each that it
// asks or meets.
const (
	javaKick  = 9 * time.Second
	javaSlow  = 45 * time.Second
	javaWatch = 30 * time.Second
)

// view returns who is in the view of a Java rendezvous, in order.
func (p *javaPeer) view(t *testing.T) []id.Peer {
	t.Helper()
	var all []id.Peer
	for _, s := range p.Do("rdv").Texts("view") {
		peer, err := id.ParsePeer(s)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, peer)
	}
	slices.SortFunc(all, compareIDs)
	return all
}

func compareIDs(a, b id.Peer) int { return slices.Compare([]byte(a.Unique()), []byte(b.Unique())) }

// awaitView waits until a Java rendezvous has exactly these members, and returns
// how long it took.
func (p *javaPeer) awaitView(t *testing.T, limit time.Duration, want ...id.Peer) time.Duration {
	t.Helper()
	begin := time.Now()
	slices.SortFunc(want, compareIDs)
	var got []id.Peer
	for {
		if got = p.view(t); slices.Equal(got, want) {
			return time.Since(begin)
		}
		if time.Since(begin) > limit {
			t.Fatalf("the view of Java %s is %s after %v, want %s", p.id.Short(), short(got), limit, short(want))
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// awaitView is the same for a Juxta rendezvous.
func awaitView(t *testing.T, p *peergroup.Peer, limit time.Duration, want ...id.Peer) time.Duration {
	t.Helper()
	begin := time.Now()
	slices.SortFunc(want, compareIDs)
	for !slices.Equal(p.Net().Rendezvous().View(), want) {
		if time.Since(begin) > limit {
			t.Fatalf("the view of Juxta %s is %s after %v, want %s; %+v", p.ID().Short(), short(p.Net().Rendezvous().View()), limit, short(want),
				p.Net().Rendezvous().PeerView().Stats())
		}
		time.Sleep(10 * time.Millisecond)
	}
	return time.Since(begin)
}

func short(all []id.Peer) []string {
	var s []string
	for _, p := range all {
		s = append(s, p.Short())
	}
	return s
}

// startGoRendezvous starts a Juxta rendezvous; a zero ID means one made of a key.
func startGoRendezvous(t *testing.T, name string, p id.Peer, seeds ...string) *peergroup.Peer {
	t.Helper()
	return startGo(t, peergroup.Config{Name: name, PeerID: p, Roles: peergroup.Roles{Rendezvous: true}}, seeds...)
}

// vanish ends a Juxta peer without a goodbye: its links are cut first.
func vanish(p *peergroup.Peer) {
	_ = p.Endpoint().Close()
	_ = p.Close()
}

// TestViewSeededByJuxta: a Juxta rendezvous that has the address of a Java one
// and that one hold each other in view; when either goes, the other notices.
func TestViewSeededByJuxta(t *testing.T) {
	t.Parallel()
	j := startJava(t, "jr", "rendezvous")
	g := startGoRendezvous(t, "gr", id.Peer{}, j.addr)
	t.Logf("Juxta has Java in view after %v", awaitView(t, g, soon, j.id))
	t.Logf("and Java has Juxta %v later", j.awaitView(t, soon, g.ID()))

	if err := g.Close(); err != nil {
		t.Error(err)
	}
	t.Logf("Juxta says goodbye: out of the Java view after %v", j.awaitView(t, soon))

	g = startGoRendezvous(t, "gr", id.Peer{}, j.addr)
	awaitView(t, g, soon, j.id)
	j.awaitView(t, soon, g.ID())
	vanish(g)
	t.Logf("Juxta vanishes: out of the Java view after %v", j.awaitView(t, javaWatch+2*soon))

	g = startGoRendezvous(t, "gr", id.Peer{}, j.addr)
	awaitView(t, g, soon, j.id)
	j.awaitView(t, soon, g.ID())
	j.Kill()
	t.Logf("Java is killed: out of the Juxta view after %v", awaitView(t, g, soon))
	j = j.again(t)
	t.Logf("Java comes back: in the Juxta view after %v", awaitView(t, g, 3*soon, j.id))
	j.awaitView(t, soon, g.ID())
	j.Do("role", "to=edge")
	t.Logf("Java becomes an edge: out of the Juxta view after %v", awaitView(t, g, 2*javaSlow))
}

// TestViewSeededByJava: the same when the Java rendezvous has the address of the
// Juxta one. An edge of either finds what an edge of the other has; there are too
// few rendezvous for copies of the index, so that questions walk.
func TestViewSeededByJava(t *testing.T) {
	t.Parallel()
	g := startGoRendezvous(t, "gr", id.Peer{})
	j := startJava(t, "jr", "rendezvous", "seeds="+address(g))
	t.Logf("Juxta has Java in view after %v", awaitView(t, g, javaKick+soon, j.id))
	t.Logf("and Java has Juxta %v later", j.awaitView(t, javaKick+soon, g.ID()))

	theirs := &edge{name: "Java edge of Java", java: startJava(t, "je", "edge", "seeds="+j.addr)}
	theirs.publish(t, "theirs-walked-for") // before it has its lease, or it will take 30 s
	ours := &edge{name: "Juxta edge of Juxta", juxt: startGo(t, peergroup.Config{Name: "ge"}, address(g))}
	ours.publish(t, "ours-walked-for")
	connected(t, ours.juxt)
	theirs.java.Do("waitrdv")
	begin := time.Now()
	for _, x := range []struct {
		asker *edge
		name  string
	}{{theirs, "ours-walked-for"}, {theirs, "ours-*"}, {ours, "theirs-walked-for"}, {ours, "theirs-*"}} {
		for !x.asker.finds(t, x.name, askFor) {
			if time.Since(begin) > push+soon {
				t.Fatalf("%s does not find %s", x.asker.name, x.name)
			}
		}
		t.Logf("%s has found %s after %v", x.asker.name, x.name, time.Since(begin).Round(time.Millisecond))
	}
}
