package pipe_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
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
	"github.com/juxta-p2p/juxta/protocols/pipe"
	"github.com/juxta-p2p/juxta/protocols/rendezvous"
)

func TestPipeIsBoundThroughTheRendezvous(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{Latency: 5 * time.Millisecond})
		r, e := network(t, net, "e1", "e2")
		adv := unicast("mail")
		in := e[0].listen(adv)
		synctest.Wait()
		time.Sleep(100 * time.Millisecond)
		want(t, "entries at the rendezvous", r.pipes.Stats().IndexEntries, 1)
		began := time.Now()
		out := e[1].dial(adv)
		if took := time.Since(began); took > 200*time.Millisecond {
			t.Errorf("binding took %v", took)
		}
		want(t, "peer", out.Peer(), e[0].id)
		msg := line("hello")
		for range 2 { // a message may be sent again
			if err := out.Send(t.Context(), msg); err != nil {
				t.Fatal(err)
			}
		}
		want(t, "elements left alone", msg.Len(), 1)
		m, err := in.Receive(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		want(t, "line", m.Text("", "line"), "hello")
		want(t, "elements", m.Len(), 1)
		want(t, "from", m.From, e[1].id)
		want(t, "proven", m.Proven, true)
		want(t, "second", receive(t, in), "hello")
		in.Close()
		time.Sleep(100 * time.Millisecond)
		want(t, "entries after closing", r.pipes.Stats().IndexEntries, 0)
	})
}

func TestNumberedMessagesArriveInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{Latency: time.Millisecond, Jitter: time.Millisecond, Seed: 1})
		_, e := network(t, net, "e1", "e2")
		in := e[0].listen(unicast("numbers"))
		out := e[1].dial(unicast("numbers"))
		const count = 10_000
		var wg sync.WaitGroup
		wg.Go(func() {
			for i := range count {
				if err := out.Send(t.Context(), line(strconv.Itoa(i))); err != nil {
					t.Error(err)
					return
				}
			}
		})
		next := 0
		for m, err := range in.Messages(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			if got := m.Text("", "line"); got != strconv.Itoa(next) {
				t.Fatalf("got %s, want %d", got, next)
			}
			if next++; next == count {
				break
			}
		}
		wg.Wait()
		want(t, "stats", in.Stats(), pipe.InputStats{Received: count, Taken: count})
	})
}

func TestOutputMovesToAnotherPeer(t *testing.T) {
	for name, leave := range map[string]func(*node, *pipe.Input){
		"killed":  func(n *node, _ *pipe.Input) { n.kill() },
		"stopped": func(n *node, _ *pipe.Input) { n.stop() },
		"closed":  func(_ *node, in *pipe.Input) { in.Close() },
		"left":    func(n *node, _ *pipe.Input) { n.pipes.Close() }, // the group, not the network
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				net := memory.New(memory.Config{Latency: time.Millisecond})
				_, e := network(t, net, "e1", "e2", "e3")
				adv := unicast("service")
				first := e[0].listen(adv)
				out := e[2].dial(adv)
				second := e[1].listen(adv)
				send(t, out, "one")
				want(t, "first", receive(t, first), "one")
				leave(e[0], first)
				time.Sleep(time.Second)
				began := time.Now()
				send(t, out, "two")
				if took := time.Since(began); took > 10*time.Second {
					t.Errorf("moving took %v", took)
				}
				want(t, "second", receive(t, second), "two")
				want(t, "peer", out.Peer(), e[1].id)
				want(t, "moves", e[2].pipes.Stats().Moves, 1)
			})
		})
	}
}

