package socket

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/juxta-p2p/juxta/core/transport/memory"
)

// A stream survives the loss of its link, again and again.
func TestLinkLost(t *testing.T) {
	for _, mode := range []string{"juxta", "java"} {
		t.Run(mode, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				network := memory.New(memory.Config{Latency: 5 * time.Millisecond})
				a := newNode(t, "a", nodeConfig{net: network})
				b := newNode(t, "b", nodeConfig{net: network, near: []*node{a}})
				var x, y *Conn
				if mode == "java" {
					x, y = java(t, a, b, true)
				} else {
					x, y = conns(t, a, b, "s", DialConfig{})
				}
				defer y.Close()
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
							network.Partition("a")
							time.Sleep(3 * time.Second)
							network.Heal()
							continue
						}
						for _, l := range a.ep.Links() {
							_ = l.Close()
						}
					}
				})
				const size = 20 << 20
				wg.Go(func() {
					for at := int64(0); at < size; at += 256 << 10 {
						if _, err := io.Copy(x, &pattern{at: at, end: at + 256<<10}); err != nil {
							t.Error(err)
						}
						time.Sleep(25 * time.Millisecond)
					}
					_ = x.Close()
				})
				got, wanted := sha256.New(), sha256.New()
				n, err := io.Copy(got, y)
				close(over)
				want(t, "error", err, nil)
				want(t, "octets", n, size)
				_, _ = io.Copy(wanted, &pattern{end: size})
				want(t, "hash", fmt.Sprintf("%x", got.Sum(nil)), fmt.Sprintf("%x", wanted.Sum(nil)))
				wg.Wait()
				if moved := a.s.Stats().Moved + b.s.Stats().Moved; moved < 10 {
					t.Errorf("moved %d times", moved)
				}
			})
		})
	}
}

// When the peer is gone for good, who reads and who writes learns it in words, within
// a minute.
func TestPeerDies(t *testing.T) {
	for _, mode := range []string{"juxta", "java"} {
		t.Run(mode, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				network := memory.New(memory.Config{Latency: time.Millisecond})
				a := newNode(t, "a", nodeConfig{net: network})
				b := newNode(t, "b", nodeConfig{net: network, near: []*node{a}})
				var idle, busy *Conn
				if mode == "java" {
					_, idle = java(t, a, b, true)
					_, busy = java(t, a, b, true)
				} else {
					idle, _ = conns(t, a, b, "s", DialConfig{})
					busy, _ = conns(t, a, b, "s", DialConfig{})
				}
				write(t, busy, "hello")
				_ = a.ep.Close() // without goodbye
				start := time.Now()
				var wg sync.WaitGroup
				wg.Go(func() {
					_, err := idle.Read(make([]byte, 1))
					want(t, "reading", errors.Is(err, ErrGone), true)
					t.Log(err)
				})
				wg.Go(func() {
					_, err := io.Copy(busy, &pattern{end: 1 << 40})
					want(t, "writing", errors.Is(err, ErrGone), true)
					t.Log(err)
				})
				wg.Wait()
				if took := time.Since(start); took < giveUp-time.Second || took > giveUp+10*time.Second {
					t.Errorf("took %v", took)
				}
				_, err := idle.Write([]byte("x"))
				want(t, "writing later", errors.Is(err, ErrGone), true)
				_ = idle.Close()
				_ = busy.Close()
				want(t, "left over", b.s.Stats().Open, 0)
			})
		})
	}
}

// A peer that comes back without its connections says so at once.
func TestPeerRestarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := memory.New(memory.Config{Latency: time.Millisecond})
		a := newNode(t, "a", nodeConfig{net: network})
		b := newNode(t, "b", nodeConfig{net: network, near: []*node{a}})
		x, _ := conns(t, a, b, "s", DialConfig{})
		defer x.Close()
		_ = a.ep.Close()
		a.stop()
		time.Sleep(3 * time.Second)
		start := time.Now()
		newNode(t, "a", nodeConfig{net: network, near: []*node{b}})
		_, err := x.Read(make([]byte, 1))
		want(t, "error", errors.Is(err, ErrGone), true)
		if took := time.Since(start); took > 3*time.Second {
			t.Errorf("took %v", took)
		}
		want(t, "resets", b.s.Stats().ResetsReceived, 1)
	})
}

// A connection that is closed while the peer is away is told later, or forgotten in
// the end.
func TestCloseWhileAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := memory.New(memory.Config{Latency: time.Millisecond})
		a := newNode(t, "a", nodeConfig{net: network})
		b := newNode(t, "b", nodeConfig{net: network, near: []*node{a}})
		x, y := conns(t, a, b, "s", DialConfig{})
		x2, y2 := conns(t, a, b, "s", DialConfig{})
		network.Partition("a")
		write(t, x, "late")
		_ = x.Close()
		time.Sleep(10 * time.Second)
		network.Heal()
		all, err := io.ReadAll(y)
		want(t, "read", string(all), "late")
		want(t, "error", err, nil)
		_ = y.Close()
		network.Partition("a")
		_ = x2.Close()
		_ = y2.Close()
		time.Sleep(2 * giveUp)
		want(t, "left over", a.s.Stats().Open+b.s.Stats().Open, 0)
	})
}

// Closing the service ends everything within a moment.
func TestServiceClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := memory.New(memory.Config{Latency: time.Millisecond})
		a := newNode(t, "a", nodeConfig{net: network})
		b := newNode(t, "b", nodeConfig{net: network, near: []*node{a}})
		adv := unicast("s")
		l := a.listen(adv, ListenConfig{})
		x := b.dial(adv, DialConfig{})
		y := l.accept(t)
		write(t, y, "goodbye")
		write(t, x, "never read")
		var wg sync.WaitGroup
		wg.Go(func() {
			_, err := l.Accept()
			want(t, "accept", err != nil, true)
		})
		synctest.Wait()
		start := time.Now()
		a.s.Close()
		a.s.Close()
		wg.Wait()
		if took := time.Since(start); took > goodbyeWait+time.Second {
			t.Errorf("took %v", took)
		}
		all, err := io.ReadAll(x)
		want(t, "read", string(all), "goodbye")
		want(t, "error", err, nil)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err = b.s.Dial(ctx, adv)
		want(t, "dial", err != nil, true)
	})
}
