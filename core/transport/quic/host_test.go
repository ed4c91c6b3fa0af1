package quic

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/identity"
	"github.com/juxta-p2p/juxta/core/message"
)

// limit is how long tests wait for what must happen.
const limit = 15 * time.Second

// host is what a transport under test talks to: it decodes what comes, as an
// endpoint does.
type host struct {
	t      *Transport
	who    *identity.Identity
	opened chan endpoint.Link
	bodies chan []byte
	closed chan endpoint.Link
}

// newHost starts a transport that is closed with the test.
func newHost(t testing.TB, tr *Transport) *host {
	t.Helper()
	who, err := identity.New(identity.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	return newHostAs(t, tr, who)
}

func newHostAs(t testing.TB, tr *Transport, who *identity.Identity) *host {
	t.Helper()
	h := &host{
		t: tr, who: who,
		opened: make(chan endpoint.Link, 300), bodies: make(chan []byte, 300), closed: make(chan endpoint.Link, 300),
	}
	err := tr.Start(endpoint.Host{
		Peer: who.Peer(), Identity: who, Logger: slog.New(slog.DiscardHandler),
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
func listening(t testing.TB, set ...func(*Transport)) *host {
	t.Helper()
	tr := New(Config{Listen: []string{"127.0.0.1:0"}})
	for _, f := range set {
		f(tr)
	}
	return newHost(t, tr)
}

func (h *host) addr() endpoint.Address { return h.t.Addresses()[0] }

// dial opens a link to another host.
func (h *host) dial(t testing.TB, to *host) endpoint.Link {
	t.Helper()
	l, err := h.t.Dial(short(t), to.addr())
	if err != nil {
		t.Fatal(err)
	}
	return l
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

// eventually waits for what nothing tells.
func eventually(t testing.TB, cond func() bool) {
	t.Helper()
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	late := time.After(limit)
	for !cond() {
		select {
		case <-look.C:
		case <-late:
			t.Fatal("waited in vain")
		}
	}
}

func short(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	t.Cleanup(cancel)
	return ctx
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
