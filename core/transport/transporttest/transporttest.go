// Package transporttest is the list of things that every transport must do: what
// [endpoint.Transport], [endpoint.Link], [endpoint.Host] and
// [endpoint.Broadcaster] promise, as tests. A transport's own tests call [Run],
// and [RunBroadcast] if it has datagrams, and add what is peculiar to it.
package transporttest

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/identity"
	"github.com/juxta-p2p/juxta/core/message"
)

// Config tells [Run] how to get transports of the kind under test.
type Config struct {
	// New makes a transport that has not been started, and the ID of the peer
	// that is to use it. It listens at a place of its own; all those made for
	// one test can dial each other. Required.
	New func(t *testing.T) (endpoint.Transport, id.Peer)

	// Identity returns the identity of a peer whose ID New returned. If it is not
	// nil, stations hand it to their transports, and every link must be proven and
	// encrypted.
	Identity func(id.Peer) *identity.Identity

	// Protocol is that of the addresses to dial, for transports that serve several.
	// Empty means that of the transport's first address.
	Protocol string

	// Nobody returns an address of the protocol at which nobody listens, so
	// that dialling it fails soon in endpoint.PhaseConnect. Required.
	Nobody func(t *testing.T) endpoint.Address

	// Bad are addresses that cannot be dialled, with the phase in which it fails.
	Bad map[endpoint.Address]endpoint.Phase

	// Silent returns an address at which dialling hangs until its context ends.
	// Tests of that are skipped if it is nil.
	Silent func(t *testing.T) endpoint.Address

	// Again makes a transport that listens where a closed one did. The test
	// that the place is free again is skipped if it is nil.
	Again func(t *testing.T, closed endpoint.Transport) (endpoint.Transport, id.Peer)

	// MaxBody is the largest body that is sent. Zero means 1 MiB and some.
	MaxBody int
}

// Limits of the tests themselves.
const (
	// patience is how long a test waits for what must happen. It only passes
	// when a test fails.
	patience = 15 * time.Second

	// inOrder is how many messages go each way in the tests of order.
	inOrder = 1000

	// flood bounds what is sent to a receiver that takes nothing, in octets:
	// more than any system buffers for a link.
	flood = 64 << 20
)

// Run runs the list against a transport.
func Run(t *testing.T, cfg Config) {
	if cfg.MaxBody <= 0 {
		cfg.MaxBody = 1<<20 + 1000
	}
	for _, test := range []struct {
		name string
		run  func(*testing.T, Config)
	}{
		{"Dial", testDial},
		{"Addresses", testAddresses},
		{"Order", testOrder},
		{"Sizes", testSizes},
		{"ConcurrentSenders", testConcurrentSenders},
		{"BodyMayBeReused", testBodyMayBeReused},
		{"SendInOpened", testSendInOpened},
		{"SimultaneousDials", testSimultaneousDials},
		{"SeveralLinks", testSeveralLinks},
		{"RefusedByAcceptor", testRefusedByAcceptor},
		{"RefusedByDialler", testRefusedByDialler},
		{"DialErrors", testDialErrors},
		{"DialCancelled", testDialCancelled},
		{"DialAndClose", testDialAndClose},
		{"SendAfterClose", testSendAfterClose},
		{"CloseIsToldAfterMessages", testCloseIsToldAfterMessages},
		{"CloseWhileSending", testCloseWhileSending},
		{"CloseInReceive", testCloseInReceive},
		{"BackPressure", testBackPressure},
		{"OneSlowLink", testOneSlowLink},
		{"Malformed", testMalformed},
		{"TransportClose", testTransportClose},
		{"PlaceIsFreeAgain", testPlaceIsFreeAgain},
	} {
		t.Run(test.name, func(t *testing.T) {
			noLeaks(t)
			test.run(t, cfg)
		})
	}
}

// noLeaks fails the test if goroutines are left when all else is cleaned up.
func noLeaks(t *testing.T) {
	before := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, before) })
}

// got is one message as a station received it.
type got struct {
	link endpoint.Link
	body []byte
}

// station is a host with one transport that holds the transport to its promises
// towards the host, and remembers what came.
type station struct {
	t  *testing.T
	tr endpoint.Transport
	id id.Peer

	identity *identity.Identity // may be nil
	protocol string             // of the addresses others dial; empty for the first

	// Set before start. They come on top of what the station does.
	onOpened  func(endpoint.Link) error
	onReceive func(endpoint.Link, []byte) error

	mu      sync.Mutex
	changed chan struct{} // closed and replaced at every event
	links   map[endpoint.Link]*state
	order   []endpoint.Link // as opened
	all     []got
	over    bool // Close has returned
}

// state is what a station knows of a link.
type state struct {
	opened, reading, closed bool
	received                int
}

func newStation(t *testing.T, tr endpoint.Transport, peer id.Peer) *station {
	return &station{t: t, tr: tr, id: peer, changed: make(chan struct{}), links: map[endpoint.Link]*state{}}
}

// start makes a station with a started transport, which is closed with the test.
func start(t *testing.T, cfg Config, set ...func(*station)) *station {
	t.Helper()
	tr, peer := cfg.New(t)
	s := cfg.station(t, tr, peer)
	for _, f := range set {
		f(s)
	}
	s.start()
	return s
}

func (cfg Config) station(t *testing.T, tr endpoint.Transport, peer id.Peer) *station {
	s := newStation(t, tr, peer)
	s.protocol = cfg.Protocol
	if cfg.Identity != nil {
		s.identity = cfg.Identity(peer)
	}
	return s
}

