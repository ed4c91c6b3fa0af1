package stream

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/transport/framing"
)

// TestClaimed: which plain links are taken, at either side.
func TestClaimed(t *testing.T) {
	key := newIdentity().Peer()
	made := func(h *endpoint.Host) { h.Peer = key } // without a means to prove it
	for name, c := range map[string]struct {
		us    []func(*endpoint.Host)
		them  func(*endpoint.Host)
		phase endpoint.Phase // empty: taken
	}{
		"made-up ID":                      {nil, func(*endpoint.Host) {}, ""},
		"ID of a key":                     {nil, made, endpoint.PhaseIdentity},
		"ID of a key, allowed":            {[]func(*endpoint.Host){lenient}, made, ""},
		"made-up ID, secure only":         {[]func(*endpoint.Host){strict}, func(*endpoint.Host) {}, endpoint.PhasePolicy},
		"ID of a key, secure only":        {[]func(*endpoint.Host){strict, lenient}, made, endpoint.PhasePolicy},
		"ID of a key, this side has none": {[]func(*endpoint.Host){func(h *endpoint.Host) { h.Identity = nil }}, made, ""},
	} {
		t.Run(name, func(t *testing.T) {
			h, other := proven(t, c.us...), newHost(t, Config{}, c.them)
			here, there := connected(t)
			other.accept(there)
			l, err := h.dial(t, here, at("h:1"))
			var de *endpoint.DialError
			switch {
			case c.phase == "" && (err != nil || l.Proven()):
				t.Errorf("dialled: %v", err)
			case c.phase != "" && (!errors.As(err, &de) || de.Phase != c.phase || !errors.Is(err, endpoint.ErrUnproven)):
				t.Errorf("dialled: %v", err)
			}
			here, there = connected(t)
			h.accept(there)
			_, _ = other.dial(t, here, at("h:1"))
			if c.phase == "" {
				for range 2 {
					next(t, h.opened)
				}
				return
			}
			if err := next(t, h.failed); !errors.Is(err, endpoint.ErrUnproven) {
				t.Errorf("accepted: %v", err)
			}
			if s := h.s.Stats(); s.Unproven != 2 || s.Links != 0 {
				t.Errorf("stats %+v", s)
			}
		})
	}
}

