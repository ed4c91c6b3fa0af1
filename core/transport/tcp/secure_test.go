package tcp

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/message"
)

// proven starts a transport with an identity; set changes its host first.
func proven(t *testing.T, cfg Config, set ...func(*endpoint.Host)) *host {
	t.Helper()
	i := newIdentity()
	h := &host{
		t: New(cfg), opened: make(chan endpoint.Link, 300), bodies: make(chan []byte, 300), closed: make(chan endpoint.Link, 300),
	}
	eh := endpoint.Host{
		Peer: i.Peer(), Identity: i, Logger: slog.New(slog.DiscardHandler),
		Opened: func(l endpoint.Link) error { h.opened <- l; return nil },
		Receive: func(_ endpoint.Link, body []byte) error {
			_, err := message.Decode(body)
			h.bodies <- body
			return err
		},
		Closed: func(l endpoint.Link) { h.closed <- l },
	}
	for _, f := range set {
		f(&eh)
	}
	if err := h.t.Start(eh); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.t.Close() })
	return h
}

var onLoopback = Config{Listen: []string{"127.0.0.1:0"}}

func strict(h *endpoint.Host) { h.RequireSecure = true }

func secured(hostport string) endpoint.Address {
	return endpoint.Address{Protocol: Secured, Host: hostport}
}

// TestTwins: with an identity each address is advertised for TLS first, and for
// nothing else if only that is wanted; the welcome always says tcp.
func TestTwins(t *testing.T) {
	public := []endpoint.Address{at("198.51.100.7:80"), secured("198.51.100.7:80"), {Protocol: "http", Host: "h:1"}}
	for name, c := range map[string]struct {
		cfg  Config
		set  func(*endpoint.Host)
		want func(port string) []endpoint.Address
	}{
		"identity": {onLoopback, func(*endpoint.Host) {}, func(place string) []endpoint.Address {
			return []endpoint.Address{secured(place), at(place)}
		}},
		"secure only": {onLoopback, strict, func(place string) []endpoint.Address { return []endpoint.Address{secured(place)} }},
		"no identity": {onLoopback, func(h *endpoint.Host) { h.Identity = nil }, func(place string) []endpoint.Address {
			return []endpoint.Address{at(place)}
		}},
		"public": {Config{Listen: onLoopback.Listen, Public: public}, func(*endpoint.Host) {}, func(string) []endpoint.Address {
			return []endpoint.Address{public[1], public[0], public[2]}
		}},
		"public, secure only": {Config{Listen: onLoopback.Listen, Public: public[:2]}, strict, func(string) []endpoint.Address {
			return public[1:2]
		}},
	} {
		h := proven(t, c.cfg, c.set)
		place := net.JoinHostPort("127.0.0.1", strconv.Itoa(h.t.ListenPorts()[0]))
		if got, want := h.t.Addresses(), c.want(place); !slices.Equal(got, want) {
			t.Errorf("%s: addresses %v, want %v", name, got, want)
		}
		if able := name != "no identity"; h.t.Serves(Secured) != able || !h.t.Serves(Protocol) || h.t.Serves("http") {
			t.Errorf("%s: serves tls %t", name, h.t.Serves(Secured))
		}
		r := connectTo(t, place)
		r.write([]byte("JXTAHELLO tcp://h:1 tcp://h:2 " + them.String() + " 0 1.1\r\n"))
		if w := r.welcome(); w.Public.Protocol != Protocol || w.Dest.Service != "juxta" || (w.Dest.Param == "tls") != (name != "no identity") {
			t.Errorf("%s: the welcome is %+v", name, w)
		}
	}
}

