package transporttest

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strconv"
	"sync"
	"testing"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/message"
)

func itoa(n int) string { return strconv.Itoa(n) }

// testDial: what both sides know about a link, and that both can send on it.
func testDial(t *testing.T, cfg Config) {
	a, b, ab, ba := pair(t, cfg)
	if !endpoint.Carries(a.tr, b.addr().Protocol) {
		t.Errorf("Protocol is %q, and addresses of %q are not served", a.tr.Protocol(), b.addr().Protocol)
	}
	if ab.Peer() != b.id || ba.Peer() != a.id {
		t.Errorf("peers %s and %s, want %s and %s", ab.Peer(), ba.Peer(), b.id, a.id)
	}
	if !ab.Outgoing() || ba.Outgoing() {
		t.Errorf("Outgoing is %t for the dialler and %t for the acceptor", ab.Outgoing(), ba.Outgoing())
	}
	if ab.Remote() != b.addr() {
		t.Errorf("Remote of the dialler is %s, want %s as dialled", ab.Remote(), b.addr())
	}
	if !slices.Contains(a.tr.Addresses(), ba.Remote()) {
		t.Errorf("Remote of the acceptor is %s, want one of %v", ba.Remote(), a.tr.Addresses())
	}
	for _, l := range []endpoint.Link{ab, ba} {
		if l.Origin() == "" {
			t.Error("Origin is empty")
		}
		if l.Local().IsZero() {
			t.Error("Local is zero")
		}
		if cfg.Identity != nil && (!l.Proven() || !endpoint.Encrypted(l)) {
			t.Errorf("outgoing %t: proven %t, encrypted %t", l.Outgoing(), l.Proven(), endpoint.Encrypted(l))
		}
	}
	if ab != a.link(1) {
		t.Error("Opened was given another link than Dial returned")
	}
	there, back := encode(t, "a", 1, 10), encode(t, "b", 2, 20)
	send(t, ab, there)
	if m := b.messages(1)[0]; m.link != ba || !bytes.Equal(m.body, there) {
		t.Errorf("the acceptor got % x on %v", m.body, m.link)
	}
	send(t, ba, back)
	if m := a.messages(1)[0]; m.link != ab || !bytes.Equal(m.body, back) {
		t.Errorf("the dialler got % x on %v", m.body, m.link)
	}
}

// testAddresses: they are of a protocol that is served, name a place only, and differ.
func testAddresses(t *testing.T, cfg Config) {
	a, b := start(t, cfg), start(t, cfg)
	for _, addr := range a.tr.Addresses() {
		if !endpoint.Carries(a.tr, addr.Protocol) || addr != addr.Base() {
			t.Errorf("address %s", addr)
		}
		if p, err := endpoint.ParseAddress(addr.String()); err != nil || p != addr {
			t.Errorf("%s does not survive being printed: %v, %v", addr, p, err)
		}
		if slices.Contains(b.tr.Addresses(), addr) {
			t.Errorf("two transports listen on %s", addr)
		}
	}
}

// testOrder: a thousand messages each way at once arrive in order.
func testOrder(t *testing.T, cfg Config) {
	a, b, ab, ba := pair(t, cfg)
	var wg sync.WaitGroup
	for _, l := range []endpoint.Link{ab, ba} {
		wg.Go(func() {
			for i := range inOrder {
				send(t, l, encode(t, "it", i, i%300))
			}
		})
	}
	wg.Wait()
	for _, s := range []*station{a, b} {
		for i, m := range s.messages(inOrder) {
			if !bytes.Equal(m.body, encode(t, "it", i, i%300)) {
				t.Fatalf("message %d is another one, or damaged", i)
			}
		}
	}
}

// testSizes: bodies of many sizes, the smallest that a message can have first.
func testSizes(t *testing.T, cfg Config) {
	_, b, ab, _ := pair(t, cfg)
	least, err := message.New(message.Element{}).MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	bodies := [][]byte{least}
	for n, size := range []int{
		0, 1, 63, 64, 1000, 1460, 4095, 4096, 4097, 8 << 10, 8<<10 + 1, 16 << 10, 40000,
		64<<10 - 1, 64 << 10, 64<<10 + 1, 128 << 10, 200000, 512 << 10, 1 << 20,
	} {
		if body := encode(t, "a", n, size); len(body) <= cfg.MaxBody {
			bodies = append(bodies, body)
		}
	}
	for _, body := range bodies {
		send(t, ab, body)
	}
	for i, m := range b.messages(len(bodies)) {
		if !bytes.Equal(m.body, bodies[i]) {
			t.Errorf("body %d of %d octets is damaged or another one", i, len(bodies[i]))
		}
	}
}

