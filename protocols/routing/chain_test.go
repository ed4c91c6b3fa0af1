package routing

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/core/transport/memory"
	"github.com/juxta-p2p/juxta/core/xmldoc"
	"github.com/juxta-p2p/juxta/protocols/resolver"
)

// hops is a route to a peer through others.
func hops(to id.Peer, through ...*node) *advertisements.Route {
	r := &advertisements.Route{Dest: to}
	for _, n := range through {
		r.Hops = append(r.Hops, advertisements.AccessPoint{Peer: n.id})
	}
	return r
}

// chain makes peers of which each has a link to the next, and no address.
func chain(t *testing.T, net *memory.Network, names ...string) []*node {
	t.Helper()
	var all []*node
	for i, name := range names {
		n := newNode(t, net, name, nodeConfig{})
		n.r.cfg.Self = func() *advertisements.Route { return &advertisements.Route{Dest: n.id} }
		all = append(all, n)
		if i > 0 {
			n.dial(t, all[i-1])
		}
	}
	return all
}

// drop closes the links between two peers.
func drop(a, b *node) {
	for _, l := range a.ep.Links() {
		if l.Peer() == b.id {
			_ = l.Close()
		}
	}
	synctest.Wait()
}

// TestFivePeersInARow: a message and its answer, each peer knowing but its
// neighbours, and the way there being told, the way back learned.
func TestFivePeersInARow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{Latency: time.Millisecond})
		all := chain(t, net, "a", "b", "c", "d", "e")
		a, e := all[0], all[4]
		a.r.Learn(hops(e.id, all[1], all[2], all[3]))
		if err := a.send(t.Context(), e, "there"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Millisecond)
		e.want(t, a, "there")
		if err := e.send(t.Context(), a, "back"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Millisecond)
		a.want(t, e, "back")
		back, _ := e.r.Route(a.id)
		if !slices.Equal(back.Hops, []id.Peer{all[3].id, all[2].id, all[1].id}) || back.Ways[0].From != all[3].id {
			t.Errorf("the way back is %+v", back)
		}
		for _, n := range all[1:4] {
			if s := n.r.Stats(); s.Forwarded != 2 || s.Delivered != 0 || s.DroppedLoop != 0 {
				t.Errorf("%s: %+v", n.name, s)
			}
		}
	})
}

// TestRepairWhenTheMiddleDies: the peer before the gap says so, the originator takes
// its next way, and asks nobody.
func TestRepairWhenTheMiddleDies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{Latency: time.Millisecond})
		all := chain(t, net, "a", "b", "c", "d", "e")
		a, b, d, e := all[0], all[1], all[3], all[4]
		other := newNode(t, net, "other", nodeConfig{deaf: true})
		other.dial(t, a)
		other.dial(t, e)
		time.Sleep(time.Second)
		a.r.Learn(hops(e.id, all[1:4]...))
		a.r.Learn(hops(e.id, all[1], all[2], d, other)) // the last is a neighbour, too
		send := func(text string) {
			t.Helper()
			if err := a.send(endpoint.KnownWays(t.Context()), e, text); err != nil {
				t.Fatal(err)
			}
			time.Sleep(100 * time.Millisecond)
		}
		send("one")
		e.want(t, a, "one")
		net.Crash("c")
		time.Sleep(100 * time.Millisecond)
		send("lost")
		if s := b.r.Stats(); s.NacksSent != 1 || s.DroppedNoRoute != 1 {
			t.Fatalf("b: %+v", s)
		}
		if s := a.r.Stats(); s.NacksTaken != 1 || s.Asked != 0 {
			t.Fatalf("a: %+v", s)
		}
		send("two")
		e.want(t, a, "two")
		if s := other.r.Stats(); s.Forwarded != 1 {
			t.Errorf("other: %+v", s)
		}
		x, _ := a.r.Route(e.id)
		if len(x.Ways) != 1 || x.Kind != KindHops {
			t.Errorf("known is %+v", x)
		}
		// For two minutes the way over the gap is not learned again.
		a.r.Learn(hops(e.id, all[1:4]...))
		if x, _ := a.r.Route(e.id); len(x.Ways) != 1 || !slices.Equal(a.r.badHops(e.id), []id.Peer{all[2].id}) {
			t.Errorf("known is %+v, bad are %v", x, a.r.badHops(e.id))
		}
		time.Sleep(badHopLife)
		a.r.Learn(hops(e.id, all[1:4]...))
		if x, _ := a.r.Route(e.id); len(x.Ways) != 2 || len(a.r.badHops(e.id)) != 0 {
			t.Errorf("known is %+v", x)
		}
	})
}

