package routing

import (
	"bytes"
	"context"
	"fmt"
	"hash/maphash"
	"slices"
	"strings"
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

// TestForwardingIsBounded per source link, and in all; who keeps within the bound is
// not harmed by who does not.
func TestForwardingIsBounded(t *testing.T) {
	const size, rate = 1000, 100_000
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{})
		v := newNode(t, net, "v", nodeConfig{cfg: Config{ForwardRate: rate}})
		dest := newKeeper(t, net, "dest")
		if _, err := dest.ep.Dial(t.Context(), mem("v")); err != nil {
			t.Fatal(err)
		}
		got := func() map[id.Peer]int {
			n := map[id.Peer]int{}
			for _, in := range dest.take() {
				src, _ := headerOf(t, in.Message).Src.Peer()
				n[src]++
			}
			return n
		}
		greedy, honest := newKeeper(t, net, "greedy"), newKeeper(t, net, "honest")
		links := map[*keeper]endpoint.Link{}
		for _, k := range []*keeper{greedy, honest} {
			l, err := k.ep.Dial(t.Context(), mem("v"))
			if err != nil {
				t.Fatal(err)
			}
			links[k] = l
		}
		n := 0
		send := func(k *keeper, count int) {
			for range count {
				n++
				m := routed(t, k.id, dest.id, header{}).Add(message.Text("", "pad", fmt.Sprint(n)+strings.Repeat("x", size)))
				if err := k.ep.SendOn(t.Context(), links[k], v.r.hop(), m); err != nil {
					t.Fatal(err)
				}
			}
			synctest.Wait()
		}
		for range 10 {
			send(greedy, 100)
			send(honest, 10)
			time.Sleep(time.Second)
		}
		// Each message has some hundred octets beside the thousand.
		all := got()
		if g := all[greedy.id]; all[honest.id] != 100 || g > (forwardBurst+10)*rate/size || g < forwardBurst*rate/size/2 {
			t.Errorf("passed on: %d of 1000, %d of 100", g, all[honest.id])
		}
		if s := v.r.Stats(); s.DroppedOverRate != uint64(1000-all[greedy.id]) || len(v.ep.Offences()) != 1 || v.ep.Offences()[0].Peer != greedy.id {
			t.Errorf("%+v, %+v", s, v.ep.Offences())
		}
		// A message larger than a burst is no error.
		time.Sleep(time.Minute)
		n++
		m := routed(t, honest.id, dest.id, header{}).Add(message.Text("", "pad", strings.Repeat("x", 2*forwardBurst*rate)))
		if err := honest.ep.SendOn(t.Context(), links[honest], v.r.hop(), m); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		send(honest, 10)
		if all := got(); all[honest.id] != 1 {
			t.Errorf("%d after a large one", all[honest.id])
		}
	})
	for _, c := range []struct {
		cfg  Config
		want uint64
	}{{Config{ForwardRate: -1, ForwardAll: -1}, 300}, {Config{ForwardRate: -1, ForwardAll: 10_000}, 26}, {Config{NoForward: true}, 0}} {
		synctest.Test(t, func(t *testing.T) {
			net := memory.New(memory.Config{})
			v, k, dest := newNode(t, net, "v", nodeConfig{cfg: c.cfg}), newKeeper(t, net, "k"), newKeeper(t, net, "dest")
			l, err := k.ep.Dial(t.Context(), mem("v"))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := dest.ep.Dial(t.Context(), mem("v")); err != nil {
				t.Fatal(err)
			}
			for i := range 300 {
				m := routed(t, k.id, dest.id, header{}).Add(message.Text("", "pad", fmt.Sprint(i)+strings.Repeat("x", size)))
				if err := k.ep.SendOn(t.Context(), l, v.r.hop(), m); err != nil {
					t.Fatal(err)
				}
			}
			synctest.Wait()
			s := v.r.Stats()
			if s.Forwarded > c.want+1 || s.Forwarded+2 < c.want || c.cfg.NoForward && (s.DroppedOff != 300 || s.NacksSent != 1) {
				t.Errorf("%+v: %+v", c.cfg, s)
			}
		})
	}
}

