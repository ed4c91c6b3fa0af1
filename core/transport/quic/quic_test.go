package quic

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	quicgo "github.com/quic-go/quic-go"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/identity"
	"github.com/juxta-p2p/juxta/core/transport/framing"
	"github.com/juxta-p2p/juxta/core/transport/stream"
)

// TestLinked: who does not import this package does not get the QUIC library.
func TestLinked(t *testing.T) {
	deps := func(pkg string) string {
		t.Helper()
		out, err := exec.Command("go", "list", "-deps", "github.com/juxta-p2p/juxta/"+pkg).Output()
		if err != nil {
			t.Fatalf("go list: %v", err)
		}
		return string(out)
	}
	const library = "github.com/quic-go/quic-go"
	if !strings.Contains(deps("core/transport/quic"), library+"\n") {
		t.Error("the list of dependencies lacks the library even here")
	}
	if strings.Contains(deps("peergroup"), library) {
		t.Errorf("peergroup depends on %s", library)
	}
}

// TestIdentity: without a key that makes the peer ID there is no QUIC.
func TestIdentity(t *testing.T) {
	who, err := identity.New(identity.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	for name, h := range map[string]endpoint.Host{
		"none":    {Peer: who.Peer()},
		"another": {Peer: id.NewPeer(id.NetGroup), Identity: who},
	} {
		h.Logger = slog.New(slog.DiscardHandler)
		tr := New(Config{Listen: []string{"127.0.0.1:0"}})
		if err := tr.Start(h); !errors.Is(err, ErrIdentity) {
			t.Errorf("%s: Start returned %v", name, err)
		}
		if err := tr.Close(); err != nil {
			t.Errorf("%s: Close: %v", name, err)
		}
	}
}

// TestWhatLinksTell: both sides are proven, private and Juxta, and know the address
// at which they are seen.
func TestWhatLinksTell(t *testing.T) {
	a, b := listening(t), listening(t)
	ab := a.dial(t, b)
	ba := next(t, b.opened)
	for side, l := range map[string]endpoint.Link{"dialler": ab, "acceptor": ba} {
		if !l.Proven() || !endpoint.IsJuxta(l) || !endpoint.Encrypted(l) {
			t.Errorf("%s: proven %t, Juxta %t, encrypted %t", side, l.Proven(), endpoint.IsJuxta(l), endpoint.Encrypted(l))
		}
	}
	if o, ok := endpoint.Observed(ab); !ok || o != a.addr() {
		t.Errorf("the dialler is seen at %s, want %s: it dials from where it listens", o, a.addr())
	}
	if f, ok := ab.(interface{ FromListener() bool }); !ok || !f.FromListener() {
		t.Error("the link does not know that it was dialled from the port listened on")
	}
	if ab.Local() != a.addr() || ba.Remote() != a.addr() {
		t.Errorf("the dialler goes by %s, and the acceptor hears %s", ab.Local(), ba.Remote())
	}
	if d, ok := endpoint.Dialled(ba); !ok || d != b.addr() {
		t.Errorf("the acceptor was dialled at %s, want %s", d, b.addr())
	}
}

// TestService: the service that the dialler names arrives.
func TestService(t *testing.T) {
	a, b := listening(t), listening(t)
	want := b.addr().With("relay", "connect")
	if _, err := a.t.Dial(short(t), want); err != nil {
		t.Fatal(err)
	}
	if d, ok := endpoint.Dialled(next(t, b.opened)); !ok || d != want {
		t.Errorf("the acceptor was dialled at %s, want %s", d, want)
	}
}

// delayed is a way to a place that takes a time in each direction.
func delayed(t *testing.T, to endpoint.Address, delay time.Duration) endpoint.Address {
	t.Helper()
	out, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	target, err := net.ResolveUDPAddr("udp", to.Host)
	if err != nil {
		t.Fatal(err)
	}
	in, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	first := make(chan *net.UDPAddr, 1)
	pump := func(from, by *net.UDPConn, dst func(*net.UDPAddr) *net.UDPAddr) {
		b := make([]byte, 2048)
		for {
			n, src, err := from.ReadFromUDP(b)
			if err != nil {
				return
			}
			if b[0] == opening[0] {
				continue
			}
			to := dst(src)
			p := bytes.Clone(b[:n])
			wg.Add(1)
			time.AfterFunc(delay, func() {
				defer wg.Done()
				_, _ = by.WriteToUDP(p, to)
			})
		}
	}
	var client *net.UDPAddr
	wg.Go(func() {
		pump(in, out, func(src *net.UDPAddr) *net.UDPAddr {
			if src.Port != target.Port {
				select {
				case first <- src:
				default:
				}
			}
			return target
		})
	})
	wg.Go(func() {
		pump(out, in, func(*net.UDPAddr) *net.UDPAddr {
			if client == nil {
				client = <-first
			}
			return client
		})
	})
	t.Cleanup(func() {
		_ = in.Close()
		_ = out.Close()
		wg.Wait()
	})
	return at(in.LocalAddr().String())
}

// TestOneRoundTrip: a link to a peer far away is open after one round trip, and the
// first message is there half a round trip later.
func TestOneRoundTrip(t *testing.T) {
	const way = 150 * time.Millisecond
	a, b := listening(t), listening(t)
	far := delayed(t, b.addr(), way)
	start := time.Now()
	l, err := a.t.Dial(short(t), far)
	if err != nil {
		t.Fatal(err)
	}
	dialled := time.Since(start)
	if err := l.Send(t.Context(), body(1, 10)); err != nil {
		t.Fatal(err)
	}
	next(t, b.bodies)
	arrived := time.Since(start)
	t.Logf("round trip %v: dialled after %v, message there after %v", 2*way, dialled, arrived)
	if dialled < 2*way || dialled >= 4*way || arrived < 3*way || arrived >= 5*way { // with one more it would be 4 and 5 ways
		t.Errorf("with a round trip of %v: dialled after %v, message there after %v", 2*way, dialled, arrived)
	}
}

// TestBlocked: where UDP does not get through, dialling fails in good time.
func TestBlocked(t *testing.T) {
	a := listening(t, func(tr *Transport) { tr.times.answer = 300 * time.Millisecond })
	start := time.Now()
	_, err := a.t.Dial(short(t), at(silent(t)))
	var de *endpoint.DialError
	if !errors.As(err, &de) || de.Phase != endpoint.PhaseConnect || !errors.Is(err, errNobody) {
		t.Errorf("Dial returned %v", err)
	}
	if d := time.Since(start); d > 2*time.Second {
		t.Errorf("it took %v", d)
	}
	if defaultTimes.answer > 5*time.Second {
		t.Errorf("in earnest it takes %v", defaultTimes.answer)
	}
	_, err = a.t.Dial(short(t), at(closedPort(t)))
	if !errors.As(err, &de) || de.Phase != endpoint.PhaseConnect || !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("Dial of a closed port returned %v", err)
	}
}

