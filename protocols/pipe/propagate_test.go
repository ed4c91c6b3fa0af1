package pipe_test

import (
	"errors"
	"fmt"
	"slices"
	"sort"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/compact"
	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/core/transport/memory"
	"github.com/juxta-p2p/juxta/protocols/pipe"
	"github.com/juxta-p2p/juxta/protocols/rendezvous"
)

// everybody listens, and gets what one of them sends, in order and once.
func exchange(t *testing.T, sender *node, listeners ...*node) {
	t.Helper()
	adv := propagate("chat")
	var ins []*pipe.Input
	for _, n := range listeners {
		ins = append(ins, n.listen(adv))
	}
	time.Sleep(time.Second)
	out := sender.dial(adv)
	const count = 50
	var sent []string
	for i := range count {
		sent = append(sent, strconv.Itoa(i))
		send(t, out, sent[i])
	}
	for i, in := range ins {
		got := drain(t, in)
		if len(got) == count && listeners[i] != sender {
			// Over several ways the order is that of arrival, each message once.
			sort.Slice(got, func(a, b int) bool { x, _ := strconv.Atoi(got[a]); y, _ := strconv.Atoi(got[b]); return x < y })
		}
		want(t, "lines at "+listeners[i].name, got, sent)
		in.Close()
	}
	out.Close()
}

func TestPropagateThroughTheRendezvous(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{Latency: 2 * time.Millisecond})
		r, e := network(t, net, "e1", "e2", "e3", "e4")
		exchange(t, e[3], e[0], e[1], e[2])
		exchange(t, e[0], e[0], e[1], e[2]) // the sender gets its own, once
		exchange(t, r, e[0], e[1], e[2], r) // the rendezvous sends
		exchange(t, e[0], r, e[1], e[2])    // and listens
		want(t, "edges that do not listen get nothing", e[3].pipes.Stats().WireReceived, 0)
		want(t, "duplicates", e[1].pipes.Stats().WireDuplicates, 0)
	})
}

// TestShortHeaders: listeners of Juxta at their rendezvous get headers in the short form, which
// stand for the documents that an original peer gets.
func TestShortHeaders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const header = "JxtaWireHeader"
		var mu sync.Mutex
		last := map[string]*message.Message{} // of the propagate pipe, to each host
		short := map[string]int{}
		net := memory.New(memory.Config{Latency: 2 * time.Millisecond, Tap: func(_, to string, body []byte) {
			m, err := message.Decode(slices.Clone(body))
			if err != nil {
				t.Error(err)
				return
			}
			if e, ok := m.Get(message.Platform, header); ok {
				mu.Lock()
				defer mu.Unlock()
				last[to] = m
				if compact.Is(e.Body) {
					short[to]++
				}
			}
		}})
		r := newNode(t, net, "r", nodeConfig{role: rendezvous.Rendezvous})
		e := newNode(t, net, "e", nodeConfig{seeds: []*node{r}}).leased()
		old := newNode(t, net, "old", nodeConfig{seeds: []*node{r}, original: true}).leased()
		far := newNode(t, net, "far", nodeConfig{seeds: []*node{r}}).leased()
		exchange(t, r, e, old)
		exchange(t, far, e, old)
		mu.Lock()
		defer mu.Unlock()
		if short["e"] < 90 || short["old"] != 0 || short["r"] != 0 {
			t.Errorf("short headers: %v", short)
		}
		documents := func(m *message.Message) (docs []string) {
			for _, x := range []struct {
				name string
				long func([]byte) ([]byte, bool)
			}{{header, pipe.Uncompact}, {"RendezVousPropagate" + id.NetGroup.Unique(), rendezvous.Uncompact}} {
				body, _ := m.Get(message.Platform, x.name)
				doc := body.Body
				if compact.Is(doc) {
					long, ok := x.long(doc)
					if !ok || len(long) < 3*len(doc)/2 {
						t.Errorf("%q stands for %q", doc, long)
					}
					doc = long
				}
				docs = append(docs, string(doc))
			}
			return docs
		}
		want(t, "the documents", documents(last["e"]), documents(last["old"]))
		m := last["e"]
		body, _ := m.Get(message.Platform, header)
		for n := range body.Body[:len(body.Body)-36] { // the ID of the message may be of any length
			if _, ok := pipe.Uncompact(body.Body[:n]); ok {
				t.Errorf("read although cut at %d", n)
			}
		}
	})
}

