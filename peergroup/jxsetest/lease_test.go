package jxsetest_test

import (
	"strings"
	"testing"
	"time"

	"github.com/juxta-p2p/juxta/core/identity"
	"github.com/juxta-p2p/juxta/peergroup"
	"github.com/juxta-p2p/juxta/protocols/rendezvous"
)

// TestGoEdgeLeasesFromJava: a Juxta edge gets a lease at a Java rendezvous,
// renews it, says goodbye, and comes back when it is turned out, and when the
// rendezvous leaves and returns.
func TestGoEdgeLeasesFromJava(t *testing.T) {
	t.Parallel()
	j := startJava(t, "jr", "rendezvous", "lease=5000")
	edge := startGo(t, peergroup.Config{Name: "ge"}, j.addr)
	w := watch(t, edge)
	begin := time.Now()
	connected(t, edge)
	t.Logf("lease after %v", time.Since(begin).Round(time.Millisecond))
	l, ok := edge.Net().Rendezvous().Lease()
	if !ok || l.Peer != j.id || l.Name != "jr" || l.Left > 5*time.Second || l.Left < 3*time.Second {
		t.Fatalf("lease %+v", l)
	}
	if got := j.Do("waitclients").Texts("peers"); len(got) != 1 || got[0] != edge.ID().String() {
		t.Fatalf("Java has clients %v", got)
	}

	// Leases of 5 s are renewed after 2.5 s.
	w.await(t, rendezvous.Renewed, j.id, 2, soon)
	j.awaitRdv(t, "CLIENTRECONNECT", edge.ID(), 2, soon)
	t.Log("renewed 2 times")

	j.Do("role", "to=edge")
	w.await(t, rendezvous.Lost, j.id, 1, soon)
	begin = time.Now()
	j.Do("role", "to=rendezvous")
	w.await(t, rendezvous.Leased, j.id, 2, soon)
	j.Do("waitclients")
	t.Logf("turned out, and back %v after the other was rendezvous again", time.Since(begin).Round(time.Millisecond))

	j.Kill()
	w.await(t, rendezvous.Lost, j.id, 2, soon)
	begin = time.Now()
	j = j.again(t)
	connected(t, edge)
	j.Do("waitclients")
	t.Logf("lost at a kill, lease %v after the start of the same rendezvous", time.Since(begin).Round(time.Millisecond))

	if err := edge.Close(); err != nil {
		t.Error(err)
	}
	j.awaitRdv(t, "CLIENTDISCONNECT", edge.ID(), 1, soon)
	if got := j.Do("rdv").Texts("peers"); len(got) != 0 {
		t.Errorf("Java still has clients %v", got)
	}
}

// TestJavaEdgeLeasesFromGo: a Java edge gets a lease at a Juxta rendezvous,
// renews it and gives it back.
func TestJavaEdgeLeasesFromGo(t *testing.T) {
	t.Parallel()
	// Java renews at half of it, on its tick: about 13 s after the grant.
	const lease = 24 * time.Second
	rdv := startGo(t, peergroup.Config{Name: "gr", Roles: peergroup.Roles{Rendezvous: true}, Lease: lease})
	w := watch(t, rdv)
	j := startJava(t, "je", "edge", "seeds="+address(rdv))
	t.Logf("Java had its lease %d ms after it had started", j.Do("waitrdv").Int("ms"))
	w.await(t, rendezvous.ClientJoined, j.id, 1, soon)
	c := rdv.Net().Rendezvous().Clients()
	if len(c) != 1 || c[0].Peer != j.id || c[0].Name != "je" || !c[0].Connected || c[0].Left > lease {
		t.Fatalf("clients %+v", c)
	}
	got := j.Do("rdv").Records("leases")
	if len(got) != 1 || got[0].Text("peer") != rdv.ID().String() || got[0].Text("name") != "gr" ||
		got[0].Int("leftms") > int(lease.Milliseconds()) || got[0].Int("leftms") < 15000 {
		t.Fatalf("Java has leases %v", got)
	}

	w.await(t, rendezvous.ClientStayed, j.id, 1, tick+soon)
	j.awaitRdv(t, "RDVRECONNECT", rdv.ID(), 1, soon)
	t.Log("renewed")

	j.Do("rdvdisconnect", "peer="+rdv.ID().String())
	w.await(t, rendezvous.ClientLeft, j.id, 1, soon)
	t.Log("given back")
	j.awaitRdv(t, "RDVCONNECT", rdv.ID(), 2, tick+soon)
	w.await(t, rendezvous.ClientJoined, j.id, 2, soon)
	t.Log("and taken again")

	j.Do("role", "to=rendezvous")
	w.await(t, rendezvous.ClientLeft, j.id, 2, soon)
	if left := clients(rdv); len(left) != 0 {
		t.Errorf("clients left: %v", left)
	}
}

// TestJavaEdgeFindsItsRendezvousAgain: a Juxta rendezvous that leaves, or just
// vanishes, and comes back at the same place with the same key is leased from
// again.
func TestJavaEdgeFindsItsRendezvousAgain(t *testing.T) {
	t.Parallel()
	ident, err := identity.New(identity.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	cfg := peergroup.Config{
		Name: "gr", Roles: peergroup.Roles{Rendezvous: true}, Lease: 20 * time.Second, Identity: ident,
	}
	rdv := startGo(t, cfg)
	at := address(rdv)
	cfg.Listen = []string{at}
	j := startJava(t, "je", "edge", "seeds="+at)
	j.Do("waitrdv")

	if err := rdv.Close(); err != nil {
		t.Fatal(err)
	}
	j.awaitRdv(t, "RDVDISCONNECT", rdv.ID(), 1, soon)
	rdv = startGo(t, cfg)
	begin := time.Now()
	eventually(t, tick+soon, "a lease after a goodbye", func() bool { return leases(rdv, j.id) })
	j.awaitRdv(t, "RDVCONNECT", rdv.ID(), 2, soon)
	t.Logf("after a goodbye: leased again after %v", time.Since(begin).Round(time.Millisecond))

	// Nothing is said when the links are cut before the groups are left.
	if err := rdv.Endpoint().Close(); err != nil {
		t.Fatal(err)
	}
	_ = rdv.Close()
	rdv = startGo(t, cfg)
	begin = time.Now()
	eventually(t, 2*tick+soon, "a lease after vanishing", func() bool { return leases(rdv, j.id) })
	t.Logf("after vanishing: leased again after %v", time.Since(begin).Round(time.Millisecond))
	if got := strings.Join(j.Do("waitrdv").Texts("peers"), ","); got != list(rdv.ID()) {
		t.Errorf("Java leases at %s", got)
	}
}