// TestCircles: a message that others bring back again and again, without saying that
// it passed here, is passed on twice; the same content from the same neighbour is
// another message.
func TestCircles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{})
		v, dest := newNode(t, net, "v", nodeConfig{}), newKeeper(t, net, "dest")
		if _, err := dest.ep.Dial(t.Context(), mem("v")); err != nil {
			t.Fatal(err)
		}
		x, y := newKeeper(t, net, "x"), newKeeper(t, net, "y")
		links := map[*keeper]endpoint.Link{}
		for _, k := range []*keeper{x, y} {
			l, err := k.ep.Dial(t.Context(), mem("v"))
			if err != nil {
				t.Fatal(err)
			}
			links[k] = l
		}
		push := func(k *keeper) int {
			h := header{Last: endpoint.PeerAddress(k.id, "", "")}
			if k != x {
				h.Rvs = []id.Peer{k.id}
			}
			if err := k.ep.SendOn(t.Context(), links[k], v.r.hop(), routed(t, x.id, dest.id, h)); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			return len(dest.take())
		}
		var got []int
		for _, k := range []*keeper{x, x, x, y, y, y, x} {
			got = append(got, push(k))
		}
		if !slices.Equal(got, []int{1, 1, 1, 1, 0, 0, 1}) || v.r.Stats().DroppedLoop != 2 {
			t.Errorf("passed on %v, %+v", got, v.r.Stats())
		}
		time.Sleep(loopMemory)
		if got := push(y); got != 1 {
			t.Error("it is remembered too long")
		}
		for i := range 2 * maxLoopMemory {
			v.r.loops.again(numbered(i), numbered(i), dest.id, message.New(message.Text("", "t", "x")), v.r.now())
			if n := len(v.r.loops.now) + len(v.r.loops.old); n > maxLoopMemory {
				t.Fatalf("%d are remembered", n)
			}
		}
	})
}

// TestKeeping: a relay's store gets what nothing leads on for, in order, ready to be
// written to the link of the client when it is back; and its own messages, before
// anybody is asked.
func TestKeeping(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{})
		relay, k := newNode(t, net, "relay", nodeConfig{}), newKeeper(t, net, "k")
		client := newNode(t, net, "client", nodeConfig{deaf: true})
		net.Partition("hole")
		l, err := k.ep.Dial(t.Context(), mem("relay"))
		if err != nil {
			t.Fatal(err)
		}
		type parcel struct {
			hop endpoint.Address
			msg *message.Message
		}
		var mu sync.Mutex
		var kept []parcel
		full := false
		relay.r.SetKeep(func(dest id.Peer, hop endpoint.Address, msg *message.Message) bool {
			mu.Lock()
			defer mu.Unlock()
			if dest != client.id || full {
				return false
			}
			kept = append(kept, parcel{hop, msg})
			return true
		})
		// An address that does not answer delays the first, and none overtakes it.
		relay.r.Hear(&advertisements.Route{Dest: client.id, Addresses: []endpoint.Address{mem("hole")}})
		push := func(text string, to id.Peer) {
			t.Helper()
			m := routed(t, k.id, to, header{Fwd: []id.Peer{relay.id}})
			m.Replace(message.Text("", "t", text))
			if err := k.ep.SendOn(t.Context(), l, relay.r.hop(), m); err != nil {
				t.Fatal(err)
			}
		}
		want := []string{"0", "1", "2", "3", "own", "later"}
		for i := range 4 {
			push(fmt.Sprint(i), client.id)
			time.Sleep(time.Second)
		}
		time.Sleep(5 * time.Second)
		if err := relay.send(t.Context(), client, "own"); err != nil {
			t.Fatal(err)
		}
		push("later", client.id)
		synctest.Wait()
		if s := relay.r.Stats(); s.Kept != 6 || s.DroppedNoRoute+s.UnsentNoRoute+s.Asked+s.NacksSent != 0 || len(kept) != 6 {
			t.Fatalf("%+v", s)
		}
		client.dial(t, relay)
		for i, p := range kept {
			if err := relay.ep.SendOn(t.Context(), relay.ep.LinkTo(client.id), p.hop, p.msg); err != nil {
				t.Fatal(err)
			}
			from := &node{name: "k", id: k.id}
			if want[i] == "own" {
				from = relay
			}
			client.want(t, from, want[i])
		}
		// The way back over the relay is known.
		if i, _ := client.r.Route(k.id); i.Kind != KindHops || !slices.Equal(i.Hops, []id.Peer{relay.id}) {
			t.Errorf("%+v", i)
		}
		drop(relay, client)
		full = true
		push("dropped", client.id)
		push("no client", numbered(1))
		synctest.Wait()
		if s := relay.r.Stats(); s.Kept != 6 || s.DroppedNoRoute != 2 || s.NacksSent != 2 {
			t.Errorf("%+v", s)
		}
		relay.r.SetKeep(nil)
	})
}

