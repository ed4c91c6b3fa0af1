package jxsetest_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/identity"
	"github.com/juxta-p2p/juxta/peergroup"
)

// TestThreeHops: a Juxta edge behind a Java relay and a Java edge behind a Juxta
// relay, neither of which can be dialled, talk over Juxta - Java - Juxta - Java.
func TestThreeHops(t *testing.T) {
	t.Parallel()
	jr := startJava(t, "jr", "rendezvous", "relay=server")
	ident, err := identity.New(identity.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	gr := startGo(t, peergroup.Config{
		Name: "gr", Roles: peergroup.Roles{Rendezvous: true, Relay: true},
		Admit: func(l endpoint.Link) error { // or the edge would dial it, and there were two hops
			if l.Peer() == ident.Peer() {
				return errors.New("go through the Java relay")
			}
			return nil
		},
	}, jr.addr)
	eventually(t, 3*tick, "the rendezvous see each other", func() bool { return len(gr.Net().Rendezvous().View()) == 1 })
	ge := startGo(t, peergroup.Config{Name: "ge", Identity: ident, ClientOnly: true, Relays: []string{jr.addr}}, jr.addr)
	connected(t, ge)
	relayed(t, ge)
	je := startJava(t, "je", "edge", "relay=client", "incoming=false", "seeds="+address(gr))
	je.Do("waitrdv")
	eventually(t, 4*tick, "the Java client's lease", func() bool { return len(gr.RelayClients()) == 1 })

	adv := advertisements.NewPipe(ge.Net().ID(), "to je", advertisements.Unicast)
	in := je.Do("inpipe", "xml="+compact(t, adv))
	out, err := ge.Net().Pipes().DialPeers(within(t, 2*tick), adv, je.id)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	const n = 200
	for i := range n {
		if err := out.Send(within(t, soon), numbered(i+1)); err != nil {
			t.Fatalf("message %d: %v", i+1, err)
		}
		if (i+1)%window == 0 {
			je.Do("waitpipe", "pipe="+in.Text("pipe"), fmt.Sprintf("count=%d", i+1))
		}
	}
	if got := je.Do("waitpipe", "pipe="+in.Text("pipe"), fmt.Sprintf("count=%d", n)).Int("distinct"); got != n {
		t.Errorf("Java got %d messages", got)
	}
	if ge.Endpoint().LinkTo(je.id) != nil || ge.Endpoint().LinkTo(gr.ID()) != nil || gr.Endpoint().LinkTo(ge.ID()) != nil {
		t.Error("there is a shorter way: nothing was shown")
	}
	for _, r := range ge.Router().Routes() {
		if r.Peer == je.id {
			t.Logf("the way from Juxta to Java: %d hops known", len(r.Hops))
		}
	}

	back := advertisements.NewPipe(ge.Net().ID(), "to ge", advertisements.Unicast)
	listen, err := ge.Net().Pipes().Listen(within(t, soon), back)
	if err != nil {
		t.Fatal(err)
	}
	defer listen.Close()
	handle := je.Do("outpipe", "xml="+compact(t, back), "peers="+ge.ID().String(), "timeout=60000")
	got := map[string]bool{}
	for first := 1; first <= n; first += window {
		count := min(window, n-first+1)
		je.Do("send", "pipe="+handle.Text("pipe"), fmt.Sprintf("first=%d", first), fmt.Sprintf("count=%d", count))
		for len(got) < first-1+count {
			m, err := listen.Receive(within(t, soon))
			if err != nil {
				t.Fatalf("after %d: %v", len(got), err)
			}
			got[m.Message.Text("juxta", "n")] = true
		}
	}
	t.Logf("%d messages each way; the relay of Juxta: %+v", n, gr.RelayClients())
}
