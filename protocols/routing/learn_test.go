package routing

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/transport/memory"
	"github.com/juxta-p2p/juxta/core/xmldoc"
	"github.com/juxta-p2p/juxta/protocols/resolver"
)

// TestLearningRules: what of a route is kept.
func TestLearningRules(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{})
		a := newNode(t, net, "a", nodeConfig{})
		p, q, r := id.PeerFromSeed(id.NetGroup, []byte("p")), id.PeerFromSeed(id.NetGroup, []byte("q")), id.PeerFromSeed(id.NetGroup, []byte("r"))
		hops := func(all ...id.Peer) (points []advertisements.AccessPoint) {
			for _, p := range all {
				points = append(points, advertisements.AccessPoint{Peer: p})
			}
			return points
		}
		var long []id.Peer
		for i := range maxHops + 1 {
			long = append(long, id.PeerFromSeed(id.NetGroup, []byte{byte(i), 7}))
		}
		for what, c := range map[string]struct {
			route advertisements.Route
			want  string
		}{
			"addresses": {advertisements.Route{Addresses: []endpoint.Address{
				mem("p"), mem("p").With("svc", "x"), mem("a"), endpoint.MustParseAddress("tcp://192.0.2.1:9701"),
				endpoint.MustParseAddress("jxtatls://" + p.Unique()), endpoint.MustParseAddress("relay://" + p.Unique()),
			}}, "[mem://p] []"},
			"hops":                     {advertisements.Route{Hops: hops(q, r)}, "[] [q r]"},
			"what is before oneself":   {advertisements.Route{Hops: hops(q, a.id, r)}, "[] [r]"},
			"the destination as a hop": {advertisements.Route{Hops: hops(q, p)}, "[] [q]"},
			"too many hops":            {advertisements.Route{Hops: hops(long...)}, ""},
			"nothing":                  {advertisements.Route{}, ""},
		} {
			a.r.Forget(p)
			c.route.Dest = p
			a.r.Learn(&c.route)
			got := ""
			for _, i := range a.r.Routes() {
				if i.Peer == p {
					names := []string{}
					for _, h := range i.Hops {
						names = append(names, map[id.Peer]string{q: "q", r: "r"}[h])
					}
					got = fmt.Sprint(i.Addresses, names)
				}
			}
			if got != c.want {
				t.Errorf("%s: %s, want %s", what, got, c.want)
			}
		}
		a.r.Learn(&advertisements.Route{Dest: a.id, Addresses: []endpoint.Address{mem("elsewhere")}})
		a.r.Learn(nil)
		for _, i := range a.r.Routes() {
			if i.Peer == a.id {
				t.Error("a route to oneself was learned")
			}
		}
	})
}

// TestHearsay: what others say about a peer adds to what is known, and replaces
// nothing.
func TestHearsay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{})
		a := newNode(t, net, "a", nodeConfig{})
		p, q := id.PeerFromSeed(id.NetGroup, []byte("p")), id.PeerFromSeed(id.NetGroup, []byte("q"))
		known := func(p id.Peer) string {
			for _, i := range a.r.Routes() {
				if i.Peer == p {
					return fmt.Sprint(i.Addresses, len(i.Hops))
				}
			}
			return ""
		}
		at := func(names ...string) (all []endpoint.Address) {
			for _, n := range names {
				all = append(all, mem(n))
			}
			return all
		}
		want := func(p id.Peer, want string) {
			t.Helper()
			if got := known(p); got != want {
				t.Errorf("known is %s, want %s", got, want)
			}
		}
		a.r.Hear(&advertisements.Route{Dest: p, Addresses: at("1")})
		want(p, "[mem://1] 0")
		a.r.Hear(&advertisements.Route{Dest: p, Addresses: at("2", "1"), Hops: []advertisements.AccessPoint{{Peer: q}}})
		want(p, "[mem://1 mem://2] 1")
		a.r.Learn(&advertisements.Route{Dest: p, Addresses: at("3")}) // the peer itself
		want(p, "[mem://3] 1")
		for i := range 20 {
			a.r.Hear(&advertisements.Route{Dest: p, Addresses: at(fmt.Sprint("trap", i))})
		}
		if got := known(p); !strings.HasPrefix(got, "[mem://3 mem://trap0 ") || strings.Count(got, "mem") != maxHeard {
			t.Errorf("known is %s", got)
		}
		// A peer that tells its own way says something about others.
		a.r.Learn(&advertisements.Route{Dest: q, Hops: []advertisements.AccessPoint{{Peer: p, Addresses: at("trap")}}})
		want(q, "[] 1")
		if got := known(p); !strings.HasPrefix(got, "[mem://3 ") {
			t.Errorf("known is %s", got)
		}
		// A way through others stays, too, and comes before what others say.
		a.r.Hear(&advertisements.Route{Dest: q, Addresses: at("trap"), Hops: []advertisements.AccessPoint{{Peer: numbered(1)}}})
		want(q, "[mem://trap] 1")
		a.r.Hear(&advertisements.Route{Dest: a.id, Addresses: at("trap")})
		a.r.Hear(nil)
		want(a.id, "")
	})
}

