package srdi

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/transport/memory"
	"github.com/juxta-p2p/juxta/protocols/rendezvous"
	"github.com/juxta-p2p/juxta/protocols/resolver"
	"github.com/juxta-p2p/juxta/protocols/routing"
)

// node is a rendezvous with a keeper, whose view is what the test says.
type node struct {
	id   id.Peer
	ep   *endpoint.Endpoint
	rdv  *rendezvous.Service
	res  *resolver.Service
	keep *Keeper
	way  *routing.Router

	mu    sync.Mutex
	view  []id.Peer
	got   []string // index messages, instead of giving them to the keeper
	deaf  bool     // note them
	learn []*advertisements.Route
}

func (n *node) setView(view ...id.Peer) {
	slices.SortFunc(view, order)
	n.mu.Lock()
	n.view = view
	n.mu.Unlock()
	n.keep.changed(rendezvous.Event{Kind: rendezvous.ViewJoined})
}

func (n *node) take() string {
	synctest.Wait()
	n.mu.Lock()
	defer n.mu.Unlock()
	s := strings.Join(n.got, "; ")
	n.got = nil
	return s
}

func newNode(t testing.TB, net *memory.Network, p id.Peer, role rendezvous.Role, cfg Config, seeds ...id.Peer) *node {
	t.Helper()
	n := &node{id: p}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	var err error
	n.ep, err = endpoint.New(endpoint.Config{Peer: p})
	must(err)
	must(n.ep.Add(net.Transport(memory.TransportConfig{Name: host(p)})))
	scope := n.ep.Scope(id.NetGroup)
	route := func() *advertisements.Route { return &advertisements.Route{Dest: p, Addresses: n.ep.Addresses()} }
	router, err := routing.New(routing.Config{Scope: scope, Self: route})
	must(err)
	n.way = router
	adv := &advertisements.Peer{ID: p, Group: id.NetGroup, Name: host(p)}
	must(adv.SetRoute(route()))
	n.rdv, err = rendezvous.New(rendezvous.Config{
		Scope: scope, Role: role, Advertisement: func() *advertisements.Peer { return adv },
		Seeds: func() (all []endpoint.Address) {
			for _, s := range seeds {
				all = append(all, endpoint.Address{Protocol: memory.Protocol, Host: host(s)})
			}
			return all
		},
	})
	must(err)
	n.res, err = resolver.New(resolver.Config{Scope: scope, Rendezvous: n.rdv, Route: route, Learn: router.Learn})
	must(err)
	cfg.Resolver, cfg.Handler = n.res, "h"
	cfg.Learn = func(r *advertisements.Route) {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.learn = append(n.learn, r)
	}
	cfg.view = func() []id.Peer {
		n.mu.Lock()
		defer n.mu.Unlock()
		return n.view
	}
	cfg.inView = func(p id.Peer) bool { return slices.Contains(cfg.view(), p) }
	n.keep, err = New(cfg)
	must(err)
	_, err = n.res.Register(t.Context(), "h", resolver.Handler{Index: func(ctx context.Context, x *resolver.Index) {
		n.mu.Lock()
		deaf := n.deaf
		n.mu.Unlock()
		if !deaf {
			n.keep.Receive(ctx, x)
			return
		}
		p, err := Read(x.Payload)
		if err != nil {
			t.Error(err)
			return
		}
		var all []string
		for _, e := range p.Entries {
			all = append(all, fmt.Sprintf("%s=%s:%d", e.Name, e.Value, e.Millis))
		}
		slices.Sort(all)
		n.mu.Lock()
		defer n.mu.Unlock()
		n.got = append(n.got, fmt.Sprintf("%s %s %s", host(p.Holder), p.Primary, strings.Join(all, " ")))
	}})
	must(err)
	t.Cleanup(func() {
		n.keep.Close()
		n.res.Close()
		n.rdv.Close()
		router.Close()
		_ = n.ep.Close()
	})
	return n
}

// host is the number of a peer.
func host(p id.Peer) string {
	s := strings.TrimPrefix(p.String(), "urn:jxta:uuid-59616261646162614E50472050325033")
	return "p" + strings.TrimLeft(strings.TrimSuffix(s, "03"), "0")
}

// placed finds values that the first of the peers has its place for.
func placed(at id.Peer, among []id.Peer, count int) (values []string) {
	row := NewRow(among...)
	for i := 0; len(values) < count; i++ {
		v := fmt.Sprint("v", i)
		if p, _ := row.Place("Adv", "Name", v); p == at {
			values = append(values, v)
		}
	}
	return values
}

func entries(values ...string) (all []Entry) {
	for _, v := range values {
		all = append(all, Entry{"Name", v, 1000})
	}
	return all
}

// one starts a rendezvous, the last of so many peers, linked to the others, of
// which some run and note what they get.
func one(t *testing.T, peers, run int, cfg Config) (*node, []*node, []id.Peer) {
	net := memory.New(memory.Config{Latency: time.Millisecond})
	ids := numbered(peers)
	n := newNode(t, net, ids[peers-1], rendezvous.Rendezvous, cfg)
	var others []*node
	for _, p := range ids[:run] {
		o := newNode(t, net, p, rendezvous.AdHoc, Config{})
		o.deaf = true
		n.way.Learn(&advertisements.Route{Dest: o.id, Addresses: o.ep.Addresses()})
		others = append(others, o)
	}
	synctest.Wait()
	return n, others, ids
}

