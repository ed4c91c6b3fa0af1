package stream

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/identity"
	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/core/transport/framing"
)

func newIdentity() *identity.Identity {
	i, err := identity.New(identity.Ed25519)
	if err != nil {
		panic(err)
	}
	return i
}

// with gives a host an identity.
func with(i *identity.Identity) func(*endpoint.Host) {
	return func(h *endpoint.Host) { h.Peer, h.Identity = i.Peer(), i }
}

func strict(h *endpoint.Host)  { h.RequireSecure = true }
func lenient(h *endpoint.Host) { h.AllowClaimed = true }

// proven starts a set with an identity of its own.
func proven(t testing.TB, set ...func(*endpoint.Host)) *host {
	return newHost(t, Config{Secured: "tls"}, append([]func(*endpoint.Host){with(newIdentity())}, set...)...)
}

func secured(hostport string) endpoint.Address {
	return endpoint.Address{Protocol: "tls", Host: hostport}
}

// dial makes a link over a connection, which the host takes for one it opened.
func (h *host) dial(t testing.TB, c net.Conn, target endpoint.Address) (endpoint.Link, error) {
	return h.s.Dialled(short(t), c, target)
}

// meet connects two hosts and returns the links of both.
func meet(t testing.TB, from, to *host, target endpoint.Address) (there, back endpoint.Link) {
	t.Helper()
	here, far := connected(t)
	to.accept(far)
	l, err := from.dial(t, here, target)
	if err != nil {
		t.Fatal(err)
	}
	return l, next(t, to.opened)
}

// exchange sends messages both ways.
func exchange(t *testing.T, ab, ba endpoint.Link, a, b *host) {
	t.Helper()
	for i, size := range []int{0, 100, 16<<10 - 1, 16 << 10, 16<<10 + 1, 3 * maxQueued, 1 << 20} {
		if err := ab.Send(short(t), body(i, size)); err != nil {
			t.Fatal(err)
		}
		if err := ba.Send(short(t), body(i+9, size)); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(next(t, b.bodies), body(i, size)) || !bytes.Equal(next(t, a.bodies), body(i+9, size)) {
			t.Fatalf("a message of %d octets is damaged", size)
		}
	}
}

// TestUpgrade: peers with an identity go over to TLS after the welcomes, under an
// address of TLS before; without an identity on either side the link is plain.
func TestUpgrade(t *testing.T) {
	plain := func(t *testing.T) *host { return newHost(t, Config{Secured: "tls"}) }
	able := func(t *testing.T) *host { return proven(t) }
	open := func(t *testing.T) *host { return proven(t, lenient) }
	for name, c := range map[string]struct {
		from, to func(*testing.T) *host
		target   endpoint.Address
		want     bool
	}{
		"marks":              {able, able, at("192.0.2.7:1"), true},
		"tls address":        {able, able, secured("192.0.2.7:1"), true},
		"tls and a service":  {able, able, secured("192.0.2.7:1").With("relay", "connect"), true},
		"dialler cannot":     {plain, open, at("192.0.2.7:1"), false},
		"acceptor cannot":    {open, plain, at("192.0.2.7:1"), false},
		"neither":            {plain, plain, at("192.0.2.7:1"), false},
		"service, not marks": {open, open, at("192.0.2.7:1").With("relay", "connect"), false},
	} {
		t.Run(name, func(t *testing.T) {
			from, to := c.from(t), c.to(t)
			ab, ba := meet(t, from, to, c.target)
			for _, l := range []endpoint.Link{ab, ba} {
				if l.Proven() != c.want || endpoint.Encrypted(l) != c.want {
					t.Errorf("outgoing %t: proven %t, encrypted %t", l.Outgoing(), l.Proven(), endpoint.Encrypted(l))
				}
			}
			if ab.Peer() != to.s.host.Peer || ba.Peer() != from.s.host.Peer {
				t.Errorf("peers %s and %s", ab.Peer(), ba.Peer())
			}
			if !endpoint.IsJuxta(ab) || endpoint.IsJuxta(ba) != (c.want || c.target.Service == "") {
				t.Errorf("Juxta is %t and %t", endpoint.IsJuxta(ab), endpoint.IsJuxta(ba))
			}
			if ab.Remote() != c.target.Base() || ba.Remote() != at("192.0.2.1:9701") {
				t.Errorf("Remote is %s and %s", ab.Remote(), ba.Remote())
			}
			if asked, ok := endpoint.Dialled(ba); !ok || asked != c.target {
				t.Errorf("asked for %s", asked)
			}
			here := ab.(*link).c.LocalAddr().String()
			if seen, ok := endpoint.Observed(ab); !ok || seen != at(here) {
				t.Errorf("observed at %s, want %s", seen, here)
			}
			if _, ok := endpoint.Observed(ba); ok {
				t.Error("an acceptor cannot know where it is seen")
			}
			exchange(t, ab, ba, from, to)
			want := 0
			if c.want {
				want = 1
			}
			if s := to.s.Stats(); s.Encrypted != want || s.Links != 1 {
				t.Errorf("stats %+v", s)
			}
			_ = ab.Close()
			next(t, to.closed)
			if s := to.s.Stats(); s.BadFrame+s.LostOnClose+s.BadTLS+s.OtherKey+s.Unproven != 0 {
				t.Errorf("stats %+v", s)
			}
		})
	}
}

