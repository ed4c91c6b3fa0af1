package relay_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/protocols/relay"
)

// answers collects what relays say to a peer that speaks the protocol by hand.
type answers struct {
	mu  sync.Mutex
	all []string
}

func (p *peer) listen() *answers {
	a := &answers{}
	must(p.scope.Handle(advertisements.RelayService(), "", func(_ context.Context, in endpoint.Incoming) {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.all = append(a.all, in.Message.Text("relay", "response")+" "+in.Message.Text("juxta", "RelayReason"))
	}))
	return a
}

// ask sends a request by message to a relay, over a link or through routing.
func (p *peer) ask(l endpoint.Link, about id.Peer, text string) {
	msg := message.New(message.Text("relay", "request", text))
	if err := p.scope.SendOn(context.Background(), l, advertisements.RelayService(), about.Unique(), msg); err != nil {
		p.w.t.Error(err)
	}
	time.Sleep(300 * time.Millisecond)
}

func (p *peer) dial(r *peer, request string) endpoint.Link {
	a := r.address()
	if request != "" {
		a = a.With("EndpointService:jxta-NetGroup", advertisements.RelayService()+"/"+request)
	}
	l := must(p.ep.DialNew(context.Background(), a))
	time.Sleep(300 * time.Millisecond)
	return l
}

func (a *answers) texts() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.all)
}

func (a *answers) last() string {
	all := a.texts()
	if len(all) == 0 {
		return ""
	}
	return all[len(all)-1]
}

// TestTakeover: nobody gets or ends the lease of another peer, on plain links at
// least as long as that one is heard of.
func TestTakeover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, true)
		r, owner, thief, other := w.join("relay", 1, false), w.join("owner", 2, true), w.join("thief", 2, true), w.join("other", 3, true)
		for _, p := range []*peer{r, owner, thief, other} {
			defer p.leave()
		}
		s := r.serve(relay.ServerConfig{})
		said, stolen, refused := owner.listen(), thief.listen(), other.listen()
		l := owner.dial(r, "connect,3600000,keep,true")
		if said.last() != "connected " {
			t.Fatalf("answer %q", said.last())
		}

		// Another peer, in the name of the owner.
		o := other.dial(r, "")
		for _, text := range []string{"connect,3600000,flush,true", "disconnect"} {
			other.ask(o, owner.id, text)
		}
		if st := s.Stats(); len(refused.texts()) != 0 || st.DroppedForged != 2 {
			t.Errorf("answers %v, %+v", refused.texts(), st)
		}

		// A peer under the same ID, from elsewhere, while the owner is there.
		time.Sleep(10 * time.Second)
		owner.ask(l, owner.id, "connect,3600000,keep,other")
		th := thief.dial(r, "connect,3600000,keep,true")
		if stolen.last() != "disconnected taken" {
			t.Errorf("answer %q", stolen.last())
		}
		thief.ask(th, thief.id, "disconnect")
		if i, ok := s.Client(owner.id); !ok || i.Left < 59*time.Minute {
			t.Errorf("the lease is %+v, %v", i, ok)
		}

		// The owner's link breaks; what is kept is not for who is there.
		_ = l.Close()
		time.Sleep(time.Second)
		if !s.Keep(owner.id, endpoint.Address{Service: "EndpointService:jxta-NetGroup", Param: "app"}, message.New(message.Text("", "text", "secret"))) {
			t.Fatal("not kept")
		}
		th = thief.dial(r, "")
		if i, _ := s.Client(owner.id); len(thief.texts()) != 0 || i.Queued != 1 {
			t.Errorf("thief got %v, %+v", thief.texts(), i)
		}
		thief.dial(r, "connect,3600000,keep,true")
		if stolen.last() != "disconnected taken" || len(thief.texts()) != 0 {
			t.Errorf("answer %q, got %v", stolen.last(), thief.texts())
		}
		_ = th.Close()

		// The owner comes back and gets it.
		owner.dial(r, "connect,3600000,keep,true")
		if got := owner.texts(); !slices.Equal(got, []string{"secret"}) {
			t.Errorf("owner got %v", got)
		}
	})
}

// TestProvenBeatsClaimed: who proves the ID gets the lease at once, and who does
// not never gets that of somebody who did.
func TestProvenBeatsClaimed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, true)
		w.proven["owner"] = true
		w.origins["owner"], w.origins["thief"] = "192.0.2.1", "192.0.2.1"
		r, owner, thief := w.join("relay", 1, false), w.join("owner", 2, true), w.join("thief", 2, true)
		for _, p := range []*peer{r, owner, thief} {
			defer p.leave()
		}
		s := r.serve(relay.ServerConfig{})
		said, stolen := owner.listen(), thief.listen()
		thief.dial(r, "connect")
		l := owner.dial(r, "connect")
		if said.last() != "connected " || stolen.last() != "connected " {
			t.Errorf("answers %q, %q", said.last(), stolen.last())
		}
		if i, _ := s.Client(owner.id); !i.Proven {
			t.Errorf("%+v", i)
		}
		_ = l.Close()
		time.Sleep(10 * time.Minute)
		thief.dial(r, "connect")
		if stolen.last() != "disconnected taken" {
			t.Errorf("answer %q", stolen.last())
		}
	})
}

