package stream

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/core/transport/framing"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// limit is how long tests wait for what must happen.
const limit = 15 * time.Second

var (
	us   = id.PeerFromSeed(id.NetGroup, []byte("this side"))
	them = id.PeerFromSeed(id.NetGroup, []byte("the other side"))
)

// greeting is the welcome of a foreign dialler.
var greeting = []byte("JXTAHELLO tcp://h:1 tcp://h:2 " + them.String() + " 0 1.1\r\n")

func at(hostport string) endpoint.Address { return endpoint.Address{Protocol: "tcp", Host: hostport} }

// host is what a set under test talks to: it decodes what comes, as an endpoint
// does.
type host struct {
	s      *Set
	opened chan endpoint.Link
	bodies chan []byte
	closed chan endpoint.Link
	failed chan error // of Accepted
	wg     sync.WaitGroup
}

// newHost starts a set that is closed with the test; set changes its host.
func newHost(t testing.TB, cfg Config, set ...func(*endpoint.Host)) *host {
	t.Helper()
	if cfg.Protocol == "" {
		cfg.Protocol = "tcp"
	}
	if cfg.Local == nil {
		cfg.Local = func(net.Conn) endpoint.Address { return at("192.0.2.1:9701") }
	}
	h := &host{
		s: New(cfg), opened: make(chan endpoint.Link, 300), bodies: make(chan []byte, 300),
		closed: make(chan endpoint.Link, 300), failed: make(chan error, 300),
	}
	eh := endpoint.Host{
		Peer: us, Logger: slog.New(slog.DiscardHandler),
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
	h.s.Start(eh)
	t.Cleanup(func() { h.s.Close(); h.wg.Wait() })
	return h
}

// accept gives the set a connection that came in.
func (h *host) accept(c net.Conn) {
	h.wg.Go(func() {
		if _, err := h.s.Accepted(context.Background(), c, nil); err != nil {
			h.failed <- err
		}
	})
}

// inBubble runs f in virtual time.
func inBubble(t *testing.T, f func(*testing.T, *host)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { f(t, newHost(t, Config{})) })
}

// next waits for what comes on a channel.
func next[T any](t testing.TB, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(limit):
		t.Fatal("waited in vain")
		panic("unreachable")
	}
}

// raw is the other side of a connection, spoken by hand.
type raw struct {
	t testing.TB
	net.Conn
	br *bufio.Reader
}

func newRaw(t testing.TB, c net.Conn) *raw {
	t.Helper()
	t.Cleanup(func() { _ = c.Close() })
	return &raw{t, c, bufio.NewReader(c)}
}

// pipe connects to the host through a pipe.
func pipe(t testing.TB, h *host) *raw {
	t.Helper()
	here, there := net.Pipe()
	h.accept(there)
	return newRaw(t, here)
}

// greet exchanges welcomes over a new pipe.
func greet(t testing.TB, h *host) *raw {
	t.Helper()
	r := pipe(t, h)
	r.write(greeting)
	r.welcome()
	next(t, h.opened)
	return r
}

func (r *raw) write(b []byte) {
	r.t.Helper()
	if _, err := r.Conn.Write(b); err != nil {
		r.t.Fatal(err)
	}
}

func (r *raw) welcome() framing.Welcome {
	r.t.Helper()
	w, err := framing.ReadWelcome(r.br)
	if err != nil {
		r.t.Fatal(err)
	}
	return w
}

// frame reads one package and returns its body.
func (r *raw) frame() []byte {
	r.t.Helper()
	h, err := framing.ReadHeader(r.br)
	if err != nil {
		r.t.Fatal(err)
	}
	body := make([]byte, h.Length)
	if _, err := io.ReadFull(r.br, body); err != nil {
		r.t.Fatal(err)
	}
	return body
}

// endsAfter reads until the connection is closed and checks when that is.
func (r *raw) endsAfter(start time.Time, want time.Duration) {
	r.t.Helper()
	_, _ = io.Copy(io.Discard, r.br)
	if got := time.Since(start); got != want {
		r.t.Errorf("closed after %v, want %v", got, want)
	}
}

// pack puts the header block in front of a message with a text of size octets.
func pack(n, size int) []byte {
	body := body(n, size)
	return append(framing.AppendHeader(nil, len(body)), body...)
}

func body(n, size int) []byte {
	fill := make([]byte, size)
	for i := range fill {
		fill[i] = byte(n + i/7)
	}
	b, err := message.New(message.Bytes("test", "n", []byte{byte(n >> 8), byte(n)}), message.Bytes("test", "fill", fill)).MarshalBinary()
	if err != nil {
		panic(err)
	}
	return b
}

func testdata(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func short(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	t.Cleanup(cancel)
	return ctx
}
