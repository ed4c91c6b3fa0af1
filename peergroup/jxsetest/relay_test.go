package jxsetest_test

import (
	"strings"
	"testing"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/peergroup"
	"github.com/juxta-p2p/juxta/protocols/relay"
)

// relayed waits until a Juxta peer holds a lease at a relay, and returns it.
func relayed(t *testing.T, p *peergroup.Peer) relay.Lease {
	t.Helper()
	var l []relay.Lease
	eventually(t, 30*time.Second, "a lease at a relay", func() bool {
		l = p.RelayLeases().Leases
		return len(l) == 1 && l[0].Linked
	})
	return l[0]
}

// TestGoClientOfJavaRelay: a Juxta peer that does not listen leases at a Java relay,
// another Java peer that knows only its ID reaches it through there, and when the
// relay is killed and comes back, so does the lease.
func TestGoClientOfJavaRelay(t *testing.T) {
	t.Parallel()
	r := startJava(t, "relay", "rendezvous", "relay=server")
	sender := startJava(t, "sender", "edge", "seeds="+r.addr)
	sender.Do("waitrdv")
	hidden := startGo(t, peergroup.Config{Name: "hidden", ClientOnly: true, Relays: []string{r.addr}})
	begin := time.Now()
	l := relayed(t, hidden)
	t.Logf("lease after %v", time.Since(begin).Round(time.Millisecond))
	if l.Relay != r.id || l.Name != "relay" || l.Left < 50*time.Minute || len(l.Hop.Addresses) != 1 || l.Hop.Addresses[0].String() != r.addr {
		t.Errorf("lease %+v", l)
	}
	eventually(t, soon, "the relay in the own route", func() bool { return hidden.Route().Passes(r.id) })

	adv := advertisements.NewPipe(hidden.Net().ID(), "in", advertisements.Unicast)
	in, err := hidden.Net().Pipes().Listen(within(t, soon), adv)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out := sender.Do("outpipe", "xml="+compact(t, adv), "peers="+hidden.ID().String(), "timeout=60000")
	sender.Do("send", "pipe="+out.Text("pipe"), "count=100")
	got := map[string]bool{}
	for len(got) < 100 {
		m, err := in.Receive(within(t, soon))
		if err != nil {
			t.Fatalf("after %d: %v", len(got), err)
		}
		got[m.Message.Text("juxta", "n")] = true
	}
	// JXSE renews for the first time after 15 s, and so is its relay asked.
	eventually(t, 2*tick, "the renewal", func() bool { return relayed(t, hidden).Renewal > 5*time.Minute })

	r.Kill()
	eventually(t, soon, "the loss", func() bool { l := hidden.RelayLeases().Leases; return len(l) == 0 || !l[0].Linked })
	begin = time.Now()
	r = r.again(t)
	relayed(t, hidden)
	t.Logf("leased again %v after the relay's start", time.Since(begin).Round(time.Millisecond))
}

// TestJavaClientOfGoRelay: a Java peer that cannot be dialled leases at a Juxta
// relay, is reached through it by a Juxta peer, renews, and comes back after a kill
// without a goodbye.
func TestJavaClientOfGoRelay(t *testing.T) {
	t.Parallel()
	r := startGo(t, peergroup.Config{Name: "relay", Roles: peergroup.Roles{Rendezvous: true, Relay: true}})
	sender := startGo(t, peergroup.Config{Name: "sender"}, address(r))
	connected(t, sender)
	hidden := startJava(t, "hidden", "edge", "relay=client", "incoming=false", "seeds="+address(r))
	eventually(t, 4*tick, "the lease", func() bool { return len(r.RelayClients()) == 1 })
	c := r.RelayClients()[0]
	if c.Peer != hidden.id || c.Proven || c.Link != "tcp" || c.Left < 50*time.Minute {
		t.Errorf("client %+v", c)
	}
	eventually(t, soon, "the relay in Java's route", func() bool {
		doc := hidden.Do("self").Text("xml")
		_, hops, _ := strings.Cut(doc, "<Hops>")
		return strings.Contains(hops, r.ID().String()) && strings.Contains(hops, address(r))
	})

	// Java renews on its next tick.
	least := time.Hour
	eventually(t, 3*tick, "the renewal", func() bool {
		left := r.RelayClients()[0].Left
		if left > least {
			return true
		}
		least = left
		return false
	})

	adv := advertisements.NewPipe(sender.Net().ID(), "in", advertisements.Unicast)
	in := hidden.Do("inpipe", "xml="+compact(t, adv))
	out, err := sender.Net().Pipes().DialPeers(within(t, 30*time.Second), adv, hidden.id)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	for n := range 100 {
		if err := out.Send(within(t, soon), numbered(n+1)); err != nil {
			t.Fatal(err)
		}
	}
	if got := hidden.Do("waitpipe", "pipe="+in.Text("pipe"), "count=100").Int("distinct"); got != 100 {
		t.Errorf("Java got %d messages", got)
	}
	hidden.Kill()
	eventually(t, soon, "the link is gone", func() bool { c := r.RelayClients(); return len(c) == 1 && c[0].Link == "" })
	sender.Router().Learn(&advertisements.Route{Dest: hidden.id, Hops: []advertisements.AccessPoint{{Peer: r.ID(), Addresses: r.Addresses()}}})
	for range relay.DefaultQueue + 3 {
		if err := sender.Net().Endpoint().Send(within(t, soon), hidden.id, "late", "", message.New(message.Text("", "late", "x"))); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, soon, "the queue", func() bool {
		c := r.RelayClients()[0]
		return c.Queued == relay.DefaultQueue && c.Dropped == 3
	})
	t.Logf("while Java is away: %+v", r.RelayClients()[0])
	hidden = hidden.again(t)
	eventually(t, 2*tick, "what waited is sent", func() bool {
		c := r.RelayClients()
		return len(c) == 1 && c[0].Queued == 0 && c[0].Delivered > 0
	})
	t.Logf("afterwards: %+v", r.RelayClients()[0])
}
