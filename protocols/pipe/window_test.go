package pipe_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/core/transport/memory"
	"github.com/juxta-p2p/juxta/protocols/pipe"
	"github.com/juxta-p2p/juxta/protocols/rendezvous"
)

// pair is two linked nodes, and the two ends of a pipe from b to a.
func pair(t *testing.T, net *memory.Network, cfg pipe.Config) (a, b *node, in *pipe.Input, out *pipe.Output) {
	t.Helper()
	a = newNode(t, net, "a", nodeConfig{role: rendezvous.AdHoc, pipes: cfg})
	b = newNode(t, net, "b", nodeConfig{role: rendezvous.AdHoc, near: []*node{a}})
	meet(t, b, a)
	return a, b, a.listen(unicast("p")), b.dial(unicast("p"))
}

// TestSenderWaitsForTheReader: a sender goes no faster than the reader takes, and
// nothing is dropped.
func TestSenderWaitsForTheReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const queue, many = 100, 1000
		_, _, in, out := pair(t, memory.New(memory.Config{Latency: 5 * time.Millisecond}), pipe.Config{Queue: queue})
		var sent atomic.Int64
		go func() {
			for i := range many {
				send(t, out, strconv.Itoa(i))
				sent.Add(1)
			}
		}()
		time.Sleep(10 * time.Second)
		if n := sent.Load(); n != queue {
			t.Errorf("%d messages were sent to a reader that takes none, want %d", n, queue)
		}
		want(t, "stats", in.Stats(), pipe.InputStats{Received: queue, Waiting: queue})
		began := time.Now()
		for i := range many {
			want(t, "message", receive(t, in), i)
		}
		if took := time.Since(began); took > time.Second {
			t.Errorf("a quick reader waited %v in all", took)
		}
		want(t, "dropped", in.Stats().DroppedFull, 0)
	})
}

// TestWindowInOctets: large messages are bounded by their size, and one larger than
// the window goes when nothing else is under way.
func TestWindowInOctets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const size = 100 << 10
		_, _, in, out := pair(t, memory.New(memory.Config{Latency: time.Millisecond}), pipe.Config{QueueBytes: 10 * size})
		var sent atomic.Int64
		go func() {
			for i := range 40 {
				n := size
				if i == 30 {
					n = 20 * size
				}
				if err := out.Send(t.Context(), message.New(message.Bytes("", "b", make([]byte, n)))); err != nil {
					t.Error(err)
				}
				sent.Add(1)
			}
		}()
		time.Sleep(10 * time.Second)
		if n := sent.Load(); n < 8 || n > 10 {
			t.Errorf("%d messages were sent, 10 fit", n)
		}
		for range 40 {
			if _, err := in.Receive(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		want(t, "dropped", in.Stats().DroppedFull, 0)
	})
}

// TestOnePipeDoesNotHoldUpAnother: a reader that takes nothing holds up its pipe
// only, not others over the same link.
func TestOnePipeDoesNotHoldUpAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, stuck, bulk := pair(t, memory.New(memory.Config{Latency: time.Millisecond}), pipe.Config{Queue: 50})
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				for bulk.Send(ctx, line("bulk")) == nil {
				}
			})
		}
		time.Sleep(time.Minute)
		in := a.listen(unicast("chat"))
		out := b.dial(unicast("chat"))
		for i := range 100 {
			began := time.Now()
			send(t, out, strconv.Itoa(i))
			want(t, "message", receive(t, in), i)
			if took := time.Since(began); took > 2*time.Millisecond {
				t.Fatalf("a message took %v beside a pipe that nobody reads", took)
			}
		}
		want(t, "dropped", stuck.Stats().DroppedFull, 0)
		cancel()
		wg.Wait()
	})
}