// TestForeignIdentity: an identity that is not the peer's is of no use.
func TestForeignIdentity(t *testing.T) {
	h := newHost(t, Config{Secured: "tls"}, func(h *endpoint.Host) { h.Identity = newIdentity() })
	if h.s.Secures() {
		t.Error("it is used")
	}
	here, there := connected(t)
	defer func() { _ = there.Close() }()
	if _, err := h.dial(t, here, secured("h:1")); err == nil {
		t.Error("a tls address was dialled")
	}
}

// thief speaks TLS with a certificate of his own, and agrees to whatever protocol
// is wanted.
func thief(i *identity.Identity) *tls.Config {
	cfg := &tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{i.Certificate()},
		ClientAuth: tls.RequireAnyClientCert, InsecureSkipVerify: true,
	}
	agree := cfg.Clone()
	cfg.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		c := agree.Clone()
		c.NextProtos = hello.SupportedProtos
		return c, nil
	}
	return cfg
}

// line is a welcome by hand, with the mark of who can TLS.
func line(peer id.Peer) []byte {
	return framing.Welcome{Dest: at("192.0.2.3:4").With(mark, markSecure), Public: at("192.0.2.5:6"), Peer: peer}.AppendTo(nil)
}

// TestOtherKey: who goes by the ID of another peer is found out when he shows his
// key, whichever side he is on and whether TLS comes before or after the welcomes;
// and who has no ID of a key cannot go by one.
func TestOtherKey(t *testing.T) {
	victim, crook := newIdentity(), newIdentity()
	check := func(t *testing.T, h *host, err error, cause error, named id.Peer) {
		t.Helper()
		if !errors.Is(err, identity.ErrNotProven) || !errors.Is(err, cause) {
			t.Fatalf("the error is %v", err)
		}
		for _, p := range []id.Peer{named, crook.Peer()} {
			if cause == identity.ErrOtherKey && !strings.Contains(err.Error(), p.String()) {
				t.Errorf("%v does not name %s", err, p)
			}
		}
		if s := h.s.Stats(); s.OtherKey != 1 || s.Links != 0 || len(h.opened) != 0 {
			t.Errorf("stats %+v", s)
		}
	}
	for name, claims := range map[string]struct {
		peer  id.Peer
		cause error
	}{
		"of a key":  {victim.Peer(), identity.ErrOtherKey},
		"a made-up": {them, identity.ErrUnprovable},
	} {
		for _, early := range []bool{false, true} {
			target, when := at("h:1"), "later"
			if early {
				target, when = secured("h:1"), "at once"
			}
			t.Run("acceptor "+name+" TLS "+when, func(t *testing.T) {
				h := proven(t)
				here, there := connected(t)
				r := newRaw(t, there)
				done := make(chan struct{})
				go func() {
					defer close(done)
					c := tls.Server(&buffered{r}, thief(crook))
					if early {
						_, _ = c.Write(line(claims.peer))
					} else if _, err := framing.ReadWelcome(r.br); err == nil {
						_, _ = r.Write(line(claims.peer))
						_ = c.Handshake()
					}
					_, _ = io.Copy(io.Discard, c)
				}()
				_, err := h.dial(t, here, target)
				var de *endpoint.DialError
				if !errors.As(err, &de) || de.Phase != endpoint.PhaseIdentity {
					t.Errorf("the error is %v", err)
				}
				check(t, h, err, claims.cause, claims.peer)
				<-done
			})
			t.Run("dialler "+name+" TLS "+when, func(t *testing.T) {
				h := proven(t)
				here, there := connected(t)
				h.accept(there)
				r := newRaw(t, here)
				_ = r.SetDeadline(time.Now().Add(limit))
				cfg := thief(crook)
				if early {
					cfg.NextProtos = []string{protocolSecure}
					c := tls.Client(r, cfg)
					_, _ = c.Write(line(claims.peer))
					_, _ = io.Copy(io.Discard, c)
				} else {
					mine, _ := framing.ReadWelcome(newRaw(t, &text{Reader: bytes.NewReader(line(claims.peer))}).br)
					r.write(line(claims.peer))
					l := &link{dialed: true}
					cfg.NextProtos = []string{protocolUpgrade + l.digest(mine, r.welcome())}
					_, _ = io.Copy(io.Discard, tls.Client(&buffered{r}, cfg))
				}
				check(t, h, next(t, h.failed), claims.cause, claims.peer)
			})
		}
	}
}