// TestAChoiceOnTheWayIsRepaired: a peer in between that chose the way on hears the
// NACK, too.
func TestAChoiceOnTheWayIsRepaired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{Latency: time.Millisecond})
		all := chain(t, net, "a", "b", "c", "d")
		a, b, c, d := all[0], all[1], all[2], all[3]
		other := newNode(t, net, "other", nodeConfig{deaf: true})
		other.dial(t, b)
		other.dial(t, d)
		time.Sleep(time.Second)
		a.r.Learn(hops(d.id, b))
		b.r.Learn(hops(d.id, other))
		b.r.Learn(hops(d.id, c))
		drop(c, d)
		for _, text := range []string{"lost", "arrives"} {
			if err := a.send(endpoint.KnownWays(t.Context()), d, text); err != nil {
				t.Fatal(err)
			}
			time.Sleep(100 * time.Millisecond)
		}
		d.want(t, a, "arrives")
		if s := b.r.Stats(); s.NacksTaken != 1 || c.r.Stats().NacksSent != 1 || a.r.Stats().NacksTaken != 0 || a.r.Stats().IgnoredNacks != 1 {
			t.Errorf("b: %+v\na: %+v", s, a.r.Stats())
		}
	})
}

// TestNackIsThatOfJXSE: what is sent has every part of the recorded one, and the
// recorded one is understood.
func TestNackIsThatOfJXSE(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rec := recording(t, "tcp-package-route-nack")
		h := headerOf(t, rec)
		reporter, _ := h.Src.Peer()
		asked, _ := h.Dest.Peer()
		var was response
		if err := xmldoc.Unmarshal([]byte(bodyOf(t, "tcp-package-route-nack")), &was); err != nil {
			t.Fatal(err)
		}
		net := memory.New(memory.Config{})
		// The reporter's place is taken by ours.
		m, k := newNode(t, net, "m", nodeConfig{peer: reporter}), newKeeper(t, net, "k")
		l, err := k.ep.Dial(t.Context(), mem("m"))
		if err != nil {
			t.Fatal(err)
		}
		if err := k.ep.SendOn(t.Context(), l, m.r.hop(), routed(t, k.id, was.Dest.Dest, header{Fwd: peersOf(was.Dest.Hops)})); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		got := k.take()
		if len(got) != 1 {
			t.Fatalf("%d messages", len(got))
		}
		if is := headerOf(t, got[0].Message); is.Dest.Service != h.Dest.Service || is.Dest.Param != h.Dest.Param || is.Src != h.Src || is.Last != h.Last {
			t.Errorf("addressed %+v, want %+v", is, h)
		}
		e, _ := got[0].Message.Get(message.Platform, h.Dest.Param)
		var raw resolver.RawResponse
		if err := xmldoc.Unmarshal(e.Body, &raw); err != nil || raw.Handler != service || raw.ID != -1 {
			t.Fatalf("%v: %+v", err, raw)
		}
		if is, want := texts(t, []byte(raw.Body)), texts(t, []byte(bodyOf(t, "tcp-package-route-nack"))); is != want {
			t.Errorf("it says\n%s\nand not\n%s", is, want)
		}
		// Our peer in the place of the one that got it.
		a, again := newNode(t, net, "a", nodeConfig{peer: asked}), newNode(t, net, "again", nodeConfig{})
		again.dial(t, a)
		m.dial(t, a)
		a.r.Learn(hops(was.Dest.Dest, m))
		if err := a.send(endpoint.KnownWays(t.Context()), &node{id: was.Dest.Dest}, "x"); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"EndpointSourceAddress", "EndpointDestinationAddress"} {
			rec.Remove(message.Platform, name)
		}
		if _, ok := a.r.Route(was.Dest.Dest); !ok {
			t.Fatal("there was no way to begin with")
		}
		if err := m.ep.SendOn(t.Context(), m.ep.LinkTo(a.id), a.r.hop(), rec); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if i, _ := a.r.Route(was.Dest.Dest); len(i.Ways) != 0 || a.r.Stats().NacksTaken != 1 {
			t.Errorf("known is %+v, %+v", i, a.r.Stats())
		}
	})
}