// TestSecureDials: what is dialled how, and that a peer without an identity cannot
// dial TLS.
func TestSecureDials(t *testing.T) {
	to, from := proven(t, onLoopback, strict), proven(t, Config{ClientOnly: true}, strict)
	place := to.addr().Host
	for _, addr := range []endpoint.Address{at(place), secured(place), secured(place).With("relay", "connect")} {
		l, err := from.t.Dial(short(t), addr)
		if err != nil {
			t.Fatal(err)
		}
		back := next(t, to.opened)
		if l.Remote() != addr.Base() || back.Remote() != at("127.0.0.1:0") || !l.Proven() || !back.Proven() {
			t.Errorf("%s: remote %s and %s", addr, l.Remote(), back.Remote())
		}
		if asked, _ := endpoint.Dialled(back); asked != addr {
			t.Errorf("asked for %s, want %s", asked, addr)
		}
		if err := l.Send(short(t), body(1, 1000)); err != nil {
			t.Error(err)
		}
		next(t, to.bodies)
	}
	if s := to.t.Stats(); s.Encrypted != 3 || s.Links != 3 {
		t.Errorf("stats %+v", s)
	}
	none := newHost(t, New(Config{ClientOnly: true}))
	var de *endpoint.DialError
	if _, err := none.t.Dial(short(t), secured(place)); !errors.As(err, &de) || de.Phase != endpoint.PhaseAddress ||
		!errors.Is(err, endpoint.ErrNoTransport) {
		t.Errorf("without an identity: %v", err)
	}
	if _, err := none.t.Dial(short(t), at(place)); err == nil { // the acceptor finds out
		next(t, none.closed)
	}
	if s := to.t.Stats(); s.Unproven != 1 || s.Links != 3 {
		t.Errorf("stats %+v", s)
	}
}

// TestStalledTLSLimits: who begins with TLS and does not go on is a stranger like
// others, to whom the same limits apply.
func TestStalledTLSLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := proven(t, Config{ClientOnly: true})
		start := time.Now()
		var all []*raw
		for range maxHandshakesPerHost {
			r := pipe(t, h, "192.0.2.1")
			r.write([]byte{22, 3, 1, 2, 0, 1})
			all = append(all, r)
		}
		pipe(t, h, "192.0.2.1").endsAfter(start, 0)
		other := pipe(t, h, "192.0.2.2")
		other.write([]byte{22, 3, 1})
		for _, r := range append(all, other) {
			r.endsAfter(start, 10*time.Second)
		}
		synctest.Wait()
		if s := h.t.Stats(); s.BadTLS != maxHandshakesPerHost+1 || s.RefusedHost != 1 || len(h.t.perHost) != 0 || len(h.t.waiting) != 0 {
			t.Errorf("stats %+v", s)
		}
	})
}

// TestPunchBoth: when both sides punch, a link comes up, whoever leads.
func TestPunchBoth(t *testing.T) {
	for _, leads := range []bool{true, false} {
		a, b := proven(t, onLoopback), proven(t, onLoopback)
		var wg sync.WaitGroup
		links := make(chan endpoint.Link, 2)
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		for _, s := range []struct {
			from, to *host
			lead     bool
		}{{a, b, leads}, {b, a, !leads}} {
			wg.Go(func() {
				l, err := s.from.t.Punch(ctx, s.to.addr(), s.lead)
				if err == nil {
					links <- l
				}
			})
		}
		l := next(t, links)
		if !l.Proven() || l.Outgoing() && !FromListener(l) {
			t.Errorf("proven %t, from the port listened on %t", l.Proven(), FromListener(l))
		}
		seen, ok := endpoint.Observed(l)
		if l.Outgoing() && (!ok || seen != l.Local()) {
			t.Errorf("observed at %s, listens at %s", seen, l.Local())
		}
		next(t, a.opened)
		next(t, b.opened)
		cancel()
		wg.Wait()
	}
}

// TestPunchWaits: nobody is there at first; then the link comes up.
func TestPunchWaits(t *testing.T) {
	place := closedPort(t)
	a := proven(t, onLoopback)
	got := make(chan error, 1)
	go func() {
		_, err := a.t.Punch(short(t), secured(place), true)
		got <- err
	}()
	time.AfterFunc(100*time.Millisecond, func() { proven(t, Config{Listen: []string{place}}) })
	if err := next(t, got); err != nil {
		t.Error(err)
	}
}

// TestPunchEnds: with its context, with the transport, and at once where nothing
// will get better.
func TestPunchEnds(t *testing.T) {
	a := proven(t, onLoopback)
	cause := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(20*time.Millisecond, func() { cancel(cause) })
	var de *endpoint.DialError
	if _, err := a.t.Punch(ctx, at(closedPort(t)), true); !errors.As(err, &de) || !errors.Is(err, cause) || de.Phase != endpoint.PhaseConnect {
		t.Errorf("the error is %v", err)
	}
	claims := listening(t)
	if _, err := proven(t, onLoopback, strict).t.Punch(short(t), claims.addr(), true); !errors.Is(err, endpoint.ErrUnproven) {
		t.Errorf("the error is %v", err)
	}
	if _, err := a.t.Punch(short(t), at("127.0.0.1"), true); !errors.As(err, &de) || de.Phase != endpoint.PhaseAddress {
		t.Errorf("the error is %v", err)
	}
	place := at(closedPort(t))
	time.AfterFunc(20*time.Millisecond, func() { _ = a.t.Close() })
	for range 2 {
		if _, err := a.t.Punch(short(t), place, false); !errors.Is(err, endpoint.ErrClosed) {
			t.Errorf("the error is %v", err)
		}
	}
}