// buffered reads what is left in the reader first.
type buffered struct{ *raw }

func (b *buffered) Read(p []byte) (int, error) { return b.br.Read(p) }

// text is a connection that can only be read and closed.
type text struct {
	net.Conn
	io.Reader
}

func (t *text) Read(p []byte) (int, error) { return t.Reader.Read(p) }
func (t *text) Close() error               { return nil }

// TestNoFallback: under a tls address nothing but TLS is spoken or understood.
func TestNoFallback(t *testing.T) {
	h := proven(t, lenient)
	here, there := connected(t)
	r := newRaw(t, there)
	go func() { _, _ = r.Write(line(them)); _, _ = io.Copy(io.Discard, r.br) }()
	_, err := h.dial(t, here, secured("h:1"))
	var de *endpoint.DialError
	if !errors.As(err, &de) || de.Phase != endpoint.PhaseHandshake {
		t.Errorf("the error is %v", err)
	}
	if s := h.s.Stats(); s.BadTLS != 1 || s.Links != 0 {
		t.Errorf("stats %+v", s)
	}

	// Nor by who answers when both sides dial.
	here, there = connected(t)
	newRaw(t, there).write(greeting)
	if _, err := h.s.Punched(short(t), here, secured("h:1"), false); !errors.As(err, &de) || de.Phase != endpoint.PhaseHandshake {
		t.Errorf("the error is %v", err)
	}
}

// TestOtherProtocol: TLS for another purpose, or for none that is named, is not ours.
func TestOtherProtocol(t *testing.T) {
	for _, protocols := range [][]string{nil, {"h2"}, {protocolUpgrade}} {
		h := proven(t)
		cfg := &tls.Config{
			Certificates: []tls.Certificate{newIdentity().Certificate()}, ClientAuth: tls.RequireAnyClientCert,
			InsecureSkipVerify: true, NextProtos: protocols,
		}
		here, there := connected(t)
		h.accept(there)
		_, _ = io.Copy(io.Discard, tls.Client(newRaw(t, here), cfg))
		if err := next(t, h.failed); !errors.Is(err, errTLS) {
			t.Errorf("%v: accepted: %v", protocols, err)
		}
		here, there = connected(t)
		c := tls.Server(newRaw(t, there), cfg)
		go func() { _, _ = c.Write(line(newIdentity().Peer())); _, _ = io.Copy(io.Discard, c) }()
		if _, err := h.dial(t, here, secured("h:1")); !errors.Is(err, errTLS) {
			t.Errorf("%v: dialled: %v", protocols, err)
		}
		if s := h.s.Stats(); s.BadTLS != 2 {
			t.Errorf("%v: stats %+v", protocols, s)
		}
	}
}

// TestStalledTLS: one deadline holds for the handshake with TLS and all, and octets
// that trickle in do not win more time.
func TestStalledTLS(t *testing.T) {
	hello := clientHelloOctets(t)
	for name, c := range map[string]struct {
		first []byte
		after int // octets of the hello at once; the rest trickles
	}{
		"hello cut":       {nil, len(hello) - 1},
		"hello trickling": {nil, 1},
		"after welcomes":  {line(newIdentity().Peer()), 10},
		"hello alone":     {nil, len(hello)},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := proven(t)
				start := time.Now()
				r := pipe(t, h)
				if c.first != nil {
					r.write(c.first)
					r.welcome()
				}
				r.write(hello[:c.after])
				done := make(chan struct{})
				go func() {
					defer close(done)
					for _, octet := range hello[c.after:max(c.after, len(hello)-1)] {
						time.Sleep(time.Second)
						if _, err := r.Write([]byte{octet}); err != nil {
							return
						}
					}
				}()
				r.endsAfter(start, 10*time.Second)
				<-done
				if err := next(t, h.failed); !errors.Is(err, errSlow) || h.s.Stats().BadTLS != 1 {
					t.Errorf("%v, stats %+v", err, h.s.Stats())
				}
			})
		})
	}
}