// A peer that drops the input without a word, as JXSE peers do, is found out.
func TestOutputIsVerified(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{Latency: time.Millisecond})
		_, e := network(t, net, "e1", "e2", "e3")
		adv := unicast("service")
		first := e[0].listen(adv)
		out := e[2].dial(adv)
		second := e[1].listen(adv)
		for range 25 { // in use, the link stays
			send(t, out, "x")
			time.Sleep(time.Minute)
		}
		want(t, "peer after verification", out.Peer(), e[0].id)
		first.Close()
		time.Sleep(10 * time.Millisecond)
		want(t, "told by the peer itself", out.Peer(), id.Peer{})
		send(t, out, "y")
		want(t, "peer", out.Peer(), e[1].id)

		// Now nobody says that the input is closed: the service at e2 is gone and
		// the peer is not.
		second.Close()
		third := e[0].listen(adv)
		time.Sleep(time.Second)
		send(t, out, "z")
		want(t, "peer", out.Peer(), e[0].id)
		_ = third
	})
}

func TestSilentPeerIsLeftAfterVerification(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{Latency: time.Millisecond})
		_, e := network(t, net, "e1", "e2", "e3")
		adv := unicast("service")
		e[0].listen(adv)
		out := e[2].dial(adv)
		e[0].res.Close() // takes messages for nothing, and answers no more
		second := e[1].listen(adv)
		for range 30 {
			send(t, out, "x")
			time.Sleep(time.Minute)
		}
		want(t, "peer", out.Peer(), e[1].id)
		if n := len(drain(t, second)); n < 5 || n > 12 {
			t.Errorf("the other peer got %d messages", n)
		}
	})
}

func TestDialTellsWhatWasTried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{Latency: time.Millisecond})
		_, e := network(t, net, "e1", "e2")
		time.Sleep(time.Second) // news of the lease are through
		lonely := newNode(t, net, "lonely", nodeConfig{role: rendezvous.AdHoc})
		dial := func(n *node, peers ...id.Peer) error {
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
			defer cancel()
			began := time.Now()
			_, err := n.pipes.DialPeers(ctx, unicast("mail"), peers...)
			if took := time.Since(began); took != 3*time.Second {
				t.Errorf("%s: gave up after %v", n.name, took)
			}
			if !errors.Is(err, pipe.ErrNoListener) || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%s: %v", n.name, err)
			}
			return err
		}
		err := dial(e[1])
		want(t, "text", err, `pipe: "mail": no listener found: nobody answered 3 queries to one peer or network: context deadline exceeded`)
		if errors.Is(err, pipe.ErrNobody) {
			t.Error("there was somebody to ask")
		}
		err = dial(lonely)
		want(t, "text", err, `pipe: "mail": no listener found: there is nobody to ask, no rendezvous and no neighbour: context deadline exceeded`)
		if !errors.Is(err, pipe.ErrNobody) {
			t.Error("there was nobody to ask")
		}
		err = dial(e[1], e[0].id)
		want(t, "text", err, `pipe: "mail": no listener found: it is not open at peer `+e[0].id.Short()+
			`, and nobody else answered 4 queries to one peer or network: context deadline exceeded`)
		var re *pipe.ResolveError
		if !errors.As(err, &re) || len(re.Refused) != 1 || re.Refused[0] != e[0].id {
			t.Errorf("%#v", re)
		}
	})
}

func TestDialWaitsForTheListener(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{Latency: time.Millisecond})
		_, e := network(t, net, "e1", "e2")
		for _, at := range e { // elsewhere, and at the dialling peer itself
			adv := unicast("late at " + at.name)
			go func() {
				time.Sleep(7 * time.Second)
				at.listen(adv)
			}()
			began := time.Now()
			out := e[1].dial(adv)
			if took := time.Since(began); took < 7*time.Second || took > 12*time.Second {
				t.Errorf("bound after %v", took)
			}
			want(t, "peer", out.Peer(), at.id)
		}
	})
}

func TestDialLastsUntilTheLeaseIsThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{Latency: time.Millisecond})
		r, e := network(t, net, "e1")
		in := e[0].listen(unicast("mail"))
		late := newNode(t, net, "late", nodeConfig{seeds: []*node{r}})
		out := late.dial(unicast("mail"))
		send(t, out, "x")
		want(t, "got", receive(t, in), "x")
	})
}