func TestPropagateOverTheSegment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{Latency: 2 * time.Millisecond})
		var n []*node
		for i := range 4 {
			n = append(n, newNode(t, net, fmt.Sprint("n", i), nodeConfig{role: rendezvous.AdHoc, segment: "lan"}))
		}
		exchange(t, n[3], n[0], n[1], n[2])
		exchange(t, n[0], n[0], n[1], n[2])
	})
}

func TestPropagateOverKnownNeighbours(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{Latency: 2 * time.Millisecond})
		var n []*node
		for i := range 3 {
			n = append(n, newNode(t, net, fmt.Sprint("n", i), nodeConfig{role: rendezvous.AdHoc, segment: "lan"}))
		}
		n = append(n, newNode(t, net, "s", nodeConfig{role: rendezvous.AdHoc, segment: "lan", near: n[:3]}))
		for _, o := range n[:3] {
			meet(t, n[3], o)
		}
		exchange(t, n[3], n[0], n[1], n[2], n[3])
	})
}

func TestPropagateBothWaysAtOnce(t *testing.T) {
	for _, latency := range []time.Duration{0, 3 * time.Millisecond} {
		synctest.Test(t, func(t *testing.T) {
			net := memory.New(memory.Config{Latency: latency, Jitter: latency, Seed: 7})
			r := newNode(t, net, "r", nodeConfig{role: rendezvous.Rendezvous, segment: "lan"})
			var e []*node
			for i := range 3 {
				e = append(e, newNode(t, net, fmt.Sprint("e", i), nodeConfig{seeds: []*node{r}, segment: "lan"}).leased())
			}
			far := newNode(t, net, "far", nodeConfig{seeds: []*node{r}}).leased()
			exchange(t, e[0], e[0], e[1], e[2], far)
			exchange(t, far, e[0], e[1], e[2], far)
			exchange(t, r, r, e[1], e[2], far)
		})
	}
}

func TestPropagateKeepsOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{Latency: 2 * time.Millisecond, Jitter: 3 * time.Millisecond})
		_, e := network(t, net, "e1", "e2")
		in := e[0].listen(propagate("chat"))
		time.Sleep(time.Second)
		out := e[1].dial(propagate("chat"))
		for i := range 500 {
			send(t, out, strconv.Itoa(i))
		}
		for i := range 500 {
			want(t, "line", receive(t, in), i)
		}
	})
}

func TestApplicationSeesItsOwnElementsOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{Latency: time.Millisecond})
		r, e := network(t, net, "e1", "e2")
		ins := []*pipe.Input{r.listen(propagate("chat")), e[0].listen(propagate("chat")), e[1].listen(propagate("chat"))}
		time.Sleep(time.Second)
		out := e[1].dial(propagate("chat"))
		msg := line("hi")
		if err := out.Send(t.Context(), msg); err != nil {
			t.Fatal(err)
		}
		want(t, "elements of the sent message", msg.Len(), 1)
		for i, in := range ins {
			m, err := in.Receive(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			want(t, "elements", m.Len(), 1)
			want(t, "line", m.Text("", "line"), "hi")
			want(t, "from", m.From, e[1].id)
			want(t, "proven", m.Proven, i != 1) // e1 got it from r, which may say anything
		}
	})
}

func TestPropagateToNamedPeers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{Latency: time.Millisecond})
		_, e := network(t, net, "e1", "e2", "e3", "e4")
		adv := propagate("chat")
		var ins []*pipe.Input
		for _, n := range e {
			ins = append(ins, n.listen(adv))
		}
		time.Sleep(time.Second)
		got := func() (all []string) {
			time.Sleep(time.Second)
			for _, in := range ins {
				all = append(all, fmt.Sprint(drain(t, in)))
			}
			return all
		}
		send(t, e[0].dial(adv, e[1].id), "one")
		want(t, "one", got(), "[[] [one] [] []]")
		send(t, e[0].dial(adv, e[1].id, e[2].id), "two")
		want(t, "two", got(), "[[] [two] [two] []]")
		send(t, e[0].dial(adv, e[0].id, e[2].id), "self")
		want(t, "self", got(), "[[self] [] [self] []]")
		stranger := e[0].dial(adv, peerID("stranger"))
		ctx, cancel := contextFor(t, time.Second)
		defer cancel()
		if err := stranger.Send(ctx, line("x")); !errors.Is(err, endpoint.ErrNoRoute) {
			t.Errorf("got %v", err)
		}
		want(t, "nobody else", got(), "[[] [] [] []]")
	})
}

func TestPropagateToNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{})
		n := newNode(t, net, "n", nodeConfig{role: rendezvous.AdHoc})
		out := n.dial(propagate("chat"))
		if err := out.Send(t.Context(), line("x")); !errors.Is(err, pipe.ErrNobody) {
			t.Errorf("got %v", err)
		}
		in := n.listen(propagate("chat"))
		send(t, out, "y") // there is at least oneself
		want(t, "got", receive(t, in), "y")
		r := newNode(t, net, "r", nodeConfig{role: rendezvous.Rendezvous})
		send(t, r.dial(propagate("chat")), "z") // nobody listens, which is no error
	})
}

func TestFullPropagateQueueDropsTheOldestAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{})
		a := newNode(t, net, "a", nodeConfig{role: rendezvous.AdHoc, segment: "lan", pipes: pipe.Config{Queue: 3}})
		b := newNode(t, net, "b", nodeConfig{role: rendezvous.AdHoc, segment: "lan"})
		in := a.listen(propagate("chat"))
		out := b.dial(propagate("chat"))
		for i := range 10 {
			send(t, out, strconv.Itoa(i))
			synctest.Wait()
		}
		want(t, "stats", in.Stats(), pipe.InputStats{Received: 10, Waiting: 3, DroppedFull: 7})
		want(t, "of all inputs", a.pipes.Stats().InputDroppedFull, 7)
		want(t, "left", drain(t, in), "[7 8 9]")
	})
}

func TestSlowListenerDoesNotHoldUpOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{})
		r, e := network(t, net, "fast", "slow", "s")
		adv := propagate("chat")
		in := e[0].listen(adv)
		release := make(chan struct{})
		if _, err := e[1].pipes.ListenWith(t.Context(), adv, pipe.ListenConfig{Handle: func(pipe.Message) { <-release }}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		out := e[2].dial(adv)
		const count = 900 // more than the link to the slow one takes
		for i := range count {
			send(t, out, strconv.Itoa(i))
		}
		time.Sleep(2 * time.Second)
		want(t, "fast one has", in.Stats().Received, count)
		if d := r.pipes.Stats().RelayDroppedSlow; d == 0 {
			t.Error("nothing was withheld from the slow one")
		}
		close(release)
	})
}

func TestClosedInputIsRelayedNoMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{Latency: time.Millisecond})
		r, e := network(t, net, "e1", "e2")
		in := e[0].listen(propagate("chat"))
		out := e[1].dial(propagate("chat"))
		time.Sleep(time.Second)
		send(t, out, "x")
		want(t, "got", receive(t, in), "x")
		in.Close()
		time.Sleep(time.Second)
		send(t, out, "y")
		time.Sleep(time.Second)
		want(t, "received", e[0].pipes.Stats().WireReceived, 1)
		want(t, "relayed", r.pipes.Stats().Relayed, 1)
		again := e[0].listen(propagate("chat"))
		time.Sleep(time.Second)
		send(t, out, "z")
		want(t, "got", receive(t, again), "z")
	})
}

// A message that came as a broadcast first, with hops for the neighbourhood only,
// still reaches the clients of its rendezvous.
func TestBroadcastCopyDoesNotShortenTheWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{Latency: time.Millisecond})
		r := newNode(t, net, "r", nodeConfig{role: rendezvous.Rendezvous, segment: "lan"})
		far := newNode(t, net, "far", nodeConfig{seeds: []*node{r}}).leased()
		lan := newNode(t, net, "lan", nodeConfig{role: rendezvous.AdHoc, segment: "lan"})
		in := far.listen(propagate("chat"))
		time.Sleep(time.Second)
		send(t, lan.dial(propagate("chat")), "x")
		want(t, "got", receive(t, in), "x")
	})
}