// clientHelloOctets is what a client begins with.
func clientHelloOctets(t testing.TB) []byte {
	t.Helper()
	here, there := net.Pipe()
	go func() {
		cfg := thief(newIdentity())
		cfg.NextProtos = []string{protocolSecure}
		_ = tls.Client(here, cfg).Handshake()
	}()
	b := make([]byte, 16<<10)
	n, err := there.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	_ = there.Close()
	return b[:n]
}

// TestGarbageRecords: octets that are no records of the other side end that link
// and no other one.
func TestGarbageRecords(t *testing.T) {
	from, to := proven(t), proven(t)
	ab, _ := meet(t, from, to, at("h:1"))
	other, back := meet(t, from, to, secured("h:1"))
	for range 2 {
		next(t, from.opened)
	}
	if err := ab.Send(short(t), body(1, 10)); err != nil {
		t.Fatal(err)
	}
	next(t, to.bodies)
	if _, err := ab.(*link).c.Write(append([]byte{23, 3, 3, 0, 64}, make([]byte, 64)...)); err != nil {
		t.Fatal(err)
	}
	if l := next(t, to.closed); l == back {
		t.Error("the other link was closed")
	}
	next(t, from.closed)
	if s := to.s.Stats(); s.BadFrame != 1 || s.Links != 1 {
		t.Errorf("stats %+v", s)
	}
	exchange(t, other, back, from, to)
}

// choking takes a few octets at a time, as a connection does whose other side is
// slow.
type choking struct {
	net.Conn
	taken atomic.Int64
	open  atomic.Bool // takes all
}

func (c *choking) Write(b []byte) (int, error) {
	if c.open.Load() || len(b) < 2 {
		return c.Conn.Write(b)
	}
	n, err := c.Conn.Write(b[:1+int(c.taken.Add(1)*7919)%(len(b)-1)])
	if err == nil {
		err = os.ErrDeadlineExceeded
	}
	return n, err
}

// TestPartialWrites: however little the connection takes at a time, the records
// stay whole and in order.
func TestPartialWrites(t *testing.T) {
	from, to := proven(t), proven(t)
	here, there := connected(t)
	c := &choking{Conn: here}
	c.open.Store(true)
	to.accept(there)
	l, err := from.dial(t, c, at("h:1"))
	if err != nil || !l.Proven() {
		t.Fatal(err)
	}
	c.open.Store(false)
	sizes := []int{10, 100, 1000, 20000, 3*maxQueued + 5, 1, 70000, 2000}
	go func() {
		for i := range 10 * len(sizes) {
			if err := l.Send(context.Background(), body(i, sizes[i%len(sizes)])); err != nil {
				t.Error(err)
			}
		}
	}()
	for i := range 10 * len(sizes) {
		if got := next(t, to.bodies); !bytes.Equal(got, body(i, sizes[i%len(sizes)])) {
			t.Fatalf("message %d is damaged or another one", i)
		}
	}
}

// TestLargeMessages: large messages are encrypted where they are, and stay in order
// with others, also where they are passed on; one that cannot be encoded is refused, and
// nothing of it is sent.
func TestLargeMessages(t *testing.T) {
	from, to := proven(t), proven(t)
	l, _ := meet(t, from, to, at("h:1"))
	sizes := []int{10, minAround, 70000, 2 * minAround, 1, 70000, 70000, 3 * maxQueued, 2000}
	const rounds = 5
	fill := func(m *message.Message, n int) *message.Message {
		e, _ := m.Get("", "data")
		for i := range e.Body {
			e.Body[i] = byte(n + i>>8)
		}
		return m
	}
	go func() {
		for n := range rounds * len(sizes) {
			msg, tail := flowing(1, n, sizes[n%len(sizes)])
			fill(msg, n)
			if n%2 == 0 {
				tail = tail.ForPassing()
			}
			if err := l.(endpoint.MessageSender).SendMessage(context.Background(), msg, tail); err != nil {
				t.Error(err)
			}
			fill(msg, -1) // the memory is the sender's again
			if n%len(sizes) == 2 {
				bad := message.New(message.Bytes("", "data", make([]byte, 70000)), message.Bytes("", strings.Repeat("n", message.MaxName+1), nil))
				if err := l.(endpoint.MessageSender).SendMessage(context.Background(), bad, tail); !errors.Is(err, message.ErrTooLarge) {
					t.Errorf("a name of too many octets: %v", err)
				}
			}
		}
	}()
	for n := range rounds * len(sizes) {
		m, err := message.Decode(next(t, to.bodies))
		if err != nil {
			t.Fatal(err)
		}
		want, _ := flowing(1, n, sizes[n%len(sizes)])
		for e := range fill(want, n).All() {
			if got, _ := m.Get(e.Namespace, e.Name); !bytes.Equal(got.Body, e.Body) {
				t.Fatalf("element %q of message %d is damaged or another one's", e.Name, n)
			}
		}
	}
}

