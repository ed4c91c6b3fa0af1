package jxsetest_test

import (
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/peergroup"
	"github.com/juxta-p2p/juxta/protocols/relay"
)

// webOnly makes a Juxta peer listen for HTTP and nothing else.
func webOnly(cfg peergroup.Config) peergroup.Config {
	cfg.Listen = []string{"http://127.0.0.1:0"}
	return cfg
}

// webAddress is where others dial a Juxta peer over HTTP.
func webAddress(t *testing.T, p *peergroup.Peer) string {
	t.Helper()
	for _, a := range p.Addresses() {
		if a.Protocol == "http" {
			return a.String()
		}
	}
	t.Fatalf("%s does not listen for HTTP", p.Name())
	return ""
}

// carriesToJava sends messages to a Java peer over a pipe, and checks that all arrive.
func carriesToJava(t *testing.T, from *peergroup.Peer, to *javaPeer, n int) {
	t.Helper()
	adv := advertisements.NewPipe(from.Net().ID(), "to java", advertisements.Unicast)
	in := to.Do("inpipe", "xml="+compact(t, adv))
	out, err := from.Net().Pipes().DialPeers(within(t, 30*time.Second), adv, to.id)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	begin := time.Now()
	for i := range n {
		if err := out.Send(within(t, soon), numbered(i+1)); err != nil {
			t.Fatalf("message %d: %v", i, err)
		}
	}
	if got := to.Do("waitpipe", "pipe="+in.Text("pipe"), "count="+strconv.Itoa(n)).Int("distinct"); got != n {
		t.Errorf("Java got %d messages of %d", got, n)
	}
	t.Logf("%d messages to Java in %v", n, time.Since(begin).Round(time.Millisecond))
}

// carriesFromJava has a Java peer send messages over a pipe, and checks that all arrive.
func carriesFromJava(t *testing.T, from *javaPeer, to *peergroup.Peer, n int) {
	t.Helper()
	adv := advertisements.NewPipe(to.Net().ID(), "from java", advertisements.Unicast)
	in, err := to.Net().Pipes().Listen(within(t, soon), adv)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out := from.Do("outpipe", "xml="+compact(t, adv), "peers="+to.ID().String(), "timeout=60000")
	begin := time.Now()
	from.Do("send", "pipe="+out.Text("pipe"), "count="+strconv.Itoa(n))
	got := map[string]bool{}
	for len(got) < n {
		m, err := in.Receive(within(t, 2*soon))
		if err != nil {
			t.Fatalf("after %d of %d: %v", len(got), n, err)
		}
		got[m.Message.Text("juxta", "n")] = true
	}
	t.Logf("%d messages from Java in %v", n, time.Since(begin).Round(time.Millisecond))
}

// linkedOverHTTP checks that a Juxta peer has a link with a Java peer, and of which
// kind.
func linkedOverHTTP(t *testing.T, p *peergroup.Peer, to id.Peer) {
	t.Helper()
	l := p.Endpoint().LinkTo(to)
	if l == nil {
		t.Fatalf("%s has no link", p.Name())
	}
	if got := l.Remote().Protocol; got != "http" {
		t.Errorf("the link is of %s", got)
	}
}

// TestHTTPJavaEdge: a Java edge that has HTTP only, and cannot be dialled, leases at
// a Juxta rendezvous, and messages go both ways.
func TestHTTPJavaEdge(t *testing.T) {
	t.Parallel()
	r := startGo(t, webOnly(peergroup.Config{Name: "rendezvous", Roles: peergroup.Roles{Rendezvous: true}}))
	j := startJava(t, "edge", "edge", "transport=http", "incoming=false", "seeds="+webAddress(t, r))
	begin := time.Now()
	eventually(t, 4*tick, "the lease", func() bool { return leases(r, j.id) })
	t.Logf("lease %v after the start", time.Since(begin).Round(time.Millisecond))
	linkedOverHTTP(t, r, j.id)
	carriesToJava(t, r, j, 200)
	carriesFromJava(t, j, r, 200)
}