// What is announced goes to its place, together as long as it waits, and in
// order.
func TestOutboxKeepsOrderAndMerges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, others, ids := one(t, 3, 2, Config{})
		n.setView(ids[:2]...)
		time.Sleep(time.Second)
		a, b := placed(ids[0], ids, 3), placed(ids[1], ids, 1)
		n.keep.Announce("Adv", entries(a[0]))
		n.keep.Announce("Adv", entries(a[1], b[0]))
		n.keep.Announce("Adv", entries(a[2]))
		n.keep.Announce("Adv", []Entry{{"Name", a[1], 0}})
		time.Sleep(100 * time.Millisecond)
		got := others[0].take()
		for _, want := range []string{a[0] + ":1000", a[2] + ":1000", a[1] + ":0"} {
			if strings.Count(got, "Name="+want) != 1 {
				t.Errorf("%q lacks %q", got, want)
			}
		}
		if n := strings.Count(got, ";"); n > 2 || strings.LastIndex(got, a[1]+":1000") > strings.LastIndex(got, a[1]+":0") {
			t.Errorf("%q: not together, or the withdrawal is not the last", got)
		}
		if got := others[1].take(); got != "p3 Adv Name="+b[0]+":1000" {
			t.Errorf("the other got %q", got)
		}
		if st := n.keep.Stats(); st.Unsent+st.Outdated > 0 || st.Queued != 0 {
			t.Errorf("%+v", st)
		}
	})
}

// What cannot be sent is tried again, for a while and only as long as it is for a
// member of the view, and counted then.
func TestOutboxTriesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, _, ids := one(t, 3, 0, Config{})
		n.setView(ids[:2]...)
		time.Sleep(time.Second)
		v := placed(ids[0], ids, 2)
		n.keep.Announce("Adv", entries(v[0]))
		time.Sleep(time.Second)
		if st := n.keep.Stats(); st.Queued != 1 || st.Unsent != 0 {
			t.Errorf("after a second: %+v", st)
		}
		n.keep.Announce("Adv", entries(v[1]))
		time.Sleep(time.Minute)
		if st := n.keep.Stats(); st.Queued != 0 || st.Unsent != 2 {
			t.Errorf("after a minute: %+v", st)
		}
		n.keep.Announce("Adv", entries(v[0]))
		time.Sleep(time.Second)
		n.setView(ids[1])
		time.Sleep(3 * time.Second)
		if st := n.keep.Stats(); st.Queued != 0 || st.Unsent != 3 {
			t.Errorf("of one who has gone: %+v", st)
		}
	})
}

// However much there is to send, it goes at a bounded rate, and what is announced
// beyond what may wait is counted.
func TestOutboxIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, others, ids := one(t, 3, 2, Config{})
		n.setView(ids[:2]...)
		time.Sleep(time.Second)
		v := placed(ids[0], ids, 2000)
		n.keep.Announce("Adv", entries(v[:1000]...))
		time.Sleep(100 * time.Millisecond)
		if s := others[0].take(); strings.Count(s, "Name=") != 1000 {
			t.Errorf("%d entries at once", strings.Count(s, "Name="))
		}
		o := &n.keep.outbox
		o.mu.Lock()
		if used := sendBurst - o.lines[ids[0]].credit; used < 50_000 || used > 100_000 {
			t.Errorf("a thousand entries count as %v octets", used)
		}
		o.lines[ids[0]].credit = -30 * sendRate // as if very much had been sent
		o.mu.Unlock()
		n.keep.Announce("Adv", entries(v[1000:]...))
		time.Sleep(29 * time.Second)
		if st := n.keep.Stats(); st.Queued != 1000 || others[0].take() != "" {
			t.Errorf("too soon: %+v", st)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
		defer cancel()
		n.keep.Flush(ctx)
		time.Sleep(100 * time.Millisecond)
		if s := others[0].take(); ctx.Err() != nil || strings.Count(s, "Name=") != 1000 {
			t.Errorf("%d entries later, %v", strings.Count(s, "Name="), ctx.Err())
		}
		o.mu.Lock()
		o.queued += maxQueued // as if
		o.mu.Unlock()
		n.keep.Announce("Adv", entries(v[0]))
		o.mu.Lock()
		o.queued -= maxQueued
		o.mu.Unlock()
		if st := n.keep.Stats(); st.Unsent != 1 || others[0].take() != "" {
			t.Errorf("%+v", st)
		}
	})
}

func TestOutboxCloses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, _, ids := one(t, 3, 0, Config{})
		n.setView(ids[:2]...)
		time.Sleep(time.Second)
		n.keep.Announce("Adv", entries(placed(ids[0], ids, 1)...)) // waits to be tried again
		time.Sleep(time.Second)
		n.keep.Close()
		n.keep.Announce("Adv", entries(placed(ids[0], ids, 1)...))
		n.keep.Close()
	})
}