// answering has TLS say something in the middle of a write.
type answering struct {
	net.Conn
	answer func()
}

func (c *answering) Write(b []byte) (int, error) {
	if f := c.answer; f != nil {
		c.answer = nil
		f()
	}
	return c.Conn.Write(b)
}

// TestAnswersOfTLS: what TLS itself has to say leaves without a message, and cannot
// pile up for who does not take it.
func TestAnswersOfTLS(t *testing.T) {
	from, to := proven(t), proven(t)
	_, back := meet(t, from, to, at("h:1"))
	l := back.(*link)
	if _, err := l.wire.Write([]byte("no record at all")); err != nil { // which ends the link at the other side
		t.Fatal(err)
	}
	next(t, from.closed)
	next(t, to.closed)
	if from.s.Stats().BadFrame != 1 {
		t.Errorf("stats %+v", from.s.Stats())
	}

	// Also what it says while a message is being written.
	here, there := connected(t)
	c := &answering{Conn: here}
	to.accept(there)
	busy, err := from.dial(t, c, at("h:1"))
	if err != nil {
		t.Fatal(err)
	}
	c.answer = func() { _, _ = busy.(*link).wire.Write([]byte("no record at all")) }
	if err := busy.Send(short(t), body(1, 10)); err != nil {
		t.Fatal(err)
	}
	next(t, to.bodies)
	next(t, to.closed)

	l.mu.Lock()
	l.err, l.writing, l.sealed, l.answers = nil, true, nil, 0 // a write that takes for ever
	l.mu.Unlock()
	n := 0
	for ; n <= maxAnswers; n += 1000 {
		if _, err := l.wire.Write(make([]byte, 1000)); err != nil {
			break
		}
	}
	if n > maxAnswers || n < maxAnswers/2 {
		t.Errorf("%d octets were kept", n)
	}
}

// TestCrossed: two diallers who meet in one connection are told so.
func TestCrossed(t *testing.T) {
	for _, target := range []endpoint.Address{at("h:1"), secured("h:1")} {
		a, b := proven(t), proven(t)
		here, there := connected(t)
		failed := make(chan error)
		go func() {
			_, err := b.s.Dialled(context.Background(), there, target)
			failed <- err
		}()
		_, err := a.dial(t, here, target)
		if other := <-failed; !errors.Is(err, ErrCrossed) && !errors.Is(other, ErrCrossed) {
			t.Errorf("%s: %v and %v", target, err, other)
		}
	}
}

// carried is a connection that is encrypted by other means.
type carried struct {
	net.Conn
	cert *x509.Certificate
}

func (c *carried) PeerCertificate() *x509.Certificate { return c.cert }

// FromListener is what a transport tells of its connections.
func (*carried) FromListener() bool { return true }

// TestCarried: a connection that is encrypted already is not encrypted again, and
// its certificate must prove the peer ID.
func TestCarried(t *testing.T) {
	i, j := newIdentity(), newIdentity()
	a, b := newHost(t, Config{}, with(i), strict), newHost(t, Config{}, with(j), strict)
	here, there := connected(t)
	b.accept(&carried{there, i.Certificate().Leaf})
	l, err := a.dial(t, &carried{here, j.Certificate().Leaf}, at("h:1"))
	if err != nil {
		t.Fatal(err)
	}
	back := next(t, b.opened)
	for _, l := range []endpoint.Link{l, back} {
		if !l.Proven() || !endpoint.Encrypted(l) || l.(*link).tls != nil || !l.(*link).FromListener() {
			t.Errorf("proven %t, encrypted %t, again %t", l.Proven(), endpoint.Encrypted(l), l.(*link).tls != nil)
		}
	}
	exchange(t, l, back, a, b)

	for _, cert := range []*x509.Certificate{nil, newIdentity().Certificate().Leaf} {
		here, there = connected(t)
		b.accept(&carried{there, i.Certificate().Leaf})
		_, err = a.dial(t, &carried{here, cert}, at("h:1"))
		var de *endpoint.DialError
		if !errors.As(err, &de) || de.Phase != endpoint.PhaseIdentity || !errors.Is(err, identity.ErrNotProven) {
			t.Errorf("the error is %v", err)
		}
	}
}
