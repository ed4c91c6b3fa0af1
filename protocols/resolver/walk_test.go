package resolver_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/transport/memory"
	"github.com/juxta-p2p/juxta/protocols/rendezvous"
	"github.com/juxta-p2p/juxta/protocols/resolver"
)

// row starts rendezvous that know each other and returns them in the order in
// which a message walks. Each logs what it hears under the name and does with it
// what outcome says.
func row(t *testing.T, net *memory.Network, count int, got *log, outcome func(n *node, q *resolver.RawQuery) resolver.Outcome) []*node {
	t.Helper()
	var all []*node
	for i := range count {
		n := newNode(t, net, fmt.Sprint("r", i), nodeConfig{role: rendezvous.Rendezvous, seeds: []string{"r0"}})
		all = append(all, n)
	}
	slices.SortFunc(all, func(a, b *node) int { return strings.Compare(a.id.String(), b.id.String()) })
	for i, n := range all {
		_, err := n.res.Register(t.Context(), "name", resolver.Handler{Query: func(_ context.Context, q *resolver.RawQuery) resolver.Outcome {
			got.add("%d ", i)
			return outcome(n, q)
		}})
		if err != nil {
			t.Fatal(err)
		}
	}
	for range 120 {
		time.Sleep(time.Second)
		if !slices.ContainsFunc(all, func(n *node) bool { return len(n.rdv.View()) < count-1 }) {
			return all
		}
	}
	t.Fatal("the rendezvous do not meet")
	return nil
}

// A query walks as far as its range says, whoever starts the walk, and everybody
// on the way gets it once.
func TestRangeOfAWalk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{Latency: time.Millisecond})
		var got log
		var hops atomic.Int64 // of the one that passes on
		all := row(t, net, 7, &got, func(_ *node, q *resolver.RawQuery) resolver.Outcome {
			if q.Body == "no further" {
				return resolver.Done
			}
			if !q.ToGroup {
				t.Error("a walking query is one to this peer alone")
			}
			q.Range = int(hops.Load())
			return resolver.WalkOn
		})
		heard := func() string {
			time.Sleep(time.Second)
			s := strings.Fields(strings.ReplaceAll(got.take(), ";", ""))
			slices.Sort(s)
			return strings.Join(s, "")
		}
		for _, c := range []struct {
			start, pass int // range of the query, and of those who pass it on
			body, want  string
		}{
			{0, 0, "q", "012456"},
			{1, 0, "q", "24"},
			{2, 0, "q", "1245"},
			{0, 1, "q", "1245"}, // one hop from here, and from the next
			{-1, 0, "q", ""},
			{0, 0, "no further", "24"},
		} {
			hops.Store(int64(c.pass))
			n, err := all[3].res.WalkQuery(t.Context(), &resolver.RawQuery{Handler: "name", Body: c.body, Range: c.start})
			if s := heard(); s != c.want {
				t.Errorf("range %d, then %d: heard by %q, want %q", c.start, c.pass, s, c.want)
			}
			if (err == nil) != (c.want != "") || (n == 2) != (c.want != "") {
				t.Errorf("range %d: %d, %v", c.start, n, err)
			}
		}
		// An edge does not count the hops, its rendezvous does.
		e := newNode(t, net, "e", nodeConfig{seeds: []string{all[0].name}})
		time.Sleep(time.Second)
		for pass, want := range map[int]string{0: "0123456", 1: "01", 2: "012", -1: "0"} {
			hops.Store(int64(pass))
			if _, err := e.res.SpreadQuery(t.Context(), &resolver.RawQuery{Handler: "name", Body: "q", Range: 1}); err != nil {
				t.Fatal(err)
			}
			if s := heard(); s != want {
				t.Errorf("of an edge, then range %d: heard by %q, want %q", pass, s, want)
			}
		}
	})
}

// A query that comes by several ways is answered once and forwarded to nobody
// twice, but walks on.
func TestRepeatedQueries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{Latency: time.Millisecond})
		a, b, c := newNode(t, net, "a", nodeConfig{}), newNode(t, net, "b", nodeConfig{}), newNode(t, net, "c", nodeConfig{})
		for _, n := range []*node{a, c} {
			if _, err := b.ep.Dial(t.Context(), n.ep.Addresses()[0]); err != nil {
				t.Fatal(err)
			}
		}
		var got log
		_, err := b.res.Register(t.Context(), "name", resolver.Handler{Query: func(ctx context.Context, q *resolver.RawQuery) resolver.Outcome {
			n, _ := b.res.ForwardQuery(ctx, q, []id.Peer{c.id})
			got.add("answer %v, forwarded to %d", q.Answer(), n)
			if q.Answer() {
				t.Error("answered twice at once")
			}
			return resolver.Done
		}})
		if err != nil {
			t.Fatal(err)
		}
		ask := func(id int32, body string) string {
			q := &resolver.RawQuery{Handler: "name", ID: id, Body: body}
			if err := a.res.SendQuery(t.Context(), b.id, q); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
			return got.take()
		}
		const first, again = "answer true, forwarded to 1", "answer false, forwarded to 0"
		for i, c := range []struct {
			id         int32
			body, want string
		}{
			{7, "q", first}, {7, "q", again}, {8, "q", first}, {7, "another", first}, {7, "q", again},
		} {
			if s := ask(c.id, c.body); s != c.want {
				t.Errorf("%d: %q, want %q", i, s, c.want)
			}
		}
		if n := b.res.Stats().Repeated; n != 2 {
			t.Errorf("%d counted", n)
		}
		time.Sleep(30 * time.Second)
		if s := ask(7, "q"); s != first {
			t.Errorf("after a while: %q", s)
		}
	})
}

// A protocol is not asked again either.
func TestProtocolsAnswerOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{Latency: time.Millisecond})
		a, b := newNode(t, net, "a", nodeConfig{}), newNode(t, net, "b", nodeConfig{answer: true})
		if _, err := a.ep.Dial(t.Context(), b.ep.Addresses()[0]); err != nil {
			t.Fatal(err)
		}
		q := &resolver.RawQuery{Handler: greet.Name(), ID: 7, Body: "<Hello><From>a</From></Hello>"}
		for range 3 {
			if err := a.res.SendQuery(t.Context(), b.id, q); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Second)
		if n := a.res.Stats().Responses; n != 1 {
			t.Errorf("%d answers", n)
		}
	})
}

func TestQueryIDs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{})
		one := newNode(t, net, "one", nodeConfig{chance: rand.New(rand.NewPCG(1, 2))})
		same := newNode(t, net, "same", nodeConfig{chance: rand.New(rand.NewPCG(1, 2))})
		free := newNode(t, net, "free", nodeConfig{})
		equal, free1 := true, map[int32]bool{}
		for range 1000 {
			a, b, c := one.res.NewID(), same.res.NewID(), free.res.NewID()
			equal = equal && a == b
			free1[c] = true
			for _, n := range []int32{a, c, resolver.NewID()} {
				if n < 100_000_000 {
					t.Fatalf("query ID %d", n)
				}
			}
		}
		if !equal || len(free1) < 990 {
			t.Errorf("repeatable: %v; %d different ones otherwise", equal, len(free1))
		}
	})
}
