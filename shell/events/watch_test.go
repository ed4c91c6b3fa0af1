package events_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/transport/memory"
	"github.com/juxta-p2p/juxta/peergroup"
	"github.com/juxta-p2p/juxta/protocols/rendezvous"
	"github.com/juxta-p2p/juxta/shell/events"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// log keeps what was told, as kind and text.
type log struct {
	mu  sync.Mutex
	all []string
}

func (l *log) take(e events.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	name := e.Name
	if name == "" {
		name = "somebody"
	}
	l.all = append(l.all, e.Kind+": "+e.Text(name))
}

func (l *log) want(t *testing.T, texts ...string) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, want := range texts {
		if !slices.Contains(l.all, want) {
			t.Errorf("nobody told %q", want)
		}
	}
	if t.Failed() {
		t.Log(strings.Join(l.all, "\n"))
	}
	l.all = nil
}

// TestWatch: what happens to a rendezvous is told in its order, in groups that it joins
// later, too, and nothing after the end.
func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{})
		start := func(name string, roles peergroup.Roles) *peergroup.Peer {
			p, err := peergroup.Start(t.Context(), peergroup.Config{Name: name, NoLAN: true, Seeds: []string{"mem://hub"}, Roles: roles,
				Transports: []endpoint.Transport{net.Transport(memory.TransportConfig{Name: name})}})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = p.Close() })
			return p
		}
		hub := start("hub", peergroup.Roles{Rendezvous: true})
		var seen log
		stop := events.Watch(hub, seen.take)
		defer stop()
		ann := start("ann", peergroup.Roles{})
		if err := ann.Net().Rendezvous().WaitConnected(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		seen.want(t, "link: a link to somebody at mem://ann, encrypted", "rendezvous: somebody leases from this peer in NetPeerGroup",
			"peer: ann is known now in NetPeerGroup")

		crew, err := hub.Net().Create(t.Context(), peergroup.Spec{Name: "crew"})
		if err != nil {
			t.Fatal(err)
		}
		adv := advertisements.NewPipe(crew.ID(), "chat", advertisements.Unicast)
		in, err := crew.Pipes().Listen(t.Context(), adv)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		role := crew.Rendezvous().Role()
		other := rendezvous.Rendezvous
		if role == other {
			other = rendezvous.Edge
		}
		if err := crew.SetRole(other); err != nil {
			t.Fatal(err)
		}
		seen.want(t, "group: joined crew", "pipe: the pipe chat (JxtaUnicast) is open in crew", "rendezvous: this peer is "+other.String()+" now in crew")

		in.Close()
		time.Sleep(2 * time.Second)
		crew.Leave()
		if err := ann.Close(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		seen.want(t, "pipe: the pipe chat (JxtaUnicast) is closed in crew", "group: left crew", "rendezvous: somebody leases from this peer no more in NetPeerGroup",
			"link: the link to somebody at mem://ann has ended, the last one to it")

		stop()
		start("bob", peergroup.Roles{})
		time.Sleep(10 * time.Second)
		if seen.want(t); len(seen.all) > 0 {
			t.Errorf("after the end: %v", seen.all)
		}
	})
}

// TestEnd: a watcher of a peer that was closed ends, and can be stopped twice.
func TestEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{})
		p, err := peergroup.Start(context.Background(), peergroup.Config{Name: "p", NoLAN: true,
			Transports: []endpoint.Transport{net.Transport(memory.TransportConfig{Name: "p"})}})
		if err != nil {
			t.Fatal(err)
		}
		stop := events.Watch(p, func(events.Event) {})
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		stop()
		stop()
	})
}

// TestWords: every kind and what may happen has words and fields.
func TestWords(t *testing.T) {
	for kind, whats := range map[string][]string{
		events.KindLink:  {"up", "down"},
		events.KindPeer:  {"near", "not near", "known", "forgotten"},
		events.KindGroup: {"joined", "left"}, events.KindPipe: {"opened", "closed"},
		events.KindRelay: {"leased", "lost", "client joined", "client left"},
		events.KindReach: {"public", "private", "unknown"},
		events.KindRendezvous: {"leased", "renewed", "lost", "client joined", "client stayed", "client left", "neighbour up", "role changed",
			"view joined", "view left"},
	} {
		if !slices.Contains(events.Kinds(), kind) {
			t.Errorf("%s is not among the kinds", kind)
		}
		said := map[string]string{}
		for _, what := range whats {
			e := events.Event{Kind: kind, What: what, Group: "crew", Role: "edge", PipeName: "chat"}
			text := e.Text("ann")
			if other, ok := said[text]; ok || text == "" {
				t.Errorf("%s %s: %q, as %q", kind, what, text, other)
			}
			said[text] = what
			if f := e.Fields(); f[0].Name != "what" || f[0].Value != what {
				t.Errorf("%s %s: %v", kind, what, f)
			}
		}
	}
	for k := rendezvous.Leased; k <= rendezvous.ViewLeft; k++ {
		e := events.Event{Kind: events.KindRendezvous, What: k.String(), Group: "crew"}
		if strings.HasPrefix(e.Text("ann"), k.String()+":") {
			t.Errorf("no words for %s", k)
		}
	}
}
