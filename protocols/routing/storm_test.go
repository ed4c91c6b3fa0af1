package routing

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/core/transport/memory"
	"github.com/juxta-p2p/juxta/core/xmldoc"
	"github.com/juxta-p2p/juxta/protocols/rendezvous"
	"github.com/juxta-p2p/juxta/protocols/resolver"
)

// routed is a message of from to a peer, as it stands between two hops.
func routed(t testing.TB, from, to id.Peer, h header) *message.Message {
	t.Helper()
	h.Src, h.Dest = endpoint.PeerAddress(from, "", ""), endpoint.PeerAddress(to, "svc", "p")
	if h.Last.IsZero() {
		h.Last = endpoint.PeerAddress(from, "", "")
	}
	doc, err := xmldoc.Marshal(&h)
	if err != nil {
		t.Fatal(err)
	}
	return message.New(message.Text("", "t", "x"), message.XML(message.Platform, elemHeader, doc))
}

// TestForwardingAsksNobody: a message for somebody unknown, sent to a rendezvous to
// be passed on, causes no question to the group, and neither does an answer to
// somebody who cannot be reached. A message of its own does.
func TestForwardingAsksNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{Latency: time.Millisecond})
		r := newNode(t, net, "r", nodeConfig{role: rendezvous.Rendezvous})
		e := newNode(t, net, "e", nodeConfig{seeds: []string{"r"}})
		k := newKeeper(t, net, "k")
		l, err := k.ep.Dial(t.Context(), mem("r"))
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		heard := e.ep.Stats().Received
		for i := range 100 {
			h := header{}
			if i%2 == 0 {
				h.Fwd = []id.Peer{numbered(1000 + i)}
			}
			if i%3 == 0 {
				r.r.Learn(&advertisements.Route{Dest: numbered(i), Addresses: []endpoint.Address{mem("nowhere")}})
			}
			if err := k.ep.SendOn(t.Context(), l, r.r.hop(), routed(t, k.id, numbered(i), h)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
		}
		if s := r.r.Stats(); s.Asked != 0 || s.DroppedNoRoute != 100 || e.ep.Stats().Received != heard {
			t.Errorf("%+v; a client heard of it %d times", s, e.ep.Stats().Received-heard)
		}
		for i := range 100 { // "where are you", from somebody who is not there and for whom nobody speaks
			q := &query{Dest: r.id, Src: &advertisements.Route{Dest: numbered(i), Addresses: []endpoint.Address{mem("nowhere")}}}
			doc, err := xmldoc.Marshal(q)
			if err != nil {
				t.Fatal(err)
			}
			r.r.asker.Load().query(t.Context(), &resolver.RawQuery{Handler: service, ID: 1, Source: numbered(i), From: numbered(5000), Body: string(doc)})
		}
		if s := r.r.Stats(); s.Asked != 0 || s.UnsentAnswer != 100 || e.ep.Stats().Received != heard {
			t.Errorf("%+v; a client heard of it %d times", s, e.ep.Stats().Received-heard)
		}
		if err := r.send(t.Context(), &node{id: numbered(0)}, "own"); err == nil {
			t.Error("sent to nobody")
		}
		if s := r.r.Stats(); s.Asked < 10 || s.UnsentNoRoute != 1 || e.ep.Stats().Received == heard {
			t.Errorf("own messages: %+v", s)
		}
	})
}

// TestAnswersGoBackTheWayTheQuestionCame, where the asker cannot be reached
// otherwise.
func TestAnswersGoBackTheWayTheQuestionCame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{Latency: time.Millisecond})
		a, m, b := newNode(t, net, "a", nodeConfig{deaf: true}), newNode(t, net, "m", nodeConfig{}), newNode(t, net, "b", nodeConfig{})
		a.dial(t, m)
		b.dial(t, m)
		time.Sleep(time.Second)
		doc, err := xmldoc.Marshal(&query{Dest: b.id, Src: a.route()})
		if err != nil {
			t.Fatal(err)
		}
		asker := a.r.asker.Load()
		asker.pending = map[id.Peer]*asked{b.id: {id: 7, when: time.Now()}}
		b.r.asker.Load().query(t.Context(), &resolver.RawQuery{Handler: service, ID: 7, Source: a.id, From: m.id, Body: string(doc)})
		time.Sleep(time.Second)
		if s := b.r.Stats(); s.Answered != 1 || s.Asked != 0 || m.r.Stats().Forwarded != 1 {
			t.Fatalf("%+v", s)
		}
		if err := a.send(t.Context(), b, "found"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		b.want(t, a, "found")
	})
}