func TestInputIsAnnouncedToTheNextRendezvous(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{Latency: time.Millisecond})
		r := newNode(t, net, "r", nodeConfig{role: rendezvous.Rendezvous})
		e := newNode(t, net, "e", nodeConfig{seeds: []*node{r}})
		e.listen(unicast("early")) // there is no lease yet
		e.leased()
		time.Sleep(time.Second)
		want(t, "entries", r.pipes.Stats().IndexEntries, 1)
		r.stop()
		r2 := newNode(t, net, "r", nodeConfig{role: rendezvous.Rendezvous})
		time.Sleep(10 * time.Second)
		want(t, "entries at the next", r2.pipes.Stats().IndexEntries, 1)
		time.Sleep(48 * time.Hour)
		want(t, "entries after two days", r2.pipes.Stats().IndexEntries, 1)
		e.stop()
		time.Sleep(time.Second)
		want(t, "entries after goodbye", r2.pipes.Stats().IndexEntries, 0)
	})
}

func TestQuietInputIsNotAnnouncedButAnswersAndReceives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{Latency: time.Millisecond})
		r, e := network(t, net, "e1", "e2")
		adv := unicast("ephemeral")
		in, err := e[0].pipes.ListenWith(t.Context(), adv, pipe.ListenConfig{Quiet: true})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		want(t, "entries", r.pipes.Stats().IndexEntries, 0)
		out, err := e[1].pipes.Bind(adv, e[0].id) // no question at all
		if err != nil {
			t.Fatal(err)
		}
		send(t, out, "bound")
		want(t, "got", receive(t, in), "bound")
		want(t, "queries", e[0].pipes.Stats().Queries, 0)
		send(t, e[1].dial(adv, e[0].id), "asked")
		want(t, "got", receive(t, in), "asked")
		in.Close()
		want(t, "stays with its peer", out.Peer(), e[0].id)
	})
}

func TestBoundOutputFailsWithItsPeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{Latency: time.Millisecond})
		var e [3]*node
		for i := range e {
			e[i] = newNode(t, net, fmt.Sprint("n", i), nodeConfig{role: rendezvous.AdHoc})
		}
		meet(t, e[2], e[0])
		meet(t, e[2], e[1])
		e[0].listen(unicast("p"))
		e[1].listen(unicast("p")) // is not asked
		out, err := e[2].pipes.Bind(unicast("p"), e[0].id)
		if err != nil {
			t.Fatal(err)
		}
		send(t, out, "x")
		e[0].kill()
		time.Sleep(time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		if err := out.Send(ctx, line("y")); !errors.Is(err, endpoint.ErrNoRoute) {
			t.Errorf("got %v", err)
		}
	})
}

func TestPeerThatListensGetsItsOwnMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{})
		n := newNode(t, net, "n", nodeConfig{role: rendezvous.AdHoc, pipes: pipe.Config{Queue: 4}})
		in := n.listen(unicast("self"))
		out := n.dial(unicast("self"))
		want(t, "peer", out.Peer(), n.id)
		go func() {
			for i := range 100 { // waits for room instead of dropping
				send(t, out, strconv.Itoa(i))
			}
		}()
		time.Sleep(time.Second)
		want(t, "waiting", in.Stats().Waiting, 4)
		for i := range 100 {
			want(t, "message", receive(t, in), i)
		}
		send(t, out, "last")
		m, err := in.Receive(t.Context())
		if err != nil || m.From != n.id || !m.Proven {
			t.Fatalf("%+v %v", m, err)
		}
		in.Close()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := out.Send(ctx, line("x")); !errors.Is(err, pipe.ErrNoListener) {
			t.Errorf("got %v", err)
		}
	})
}

// original sends as original peers do, which know nothing of windows.
type original struct {
	n   *node
	to  id.Peer
	adv *advertisements.Pipe
}

func (o original) send(m *message.Message) {
	o.n.t.Helper()
	if err := o.n.ep.Send(o.n.t.Context(), endpoint.PeerAddress(o.to, "PipeService", o.adv.ID.String()), m); err != nil {
		o.n.t.Fatal(err)
	}
}