// TestFailedAddressesRest: an address that did not answer is left alone for 30 s.
func TestFailedAddressesRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{})
		a := newNode(t, net, "a", nodeConfig{})
		b := &node{id: id.PeerFromSeed(id.NetGroup, []byte("b"))}
		a.r.Learn(&advertisements.Route{Dest: b.id, Addresses: []endpoint.Address{mem("b")}})
		if err := a.send(t.Context(), b, "x"); err == nil {
			t.Fatal("sent to nobody")
		}
		b = newNode(t, net, "b", nodeConfig{})
		time.Sleep(attemptPause - time.Second)
		if err := a.send(t.Context(), b, "x"); err == nil || !strings.Contains(err.Error(), "failed less than 30s ago") {
			t.Errorf("after 29 s: %v", err)
		}
		time.Sleep(time.Second)
		if err := a.send(t.Context(), b, "x"); err != nil {
			t.Error(err)
		}
		b.want(t, a, "x")
	})
}

// TestRouteAnswers: what is told about whom, and which answers are believed.
func TestRouteAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{})
		a, b, c := newNode(t, net, "a", nodeConfig{}), newNode(t, net, "b", nodeConfig{}), newNode(t, net, "c", nodeConfig{})
		far, hop := id.PeerFromSeed(id.NetGroup, []byte("far")), id.PeerFromSeed(id.NetGroup, []byte("hop"))
		b.dial(t, a)
		c.dial(t, a)
		a.r.Learn(&advertisements.Route{Dest: far, Hops: []advertisements.AccessPoint{{Peer: hop}}})
		asker := a.r.asker.Load()
		for what, q := range map[string]struct {
			wanted id.Peer
			bad    []id.Peer
			want   string // nil, or addresses and hops
		}{
			"itself":            {a.id, nil, "[mem://a] []"},
			"a neighbour":       {b.id, nil, "[] []"},
			"a way":             {far, nil, "[] [" + hop.Short() + "]"},
			"a way that is bad": {far, []id.Peer{c.id, hop}, "nil"},
			"nothing":           {hop, nil, "nil"},
		} {
			got := "nil"
			if r := asker.known(q.wanted, q.bad); r != nil {
				hops := []string{}
				for _, h := range r.Hops {
					hops = append(hops, h.Peer.Short())
				}
				if got = fmt.Sprint(r.Addresses, hops); r.Dest != q.wanted {
					t.Errorf("%s: told of %s", what, r.Dest.Short())
				}
			}
			if got != q.want {
				t.Errorf("%s: %s, want %s", what, got, q.want)
			}
		}
		// Whoever answers must be asked, and speak for himself.
		doc := func(responder *node, wanted id.Peer, hops ...id.Peer) string {
			d := &advertisements.Route{Dest: wanted}
			for _, h := range hops {
				d.Hops = append(d.Hops, advertisements.AccessPoint{Peer: h})
			}
			text, err := xmldoc.Marshal(&response{Dest: d, Src: responder.route()})
			if err != nil {
				t.Fatal(err)
			}
			return string(text)
		}
		wanted := id.PeerFromSeed(id.NetGroup, []byte("wanted"))
		ways := func() string {
			i, _ := a.r.Route(wanted)
			all := []string{}
			for _, w := range i.Ways {
				s := []string{}
				for _, h := range w.Hops {
					s = append(s, map[id.Peer]string{b.id: "b", c.id: "c", hop: "hop"}[h])
				}
				all = append(all, strings.Join(s, " "))
			}
			return strings.Join(all, ", ")
		}
		for _, x := range []struct {
			what  string
			asked bool
			r     resolver.RawResponse
			want  string
		}{
			{"nobody asked", false, resolver.RawResponse{ID: 42, From: b.id, Body: doc(b, wanted)}, ""},
			{"a NACK", true, resolver.RawResponse{ID: -1, From: b.id, Body: doc(b, wanted, hop)}, ""},
			{"another question", true, resolver.RawResponse{ID: 43, From: b.id, Body: doc(b, wanted)}, ""},
			{"in another's name", true, resolver.RawResponse{ID: 42, From: c.id, Body: doc(b, wanted)}, ""},
			{"no document", true, resolver.RawResponse{ID: 42, From: c.id, Body: "<jxta:ERR/>"}, ""},
			{"a neighbour of it", true, resolver.RawResponse{ID: 42, From: b.id, Body: doc(b, wanted)}, "b"},
			{"further", true, resolver.RawResponse{ID: 42, From: b.id, Body: doc(b, wanted, hop)}, "b, b hop"},
			{"itself in front", true, resolver.RawResponse{ID: 42, From: c.id, Body: doc(c, wanted, c.id, hop)}, "b, c hop, b hop"},
		} {
			asker.mu.Lock()
			if x.asked {
				if asker.pending == nil {
					asker.pending = map[id.Peer]*asked{}
				}
				asker.pending[wanted] = &asked{id: 42, when: time.Now()}
			}
			asker.mu.Unlock()
			x.r.Handler = service
			asker.response(t.Context(), &x.r)
			if got := ways(); got != x.want {
				t.Errorf("%s: the way is %q, want %q", x.what, got, x.want)
			}
		}
	})
}