// TestWhatIsLostIsCounted: reasons that no other test of the package counts.
func TestWhatIsLostIsCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{})
		v, k := newNode(t, net, "v", nodeConfig{}), newKeeper(t, net, "k")
		l, err := k.ep.Dial(t.Context(), mem("v"))
		if err != nil {
			t.Fatal(err)
		}
		far, other := id.PeerFromSeed(id.NetGroup, []byte("far")), id.PeerFromSeed(id.NetGroup, []byte("other"))
		asker := v.r.asker.Load()
		push := func(m *message.Message) {
			if err := k.ep.SendOn(t.Context(), l, v.r.hop(), m); err != nil {
				t.Fatal(err)
			}
		}
		many := make([]advertisements.AccessPoint, maxHops+1)
		for i := range many {
			many[i].Peer = numbered(i)
		}
		for _, c := range []struct {
			what  string
			do    func()
			count func(Stats) uint64
			want  uint64
		}{
			{"another neighbour's name", func() {
				push(routed(t, k.id, far, header{Last: endpoint.PeerAddress(other, "", "")}))
			}, func(s Stats) uint64 { return s.DroppedForged }, 1},
			{"our own comes back", func() { push(routed(t, v.id, far, header{Last: endpoint.PeerAddress(k.id, "", "")})) },
				func(s Stats) uint64 { return s.DroppedLoop }, 1},
			{"too many wait", func() {
				v.r.Learn(&advertisements.Route{Dest: far, Addresses: []endpoint.Address{mem("nowhere")}})
				v.r.mu.Lock()
				v.r.forwards += maxForwards
				v.r.mu.Unlock()
				push(routed(t, k.id, far, header{}))
				synctest.Wait()
				v.r.mu.Lock()
				v.r.forwards -= maxForwards
				v.r.mu.Unlock()
			}, func(s Stats) uint64 { return s.DroppedBusy }, 1},
			{"too many hops", func() { v.r.Learn(&advertisements.Route{Dest: far, Hops: many}) },
				func(s Stats) uint64 { return s.RefusedRoutes }, 1},
			{"too many addresses", func() {
				v.r.Forget(far)
				v.r.Hear(&advertisements.Route{Dest: far, Addresses: []endpoint.Address{mem("first")}})
				for i := range maxHeard + 2 {
					v.r.Hear(&advertisements.Route{Dest: far, Addresses: []endpoint.Address{mem(strings.Repeat("x", i+1))}})
				}
			}, func(s Stats) uint64 { return s.ClippedAddresses }, 3},
			{"a query that is none", func() { asker.query(t.Context(), &resolver.RawQuery{Body: "<x/>"}) },
				func(s Stats) uint64 { return s.DroppedMalformed }, 1},
			{"an answer that is none", func() { asker.response(t.Context(), &resolver.RawResponse{Body: "<x/>"}) },
				func(s Stats) uint64 { return s.DroppedMalformed }, 1},
			{"an answer to nothing", func() {
				doc, err := xmldoc.Marshal(&response{Dest: &advertisements.Route{Dest: far}, Src: &advertisements.Route{Dest: k.id}})
				if err != nil {
					t.Fatal(err)
				}
				asker.response(t.Context(), &resolver.RawResponse{From: k.id, ID: 3, Body: string(doc)})
			}, func(s Stats) uint64 { return s.DroppedUnasked }, 1},
			{"nobody to ask", func() { _ = v.send(t.Context(), &node{id: other}, "x") },
				func(s Stats) uint64 { return s.UnsentAsk }, 1},
			{"too much asked", func() {
				asker.mu.Lock()
				asker.pending = map[id.Peer]*asked{}
				for i := range maxPendingQueries {
					asker.pending[numbered(i)] = &asked{when: time.Now()}
				}
				asker.mu.Unlock()
				_ = v.send(t.Context(), &node{id: other}, "x")
			}, func(s Stats) uint64 { return s.UnsentAsk }, 1},
			{"no peer", func() {
				_ = v.ep.Send(t.Context(), endpoint.MustParseAddress("jxta://nobody/svc"), message.New(message.Text("", "t", "x")))
			}, func(s Stats) uint64 { return s.UnsentNoRoute }, 1},
			{"the link does not take it", func() {
				m := message.New(message.Text("", strings.Repeat("t", 1<<16), "x"))
				if err := v.ep.Scope(id.NetGroup).Send(t.Context(), k.id, "svc", "p", m); err == nil {
					t.Error("a name of 64 KiB was sent")
				}
			}, func(s Stats) uint64 { return s.UnsentLink }, 1},
		} {
			before := v.r.Stats()
			c.do()
			time.Sleep(time.Second)
			if got := c.count(v.r.Stats()) - c.count(before); got != c.want {
				t.Errorf("%s: counted %d, want %d: %+v", c.what, got, c.want, v.r.Stats())
			}
		}
	})
}

// BenchmarkOwnRouteAsked is the cost of answering those who ask for this peer, each
// of whom is another one.
func BenchmarkOwnRouteAsked(b *testing.B) {
	route := &advertisements.Route{Dest: numbered(-1), Addresses: []endpoint.Address{mem("a")}}
	r := &Router{cfg: Config{Self: func() *advertisements.Route { return route }}, self: numbered(-1)}
	a := &asker{r: r}
	b.ReportAllocs()
	for b.Loop() {
		if doc, ok, err := a.answer(&query{Dest: r.self}); !ok || err != nil || doc == "" {
			b.Fatal(ok, err)
		}
	}
}

// TestKnownWaysAskNobody: who sends by known ways only gets an error at once.
func TestKnownWaysAskNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{Latency: time.Millisecond})
		r := newNode(t, net, "r", nodeConfig{role: rendezvous.Rendezvous})
		newNode(t, net, "e", nodeConfig{seeds: []string{"r"}})
		time.Sleep(time.Second)
		began := time.Now()
		if err := r.send(endpoint.KnownWays(t.Context()), &node{id: numbered(0)}, "hello"); !errors.Is(err, endpoint.ErrNoRoute) {
			t.Errorf("sent: %v", err)
		}
		if s := r.r.Stats(); s.Asked != 0 || s.UnsentNoRoute != 1 || time.Since(began) > 0 {
			t.Errorf("%+v after %v", s, time.Since(began))
		}
	})
}