// TestMessagesThatWaitStayInOrder while the hop is being dialled.
func TestMessagesThatWaitStayInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{Latency: 100 * time.Millisecond})
		v, k, dest := newNode(t, net, "v", nodeConfig{}), newKeeper(t, net, "k"), newKeeper(t, net, "dest")
		l, err := k.ep.Dial(t.Context(), mem("v"))
		if err != nil {
			t.Fatal(err)
		}
		v.r.Learn(&advertisements.Route{Dest: dest.id, Addresses: []endpoint.Address{mem("dest")}})
		const count = 50
		for i := range count {
			m := routed(t, k.id, dest.id, header{})
			m.Replace(message.Text("", "t", fmt.Sprint(i)))
			if err := k.ep.SendOn(t.Context(), l, v.r.hop(), m); err != nil {
				t.Fatal(err)
			}
			time.Sleep(10 * time.Millisecond)
		}
		time.Sleep(time.Second)
		got := dest.take()
		if len(got) != count || v.r.queues != nil || v.r.forwards != 0 {
			t.Fatalf("%d came, %d wait", len(got), v.r.forwards)
		}
		for i, in := range got {
			if in.Message.Text("", "t") != fmt.Sprint(i) {
				t.Fatalf("message %d is %s", i, in.Message.Text("", "t"))
			}
		}
		// One link cannot take all places.
		net.Partition("dest2")
		v.r.Learn(&advertisements.Route{Dest: numbered(1), Addresses: []endpoint.Address{mem("dest2")}})
		for range maxForwards {
			if err := k.ep.SendOn(t.Context(), l, v.r.hop(), routed(t, k.id, numbered(1), header{})); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Second)
		if s := v.r.Stats(); s.DroppedBusy != maxForwards-maxForwardsPerLink {
			t.Errorf("%+v", s)
		}
	})
}

// TestQuestionsAreBounded: ten a second for each asker.
func TestQuestionsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{})
		v, k := newNode(t, net, "v", nodeConfig{}), newKeeper(t, net, "k")
		if _, err := k.ep.Dial(t.Context(), mem("v")); err != nil {
			t.Fatal(err)
		}
		ask := func(source id.Peer) {
			doc, err := xmldoc.Marshal(&query{Dest: v.id, Src: &advertisements.Route{Dest: source}})
			if err != nil {
				t.Fatal(err)
			}
			v.r.asker.Load().query(t.Context(), &resolver.RawQuery{Handler: service, ID: 1, Source: source, From: k.id, Body: string(doc)})
		}
		for range 100 {
			ask(k.id)
		}
		if s := v.r.Stats(); s.Answered != askerRate || s.DroppedOverAsked != 100-askerRate {
			t.Errorf("%+v", s)
		}
		time.Sleep(time.Second)
		ask(k.id)
		if s := v.r.Stats(); s.Answered != askerRate+1 {
			t.Errorf("%+v", s)
		}
		for i := range 2 * neighbourRate {
			ask(numbered(i))
		}
		if s := v.r.Stats(); s.DroppedOverAsked < neighbourRate {
			t.Errorf("%+v", s)
		}
	})
}

// TestCutRouterDocuments: a document that ends anywhere, or with a part that is none,
// does no harm.
func TestCutRouterDocuments(t *testing.T) {
	for _, name := range []string{"tcp-package-routed-hop1", "tcp-package-routed-hop2"} {
		e, _ := recording(t, name).Get(message.Platform, elemHeader)
		for i := range e.Body {
			if err := xmldoc.Unmarshal(e.Body[:i], &header{}); err == nil && strings.TrimSpace(string(e.Body[i:])) != "" {
				t.Errorf("%s: read though it ends after %d octets", name, i)
			}
		}
	}
	for _, name := range []string{"tcp-package-route-query", "tcp-package-route-response", "tcp-package-route-nack"} {
		body := bodyOf(t, name)
		for i := range body {
			for _, d := range []xmldoc.Document{&query{}, &response{}} {
				if err := xmldoc.Unmarshal([]byte(body[:i]), d); err == nil && strings.TrimSpace(body[i:]) != "" {
					t.Errorf("%s: read though it ends after %d octets", name, i)
				}
			}
		}
	}
}