// TestManySenders share the queue of a pipe; nothing is dropped.
func TestManySenders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const senders, many = 20, 300
		net := memory.New(memory.Config{Latency: time.Millisecond})
		a := newNode(t, net, "a", nodeConfig{role: rendezvous.AdHoc, pipes: pipe.Config{Queue: 200}})
		in := a.listen(unicast("p"))
		for i := range senders {
			b := newNode(t, net, fmt.Sprint("b", i), nodeConfig{role: rendezvous.AdHoc})
			meet(t, b, a)
			out, err := b.pipes.Bind(unicast("p"), a.id)
			if err != nil {
				t.Fatal(err)
			}
			go func() {
				for n := range many {
					send(t, out, fmt.Sprint(i, " ", n))
				}
			}()
		}
		next := map[int]int{}
		for n := range senders * many {
			var who, number int
			if _, err := fmt.Sscan(receive(t, in), &who, &number); err != nil || next[who] != number {
				t.Fatalf("message %d of sender %d, want %d", number, who, next[who])
			}
			next[who]++
			if n%100 == 0 {
				time.Sleep(10 * time.Millisecond)
			}
		}
		want(t, "dropped", in.Stats().DroppedFull, 0)
	})
}

// TestWindowAfterLoss: messages lost with a link do not count against the sender for
// ever.
func TestWindowAfterLoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{Latency: 50 * time.Millisecond})
		_, _, in, out := pair(t, net, pipe.Config{Queue: 40})
		send(t, out, "first")
		want(t, "message", receive(t, in), "first")
		for range 10 {
			for range 30 {
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				_ = out.Send(ctx, line("lost"))
				cancel()
			}
			net.Partition("b")
			time.Sleep(memory.BreakAfter + time.Second)
			net.Heal()
			time.Sleep(time.Second)
			for in.Stats().Waiting > 0 {
				_ = receive(t, in)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := out.Send(ctx, line("last")); err != nil {
			t.Fatal(err)
		}
		for receive(t, in) != "last" {
		}
	})
}

// TestWaitingEnds: who waits for room is told when the output is closed, and when his
// patience is over; with a reader that is gone the pipe looks for another one.
func TestWaitingEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, _, in, out := pair(t, memory.New(memory.Config{}), pipe.Config{Queue: 1})
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		for {
			if err := out.Send(ctx, line("x")); err != nil {
				if !errors.Is(err, context.DeadlineExceeded) {
					t.Error(err)
				}
				break
			}
		}
		done := make(chan error)
		go func() { done <- out.Send(t.Context(), line("x")) }()
		synctest.Wait()
		out.Close()
		if err := <-done; !errors.Is(err, pipe.ErrClosed) {
			t.Errorf("Send of a closed pipe ended with %v", err)
		}
		in.Close()
	})
}

// books are what a sender was told.
type books struct {
	mu  sync.Mutex
	got map[string]int
	all int
}

func (b *books) report(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.got == nil {
		b.got = map[string]int{}
	}
	b.all++
	for _, known := range []error{pipe.ErrDropped, pipe.ErrLost, pipe.ErrUnconfirmed} {
		if errors.Is(err, known) {
			b.got[known.Error()]++
			return
		}
	}
	b.got[fmt.Sprint(err)]++
}

func (b *books) of(err error) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.got[fmt.Sprint(err)]
}

func (b *books) count() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.all
}

// TestReportsUnderFlood: of every message the sender learns whether the reader has got
// it, and what it learns is so.
func TestReportsUnderFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const senders, many = 4, 3000
		net := memory.New(memory.Config{Latency: time.Millisecond})
		a := newNode(t, net, "a", nodeConfig{role: rendezvous.AdHoc, pipes: pipe.Config{Queue: 64}})
		in, err := a.pipes.ListenWith(t.Context(), unicast("p"), pipe.ListenConfig{Accept: func(m pipe.Message) bool {
			return m.Text("", "line") != "13"
		}})
		if err != nil {
			t.Fatal(err)
		}
		var told books
		var sent atomic.Int64
		for i := range senders {
			b := newNode(t, net, fmt.Sprint("b", i), nodeConfig{role: rendezvous.AdHoc})
			meet(t, b, a)
			out, err := b.pipes.Bind(unicast("p"), a.id)
			if err != nil {
				t.Fatal(err)
			}
			go func() {
				for n := range many {
					err := out.SendReported(t.Context(), line(strconv.Itoa(n%20)), told.report)
					if errors.Is(err, pipe.ErrNoListener) {
						return
					}
					if err != nil {
						t.Error(err)
					}
					sent.Add(1)
				}
			}()
		}
		const last = 500 // are never read
		for range senders*many*19/20 - last {
			if receive(t, in) == "-" {
				t.Fatal("nothing comes any more")
			}
		}
		time.Sleep(time.Minute)
		want(t, "reports missing", sent.Load()-int64(told.count()), in.Stats().Waiting)
		in.Close()
		time.Sleep(time.Minute)
		want(t, "reports", told.count(), sent.Load())
		st := in.Stats()
		want(t, "delivered", told.of(nil), st.Taken)
		want(t, "dropped, or sent when it was closed", told.of(pipe.ErrDropped)+told.of(pipe.ErrUnconfirmed), sent.Load()-int64(st.Taken))
		if st.DroppedRefused == 0 || sent.Load() == senders*many {
			t.Errorf("%d refused, %d sent: nothing is tested", st.DroppedRefused, sent.Load())
		}
	})
}