// TestHTTPJavaRendezvous: a Juxta edge that does not listen leases at a Java
// rendezvous that has HTTP only, and messages go both ways.
func TestHTTPJavaRendezvous(t *testing.T) {
	t.Parallel()
	j := startJava(t, "rendezvous", "rendezvous", "transport=http")
	e := startGo(t, peergroup.Config{Name: "edge", ClientOnly: true}, j.addr)
	begin := time.Now()
	eventually(t, 2*tick, "the lease", func() bool { _, ok := e.Net().Rendezvous().Lease(); return ok })
	t.Logf("lease after %v", time.Since(begin).Round(time.Millisecond))
	linkedOverHTTP(t, e, j.id)
	carriesToJava(t, e, j, 200)
	carriesFromJava(t, j, e, 200)
}

// TestHTTPJavaClientOfGoRelay: a Java peer with HTTP only leases at a Juxta relay, and
// another Juxta peer reaches it through there, and hears of it.
func TestHTTPJavaClientOfGoRelay(t *testing.T) {
	t.Parallel()
	r := startGo(t, peergroup.Config{
		Name: "relay", Roles: peergroup.Roles{Rendezvous: true, Relay: true}, Listen: []string{"tcp://127.0.0.1:0", "http://127.0.0.1:0"},
	})
	other := startGo(t, peergroup.Config{Name: "other", ClientOnly: true}, address(r)) // Java cannot dial it
	connected(t, other)
	hidden := startJava(t, "hidden", "edge", "transport=http", "relay=client", "incoming=false", "seeds="+webAddress(t, r))
	eventually(t, 4*tick, "the lease", func() bool {
		return slices.ContainsFunc(r.RelayClients(), func(c relay.ClientInfo) bool {
			return c.Peer == hidden.id && c.Link == "http" && !c.Proven
		})
	})
	carriesToJava(t, other, hidden, 100)
	carriesFromJava(t, hidden, other, 100)
}

// TestHTTPGoClientOfJavaRelay: a Juxta peer that does not listen leases at a Java
// relay that has HTTP only, and a Java peer reaches it through there.
func TestHTTPGoClientOfJavaRelay(t *testing.T) {
	t.Parallel()
	r := startJava(t, "relay", "rendezvous", "transport=http", "relay=server")
	sender := startJava(t, "sender", "edge", "transport=http", "seeds="+r.addr)
	sender.Do("waitrdv")
	hidden := startGo(t, peergroup.Config{Name: "hidden", ClientOnly: true, Relays: []string{r.addr}})
	begin := time.Now()
	l := relayed(t, hidden)
	t.Logf("lease after %v", time.Since(begin).Round(time.Millisecond))
	if l.Relay != r.id || len(l.Hop.Addresses) != 1 || l.Hop.Addresses[0].String() != r.addr {
		t.Errorf("lease %+v", l)
	}
	eventually(t, soon, "the relay in the own route", func() bool { return hidden.Route().Passes(r.id) })
	carriesFromJava(t, sender, hidden, 100)
}

// TestHTTPLongSilence: polls that end empty, at which JXSE would stop polling if they
// said so, do not end a link.
func TestHTTPLongSilence(t *testing.T) {
	if os.Getenv("JUXTA_SLOW") == "" {
		t.Skip("SKIPPED: takes more than four minutes; set JUXTA_SLOW=1")
	}
	t.Parallel()
	r := startGo(t, webOnly(peergroup.Config{Name: "rendezvous", Roles: peergroup.Roles{Rendezvous: true}}))
	j := startJava(t, "edge", "edge", "transport=http", "incoming=false", "seeds="+webAddress(t, r))
	eventually(t, 4*tick, "the lease", func() bool { return leases(r, j.id) })
	l := r.Endpoint().LinkTo(j.id)
	carriesToJava(t, r, j, 10)
	<-time.After(255 * time.Second) // two polls
	if now := r.Endpoint().LinkTo(j.id); now == nil || now != l {
		t.Errorf("the link was %v and is %v", l, now)
	}
	carriesToJava(t, r, j, 10)
}
