package socket

import (
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/juxta-p2p/juxta/core/transport/memory"
)

// An unreliable connection brings what comes in time; what the reader leaves too long
// is dropped and counted. Both sides end, although JXSE never answers.
func TestUnreliable(t *testing.T) {
	for _, mode := range []string{"juxta", "java"} {
		t.Run(mode, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				network := memory.New(memory.Config{Latency: time.Millisecond})
				a := newNode(t, "a", nodeConfig{net: network})
				b := newNode(t, "b", nodeConfig{net: network, near: []*node{a}})
				var x, y *Conn
				if mode == "java" {
					y, x = java(t, a, b, false)
				} else {
					x, y = conns(t, a, b, "s", DialConfig{Unreliable: true})
				}
				want(t, "reliable", x.Reliable() || y.Reliable(), false)
				write(t, x, "first")
				want(t, "read", read(t, y, 2), "fi")
				want(t, "read", read(t, y, 3), "rst")
				for range looseQueue + 7 {
					write(t, x, "x")
				}
				time.Sleep(time.Second)
				want(t, "dropped", a.s.Stats().DroppedOverflow, 7)
				big := make([]byte, 3*maxBlock)
				go func() { _, _ = x.Write(big) }()
				want(t, "read", len(read(t, y, looseQueue+len(big))), looseQueue+len(big))
				want(t, "half-close", errors.Is(x.CloseWrite(), ErrHalfClose), true)
				start := time.Now()
				_ = x.Close()
				_, err := y.Read(make([]byte, 1))
				want(t, "end", err, io.EOF)
				_, err = y.Write([]byte("x"))
				want(t, "write", errors.Is(err, ErrHungUp), true)
				_ = y.Close()
				for b.s.Stats().Open > 0 {
					time.Sleep(time.Millisecond)
				}
				if took := time.Since(start); took > looseWait+time.Second {
					t.Errorf("closing took %v", took)
				}
				_ = x.SetDeadline(time.Now())
			})
		})
	}
}

// Closing an unreliable connection to a peer that says nothing takes a second.
func TestUnreliableNoAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := memory.New(memory.Config{Latency: time.Millisecond})
		a := newNode(t, "a", nodeConfig{net: network})
		b := newNode(t, "b", nodeConfig{net: network, near: []*node{a}})
		x, _ := conns(t, a, b, "s", DialConfig{Unreliable: true})
		network.Partition("a")
		want(t, "close", x.Close(), nil)
		time.Sleep(looseWait + 10*time.Millisecond)
		want(t, "left over", b.s.Stats().Open, 0)
	})
}