// outside is an address of this machine that is not loopback.
func outside(t *testing.T) netip.Addr {
	t.Helper()
	ip := endpoint.ReachableIPs(netip.IPv4Unspecified())[0]
	if ip.IsLoopback() {
		t.Skip("SKIPPED: this machine has no address but loopback")
	}
	return ip
}

// TestFromListener: a transport that listens everywhere dials from the port it
// listens on, so that others see it there; not twice to one place, not itself, and
// not this machine by loopback.
func TestFromListener(t *testing.T) {
	ip := outside(t)
	a, b := proven(t, Config{Listen: []string{":0"}}), proven(t, Config{Listen: []string{net.JoinHostPort(ip.String(), "0")}})
	port := uint16(a.t.ListenPorts()[0])
	here := address(netip.AddrPortFrom(ip, port))
	for _, want := range []bool{true, false} { // the second finds the place taken
		l, err := a.t.Dial(short(t), b.addr())
		if err != nil {
			t.Fatal(err)
		}
		seen, _ := endpoint.Observed(l)
		if FromListener(l) != want || (seen == here) != want {
			t.Errorf("from the port listened on: %t, want %t; observed at %s", FromListener(l), want, seen)
		}
		if err := l.Send(short(t), body(1, 100<<10)); err != nil {
			t.Error(err)
		}
		next(t, b.bodies)
	}
	for _, to := range []endpoint.Address{here, at(net.JoinHostPort("127.0.0.1", strconv.Itoa(int(port))))} {
		l, err := a.t.Dial(short(t), to)
		if err != nil {
			t.Fatal(err)
		}
		if FromListener(l) || !l.Proven() {
			t.Errorf("%s: from the port listened on %t, proven %t", to, FromListener(l), l.Proven())
		}
	}
	plain := newHost(t, New(Config{Listen: []string{":0"}}))
	l, err := plain.t.Dial(short(t), address(netip.AddrPortFrom(ip, uint16(plain.t.ListenPorts()[0]))))
	if err != nil || FromListener(l) {
		t.Errorf("a transport reached itself without its listener: %v", err)
	}
	// Who dials the listener finds it there, and another cannot take its place.
	if _, err := b.t.Dial(short(t), here); err != nil {
		t.Error(err)
	}
	if ln, err := net.Listen("tcp", ":"+strconv.Itoa(int(port))); err == nil {
		_ = ln.Close()
		t.Error("a second listener got the port")
	}
	// The place is free at once when it closes, though it dialled from there.
	_ = a.t.Close()
	again := New(Config{Listen: []string{":" + strconv.Itoa(int(port))}})
	if err := again.Start(endpoint.Host{Logger: slog.New(slog.DiscardHandler)}); err != nil {
		t.Error(err)
	}
	_ = again.Close()
}

// TestSimultaneousDialsFromListeners: two transports that dial each other from the
// ports they listen on both get a link, also if the two connections become one.
func TestSimultaneousDialsFromListeners(t *testing.T) {
	ip := outside(t)
	a, b := proven(t, Config{Listen: []string{":0"}}), proven(t, Config{Listen: []string{":0"}})
	to := func(h *host) endpoint.Address {
		return secured(netip.AddrPortFrom(ip, uint16(h.t.ListenPorts()[0])).String())
	}
	for range 20 {
		var wg sync.WaitGroup
		for _, d := range [][2]*host{{a, b}, {b, a}} {
			wg.Go(func() {
				l, err := d[0].t.Dial(short(t), to(d[1]))
				if err != nil {
					t.Error(err)
					return
				}
				_ = l.Close()
			})
		}
		wg.Wait()
	}
}

// TestCloseWhere: a transport closes links of addresses that are gone.
func TestCloseWhere(t *testing.T) {
	a, b := proven(t, onLoopback), proven(t, onLoopback)
	l, err := a.t.Dial(short(t), b.addr())
	if err != nil {
		t.Fatal(err)
	}
	a.t.CloseWhere(func(ip netip.Addr) bool { return ip.String() == "127.0.0.1" })
	if next(t, a.closed) != l {
		t.Error("another link")
	}
}
