package tcp

import (
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/core/transport/framing"
)

// pipe connects to the host through a pipe, in the virtual time of a bubble.
func pipe(t *testing.T, h *host, ip string) *raw {
	t.Helper()
	here, there := net.Pipe()
	if !h.t.admit(&from{Conn: there, ip: ip}) {
		_ = there.Close()
	}
	return newRaw(t, here)
}

// from is a connection that seems to come from an IP address.
type from struct {
	net.Conn
	ip string
}

func (f *from) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.ParseIP(f.ip), Port: 4000} }

// inBubble runs f in virtual time with a transport that accepts through pipes.
func inBubble(t *testing.T, f func(*testing.T, *host)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { f(t, newHost(t, New(Config{ClientOnly: true}))) })
}

// endsAfter reads until the connection is closed and checks when that is.
func (r *raw) endsAfter(start time.Time, want time.Duration) {
	r.t.Helper()
	_, _ = io.Copy(io.Discard, r.br)
	if got := time.Since(start); got != want {
		r.t.Errorf("closed after %v, want %v", got, want)
	}
}

// TestBadWelcomes: what is no welcome closes the connection at once.
func TestBadWelcomes(t *testing.T) {
	h := listening(t)
	for name, line := range map[string]string{
		"http":       "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
		"tls":        "\x16\x03\x01\x02\x00\x01\x00",
		"too long":   "JXTAHELLO tcp://" + strings.Repeat("x", 5000),
		"control":    "JXTAHELLO tcp://h:1\x00",
		"too few":    "JXTAHELLO tcp://h:1 tcp://h:2\r\n",
		"no peer":    "JXTAHELLO tcp://h:1 tcp://h:2 urn:jxta:jxta-NetGroup 0 1.1\r\n",
		"no address": "JXTAHELLO h:1 tcp://h:2 " + them.String() + " 0 1.1\r\n",
	} {
		before := h.t.Stats().BadWelcome
		r := connect(t, h)
		_, _ = r.Write([]byte(line))
		r.ended()
		if got := h.t.Stats().BadWelcome; got != before+1 {
			t.Errorf("%s: BadWelcome went from %d to %d", name, before, got)
		}
	}
	if len(h.opened) != 0 {
		t.Error("a link was opened")
	}
}

// TestDialStrangers: who answers a dialler with something else, or not at all,
// fails the handshake.
func TestDialStrangers(t *testing.T) {
	h := listening(t, func(cfg *Config) { cfg.times.Welcome = 50 * time.Millisecond })
	for name, c := range map[string]struct {
		says string
		want string
	}{
		"http":    {"HTTP/1.1 400 Bad Request\r\n\r\n", framing.ErrWelcome.Error()},
		"silence": {"", "no welcome in time"},
		"half":    {"JXTAHELLO tcp://h:1", "no welcome in time"},
	} {
		_, err := h.t.Dial(short(t), acceptor(t, nil, func(r *raw) { _, _ = r.Write([]byte(c.says)); r.ended() }))
		var de *endpoint.DialError
		if !errors.As(err, &de) || de.Phase != endpoint.PhaseHandshake || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestAnnouncedLength: a length beyond the limit closes the link.
func TestAnnouncedLength(t *testing.T) {
	h := listening(t)
	for _, n := range []int{message.MaxSize + 1, 1 << 40, -1} {
		r := greet(t, h)
		r.write(framing.AppendHeader(nil, n))
		r.ended()
		next(t, h.closed)
	}
}

// TestSmallLimit: MaxMessage holds in both directions, to the octet.
func TestSmallLimit(t *testing.T) {
	size := len(body(1, 100))
	h := newHost(t, New(Config{Listen: []string{"127.0.0.1:0"}, MaxMessage: size}))
	r := greet(t, h)
	r.write(pack(1, 100))
	next(t, h.bodies)
	r.write(pack(1, 101))
	r.ended()

	l, err := h.t.Dial(short(t), h.addr())
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Send(t.Context(), body(1, 101)); err == nil || errors.Is(err, endpoint.ErrLinkClosed) {
		t.Errorf("sending too much returned %v", err)
	}
	if err := l.Send(t.Context(), body(1, 100)); err != nil {
		t.Error(err)
	}
}

// TestHandshakeLimits: strangers who say nothing push out the oldest of them, but
// those from one address not those from others.
func TestHandshakeLimits(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		var all []*raw
		for i := range maxHandshakes {
			all = append(all, pipe(t, h, net.IPv4(192, 0, 2, byte(i/maxHandshakesPerHost)).String()))
		}
		start := time.Now()
		one := pipe(t, h, "192.0.2.0") // its address has eight already
		one.endsAfter(start, 0)
		honest := pipe(t, h, "198.51.100.1")
		other := pipe(t, h, "198.51.100.2")
		all[0].endsAfter(start, 0) // the oldest go
		all[1].endsAfter(start, 0)
		honest.write([]byte("JXTAHELLO tcp://h:1 tcp://h:2 " + them.String() + " 0 1.1\r\n"))
		honest.welcome()
		next(t, h.opened)
		all[2].endsAfter(start, 10*time.Second)
		other.endsAfter(start, 10*time.Second)
		synctest.Wait()
		if s := h.t.Stats(); s.RefusedHost != 1 || s.RefusedStrangers != 2 || s.Links != 1 {
			t.Errorf("stats %+v", s)
		}
		h.t.mu.Lock()
		defer h.t.mu.Unlock()
		if len(h.t.waiting) != 0 || len(h.t.perHost) != 1 {
			t.Errorf("%d strangers and %v are still counted", len(h.t.waiting), h.t.perHost)
		}
	})
}

// TestPerHostLimit: 32 connections from one address, and room again when one ends;
// this machine itself is not limited.
func TestPerHostLimit(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		open := func(ip string) *raw {
			r := pipe(t, h, ip)
			go func() { _, _ = io.Copy(io.Discard, r.br) }()
			_, _ = r.Write([]byte("JXTAHELLO tcp://h:1 tcp://h:2 " + them.String() + " 0 1.1\r\n"))
			time.Sleep(time.Second) // links with original peers take a moment to settle
			return r
		}
		var all []*raw
		for range defaultMaxPerHost {
			all = append(all, open("192.0.2.1"))
		}
		if len(h.opened) != defaultMaxPerHost {
			t.Fatalf("%d links", len(h.opened))
		}
		open("192.0.2.1")
		if len(h.opened) != defaultMaxPerHost {
			t.Error("one too many")
		}
		open("192.0.2.2")
		if len(h.opened) != defaultMaxPerHost+1 {
			t.Error("another address was refused")
		}
		_ = all[0].Close()
		synctest.Wait()
		open("192.0.2.1")
		if len(h.opened) != defaultMaxPerHost+2 {
			t.Error("there is no room after one has ended")
		}
		for range defaultMaxPerHost + 1 {
			open("127.0.0.1")
		}
		if len(h.opened) != 2*defaultMaxPerHost+3 {
			t.Error("this machine was limited")
		}
		if s := h.t.Stats(); s.RefusedHost != 1 || s.Links != 2*defaultMaxPerHost+2 { // one has ended
			t.Errorf("stats %+v", s)
		}
	})
}