// wireTo sends a hand-made message of a propagate pipe.
func wireTo(t *testing.T, from, to *node, h string) {
	t.Helper()
	m := line("forged").Add(message.XML(message.Platform, "JxtaWireHeader", []byte(h)))
	if err := from.ep.Scope(id.NetGroup).Send(t.Context(), to.id, "jxta.service.wirepipe", id.NetGroup.Unique(), m); err != nil {
		t.Fatal(err)
	}
}

func wireHeader(source id.Peer, p id.Pipe, msgID string, ttl string) string {
	return "<JxtaWire><SrcPeer>" + source.String() + "</SrcPeer><PipeId>" + p.String() + "</PipeId><MsgId>" + msgID + "</MsgId><TTL>" + ttl + "</TTL></JxtaWire>"
}

func TestHostileWireMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{})
		r := newNode(t, net, "r", nodeConfig{role: rendezvous.Rendezvous})
		x := newNode(t, net, "x", nodeConfig{role: rendezvous.AdHoc})
		meet(t, x, r)
		in := r.listen(propagate("chat"))
		p := propagate("chat").ID
		for _, h := range []string{
			"", "<JxtaWire", "<JxtaWire></JxtaWire>", wireHeader(x.id, p, "1", "0"), wireHeader(x.id, p, "2", "-1"),
			wireHeader(x.id, p, "3", "99999999999999999999"), wireHeader(x.id, p, "", "5"),
			wireHeader(x.id, id.Pipe{}, "4", "5"), wireHeader(x.id, id.Pipe{ID: x.id.ID}, "5", "5"),
			wireHeader(x.id, p, string(make([]byte, 300)), "5"),
		} {
			wireTo(t, x, r, h)
		}
		synctest.Wait()
		want(t, "malformed", r.pipes.Stats().DroppedMalformed, 10)
		want(t, "nothing came in", in.Stats().Received, 0)

		// In the name of another peer: taken, as a claim.
		wireTo(t, x, r, wireHeader(peerID("victim"), p, "6", "2000000000"))
		wireTo(t, x, r, wireHeader(x.id, p, "6", "2")) // the same ID again
		m, err := in.Receive(t.Context())
		if err != nil || m.From != peerID("victim") || m.Proven {
			t.Fatalf("%+v %v", m, err)
		}
		synctest.Wait()
		want(t, "duplicates", in.Stats().DroppedDuplicates, 1)

		// Random pipes do not fill the memory of a rendezvous for ever.
		for range 5000 {
			wireTo(t, x, r, wireHeader(x.id, id.NewPipe(id.NetGroup), "7", "5"))
		}
		synctest.Wait()
		want(t, "pipes remembered", r.pipes.Stats().RelayedPipesKnown, 4096)
		wireTo(t, x, r, wireHeader(x.id, p, "6", "5"))
		synctest.Wait()
		want(t, "the open pipe is not forgotten", in.Stats().DroppedDuplicates, 2)

		// Straight to the input pipe, but for another pipe.
		other := line("x").Add(message.XML(message.Platform, "JxtaWireHeader", []byte(wireHeader(x.id, propagate("other").ID, "8", "1"))))
		for _, m := range []*message.Message{other, line("no header")} {
			if err := x.ep.Scope(id.NetGroup).Send(t.Context(), r.id, "PipeService", p.String(), m); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		want(t, "malformed", r.pipes.Stats().DroppedMalformed, 12)
	})
}

func TestTypesOfOnePipeAreKeptApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{})
		_, e := network(t, net, "e1", "e2")
		adv := propagate("p")
		e[0].listen(adv)
		asUnicast := *adv
		asUnicast.Type = advertisements.Unicast
		ctx, cancel := contextFor(t, 2*time.Second)
		defer cancel()
		if _, err := e[1].pipes.DialPeers(ctx, &asUnicast, e[0].id); !errors.Is(err, pipe.ErrNoListener) {
			t.Errorf("got %v", err)
		}
	})
}