func (s *station) start() {
	s.t.Helper()
	err := s.tr.Start(endpoint.Host{
		Peer: s.id, Identity: s.identity, Logger: slog.New(slog.DiscardHandler),
		Opened: s.opened, Receive: s.receive, Closed: s.closed,
	})
	if err != nil {
		s.t.Fatalf("Start: %v", err)
	}
	s.t.Cleanup(func() { s.close() })
}

// close closes the transport and checks what must be true then.
func (s *station) close() {
	s.t.Helper()
	done := make(chan error, 1)
	go func() { done <- s.tr.Close() }()
	select {
	case err := <-done:
		if err != nil {
			s.t.Errorf("Close: %v", err)
		}
	case <-time.After(patience):
		s.t.Errorf("Close hangs")
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
	for l, st := range s.links {
		if !st.closed {
			s.t.Errorf("after Close of the transport, Closed was not called for the link to %s", l.Remote())
		}
	}
}

func (s *station) event() {
	close(s.changed)
	s.changed = make(chan struct{})
}

func (s *station) opened(l endpoint.Link) error {
	s.mu.Lock()
	if s.over {
		s.t.Errorf("Opened after Close of the transport")
	}
	if s.links[l] != nil {
		s.t.Errorf("Opened twice for one link")
	}
	st := &state{}
	s.links[l] = st
	s.mu.Unlock()
	var err error
	if s.onOpened != nil {
		err = s.onOpened(l)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if st.opened = true; err != nil {
		delete(s.links, l)
	} else {
		s.order = append(s.order, l)
	}
	s.event()
	return err
}

func (s *station) receive(l endpoint.Link, body []byte) error {
	s.mu.Lock()
	var st *state
	if l != nil {
		if st = s.links[l]; st == nil {
			s.mu.Unlock()
			s.t.Errorf("Receive on a link that was not opened, or refused")
			return errors.New("transporttest: unknown link")
		}
		switch {
		case !st.opened:
			s.t.Errorf("Receive before Opened returned")
		case st.closed:
			s.t.Errorf("Receive after Closed")
		case st.reading:
			s.t.Errorf("Receive on a link while another Receive on it runs")
		}
		st.reading = true
		st.received++
	}
	if s.over {
		s.t.Errorf("Receive after Close of the transport")
	}
	s.mu.Unlock()
	var err error
	if s.onReceive != nil {
		err = s.onReceive(l, body)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if st != nil {
		st.reading = false
	}
	s.all = append(s.all, got{l, body})
	s.event()
	return err
}

func (s *station) closed(l endpoint.Link) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.links[l]
	switch {
	case st == nil:
		s.t.Errorf("Closed for a link that was not opened, or refused")
		return
	case st.closed:
		s.t.Errorf("Closed twice")
	case st.reading:
		s.t.Errorf("Closed while Receive runs")
	}
	if s.over {
		s.t.Errorf("Closed after Close of the transport")
	}
	st.closed = true
	s.event()
}

// wait waits until cond, which is called under s.mu, is true.
func (s *station) wait(what string, cond func() bool) {
	s.t.Helper()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for {
		s.mu.Lock()
		ok, changed := cond(), s.changed
		s.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-changed:
		case <-timer.C:
			s.t.Fatalf("waited in vain for %s", what)
		}
	}
}

// messages waits for n messages in all and returns them.
func (s *station) messages(n int) []got {
	s.t.Helper()
	s.wait("messages", func() bool { return len(s.all) >= n })
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.all) > n {
		s.t.Errorf("%d messages, want %d", len(s.all), n)
	}
	return s.all[:n:n]
}

// accepted waits for the n-th link and returns it.
func (s *station) link(n int) endpoint.Link {
	s.t.Helper()
	s.wait("a link", func() bool { return len(s.order) >= n })
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.order[n-1]
}

// gone waits until Closed was called for the link.
func (s *station) gone(l endpoint.Link) {
	s.t.Helper()
	s.wait("Closed", func() bool { return s.links[l] != nil && s.links[l].closed })
}

// allGone waits until Closed was called for every link.
func (s *station) allGone() {
	s.t.Helper()
	s.wait("Closed of all links", func() bool {
		for _, st := range s.links {
			if !st.closed {
				return false
			}
		}
		return true
	})
}

func (s *station) addr() endpoint.Address {
	s.t.Helper()
	for _, a := range s.tr.Addresses() {
		if s.protocol == "" || a.Protocol == s.protocol {
			return a
		}
	}
	s.t.Fatal("a transport that listens has no address")
	return endpoint.Address{}
}

// dial opens a link to another station.
func (s *station) dial(to *station) endpoint.Link {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	l, err := s.tr.Dial(ctx, to.addr())
	if err != nil {
		s.t.Fatalf("Dial: %v", err)
	}
	return l
}

// pair makes two stations and a link between them, seen from both sides.
func pair(t *testing.T, cfg Config) (a, b *station, ab, ba endpoint.Link) {
	t.Helper()
	a, b = start(t, cfg), start(t, cfg)
	ab = a.dial(b)
	return a, b, ab, b.link(1)
}

// send sends and fails the test if it cannot.
func send(t *testing.T, l endpoint.Link, body []byte) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := l.Send(ctx, body); err != nil {
		t.Errorf("Send: %v", err)
	}
}

// encode makes a message of a sender's n-th text and some filling.
func encode(t *testing.T, from string, n, size int) []byte {
	t.Helper()
	fill := bytes.Repeat([]byte{byte(n)}, size)
	for i := 0; i < len(fill); i += 251 { // prime, so that no block of octets repeats
		fill[i] = byte(i / 251)
	}
	b, err := message.New(message.Text("test", "from", from), message.Text("test", "n", itoa(n)),
		message.Bytes("test", "fill", fill)).MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	return b
}