// TestAnOwnerThatMoves is believed after half a minute of silence.
func TestAnOwnerThatMoves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, true)
		r, home, away := w.join("relay", 1, false), w.join("home", 2, true), w.join("away", 2, true)
		defer r.leave()
		defer away.leave()
		s := r.serve(relay.ServerConfig{})
		leased(t, home.lease(relay.ClientConfig{}, r), 1)
		w.net.Crash("home")
		home.leave()
		begin := time.Now()
		c := away.lease(relay.ClientConfig{}, r)
		leased(t, c, 1)
		if d := time.Since(begin); d < 29*time.Second || d > time.Minute {
			t.Errorf("after %v", d)
		}
		if st := s.Stats(); st.Granted != 1 || st.Refused == 0 {
			t.Errorf("%+v", st)
		}
	})
}

// TestNoIDsAreMade: the request for one is not served.
func TestNoIDsAreMade(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, true)
		r, p := w.join("relay", 1, false), w.join("p", 2, true)
		defer r.leave()
		defer p.leave()
		s := r.serve(relay.ServerConfig{})
		said := p.listen()
		l := p.dial(r, "pid")
		p.ask(l, p.id, "pid")
		p.dial(r, "connect,99999999999999999999")
		if st := s.Stats(); len(said.texts()) != 0 || st.DroppedID != 2 || st.DroppedMalformed != 1 || st.Clients != 0 {
			t.Errorf("answers %v, %+v", said.texts(), st)
		}
	})
}

// TestClientsOfOneHost are bounded where the origin tells something.
func TestClientsOfOneHost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, true)
		r := w.join("relay", 1, false)
		defer r.leave()
		s := r.serve(relay.ServerConfig{MaxPerHost: 3})
		for i, origin := range []string{"192.0.2.1", "127.0.0.1"} {
			for n := range 5 {
				name := fmt.Sprintf("p%d-%d", i, n)
				w.origins[name] = origin
				p := w.join(name, 10+10*i+n, true)
				defer p.leave()
				said := p.listen()
				p.dial(r, "connect")
				if want := map[bool]string{true: "disconnected crowded", false: "connected "}[i == 0 && n >= 3]; said.last() != want {
					t.Errorf("%s: %q, want %q", name, said.last(), want)
				}
			}
		}
		if n := len(s.Clients()); n != 8 {
			t.Errorf("%d clients", n)
		}
	})
}

// TestHints keep the link of a client in use that renews as rarely as JXSE does.
func TestHints(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, true)
		r, p := w.join("relay", 1, false), w.join("p", 2, true)
		defer r.leave()
		defer p.leave()
		r.serve(relay.ServerConfig{})
		said := p.listen()
		p.dial(r, "connect,3600000,keep,true")
		time.Sleep(49 * time.Minute)
		if n := r.ep.Stats().LinksIdled + p.ep.Stats().LinksIdled; n != 0 || len(said.texts()) != 5 {
			t.Errorf("%d links were closed, %d answers", n, len(said.texts()))
		}
	})
}

// TestFlush forgets what was kept, if a message asks for it, and not if an address
// does, under which a link may be opened again and again.
func TestFlush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, true)
		r, p := w.join("relay", 1, false), w.join("p", 2, true)
		defer r.leave()
		defer p.leave()
		s := r.serve(relay.ServerConfig{})
		p.listen()
		l := p.dial(r, "connect")
		_ = l.Close()
		time.Sleep(time.Second)
		hop := endpoint.Address{Service: "EndpointService:jxta-NetGroup", Param: "app"}
		s.Keep(p.id, hop, message.New(message.Text("", "text", "a")))
		l = p.dial(r, "connect,,flush,true")
		if got := p.texts(); !slices.Equal(got, []string{"a"}) {
			t.Errorf("got %v", got)
		}
		// A link of another kind, so that what is kept cannot be sent at once.
		_ = l.Close()
		time.Sleep(time.Second)
		for range 3 {
			s.Keep(p.id, hop, message.New(message.Text("", "text", "b")))
		}
		w.net.Partition("p")
		w.net.Heal()
		l = p.dial(r, "")
		p.ask(l, p.id, "connect,,flush,true")
		if st := s.Stats(); st.Messages != 0 || st.Delivered+st.DroppedForgotten != 4 {
			t.Errorf("%+v", st)
		}
	})
}

// TestOnlyClientsAreKeptFor, and nothing that is too large.
func TestOnlyClientsAreKeptFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, false)
		r, p := w.join("relay", 1, false), w.join("p", 2, true)
		defer r.leave()
		defer p.leave()
		s := r.serve(relay.ServerConfig{QueueBytes: 10_000})
		msg := func(n int) *message.Message { return message.New(message.Bytes("", "b", make([]byte, n))) }
		if s.Keep(p.id, endpoint.Address{}, msg(1)) {
			t.Error("kept for a stranger")
		}
		leased(t, p.lease(relay.ClientConfig{}, r), 1)
		w.net.Crash("p")
		time.Sleep(time.Second)
		for i, want := range []bool{true, true, false, false} {
			if got := s.Keep(p.id, endpoint.Address{}, msg([]int{4000, 4000, 4000, 20_000}[i])); got != want {
				t.Errorf("%d: %v", i, got)
			}
		}
		if st := s.Stats(); st.Messages != 2 || st.DroppedFull != 1 || st.DroppedTooLarge != 1 || st.Bytes < 8000 || st.Bytes > 10_000 {
			t.Errorf("%+v", st)
		}
		s.Close()
		s.Close()
		if s.Keep(p.id, endpoint.Address{}, msg(1)) || s.Stats().Bytes != 0 {
			t.Error("kept by a closed one")
		}
	})
}