// TestFirstOctet: an acceptor says nothing before it has heard what is spoken, and
// sends those away who speak TLS that it does not.
func TestFirstOctet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := proven(t)
		r := pipe(t, h)
		heard := make(chan error, 1)
		go func() {
			_, err := r.br.ReadByte()
			heard <- err
		}()
		synctest.Wait()
		select {
		case <-heard:
			t.Error("the acceptor spoke first")
		default:
		}
		r.write(greeting)
		if err := next(t, heard); err != nil {
			t.Error(err)
		}
		go func() { _, _ = io.Copy(io.Discard, r.br) }()
		next(t, h.opened)
	})
	for name, h := range map[string]*host{
		"no identity":       newHost(t, Config{Secured: "tls"}),
		"no such addresses": newHost(t, Config{}, with(newIdentity())),
		"something else":    proven(t),
	} {
		r := pipe(t, h)
		first := byte(recordHandshake)
		if name == "something else" {
			first = 'G'
		}
		r.write([]byte{first})
		if n, _ := io.Copy(io.Discard, r.br); n != 0 {
			t.Errorf("%s: %d octets came back", name, n)
		}
		if err := next(t, h.failed); !errors.Is(err, framing.ErrWelcome) || h.s.Stats().BadWelcome != 1 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestPunched: whoever meets whom when both sides dial, the one who leads is the
// dialler, unless his listener has answered.
func TestPunched(t *testing.T) {
	for _, target := range []endpoint.Address{at("192.0.2.7:1"), secured("192.0.2.7:1")} {
		a := proven(t)
		b := newHost(t, Config{Secured: "tls", Times: Times{Follow: 50 * time.Millisecond}}, with(newIdentity()))
		here, there := connected(t)
		got := make(chan endpoint.Link)
		go func() {
			l, err := b.s.Punched(context.Background(), there, target, false)
			if err != nil {
				t.Error(err)
			}
			got <- l
		}()
		l, err := a.s.Punched(short(t), here, target, true)
		if err != nil {
			t.Fatal(err)
		}
		back := <-got
		if back == nil || !l.Outgoing() || back.Outgoing() || !l.Proven() || !back.Proven() {
			t.Fatalf("%s: outgoing %t, %t", target, l.Outgoing(), back.Outgoing())
		}
		exchange(t, l, back, a, b)

		here, there = connected(t)
		a.accept(there)
		if l, err = b.s.Punched(short(t), here, target, false); err != nil {
			t.Fatal(err)
		}
		next(t, a.opened) // the first one
		if back = next(t, a.opened); !l.Outgoing() || back.Outgoing() || !l.Proven() {
			t.Errorf("%s: outgoing %t, %t", target, l.Outgoing(), back.Outgoing())
		}
	}
}

// TestPunchedEnds: the follower's wait ends with its context and with the
// connection.
func TestPunchedEnds(t *testing.T) {
	h := proven(t)
	here, there := connected(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("enough")
	time.AfterFunc(10*time.Millisecond, func() { cancel(cause) })
	if _, err := h.s.Punched(ctx, here, at("h:1"), false); !errors.Is(err, cause) {
		t.Errorf("the error is %v", err)
	}
	_ = there.Close()
	here, there = connected(t)
	_ = there.Close()
	if _, err := h.s.Punched(t.Context(), here, at("h:1"), false); err == nil {
		t.Error("a closed connection made a link")
	}
}

// TestCloseWhere: links whose address is gone are closed, others not.
func TestCloseWhere(t *testing.T) {
	a, b := proven(t), proven(t)
	l, _ := meet(t, a, b, at("h:1"))
	local := l.(*link).c.LocalAddr().(*net.TCPAddr).AddrPort().Addr().Unmap()
	asked := 0
	a.s.CloseWhere(func(ip netip.Addr) bool { asked++; return ip != local })
	if asked != 1 || len(a.closed) != 0 {
		t.Errorf("asked %d times", asked)
	}
	a.s.CloseWhere(func(ip netip.Addr) bool { return ip == local })
	if next(t, a.closed) != l {
		t.Error("another link")
	}
	next(t, b.closed)
}

// between puts somebody between two hosts who may alter the welcomes.
func between(t *testing.T, from, to *host, target endpoint.Address, alter func(string) string) (endpoint.Link, error) {
	t.Helper()
	here, left := connected(t)
	right, there := connected(t)
	to.accept(there)
	l, r := newRaw(t, left), newRaw(t, right)
	done := make(chan struct{}, 2)
	go func() {
		defer func() { done <- struct{}{} }()
		s, _ := l.br.ReadString('\n')
		_, _ = io.WriteString(r, alter(s))
		_, _ = io.Copy(r, l.br)
		_ = r.Close()
	}()
	go func() {
		defer func() { done <- struct{}{} }()
		s, _ := r.br.ReadString('\n')
		_, _ = io.WriteString(l, alter(s))
		_, _ = io.Copy(l, r.br)
		_ = l.Close()
	}()
	link, err := from.dial(t, here, target)
	t.Cleanup(func() { _, _ = l.Close(), r.Close(); <-done; <-done })
	return link, err
}

// TestAlteredWelcomes: who stands between the peers and takes the marks away does
// not get a link that peers with an identity take; who alters anything else is
// noticed in TLS; and who alters nothing is not.
func TestAlteredWelcomes(t *testing.T) {
	strip := func(s string) string { return strings.Replace(s, "/juxta/tls", "/juxta/1", 1) }
	for name, c := range map[string]struct {
		alter func(string) string
		set   func(*endpoint.Host)
		phase endpoint.Phase
	}{
		"nothing":             {func(s string) string { return s }, func(*endpoint.Host) {}, ""},
		"marks":               {strip, func(*endpoint.Host) {}, endpoint.PhaseIdentity},
		"marks, secure only":  {strip, strict, endpoint.PhasePolicy},
		"the public address":  {func(s string) string { return strings.Replace(s, "9701", "9999", 1) }, func(*endpoint.Host) {}, endpoint.PhaseHandshake},
		"the observed place":  {func(s string) string { return strings.Replace(s, "127.0.0.1", "127.0.0.9", 1) }, func(*endpoint.Host) {}, endpoint.PhaseHandshake},
		"an octet of nothing": {func(s string) string { return strings.Replace(s, " 0 1.1", " 1 1.1", 1) }, func(*endpoint.Host) {}, endpoint.PhaseHandshake},
	} {
		t.Run(name, func(t *testing.T) {
			from, to := proven(t, c.set), proven(t, c.set)
			l, err := between(t, from, to, at("192.0.2.7:1"), c.alter)
			if c.phase == "" {
				if err != nil || !l.Proven() {
					t.Fatal(err)
				}
				next(t, to.opened)
				return
			}
			var de *endpoint.DialError
			if !errors.As(err, &de) || de.Phase != c.phase {
				t.Errorf("the dialler has %v", err)
			}
			if err := next(t, to.failed); err == nil || len(to.opened)+len(from.opened) != 0 {
				t.Errorf("the acceptor has %v", err)
			}
		})
	}
}

// still is a connection that says what is known beforehand and then ends.
type still struct {
	net.Conn
	r *bytes.Reader
}

func (c *still) Read(b []byte) (int, error)     { return c.r.Read(b) }
func (*still) Write(b []byte) (int, error)      { return len(b), nil }
func (*still) Close() error                     { return nil }
func (*still) SetDeadline(time.Time) error      { return nil }
func (*still) SetReadDeadline(time.Time) error  { return nil }
func (*still) SetWriteDeadline(time.Time) error { return nil }
func (*still) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (*still) RemoteAddr() net.Addr             { return &net.TCPAddr{} }

// FuzzAccepted greets an acceptor with whatever a stranger may say. Without the
// key of a peer nothing makes an encrypted link of it.
func FuzzAccepted(f *testing.F) {
	hello := clientHelloOctets(f)
	marked := line(newIdentity().Peer())
	f.Add(greeting)
	f.Add(marked)
	f.Add(hello)
	f.Add(append(marked, hello...))
	f.Add(append(bytes.Clone(greeting), pack(1, 10)...))
	h := proven(f, lenient, func(h *endpoint.Host) {
		h.Opened = func(l endpoint.Link) error {
			if l.Proven() || endpoint.Encrypted(l) {
				panic("proven without a key")
			}
			return nil
		}
		h.Receive = func(endpoint.Link, []byte) error { return nil }
		h.Closed = func(endpoint.Link) {}
	})
	f.Fuzz(func(_ *testing.T, b []byte) {
		_, _ = h.s.Accepted(context.Background(), &still{r: bytes.NewReader(b)}, nil)
	})
}
