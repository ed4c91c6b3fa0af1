package jxsetest_test

import (
	"slices"
	"testing"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/peergroup"
	"github.com/juxta-p2p/juxta/protocols/rendezvous"
)

// TestGoEdgeBecomesRendezvous: a Juxta edge of a Java rendezvous becomes a
// rendezvous, is taken into the Java view, serves edges, and steps back.
func TestGoEdgeBecomesRendezvous(t *testing.T) {
	t.Parallel()
	j := startJava(t, "jr", "rendezvous")
	g := startGo(t, peergroup.Config{Name: "ge"}, j.addr)
	connected(t, g)
	j.Do("waitclients")

	begin := time.Now()
	if err := g.Net().SetRole(rendezvous.Rendezvous); err != nil {
		t.Fatal(err)
	}
	j.awaitView(t, soon, g.ID())
	t.Logf("in the Java view %v after it was told to be a rendezvous", time.Since(begin).Round(time.Millisecond))
	awaitView(t, g, soon, j.id)
	if left := j.Do("rdv").Texts("peers"); len(left) != 0 {
		t.Errorf("Java still has clients %v", left)
	}
	je := startJava(t, "je", "edge", "seeds="+address(g))
	if got := je.Do("waitrdv").Texts("peers"); !slices.Equal(got, []string{g.ID().String()}) {
		t.Errorf("the Java edge leases at %v", got)
	}
	e := startGo(t, peergroup.Config{Name: "e"}, address(g))
	connected(t, e)
	publish(t, e, advertisements.NewPipe(id.NetGroup, "served", advertisements.Unicast))
	if n := j.Do("search", "kind=adv", "attr=Name", "value=served", "want=1", "repeat=1000").Int("count"); n != 1 {
		t.Errorf("the Java rendezvous finds %d of what an edge of the new one has", n)
	}

	begin = time.Now()
	if err := g.Net().SetRole(rendezvous.Edge); err != nil {
		t.Fatal(err)
	}
	j.awaitView(t, soon)
	t.Logf("out of the Java view %v after it was told to be an edge", time.Since(begin).Round(time.Millisecond))
	je.awaitRdv(t, "RDVDISCONNECT", g.ID(), 1, soon)
	connected(t, g)
	if l, ok := g.Net().Rendezvous().Lease(); !ok || l.Peer != j.id {
		t.Errorf("it leases from %s, not from Java", l.Peer.Short())
	}
	t.Logf("and a lease %v after", time.Since(begin).Round(time.Millisecond))
	eventually(t, soon, "Java has it as a client", func() bool { // and perhaps the edge that it served
		return slices.Contains(j.Do("rdv").Texts("peers"), g.ID().String())
	})
}
