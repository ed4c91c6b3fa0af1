package tcp

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/core/transport/framing"
)

// limit is how long tests wait for what must happen.
const limit = 15 * time.Second

var (
	us   = id.PeerFromSeed(id.NetGroup, []byte("this side"))
	them = id.PeerFromSeed(id.NetGroup, []byte("the other side"))
)

// host is what a transport under test talks to: it decodes what comes, as an
// endpoint does.
type host struct {
	t      *Transport
	opened chan endpoint.Link
	bodies chan []byte
	closed chan endpoint.Link
}

// newHost starts a transport that is closed with the test.
func newHost(t *testing.T, tr *Transport) *host {
	t.Helper()
	h := &host{
		t: tr, opened: make(chan endpoint.Link, 300), bodies: make(chan []byte, 300), closed: make(chan endpoint.Link, 300),
	}
	err := tr.Start(endpoint.Host{
		Peer: us, Logger: slog.New(slog.DiscardHandler),
		Opened: func(l endpoint.Link) error { h.opened <- l; return nil },
		Receive: func(_ endpoint.Link, body []byte) error {
			_, err := message.Decode(body)
			h.bodies <- body
			return err
		},
		Closed: func(l endpoint.Link) { h.closed <- l },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tr.Close() })
	return h
}

// listening starts a transport on loopback; set changes it first.
func listening(t *testing.T, set ...func(*Config)) *host {
	t.Helper()
	cfg := Config{Listen: []string{"127.0.0.1:0"}}
	for _, f := range set {
		f(&cfg)
	}
	return newHost(t, New(cfg))
}

func (h *host) addr() endpoint.Address { return h.t.Addresses()[0] }

// next waits for what comes on a channel.
func next[T any](t *testing.T, c <-chan T) T {
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
	t *testing.T
	net.Conn
	br *bufio.Reader
}

func newRaw(t *testing.T, c net.Conn) *raw {
	t.Helper()
	t.Cleanup(func() { _ = c.Close() })
	return &raw{t, c, bufio.NewReader(c)}
}

// connect opens a connection to a transport and says nothing yet.
func connect(t *testing.T, h *host) *raw {
	t.Helper()
	return connectTo(t, h.addr().Host)
}

func connectTo(t *testing.T, place string) *raw {
	t.Helper()
	c, err := net.Dial("tcp", place)
	if err != nil {
		t.Fatal(err)
	}
	_ = c.SetDeadline(time.Now().Add(limit))
	return newRaw(t, c)
}

// greeting is the welcome of a foreign dialler.
func greeting(h *host) []byte {
	return framing.Welcome{Dest: h.addr(), Public: at("127.0.0.1:9702"), Peer: them}.AppendTo(nil)
}

// greet exchanges welcomes over a new connection.
func greet(t *testing.T, h *host) *raw {
	t.Helper()
	r := connect(t, h)
	r.write(greeting(h))
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

// ended waits until the other side has closed the connection, passing over what
// it said before.
func (r *raw) ended() {
	r.t.Helper()
	if _, err := io.Copy(io.Discard, r.br); os.IsTimeout(err) {
		r.t.Fatal("the connection is still open")
	}
}

// acceptor listens by hand and greets whoever dials, after f has seen the
// connection.
func acceptor(t *testing.T, dest func(net.Conn) endpoint.Address, f func(*raw)) endpoint.Address {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		c, err := ln.Accept()
		if err != nil {
			return
		}
		_ = c.SetDeadline(time.Now().Add(limit))
		r := newRaw(t, c)
		if dest != nil {
			w := framing.Welcome{Dest: dest(c), Public: at(ln.Addr().String()), Peer: them}
			if _, err := c.Write(w.AppendTo(nil)); err != nil {
				return
			}
		}
		f(r)
	}()
	t.Cleanup(func() { _ = ln.Close(); <-done })
	return at(ln.Addr().String())
}

// plain is the destination JXSE puts into its welcome, ours that of Juxta.
func plain(c net.Conn) endpoint.Address { return at(c.RemoteAddr().String()) }
func ours(c net.Conn) endpoint.Address  { return plain(c).With("juxta", "1") }

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

func short(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	t.Cleanup(cancel)
	return ctx
}
