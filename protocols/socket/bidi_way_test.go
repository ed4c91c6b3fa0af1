package socket_test

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/core/transport/memory"
	"github.com/juxta-p2p/juxta/protocols/socket"
)

// slowPair is two peers some time apart.
func slowPair(t *testing.T) (net *memory.Network, a, b *bidiNode) {
	net = memory.New(memory.Config{Latency: 5 * time.Millisecond})
	a = newBidiNode(t, net, "a", nil)
	return net, a, newBidiNode(t, net, "b", a)
}

// TestBidiLinkLost: messages survive the loss of links, each once and in order.
func TestBidiLinkLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net, a, b := slowPair(t)
		at, bt := connectFor(t, time.Hour, a, b, socket.BidiListenConfig{}, socket.BidiConfig{})
		var wg sync.WaitGroup
		over := make(chan struct{})
		wg.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-over:
					return
				case <-time.After(97 * time.Millisecond):
				}
				if i%4 == 3 { // a while without any way
					net.Partition("a")
					time.Sleep(3 * time.Second)
					net.Heal()
					continue
				}
				for _, l := range a.ep.Links() {
					_ = l.Close()
				}
			}
		})
		const count, size = 3000, 4 << 10
		var both sync.WaitGroup
		for _, way := range [][2]*socket.BidiPipe{{at, bt}, {bt, at}} {
			both.Go(func() {
				for n := range count {
					m := note(fmt.Sprint(n)).Add(message.Bytes("app", "body", make([]byte, size)))
					if err := way[0].Send(t.Context(), m); err != nil {
						t.Error(err)
						return
					}
					time.Sleep(time.Millisecond) // or it were over before anything happens
				}
			})
			both.Go(func() {
				for n := range count {
					m, err := way[1].Receive(t.Context())
					if err != nil {
						t.Error(err)
						return
					}
					if got := m.Text("app", "text"); got != fmt.Sprint(n) {
						t.Errorf("message %d is %q", n, got)
						return
					}
				}
			})
		}
		both.Wait()
		close(over)
		wg.Wait()
		if st := at.Stats().Layer; st.Moves == 0 {
			t.Errorf("no link was lost: %+v", st)
		}
	})
}

// TestBidiPeerDies: when the peer is gone for good, who sends learns it within a minute,
// and who only receives a minute after the link is known to be dead.
func TestBidiPeerDies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net, a, b := slowPair(t)
		at, bt := connectFor(t, time.Hour, a, b, socket.BidiListenConfig{}, socket.BidiConfig{})
		if err := bt.Send(t.Context(), note("hello")); err != nil {
			t.Fatal(err)
		}
		if _, err := at.Receive(t.Context()); err != nil {
			t.Fatal(err)
		}
		net.Partition("a")
		begin := time.Now()
		var wg sync.WaitGroup
		wg.Go(func() {
			var err error
			for err == nil {
				err = bt.Send(t.Context(), note("anybody?"))
				time.Sleep(time.Second)
			}
			t.Logf("the sender after %v: %v", time.Since(begin), err)
		})
		_, err := at.Receive(t.Context())
		t.Logf("the receiver after %v: %v", time.Since(begin), err)
		if !errors.Is(err, socket.ErrGone) {
			t.Errorf("the receiver got %v", err)
		}
		wg.Wait()
		if d := time.Since(begin); d > 2*time.Minute { // until the link is known to be dead, and a minute
			t.Errorf("it took %v", d)
		}
		begin = time.Now()
		_ = at.Close()
		_ = bt.Close()
		if d := time.Since(begin); d > time.Second {
			t.Errorf("closing what is broken took %v", d)
		}
		net.Heal()
	})
}

// TestBidiSelf: a peer may dial itself.
func TestBidiSelf(t *testing.T) {
	message.Poison(true)
	defer message.Poison(false)
	a, _ := bidiPair(t)
	for _, unreliable := range []bool{false, true} {
		at, bt := connect(t, a, a, socket.BidiListenConfig{}, socket.BidiConfig{Unreliable: unreliable})
		exchange(t, at, bt, 300)
		if err := bt.Close(); err != nil {
			t.Error(err)
		}
		if _, err := at.Receive(bidiContext(t)); err != io.EOF {
			t.Errorf("after the close: %v", err)
		}
		_ = at.Close()
	}
}

// TestBidiSlowReader: a reader that is late gets everything, and the sender waits.
func TestBidiSlowReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, a, b := slowPair(t)
		at, bt := connectFor(t, time.Hour, a, b, socket.BidiListenConfig{}, socket.BidiConfig{})
		const count = 400
		body := make([]byte, 64<<10)
		var sent time.Duration
		begin := time.Now()
		var wg sync.WaitGroup
		wg.Go(func() {
			for n := range count {
				if err := bt.Send(t.Context(), note(fmt.Sprint(n)).Add(message.Bytes("app", "body", body))); err != nil {
					t.Error(err)
					return
				}
			}
			sent = time.Since(begin)
		})
		time.Sleep(2 * time.Minute) // longer than any side gives up
		for n := range count {
			m, err := at.Receive(t.Context())
			if err != nil || m.Text("app", "text") != fmt.Sprint(n) {
				t.Fatalf("message %d: %v, %v", n, m, err)
			}
		}
		wg.Wait()
		if sent < 2*time.Minute {
			t.Errorf("%d octets were sent within %v to a peer that did not read", count*len(body), sent)
		}
	})
}

// BenchmarkBidi sends messages of one element over the memory network, one after
// the other.
func BenchmarkBidi(b *testing.B) {
	for _, size := range []int{100, 16 << 10} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			x, y := bidiPair(b)
			at, bt := connectFor(b, time.Hour, x, y, socket.BidiListenConfig{}, socket.BidiConfig{})
			m := message.New(message.Bytes("app", "body", make([]byte, size)))
			b.SetBytes(int64(size))
			b.ReportAllocs()
			done := make(chan error, 1)
			go func() {
				for {
					if _, err := at.Receive(b.Context()); err != nil {
						done <- err
						return
					}
				}
			}()
			for b.Loop() {
				if err := bt.Send(b.Context(), m); err != nil {
					b.Fatal(err)
				}
			}
			if err := bt.CloseWrite(b.Context()); err != nil {
				b.Fatal(err)
			}
			if err := <-done; err != io.EOF {
				b.Fatal(err)
			}
		})
	}
}