// testConcurrentSenders: many senders on both sides, each in its own order.
func testConcurrentSenders(t *testing.T, cfg Config) {
	const senders, each = 8, 150
	a, b, ab, ba := pair(t, cfg)
	var wg sync.WaitGroup
	for _, l := range []endpoint.Link{ab, ba} {
		for s := range senders {
			wg.Go(func() {
				for i := range each {
					send(t, l, encode(t, itoa(s), i, i*s))
				}
			})
		}
	}
	wg.Wait()
	for _, st := range []*station{a, b} {
		next := map[string]int{}
		for _, m := range st.messages(senders * each) {
			msg, err := message.Decode(m.body)
			if err != nil {
				t.Fatal(err)
			}
			from := msg.Text("test", "from")
			if s, err := strconv.Atoi(from); err != nil || !bytes.Equal(m.body, encode(t, from, next[from], next[from]*s)) {
				t.Fatalf("message %s of sender %s is damaged or out of order, want %d", msg.Text("test", "n"), from, next[from])
			}
			next[from]++
		}
	}
}

// testBodyMayBeReused: Send keeps nothing of the body, the receiver owns his.
func testBodyMayBeReused(t *testing.T, cfg Config) {
	const n = 200
	_, b, ab, _ := pair(t, cfg)
	for _, size := range []int{100, 20000} {
		body := encode(t, "a", 1, size)
		want := bytes.Clone(body)
		before := len(b.messages(b.count()))
		for range n {
			send(t, ab, body)
			clear(body)
			copy(body, want)
		}
		for i, m := range b.messages(before + n)[before:] {
			if !bytes.Equal(m.body, want) {
				t.Fatalf("message %d of %d octets changed", i, size)
			}
			clear(m.body)
		}
	}
}

func (s *station) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.all)
}

// testSendInOpened: a link may be used while its Opened runs.
func testSendInOpened(t *testing.T, cfg Config) {
	greet := func(s *station) {
		s.onOpened = func(l endpoint.Link) error {
			send(t, l, encode(t, "opened", 0, 10))
			return nil
		}
	}
	a, b := start(t, cfg, greet), start(t, cfg, greet)
	a.dial(b)
	a.messages(1)
	b.messages(1)
}

// testSimultaneousDials: when two dial each other at once, both links serve.
func testSimultaneousDials(t *testing.T, cfg Config) {
	a, b := start(t, cfg), start(t, cfg)
	var ab, ba endpoint.Link
	var wg sync.WaitGroup
	wg.Go(func() { ab = a.dial(b) })
	wg.Go(func() { ba = b.dial(a) })
	wg.Wait()
	if t.Failed() {
		return
	}
	a.link(2)
	b.link(2)
	send(t, ab, encode(t, "dialled", 1, 1))
	send(t, ba, encode(t, "dialled", 1, 1))
	for _, s := range []*station{a, b} {
		if m := s.messages(1)[0]; m.link.Outgoing() {
			t.Error("it came on the other link")
		}
	}
}

// testSeveralLinks: two links to one address are two, and close one by one.
func testSeveralLinks(t *testing.T, cfg Config) {
	a, b := start(t, cfg), start(t, cfg)
	one, two := a.dial(b), a.dial(b)
	b.link(2)
	if one == two {
		t.Fatal("Dial returned the same link twice")
	}
	_ = one.Close()
	a.gone(one)
	send(t, two, encode(t, "a", 1, 1))
	b.messages(1)
}

var errRefused = errors.New("refused by the test")

// testRefusedByAcceptor: the dialler gets an error, or a link that ends.
func testRefusedByAcceptor(t *testing.T, cfg Config) {
	a := start(t, cfg)
	b := start(t, cfg, func(s *station) { s.onOpened = func(endpoint.Link) error { return errRefused } })
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	l, err := a.tr.Dial(ctx, b.addr())
	var de *endpoint.DialError
	switch {
	case err == nil:
		a.gone(l)
	case !errors.As(err, &de):
		t.Errorf("the error is %T, want a *DialError", err)
	}
}

// testRefusedByDialler: Dial returns the error of Opened, and the link ends.
func testRefusedByDialler(t *testing.T, cfg Config) {
	a := start(t, cfg, func(s *station) { s.onOpened = func(endpoint.Link) error { return errRefused } })
	b := start(t, cfg)
	l, err := a.tr.Dial(t.Context(), b.addr())
	var de *endpoint.DialError
	if l != nil || !errors.As(err, &de) || de.Phase != endpoint.PhasePolicy || !errors.Is(err, errRefused) {
		t.Errorf("Dial returned %v, %v", l, err)
	}
	b.allGone() // the acceptor may have had it for a moment
}
