package http

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"net"
	nethttp "net/http"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/identity"
	"github.com/juxta-p2p/juxta/core/message"
)

// limit is how long tests wait for what must happen.
const limit = 15 * time.Second

var (
	us   = id.PeerFromSeed(id.NetGroup, []byte("this side"))
	them = id.PeerFromSeed(id.NetGroup, []byte("the other side"))
)

// arrived is a message, and the link it came on.
type arrived struct {
	link endpoint.Link
	body []byte
}

// host is what a transport under test talks to: it decodes what comes, as an
// endpoint does.
type host struct {
	*Transport
	opened  chan endpoint.Link
	arrived chan arrived
	closed  chan endpoint.Link
	refuse  func(endpoint.Link) error
}

// newHost starts a transport that is closed with the test. set changes it first.
func newHost(t testing.TB, cfg Config, set ...func(*host, *endpoint.Host)) *host {
	t.Helper()
	h := &host{
		Transport: New(cfg), opened: make(chan endpoint.Link, 300), arrived: make(chan arrived, 3000), closed: make(chan endpoint.Link, 300),
	}
	eh := endpoint.Host{
		Peer: us, Logger: slog.New(slog.DiscardHandler),
		Opened: func(l endpoint.Link) error {
			if h.refuse != nil {
				if err := h.refuse(l); err != nil {
					return err
				}
			}
			h.opened <- l
			return nil
		},
		Receive: func(l endpoint.Link, body []byte) error {
			_, err := message.Decode(body)
			h.arrived <- arrived{l, body}
			return err
		},
		Closed: func(l endpoint.Link) { h.closed <- l },
	}
	for _, f := range set {
		f(h, &eh)
	}
	if err := h.Start(eh); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close() })
	return h
}

// listening starts a transport on loopback.
func listening(t testing.TB, set ...func(*host, *endpoint.Host)) *host {
	t.Helper()
	return newHost(t, Config{Listen: []string{"127.0.0.1:0"}}, set...)
}

// client starts a transport that goes through a proxy, if it is not empty.
func client(t testing.TB, proxy string, set ...func(*host, *endpoint.Host)) *host {
	t.Helper()
	cfg := Config{ClientOnly: true}
	if proxy != "" {
		u, err := url.Parse(proxy)
		if err != nil {
			t.Fatal(err)
		}
		cfg.Proxy = nethttp.ProxyURL(u)
	}
	return newHost(t, cfg, append([]func(*host, *endpoint.Host){as(them)}, set...)...)
}

// as gives a host another peer ID.
func as(p id.Peer) func(*host, *endpoint.Host) {
	return func(_ *host, h *endpoint.Host) { h.Peer = p }
}

// proving gives a host an identity.
func proving(t testing.TB) func(*host, *endpoint.Host) {
	t.Helper()
	i, err := identity.New(identity.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	return func(_ *host, h *endpoint.Host) { h.Peer, h.Identity = i.Peer(), i }
}

// shorter shortens the times of a host.
func shorter(h *host, _ *endpoint.Host) { fast(h.Transport) }

func (h *host) addr() endpoint.Address { return h.Addresses()[0] }

// dial opens a link.
func (h *host) dial(t testing.TB, to endpoint.Address) endpoint.Link {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	l, err := h.Dial(ctx, to)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func send(t testing.TB, l endpoint.Link, body []byte) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	if err := l.Send(ctx, body); err != nil {
		t.Fatal(err)
	}
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

func connect(t testing.TB, place string) *raw {
	t.Helper()
	c, err := net.Dial("tcp", place)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(limit))
	return &raw{t, c, bufio.NewReader(c)}
}

func (r *raw) write(s string) *raw {
	r.t.Helper()
	if _, err := io.WriteString(r, s); err != nil {
		r.t.Fatal(err)
	}
	return r
}

// answer reads the head of an answer.
func (r *raw) answer() *nethttp.Response {
	r.t.Helper()
	resp, err := nethttp.ReadResponse(r.br, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	return resp
}

// status reads an answer and returns its status.
func (r *raw) status() int {
	r.t.Helper()
	resp := r.answer()
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode
}

func testdata(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// text is an encoded message of n and some filling.
func text(n, size int) []byte {
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

// from is an encoded message that says which peer sent it.
func from(p id.Peer) []byte {
	b, err := message.New(message.Text("test", "x", "y"),
		message.Text(message.Platform, "EndpointSourceAddress", endpoint.PeerAddress(p, "", "").String())).MarshalBinary()
	if err != nil {
		panic(err)
	}
	return b
}
