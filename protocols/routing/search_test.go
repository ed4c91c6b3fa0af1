package routing

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/transport/memory"
	"github.com/juxta-p2p/juxta/core/xmldoc"
	"github.com/juxta-p2p/juxta/protocols/rendezvous"
	"github.com/juxta-p2p/juxta/protocols/resolver"
)

// TestWhoWasLookedForInVain is looked for with one question only for a minute, and
// found at once when it is back.
func TestWhoWasLookedForInVain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{Latency: time.Millisecond})
		newNode(t, net, "r", nodeConfig{role: rendezvous.Rendezvous})
		a := newNode(t, net, "a", nodeConfig{seeds: []string{"r"}})
		time.Sleep(time.Second)
		b := &node{id: seeded("b")}
		for i, want := range []time.Duration{searchTimeout, askAgain, askAgain} {
			began := time.Now()
			if err := a.send(t.Context(), b, "x"); !errors.Is(err, endpoint.ErrNoRoute) || time.Since(began) != want {
				t.Errorf("search %d: %v after %v, want %v", i, err, time.Since(began), want)
			}
		}
		if x := a.r.Explain(t.Context(), b.id); time.Since(x.Nobody) != 2*askAgain || len(x.Failures) != 3 {
			t.Errorf("%+v", x)
		}
		b = newNode(t, net, "b", nodeConfig{seeds: []string{"r"}})
		time.Sleep(time.Second)
		if err := a.send(t.Context(), b, "back"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Millisecond)
		b.want(t, a, "back")
		time.Sleep(lostFor)
		gone := &node{id: seeded("gone")}
		began := time.Now()
		if err := a.send(t.Context(), gone, "x"); err == nil || time.Since(began) != searchTimeout {
			t.Errorf("another: %v after %v", err, time.Since(began))
		}
	})
}

// TestAPeerThatDialsEndsTheSearchForIt, though nothing is known but the link.
func TestAPeerThatDialsEndsTheSearchForIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{Latency: time.Millisecond})
		newNode(t, net, "r", nodeConfig{role: rendezvous.Rendezvous})
		a := newNode(t, net, "a", nodeConfig{seeds: []string{"r"}})
		time.Sleep(time.Second)
		absent := &node{id: seeded("b")}
		sent := make(chan error, 1)
		go func() { sent <- a.send(t.Context(), absent, "at last") }()
		time.Sleep(time.Second)
		b := newNode(t, net, "b", nodeConfig{deaf: true})
		began := time.Now()
		b.dial(t, a)
		if err := <-sent; err != nil || time.Since(began) > 10*time.Millisecond {
			t.Fatalf("%v after %v", err, time.Since(began))
		}
		time.Sleep(10 * time.Millisecond)
		b.want(t, a, "at last")
	})
}

// TestAnswersDoNotWaitForBlackHoles: the addresses of an asker that nobody can dial
// hold up the answer for half a second, once; then it goes back the way the question
// came, and so does the next at once.
func TestAnswersDoNotWaitForBlackHoles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{Latency: time.Millisecond})
		net.Partition("hole")
		a, m, b := newNode(t, net, "a", nodeConfig{deaf: true}), newNode(t, net, "m", nodeConfig{}), newNode(t, net, "b", nodeConfig{})
		a.dial(t, m)
		b.dial(t, m)
		time.Sleep(time.Second)
		doc, err := xmldoc.Marshal(&query{Dest: b.id, Src: &advertisements.Route{Dest: a.id, Addresses: []endpoint.Address{mem("hole")}}})
		if err != nil {
			t.Fatal(err)
		}
		for i, want := range []time.Duration{backTimeout, 0} {
			began := time.Now()
			b.r.asker.Load().query(t.Context(), &resolver.RawQuery{Handler: service, ID: 7, Source: a.id, From: m.id, Body: string(doc)})
			if took := time.Since(began); took != want || b.r.Stats().Answered != uint64(i+1) || b.r.Stats().Asked != 0 {
				t.Errorf("question %d: %v, %+v", i, took, b.r.Stats())
			}
			time.Sleep(time.Minute)
		}
		if m.r.Stats().Forwarded != 2 {
			t.Errorf("%+v", m.r.Stats())
		}
		// A peer that only passed the question on knows the way back, too.
		far := seeded("far")
		doc, err = xmldoc.Marshal(&query{Dest: numbered(1), Src: &advertisements.Route{Dest: far}})
		if err != nil {
			t.Fatal(err)
		}
		if b.r.asker.Load().query(t.Context(), &resolver.RawQuery{Handler: service, ID: 8, Source: far, From: m.id, Body: string(doc)}) != resolver.WalkOn {
			t.Error("it was not passed on")
		}
		if i, _ := b.r.Route(far); len(i.Ways) != 1 || i.Ways[0].From != m.id || i.Ways[0].Hops[0] != m.id {
			t.Errorf("%+v", i)
		}
	})
}

// TestAnswersOverOthers: a way told by a peer that is itself reached through others
// has those in front; a peer's own word lifts the blame on it.
func TestAnswersOverOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{})
		a, m := newNode(t, net, "a", nodeConfig{}), newNode(t, net, "m", nodeConfig{})
		a.dial(t, m)
		responder, wanted := &node{id: seeded("responder")}, seeded("wanted")
		a.r.Learn(hops(responder.id, m))
		a.r.Learn(hops(wanted, responder))
		a.r.mu.Lock()
		a.r.table.get(wanted).blame(responder.id, a.r.now())
		a.r.table.get(wanted).ways = nil
		a.r.mu.Unlock()
		a.r.Learn(hops(wanted, responder))
		if i, _ := a.r.Route(wanted); len(i.Ways) != 0 {
			t.Fatalf("%+v", i)
		}
		asker := a.r.asker.Load()
		asker.mu.Lock()
		asker.pending = map[id.Peer]*asked{wanted: {id: 7, when: time.Now()}}
		asker.mu.Unlock()
		doc, err := xmldoc.Marshal(&response{Dest: &advertisements.Route{Dest: wanted}, Src: &advertisements.Route{Dest: responder.id}})
		if err != nil {
			t.Fatal(err)
		}
		asker.response(t.Context(), &resolver.RawResponse{Handler: service, ID: 7, From: responder.id, Body: string(doc)})
		i, _ := a.r.Route(wanted)
		if len(i.Ways) != 2 || i.Kind != KindHops || len(i.Hops) != 2 || i.Hops[0] != m.id || i.Hops[1] != responder.id {
			t.Errorf("%+v", i)
		}
	})
}