// TestBadPartsArePassedOver: the rest of the document counts, and is what is passed
// on.
func TestBadPartsArePassedOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{})
		v, k, next := newNode(t, net, "v", nodeConfig{}), newKeeper(t, net, "k"), newKeeper(t, net, "next")
		l, err := k.ep.Dial(t.Context(), mem("v"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := next.ep.Dial(t.Context(), mem("v")); err != nil {
			t.Fatal(err)
		}
		apa := func(p string) string { return "<jxta:APA><PID>" + p + "</PID></jxta:APA>" }
		far := numbered(1)
		doc := "<jxta:ERM><Src>jxta://" + far.Unique() + "</Src><Dest>jxta://" + numbered(2).Unique() + "/svc/p</Dest><Last>jxta://" + k.id.Unique() + "</Last>" +
			"<Fwd>" + apa(next.id.String()) + apa("nobody") + apa(numbered(3).String()) + "</Fwd>" +
			"<Rvs>" + apa(k.id.String()) + apa("nobody") + "</Rvs><jxta:RA><DstPID>nobody</DstPID></jxta:RA></jxta:ERM>"
		m := message.New(message.Text("", "t", "x"), message.XML(message.Platform, elemHeader, []byte(doc)))
		if err := k.ep.SendOn(t.Context(), l, v.r.hop(), m); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		got := next.take()
		if len(got) != 1 {
			t.Fatalf("%d messages, %+v", len(got), v.r.Stats())
		}
		if h := headerOf(t, got[0].Message); !slices.Equal(h.Fwd, []id.Peer{next.id}) || !slices.Equal(h.Rvs, []id.Peer{v.id, k.id}) {
			t.Errorf("passed on with %+v", h)
		}
		if i, known := v.r.Route(far); known && len(i.Ways) > 0 {
			t.Errorf("a way back with a gap was learned: %+v", i)
		}
	})
}

// TestWhatStrangersSayOfTheOriginator replaces nothing.
func TestWhatStrangersSayOfTheOriginator(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{})
		v, evil := newNode(t, net, "v", nodeConfig{}), newKeeper(t, net, "evil")
		m, n, b := newNode(t, net, "m", nodeConfig{}), newNode(t, net, "n", nodeConfig{}), newNode(t, net, "b", nodeConfig{deaf: true})
		v.dial(t, m)
		m.dial(t, n)
		b.dial(t, n)
		v.r.Learn(hops(b.id, m, n))
		v.r.Learn(&advertisements.Route{Dest: b.id, Addresses: []endpoint.Address{mem("right")}})
		if err := v.send(t.Context(), b, "x"); err != nil {
			t.Fatal(err)
		}
		b.want(t, v, "x")
		l, err := evil.ep.Dial(t.Context(), mem("v"))
		if err != nil {
			t.Fatal(err)
		}
		lie := &advertisements.Route{Dest: b.id, Addresses: []endpoint.Address{mem("evil")}, Hops: []advertisements.AccessPoint{{Peer: evil.id}}}
		if err := evil.ep.SendOn(t.Context(), l, v.r.hop(), routed(t, b.id, v.id, header{
			Last: endpoint.PeerAddress(evil.id, "", ""), Rvs: []id.Peer{evil.id}, Route: lie,
		})); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		i, _ := v.r.Route(b.id)
		if !slices.Equal(i.Hops, []id.Peer{m.id, n.id}) || fmt.Sprint(i.Addresses) != "[mem://right mem://evil]" {
			t.Errorf("known is %+v", i)
		}
		if err := v.send(context.Background(), b, "y"); err != nil {
			t.Fatal(err)
		}
		b.want(t, v, "y")
	})
}

// TestLargeContent: large elements are told apart by their ends and their size.
func TestLargeContent(t *testing.T) {
	var s loops
	s.seed = maphash.MakeSeed()
	src, dest := numbered(1), numbered(2)
	body := bytes.Repeat([]byte("0123456789abcdef"), 1000)
	key := func(b []byte) uint64 { return s.key(src, dest, message.New(message.Bytes("", "b", b))) }
	first := key(bytes.Clone(body))
	if key(body) != first {
		t.Error("the same content is another message")
	}
	for name, other := range map[string][]byte{
		"beginning": append([]byte("x"), body[1:]...), "end": append(bytes.Clone(body[:len(body)-1]), 'x'), "shorter by a period": body[:len(body)-16],
	} {
		if key(other) == first {
			t.Errorf("%s: not told apart", name)
		}
	}
}