// TestReportsOfLoss: what is lost with a link is reported as lost, and what was
// delivered as delivered although that was not told at once.
func TestReportsOfLoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{Latency: 50 * time.Millisecond})
		_, _, in, out := pair(t, net, pipe.Config{})
		var told books
		reported := func() {
			t.Helper()
			if err := out.SendReported(t.Context(), line("x"), told.report); err != nil {
				t.Fatal(err)
			}
		}
		for range 5 {
			reported()
		}
		time.Sleep(time.Second)
		for range 20 { // these are lost
			reported()
		}
		net.Partition("b")
		time.Sleep(memory.BreakAfter + time.Second)
		net.Heal()
		for range 5 {
			reported()
		}
		time.Sleep(10 * time.Second)
		want(t, "reported before they were read", told.of(nil), 0)
		for range 10 {
			want(t, "line", receive(t, in), "x")
		}
		time.Sleep(10 * time.Second)
		want(t, "delivered", told.of(nil), 10)
		want(t, "lost", told.of(pipe.ErrLost), 20)
		want(t, "all", told.count(), 30)
	})
}

// TestReportsOfThePeerThatVanished: it cannot be asked any more.
func TestReportsOfThePeerThatVanished(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{})
		_, _, _, out := pair(t, net, pipe.Config{})
		var told books
		for range 10 {
			if err := out.SendReported(t.Context(), line("x"), told.report); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Second)
		net.Crash("a")
		time.Sleep(5 * time.Minute)
		want(t, "unconfirmed", told.of(pipe.ErrUnconfirmed), 10)
	})
}

// TestReportsAreRefused where nobody would give them.
func TestReportsAreRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{})
		a, b, _, _ := pair(t, net, pipe.Config{})
		out, err := b.pipes.Dial(t.Context(), propagate("chat"))
		if err != nil {
			t.Fatal(err)
		}
		never := func(error) { t.Error("reported") }
		if err := out.SendReported(t.Context(), line("x"), never); !errors.Is(err, pipe.ErrType) {
			t.Errorf("a message to many: %v", err)
		}
		in := a.listen(unicast("own"))
		self := a.dial(unicast("own"))
		var told books
		if err := self.SendReported(t.Context(), line("x"), told.report); err != nil || told.of(nil) != 1 {
			t.Errorf("to oneself: %v", err)
		}
		_ = receive(t, in)
	})
}

// TestHostileQuestions: what a sender says of itself is checked, and moves only its
// own counters.
func TestHostileQuestions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, in, out := pair(t, memory.New(memory.Config{}), pipe.Config{})
		evil := original{b, a.id, unicast("p")}
		for _, body := range []string{"", "short", string(make([]byte, 100)), "\xff\xff\xff\xff" + string(make([]byte, 24)),
			"1234\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"} {
			evil.send(message.New(message.Bytes(message.Platform, "JuxtaAsk", []byte(body)), message.Bytes(message.Platform, "JuxtaTrack", []byte(body))))
			evil.send(message.New(message.Bytes(message.Platform, "JuxtaNotice", []byte(body))))
			if err := b.ep.Send(t.Context(), endpoint.PeerAddress(a.id, "juxta.pipe", ""), message.New(message.Bytes(message.Platform, "JuxtaNotice", []byte(body)))); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if a.pipes.Stats().DroppedMalformed < 6 {
			t.Errorf("%d are counted as malformed", a.pipes.Stats().DroppedMalformed)
		}
		for i := range 100 {
			send(t, out, strconv.Itoa(i))
		}
		for n := 0; n < 100; {
			if receive(t, in) == strconv.Itoa(n) {
				n++
			}
		}
	})
}
