package tcp

import (
	"errors"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/juxta-p2p/juxta/core/endpoint"
)

// TestStuckConnection: over a real connection whose far end no longer takes
// anything, sending notices, and both sides of the program are told.
func TestStuckConnection(t *testing.T) {
	other := listening(t)
	through := stuckProxy(t, other.addr().Host)
	h := listening(t, func(cfg *Config) { cfg.times.Write = 100 * time.Millisecond })
	l, err := h.t.Dial(short(t), at(through.addr))
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Send(short(t), body(1, 10)); err != nil {
		t.Fatal(err)
	}
	next(t, other.bodies)
	through.stick()
	big := body(2, 256<<10)
	for err == nil {
		err = l.Send(short(t), big)
	}
	if !errors.Is(err, endpoint.ErrLinkClosed) {
		t.Errorf("Send ended with %v", err)
	}
	next(t, h.closed)
}

// proxy passes octets on until it is told to stick.
type proxy struct {
	addr  string
	stuck chan struct{}
}

func (p *proxy) stick() { close(p.stuck) }

func stuckProxy(t *testing.T, to string) *proxy {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{addr: ln.Addr().String(), stuck: make(chan struct{})}
	end := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		in, err := ln.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("tcp", to)
		if err != nil {
			_ = in.Close()
			return
		}
		for _, d := range [][2]net.Conn{{in, out}, {out, in}} {
			wg.Go(func() { p.pass(d[0], d[1]) })
		}
		<-end
		_ = in.Close()
		_ = out.Close()
	})
	t.Cleanup(func() { _ = ln.Close(); close(end); wg.Wait() })
	return p
}

func (p *proxy) pass(from, to net.Conn) {
	b := make([]byte, 32<<10)
	for {
		select {
		case <-p.stuck:
			return
		default:
		}
		n, err := from.Read(b)
		if err != nil {
			return
		}
		if _, err := to.Write(b[:n]); err != nil {
			return
		}
	}
}