func TestFullQueueWaitsThenDropsTheOldest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{})
		a := newNode(t, net, "a", nodeConfig{role: rendezvous.AdHoc, pipes: pipe.Config{Queue: 3}})
		b := newNode(t, net, "b", nodeConfig{role: rendezvous.AdHoc})
		meet(t, b, a)
		in := a.listen(unicast("small"))
		out := original{b, a.id, unicast("small")}
		began := time.Now()
		for i := range 10 {
			out.send(line(strconv.Itoa(i)))
		}
		synctest.Wait() // 3 in the queue, the link waits with the next
		want(t, "stats", in.Stats(), pipe.InputStats{Received: 4, Waiting: 3})
		time.Sleep(pipe.FullWait)
		synctest.Wait()
		want(t, "stats after the wait", in.Stats(), pipe.InputStats{Received: 10, Waiting: 3, DroppedFull: 7})
		if d := time.Since(began); d != pipe.FullWait {
			t.Errorf("the link stood for %v, want one wait", d)
		}
		want(t, "oldest left", receive(t, in), 7)
		// The reader is back: messages wait for it again.
		for i := range 3 {
			out.send(line(strconv.Itoa(100 + i)))
		}
		synctest.Wait()
		want(t, "dropped", in.Stats().DroppedFull, 7)
		for _, w := range []int{8, 9, 100, 101, 102} {
			want(t, "message", receive(t, in), w)
		}
		want(t, "dropped", in.Stats().DroppedFull, 7)
	})
}

func TestQueueIsBoundedInOctets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{})
		a := newNode(t, net, "a", nodeConfig{role: rendezvous.AdHoc, pipes: pipe.Config{QueueBytes: 10_000}})
		b := newNode(t, net, "b", nodeConfig{role: rendezvous.AdHoc})
		meet(t, b, a)
		in := a.listen(unicast("small"))
		out := original{b, a.id, unicast("small")}
		for _, size := range []int{4000, 4000, 4000, 20_000} {
			out.send(message.New(message.Bytes("", "b", make([]byte, size))))
		}
		time.Sleep(time.Second)
		want(t, "stats", in.Stats(), pipe.InputStats{Received: 4, Waiting: 1, DroppedFull: 3})
	})
}

func TestAcceptAndHandle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{})
		a := newNode(t, net, "a", nodeConfig{role: rendezvous.AdHoc})
		b := newNode(t, net, "b", nodeConfig{role: rendezvous.AdHoc})
		c := newNode(t, net, "c", nodeConfig{role: rendezvous.AdHoc})
		meet(t, b, a)
		meet(t, c, a)
		var got []string
		in, err := a.pipes.ListenWith(t.Context(), unicast("p"), pipe.ListenConfig{
			Accept: func(m pipe.Message) bool { return m.Proven && m.From == b.id },
			Handle: func(m pipe.Message) { got = append(got, m.Text("", "line")) },
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range []*node{b, c} {
			out, err := n.pipes.Bind(unicast("p"), a.id)
			if err != nil {
				t.Fatal(err)
			}
			send(t, out, "from "+n.name)
			synctest.Wait()
		}
		want(t, "got", got, "[from b]")
		want(t, "refused", in.Stats().DroppedRefused, 1)
		want(t, "of all inputs", a.pipes.Stats().InputDroppedRefused, 1)
	})
}

// meet makes a know how to reach b.
func meet(t *testing.T, a, b *node) {
	t.Helper()
	if _, err := a.ep.Dial(t.Context(), b.ep.Addresses()[0]); err != nil {
		t.Fatal(err)
	}
}