// TestForgedNacks cut no way: those from peers that are not on it, over others, in
// the name of others, and those about ways that nobody uses.
func TestForgedNacks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{})
		a, m, n, b := newNode(t, net, "a", nodeConfig{deaf: true}), newNode(t, net, "m", nodeConfig{}), newNode(t, net, "n", nodeConfig{}), newNode(t, net, "b", nodeConfig{deaf: true})
		evil := newKeeper(t, net, "evil")
		a.dial(t, m)
		m.dial(t, n)
		b.dial(t, n)
		le, err := evil.ep.Dial(t.Context(), mem("m"))
		if err != nil {
			t.Fatal(err)
		}
		a.r.Learn(hops(b.id, m, n))
		unused := numbered(1)
		a.r.Learn(hops(unused, m))
		send := func(text string) {
			t.Helper()
			if err := a.send(endpoint.KnownWays(t.Context()), b, text); err != nil {
				t.Fatal(err)
			}
			b.want(t, a, text)
		}
		send("works")
		_ = le
		nack := func(src, reporter, about id.Peer, by *node) *message.Message {
			doc, err := xmldoc.Marshal(&response{Dest: &advertisements.Route{Dest: about}, Src: &advertisements.Route{Dest: reporter}})
			if err != nil {
				t.Fatal(err)
			}
			raw, err := xmldoc.Marshal(&resolver.RawResponse{Handler: service, ID: nackID, Body: string(doc)})
			if err != nil {
				t.Fatal(err)
			}
			var rvs []id.Peer
			if by.id != src {
				rvs = []id.Peer{by.id}
			}
			h, err := xmldoc.Marshal(&header{
				Src: endpoint.PeerAddress(src, "", ""), Last: endpoint.PeerAddress(by.id, "", ""), Rvs: rvs,
				Dest: endpoint.PeerAddress(a.id, id.ClassResolver.String(), a.r.iRes),
			})
			if err != nil {
				t.Fatal(err)
			}
			return message.New(message.XML(message.Platform, a.r.iRes, raw), message.XML(message.Platform, elemHeader, h))
		}
		stranger := newNode(t, net, "stranger", nodeConfig{})
		a.dial(t, stranger)
		for what, c := range map[string]struct {
			by  *node
			msg *message.Message
		}{
			"a neighbour that is not on the way":     {stranger, nack(stranger.id, stranger.id, b.id, stranger)},
			"in the name of one, over another":       {stranger, nack(n.id, n.id, b.id, stranger)},
			"in the name of another":                 {m, nack(m.id, n.id, b.id, m)},
			"somebody else over the first of them":   {m, nack(evil.id, evil.id, b.id, m)},
			"about a way that was not used":          {m, nack(m.id, m.id, unused, m)},
			"about a peer of which nothing is known": {m, nack(m.id, m.id, numbered(2), m)},
		} {
			before := a.r.Stats()
			if err := c.by.ep.SendOn(t.Context(), c.by.ep.LinkTo(a.id), a.r.hop(), c.msg); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			if after := a.r.Stats(); after.IgnoredNacks != before.IgnoredNacks+1 || after.NacksTaken != 0 || after.Delivered != before.Delivered {
				t.Errorf("%s: %+v", what, after)
			}
			send(what)
		}
		// A true one counts, once.
		for i := range 2 {
			a.r.Learn(hops(b.id, m, n))
			if i == 0 {
				send("still")
			}
			if err := m.ep.SendOn(t.Context(), m.ep.LinkTo(a.id), a.r.hop(), nack(n.id, n.id, b.id, m)); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		if s := a.r.Stats(); s.NacksTaken != 1 {
			t.Errorf("%+v", s)
		}
		if x := a.r.Explain(t.Context(), b.id); x.Nack == nil || x.Nack.Reporter != n.id || x.Nack.Bad != n.id || !slices.Equal(x.Bad, []id.Peer{n.id}) {
			t.Errorf("explained as %+v", x)
		}
	})
}

// TestNacksAreFew: one for a pair of peers in ten seconds, and none that would have
// to be dialled for.
func TestNacksAreFew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{})
		v, k := newNode(t, net, "v", nodeConfig{}), newKeeper(t, net, "k")
		l, err := k.ep.Dial(t.Context(), mem("v"))
		if err != nil {
			t.Fatal(err)
		}
		push := func(from, to id.Peer, h header) {
			if err := k.ep.SendOn(t.Context(), l, v.r.hop(), routed(t, from, to, h)); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		for range 10 {
			push(k.id, numbered(1), header{})
		}
		if s := v.r.Stats(); s.NacksSent != 1 {
			t.Errorf("%+v", s)
		}
		for i := range 2 * linkNacks {
			push(k.id, numbered(100+i), header{})
		}
		if s := v.r.Stats(); s.NacksSent != linkNacks {
			t.Errorf("%+v", s)
		}
		time.Sleep(nackAgain)
		push(k.id, numbered(1), header{})
		dials := v.ep.Stats().FailedDials
		// In the name of somebody of whom but an address is known.
		v.r.Hear(&advertisements.Route{Dest: numbered(5), Addresses: []endpoint.Address{mem("victim")}})
		push(numbered(5), numbered(1), header{Last: endpoint.PeerAddress(k.id, "", "")})
		if s := v.r.Stats(); s.NacksSent != linkNacks+1 || v.ep.Stats().FailedDials != dials {
			t.Errorf("%+v, %d dials", s, v.ep.Stats().FailedDials)
		}
	})
}