// raw is a QUIC peer spoken by hand.
type raw struct {
	*quicgo.Conn
	s *quicgo.Stream
}

// connect opens a connection as who, and takes the stream.
func connect(t *testing.T, h *host, who *identity.Identity, proto string) (*raw, error) {
	t.Helper()
	cfg := &tls.Config{InsecureSkipVerify: true, NextProtos: []string{proto}, MinVersion: tls.VersionTLS13}
	if who != nil {
		cfg.Certificates = []tls.Certificate{who.Certificate()}
	}
	q, err := quicgo.DialAddr(short(t), h.addr().Host, cfg, nil)
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { _ = q.CloseWithError(0, "") })
	s, err := q.AcceptStream(short(t))
	if err != nil {
		return nil, err
	}
	_ = s.SetDeadline(time.Now().Add(limit))
	return &raw{q, s}, nil
}

// TestImpostor: whoever goes by a peer ID of another key is sent away, and so is who
// has no certificate, or speaks something else.
func TestImpostor(t *testing.T) {
	b := listening(t)
	mine, err := identity.New(identity.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	victim, err := identity.New(identity.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	for name, peer := range map[string]id.Peer{"another key": victim.Peer(), "no key": id.NewPeer(id.NetGroup)} {
		r, err := connect(t, b, mine, alpn)
		if err != nil {
			t.Fatal(err)
		}
		w := framing.Welcome{Dest: b.addr(), Public: at("127.0.0.1:9"), Peer: peer}
		if _, err := r.s.Write(w.AppendTo(nil)); err != nil {
			t.Fatal(err)
		}
		<-r.Context().Done()
		select {
		case l := <-b.opened:
			t.Errorf("%s: a link to %s is open", name, l.Peer())
		default:
		}
	}
	if n := b.t.Stats().OtherKey; n != 2 {
		t.Errorf("%d counted", n)
	}
	if r, err := connect(t, b, nil, alpn); err == nil {
		<-r.Context().Done() // a dialler learns with the next packet that it is refused
	}
	if _, err := connect(t, b, mine, "h3"); err == nil {
		t.Error("another protocol is taken")
	}
	if l := b.dial(t, listening(t)); l == nil {
		t.Error("the transport is of no use any more")
	}
}

// TestNoWelcome: silence and nonsense end the connection, and are counted.
func TestNoWelcome(t *testing.T) {
	b := newHost(t, New(Config{Listen: []string{"127.0.0.1:0"}, times: stream.Times{Welcome: 300 * time.Millisecond}}))
	who, err := identity.New(identity.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"", "GET / HTTP/1.1\r\n\r\n"} {
		r, err := connect(t, b, who, alpn)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.s.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
		<-r.Context().Done()
	}
	if n := b.t.Stats().BadWelcome; n != 2 {
		t.Errorf("%d counted", n)
	}
}

// TestOwnStream: strangers cannot open streams.
func TestOwnStream(t *testing.T) {
	b := listening(t)
	who, err := identity.New(identity.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	r, err := connect(t, b, who, alpn)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.OpenStream(); err == nil {
		t.Error("a stream is open")
	}
	if _, err := r.OpenUniStream(); err == nil {
		t.Error("a stream in one direction is open")
	}
}

// TestLimits: one IP address gets so many connections and no more, and those that
// say nothing are few.
func TestLimits(t *testing.T) {
	offences := make(chan string, 100)
	b := listening(t, func(tr *Transport) {
		tr.trusted = func(string) bool { return false }
		tr.cfg.MaxPerHost = 3
	})
	b.t.host.Offend = func(origin string, _ id.Peer, limit string) {
		select {
		case offences <- origin + " " + limit:
		default:
		}
	}
	a := listening(t)
	for range 3 {
		a.dial(t, b)
	}
	_, err := a.t.Dial(short(t), b.addr())
	var de *endpoint.DialError
	if !errors.As(err, &de) || de.Phase != endpoint.PhaseConnect {
		t.Errorf("the fourth Dial returned %v", err)
	}
	if n := b.t.Stats().RefusedHost; n == 0 { // one for each packet of the attempt
		t.Errorf("%d counted", n)
	}
	if o := next(t, offences); o != "127.0.0.1 connections" {
		t.Errorf("told of %q", o)
	}
	_ = next(t, a.opened).Close()
	next(t, b.closed)
	eventually(t, func() bool { // the count follows a moment later
		_, err := a.t.Dial(short(t), b.addr())
		return err == nil
	})
}

// TestRetry: when many are silent, newcomers must show that they receive where they
// send from, and get through.
func TestRetry(t *testing.T) {
	b := listening(t)
	b.t.mu.Lock()
	for range retryFrom {
		b.t.waiting = append(b.t.waiting, &arrival{ip: "192.0.2.1"})
	}
	b.t.mu.Unlock()
	if !b.t.doubt(nil) {
		t.Fatal("nobody is doubted")
	}
	listening(t).dial(t, b)
}

// TestOldestStranger: the one who is silent for longest makes room.
func TestOldestStranger(t *testing.T) {
	b := listening(t)
	who, err := identity.New(identity.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	r, err := connect(t, b, who, alpn)
	if err != nil {
		t.Fatal(err)
	}
	b.t.mu.Lock()
	for range maxHandshakes - 1 {
		b.t.waiting = append(b.t.waiting, &arrival{ip: "192.0.2.1"})
	}
	b.t.mu.Unlock()
	listening(t).dial(t, b)
	<-r.Context().Done()
	if n := b.t.Stats().RefusedStrangers; n != 1 {
		t.Errorf("%d counted", n)
	}
}

// TestRestart: after a crash the other side learns soon that its link is gone.
func TestRestart(t *testing.T) {
	a, b := listening(t), listening(t)
	l := a.dial(t, b)
	next(t, b.opened)
	place := b.addr().Host
	crash(b.t)
	newHostAs(t, New(Config{Listen: []string{place}}), b.who)
	for {
		if err := l.Send(short(t), body(1, 100)); err != nil {
			break
		}
		select {
		case <-a.closed:
			return
		case <-time.After(20 * time.Millisecond):
		}
	}
	next(t, a.closed)
}

// crash ends a transport without a word to anybody.
func crash(tr *Transport) {
	for _, p := range tr.ports {
		_ = p.socket.Close()
	}
}

// TestLocal: where it listens on all interfaces it goes by the one in use.
func TestLocal(t *testing.T) {
	b := newHost(t, New(Config{Listen: []string{":0"}}))
	if len(b.t.Addresses()) == 0 {
		t.Fatal("no address")
	}
	a := newHost(t, New(Config{ClientOnly: true}))
	if len(a.t.Addresses()) != 0 || len(a.t.ListenPorts()) != 0 {
		t.Errorf("who only dials has %v and %v", a.t.Addresses(), a.t.ListenPorts())
	}
	to := at(net.JoinHostPort("127.0.0.1", port0(b)))
	ab, err := a.t.Dial(short(t), to)
	if err != nil {
		t.Fatal(err)
	}
	ba := next(t, b.opened)
	if ba.Local() != to {
		t.Errorf("the acceptor goes by %s, want %s", ba.Local(), to)
	}
	if ab.Local() != at("127.0.0.1:0") {
		t.Errorf("who only dials goes by %s", ab.Local())
	}
	if _, err := b.t.Dial(short(t), at(socketOf(t, a))); err == nil {
		t.Error("who only dials takes connections")
	}
}

func port0(h *host) string {
	_, p, _ := net.SplitHostPort(h.t.Addresses()[0].Host)
	return p
}

// socketOf is where a peer that only dials has its socket.
func socketOf(t *testing.T, h *host) string {
	t.Helper()
	_, p, err := net.SplitHostPort(h.t.ports[0].at.String())
	if err != nil {
		t.Fatal(err)
	}
	return net.JoinHostPort("127.0.0.1", p)
}

// TestPunch: both sides try at once; the one that only dials is let through for that
// moment.
func TestPunch(t *testing.T) {
	for _, leadA := range []bool{true, false} {
		a := newHost(t, New(Config{ClientOnly: true}))
		b := newHost(t, New(Config{ClientOnly: true}))
		var la, lb endpoint.Link
		var ea, eb error
		var wg sync.WaitGroup
		wg.Go(func() { la, ea = a.t.Punch(short(t), at(socketOf(t, b)), leadA) })
		wg.Go(func() { lb, eb = b.t.Punch(short(t), at(socketOf(t, a)), !leadA) })
		wg.Wait()
		if ea != nil || eb != nil {
			t.Fatalf("Punch: %v, %v", ea, eb)
		}
		if la.Peer() != b.who.Peer() || lb.Peer() != a.who.Peer() || la.Outgoing() != leadA || lb.Outgoing() == leadA {
			t.Errorf("links to %s and %s, outgoing %t and %t", la.Peer(), lb.Peer(), la.Outgoing(), lb.Outgoing())
		}
		a.t.mu.Lock()
		left := len(a.t.punchers)
		a.t.mu.Unlock()
		if left != 0 {
			t.Errorf("%d are still waited for", left)
		}
	}
}

// TestPunchInVain: it ends with its context, at both sides.
func TestPunchInVain(t *testing.T) {
	a := listening(t)
	for _, lead := range []bool{true, false} {
		cause := errors.New("that will do")
		ctx, cancel := context.WithTimeoutCause(t.Context(), 250*time.Millisecond, cause)
		_, err := a.t.Punch(ctx, at(silent(t)), lead)
		cancel()
		var de *endpoint.DialError
		if !errors.As(err, &de) || !errors.Is(err, cause) {
			t.Errorf("lead %t: Punch returned %v", lead, err)
		}
		if _, err := a.t.Punch(t.Context(), endpoint.Address{Protocol: "tcp", Host: "127.0.0.1:9"}, lead); !errors.As(err, &de) || de.Phase != endpoint.PhaseAddress {
			t.Errorf("lead %t: Punch of another protocol returned %v", lead, err)
		}
	}
}

// TestSelf: dialling oneself, from the very socket that listens, is noticed.
func TestSelf(t *testing.T) {
	who, err := identity.New(identity.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	e, err := endpoint.New(endpoint.Config{Peer: who.Peer(), Identity: who})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = e.Close() }()
	if err := e.Add(New(Config{Listen: []string{"127.0.0.1:0"}})); err != nil {
		t.Fatal(err)
	}
	_, err = e.Dial(short(t), e.Addresses()[0])
	var de *endpoint.DialError
	if !errors.As(err, &de) || de.Phase != endpoint.PhaseIdentity || !errors.Is(err, endpoint.ErrSelf) {
		t.Errorf("Dial returned %v", err)
	}
}

// TestFamilies: names and IPv6 work like IPv4, and a socket bound to one place does
// not keep the peer from dialling others.
func TestFamilies(t *testing.T) {
	b := newHost(t, New(Config{Listen: []string{":0"}}))
	a := listening(t)
	dialled := 0
	for _, place := range []string{"localhost", "127.0.0.1", "::1"} {
		to := at(net.JoinHostPort(place, port0(b)))
		if c, err := net.Dial("udp", to.Host); err != nil {
			t.Logf("this machine has no %s: %v", place, err)
			continue
		} else {
			_ = c.Close()
		}
		l, err := a.t.Dial(short(t), to)
		if err != nil {
			t.Errorf("%s: %v", place, err)
			continue
		}
		dialled++
		if l.Remote() != to {
			t.Errorf("%s: the link is to %s", place, l.Remote())
		}
	}
	if dialled == 0 {
		t.Error("nothing could be dialled")
	}
}

// TestNoise: what is no QUIC does no harm.
func TestNoise(t *testing.T) {
	b := listening(t)
	c, err := net.Dial("udp", b.addr().Host)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	rnd := rand.New(rand.NewPCG(1, 2))
	for n := range 2000 {
		p := make([]byte, rnd.IntN(1400))
		for i := range p {
			p[i] = byte(rnd.Uint32())
		}
		if n%2 == 0 && len(p) > 5 {
			p[0] |= 0xc0 // a long header of version 1
			copy(p[1:], []byte{0, 0, 0, 1})
		}
		if _, err := c.Write(p); err != nil {
			t.Fatal(err)
		}
	}
	listening(t).dial(t, b)
	next(t, b.opened)
	if s := b.t.Stats(); s.Links != 1 {
		t.Errorf("%+v", s)
	}
}