func TestErrorsOfOpening(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{})
		n := newNode(t, net, "n", nodeConfig{role: rendezvous.AdHoc})
		adv := unicast("p")
		in := n.listen(adv)
		_, err := n.pipes.Listen(t.Context(), adv)
		if !errors.Is(err, pipe.ErrTaken) {
			t.Errorf("second input: %v", err)
		}
		in.Close()
		in.Close()
		n.listen(adv).Close()
		secure := *adv
		secure.Type = advertisements.UnicastSecure
		odd := *adv
		odd.Type = "JxtaOther"
		for _, x := range []struct {
			adv  *advertisements.Pipe
			want error
		}{{&secure, pipe.ErrSecure}, {&odd, pipe.ErrType}, {nil, pipe.ErrType}, {&advertisements.Pipe{}, pipe.ErrType}} {
			if _, err := n.pipes.Listen(t.Context(), x.adv); !errors.Is(err, x.want) {
				t.Errorf("listen: %v, want %v", err, x.want)
			}
			if _, err := n.pipes.Dial(t.Context(), x.adv); !errors.Is(err, x.want) {
				t.Errorf("dial: %v, want %v", err, x.want)
			}
			if _, err := n.pipes.Bind(x.adv, n.id); !errors.Is(err, x.want) {
				t.Errorf("bind: %v, want %v", err, x.want)
			}
		}
		if _, err := n.pipes.Bind(propagate("p"), n.id); !errors.Is(err, pipe.ErrType) {
			t.Errorf("bind of a propagate pipe: %v", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := n.pipes.Listen(ctx, adv); !errors.Is(err, context.Canceled) {
			t.Errorf("listen: %v", err)
		}
		if _, err := n.pipes.Dial(ctx, adv); !errors.Is(err, context.Canceled) {
			t.Errorf("dial: %v", err)
		}
		if _, err := pipe.New(pipe.Config{Scope: n.ep.Scope(id.NetGroup)}); err == nil {
			t.Error("a service without resolver")
		}
	})
}

func TestCloseEndsWhatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{Latency: time.Millisecond})
		_, e := network(t, net, "e1")
		n := e[0]
		in, other := n.listen(unicast("p")), n.listen(unicast("q"))
		out := n.dial(unicast("q"))
		lost := n.dial(unicast("q"))
		var wg sync.WaitGroup
		wg.Go(func() {
			for range in.Messages(t.Context()) {
				t.Error("a message or an error after Close of the input")
			}
		})
		wg.Go(func() {
			if _, err := n.pipes.Dial(t.Context(), unicast("nowhere")); !errors.Is(err, pipe.ErrClosed) {
				t.Errorf("dial: %v", err)
			}
		})
		var last error
		wg.Go(func() {
			for _, err := range other.Messages(t.Context()) {
				last = err
			}
		})
		time.Sleep(time.Second)
		in.Close()
		out.Close()
		out.Close()
		if err := out.Send(t.Context(), line("x")); !errors.Is(err, pipe.ErrClosed) {
			t.Errorf("send: %v", err)
		}
		n.pipes.Close()
		n.pipes.Close()
		wg.Wait()
		if !errors.Is(last, pipe.ErrClosed) {
			t.Errorf("messages ended with %v", last)
		}
		if _, err := in.Receive(t.Context()); !errors.Is(err, pipe.ErrClosed) {
			t.Errorf("receive: %v", err)
		}
		if err := lost.Send(t.Context(), line("x")); !errors.Is(err, pipe.ErrClosed) {
			t.Errorf("send: %v", err)
		}
		if _, err := n.pipes.Listen(t.Context(), unicast("p")); !errors.Is(err, pipe.ErrClosed) {
			t.Errorf("listen: %v", err)
		}
		if _, err := n.pipes.Dial(t.Context(), unicast("p")); !errors.Is(err, pipe.ErrClosed) {
			t.Errorf("dial: %v", err)
		}
		in.Close()
	})
}

func TestMessagesEndsWithItsContextAndGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{})
		n := newNode(t, net, "n", nodeConfig{role: rendezvous.AdHoc})
		in := n.listen(unicast("p"))
		out := n.dial(unicast("p"))
		for i := range 5 {
			send(t, out, fmt.Sprint(i))
		}
		for m := range in.Messages(t.Context()) {
			want(t, "first", m.Text("", "line"), "0")
			break
		}
		want(t, "rest", strings.Join(drain(t, in), ","), "1,2,3,4")
	})
}