// TestNothingIsLostWhenALinkComesUp: a sender goes on while its way changes from
// peers in between to a link.
func TestNothingIsLostWhenALinkComesUp(t *testing.T) {
	const count = 10_000
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{Latency: 5 * time.Millisecond})
		a, m, b := newNode(t, net, "a", nodeConfig{deaf: true}), newNode(t, net, "m", nodeConfig{cfg: Config{ForwardRate: -1}}), newNode(t, net, "b", nodeConfig{deaf: true})
		a.dial(t, m)
		b.dial(t, m)
		time.Sleep(time.Second)
		m.r.cfg.Self = func() *advertisements.Route { return &advertisements.Route{Dest: m.id} }
		var mu sync.Mutex
		seen := make([]bool, count)
		var doubled, other int
		direct := 0
		if _, err := b.ep.Scope(id.NetGroup).Handle("count", "", func(_ context.Context, in endpoint.Incoming) {
			mu.Lock()
			defer mu.Unlock()
			i, err := strconv.Atoi(in.Message.Text("", "t"))
			switch {
			case err != nil || in.From != a.id:
				other++
			case seen[i]:
				doubled++
			default:
				seen[i] = true
			}
			if in.Link.Peer() == a.id {
				direct++
			}
		}); err != nil {
			t.Fatal(err)
		}
		var calls int
		a.r.SetUpgrade(func(ctx context.Context, p id.Peer, through []id.Peer) error {
			calls++
			if p != b.id || !slices.Equal(through, []id.Peer{m.id}) {
				t.Errorf("called for %s through %v", p.Short(), through)
			}
			time.Sleep(2 * time.Second)
			if calls == 1 {
				return errors.New("no hole")
			}
			// The other side dials, as it can here.
			_, err := b.ep.Dial(ctx, mem("open"))
			return err
		})
		if err := a.ep.Add(net.Transport(memory.TransportConfig{Name: "open"})); err != nil {
			t.Fatal(err)
		}
		a.r.Learn(hops(b.id, m))
		for i := range count {
			if err := a.ep.Scope(id.NetGroup).Send(t.Context(), b.id, "count", "", message.New(message.Text("", "t", fmt.Sprint(i)))); err != nil {
				t.Fatal(i, err)
			}
			time.Sleep(5 * time.Millisecond)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		if i := slices.Index(seen, false); i >= 0 || doubled+other > 0 {
			t.Errorf("%d was lost, %d came twice, %d strange", i, doubled, other)
		}
		if s := a.r.Stats(); calls != 2 || s.Upgraded != 1 || direct == 0 || direct == count || m.r.Stats().Forwarded != uint64(count-direct) {
			t.Errorf("called %d times, %d straight, %d passed on, %+v", calls, direct, m.r.Stats().Forwarded, s)
		}
		if calls == 2 && direct < 1000 {
			t.Errorf("only %d went straight", direct)
		}
	})
}

// TestUpgradesAreFew: one attempt at a time and peer, with growing pauses, and not
// for what goes by known ways only.
func TestUpgradesAreFew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{})
		a, m := newNode(t, net, "a", nodeConfig{deaf: true}), &node{name: "m", id: newKeeper(t, net, "m").id}
		a.dial(t, m)
		began := time.Now()
		var mu sync.Mutex
		var at []time.Duration
		running, most := 0, 0
		a.r.SetUpgrade(func(ctx context.Context, p id.Peer, _ []id.Peer) error {
			mu.Lock()
			running++
			most = max(most, running)
			if p == numbered(0) {
				at = append(at, time.Since(began))
			}
			mu.Unlock()
			time.Sleep(time.Second)
			mu.Lock()
			running--
			mu.Unlock()
			return errors.New("no")
		})
		a.r.Learn(hops(numbered(0), m))
		for range 600 {
			if err := a.send(endpoint.KnownWays(t.Context()), &node{id: numbered(0)}, "x"); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if len(at) != 0 {
			t.Fatalf("tried at %v", at)
		}
		for range 600 {
			_ = a.send(t.Context(), &node{id: numbered(0)}, "x")
			time.Sleep(time.Second)
		}
		want := []time.Duration{0, 31 * time.Second, 92 * time.Second, 213 * time.Second, 454 * time.Second}
		if !slices.Equal(at, want) || most != 1 {
			t.Errorf("tried at %v, want %v; %d at a time", at, want, most)
		}
		for i := range 4 * maxClimbs {
			a.r.Learn(hops(numbered(10+i), m))
			_ = a.send(t.Context(), &node{id: numbered(10 + i)}, "x")
		}
		synctest.Wait()
		if most != maxClimbs {
			t.Errorf("%d at a time", most)
		}
		time.Sleep(2 * time.Second)
		a.r.SetUpgrade(nil)
	})
}
