// Package stream makes JXTA links of connections that carry octets in order,
// whatever is under them: a welcome line each way, then messages in both
// directions, for all groups and services. The transports of TCP, HTTP and QUIC
// share it; what they add is how a connection comes about.
//
// Between Juxta peers that can prove their IDs the links are TLS 1.3; see
// [Set.Dialled] for how the two sides come to it.
//
// JXTA v2 specification, chapter "TCP/IP Message Transport"; the pause before
// the first message, the limits and the recovery from dead connections answer
// to the behaviour of JXSE 2.5.
package stream

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/identity"
	"github.com/juxta-p2p/juxta/core/message"
)

// Config configures a [Set]. It is copied.
type Config struct {
	// Protocol is the protocol of the addresses of the links, for example
	// "tcp". Required.
	Protocol string

	// Secured is the protocol of addresses that are dialled in TLS from the
	// first octet, for example "tls". Empty means that there is none; who starts
	// with TLS is then sent away.
	Secured string

	// Local is the address to go by on a connection. Required.
	Local func(net.Conn) endpoint.Address

	// MaxMessage bounds a message in octets. Zero means message.MaxSize.
	MaxMessage int

	// Times replace the defaults where they are not zero; tests shorten them.
	Times Times
}

// Set is the links of one transport. Its methods are safe for concurrent use.
// Close it when done.
type Set struct {
	cfg    Config
	host   endpoint.Host
	prover *identity.Identity // nil if this peer cannot prove its ID
	ctx    context.Context
	cancel context.CancelCauseFunc
	wg     sync.WaitGroup
	stats  counters
	times  Times
	spread spread

	mu     sync.Mutex
	closed bool
	links  map[*link]struct{}
}

// New makes a set without links.
func New(cfg Config) *Set {
	if cfg.MaxMessage <= 0 {
		cfg.MaxMessage = message.MaxSize
	}
	s := &Set{cfg: cfg, times: cfg.Times.complete(), links: map[*link]struct{}{}}
	s.ctx, s.cancel = context.WithCancelCause(context.Background())
	return s
}

// Start tells the set whose links they are. It comes before the first link. The
// host's Identity is of use only if it is that of the host's Peer.
func (s *Set) Start(h endpoint.Host) {
	s.host = h
	if h.Identity != nil && h.Identity.Peer() == h.Peer {
		s.prover = h.Identity
	}
}

// Secures reports whether this side can encrypt links.
func (s *Set) Secures() bool { return s.prover != nil }

// Stats counts what became of the links of a set since it was made.
type Stats struct {
	Links       int    // open at present
	Encrypted   int    // of these, links that nobody else can read
	BadWelcome  uint64 // connections whose first line was no welcome, or did not come
	BadTLS      uint64 // connections that failed to become encrypted
	OtherKey    uint64 // of the certificates, those that did not prove the peer ID
	Unproven    uint64 // plain connections refused because the peer ID was not proven
	BadFrame    uint64 // links closed because framing was lost or a message malformed
	LostOnClose uint64 // messages queued on a link when it broke
}

type counters struct{ badWelcome, badTLS, otherKey, unproven, badFrame, lost atomic.Uint64 }

// Stats returns the counters.
func (s *Set) Stats() Stats {
	s.mu.Lock()
	st := Stats{Links: len(s.links)}
	for l := range s.links {
		if l.private {
			st.Encrypted++
		}
	}
	s.mu.Unlock()
	c := &s.stats
	st.BadWelcome, st.BadTLS, st.OtherKey = c.badWelcome.Load(), c.badTLS.Load(), c.otherKey.Load()
	st.Unproven, st.BadFrame, st.LostOnClose = c.unproven.Load(), c.badFrame.Load(), c.lost.Load()
	return st
}

// Dialled makes a link of a connection that this side opened to reach target,
// which may name a service. It takes the connection over, and closes it if it
// fails; the error is a *[endpoint.DialError].
//
// A target of the protocol Config.Secured is spoken to in TLS from the first
// octet, and nothing else will do. Any other is greeted in plain JXTA; if both
// welcomes say that the peers can, the connection goes on in TLS before anything
// else has crossed, unless target names a service, which takes the place of the
// mark. Certificates must prove the peer IDs of the welcomes, and both sides must
// have seen the same welcomes. A connection with the method
//
//	PeerCertificate() *x509.Certificate
//
// is taken as encrypted by other means, and the certificate must prove the ID.
func (s *Set) Dialled(ctx context.Context, c net.Conn, target endpoint.Address) (endpoint.Link, error) {
	return s.reach(ctx, c, target, dialler)
}

// Punched makes a link of a connection that both sides opened at once to get
// through address translators. Who leads acts as dialler; the other as acceptor if
// he hears from the leader within a second, and else as dialler, since it was the
// leader's listener that answered. Otherwise it is like [Set.Dialled].
func (s *Set) Punched(ctx context.Context, c net.Conn, target endpoint.Address, lead bool) (endpoint.Link, error) {
	if lead {
		return s.reach(ctx, c, target, dialler)
	}
	return s.reach(ctx, c, target, follower)
}

func (s *Set) reach(ctx context.Context, c net.Conn, target endpoint.Address, r role) (endpoint.Link, error) {
	fail := func(p endpoint.Phase, err error) (endpoint.Link, error) {
		_ = c.Close()
		return nil, &endpoint.DialError{Addr: target, Phase: p, Err: err}
	}
	l, err := s.handshake(ctx, c, target, r)
	if err != nil {
		return fail(phaseOf(err), err)
	}
	if l.dialed && !l.juxta {
		// A JXSE 2.5 acceptor that reads a message together with the welcome
		// does not look at it before more octets come.
		if err := s.pause(ctx, s.times.Settle); err != nil {
			return fail(endpoint.PhaseHandshake, err)
		}
	}
	if err := s.open(l); err != nil {
		return fail(endpoint.PhasePolicy, err)
	}
	return l, nil
}

// Accepted makes a link of a connection that the other side opened, and that may
// begin with TLS or with a welcome; see [Set.Dialled]. It takes the connection
// over, and closes it if it fails. closed, if not nil, is called once when the link
// is closed, and not if there is an error.
func (s *Set) Accepted(ctx context.Context, c net.Conn, closed func()) (endpoint.Link, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(s.ctx, func() { cancel(endpoint.ErrClosed) })()
	l, err := s.handshake(ctx, c, endpoint.Address{}, acceptor)
	if err == nil && !l.juxta {
		// A JXSE 2.5 dialler has the same trouble as its acceptor, see reach.
		err = s.pause(ctx, s.times.Settle)
	}
	if err == nil {
		l.onClosed = closed
		err = s.open(l)
	}
	if err != nil {
		if ctx.Err() == nil && phaseOf(err) == endpoint.PhaseHandshake {
			s.Offend(origin(c), "handshakes that fail")
		}
		_ = c.Close()
		return nil, err
	}
	return l, nil
}

// Offend tells the host that somebody who has not said who it is ran into a limit.
func (s *Set) Offend(origin, limit string) {
	if s.host.Offend != nil {
		s.host.Offend(origin, id.Peer{}, limit)
	}
}

// offend tells the host that the other side ran into a limit.
func (l *link) offend(limit string) {
	if l.s.host.Offend != nil {
		l.s.host.Offend(l.ip, l.peer, limit)
	}
}

// CloseWhere closes the links whose own IP address f does not want any more, as
// when a network interface has gone. Links without an IP address stay.
func (s *Set) CloseWhere(f func(local netip.Addr) bool) {
	s.mu.Lock()
	var gone []*link
	for l := range s.links {
		gone = append(gone, l)
	}
	s.mu.Unlock()
	for _, l := range gone {
		if at, err := netip.ParseAddrPort(l.c.LocalAddr().String()); err == nil && f(at.Addr().Unmap().WithZone("")) {
			l.fail(endpoint.ErrLinkClosed) // what is queued cannot leave
		}
	}
}

// open registers a link whose handshake is done, and starts to read it.
func (s *Set) open(l *link) error {
	l.startPace()
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return endpoint.ErrClosed
	}
	s.links[l] = struct{}{}
	s.wg.Add(1) // until the reader is done; not yet started, so that Opened comes first
	s.mu.Unlock()
	if err := s.host.Opened(l); err != nil {
		s.mu.Lock()
		delete(s.links, l)
		s.mu.Unlock()
		s.wg.Done()
		return err
	}
	go l.read() // waited for through s.wg
	return nil
}

// Close closes every link and returns when none is read any more. Links write
// what is queued, for a moment. It is idempotent.
func (s *Set) Close() {
	s.mu.Lock()
	s.closed = true
	links := make([]*link, 0, len(s.links))
	for l := range s.links {
		links = append(links, l)
	}
	s.mu.Unlock()
	s.cancel(endpoint.ErrClosed)
	ctx, cancel := context.WithTimeout(context.Background(), s.times.Drain) // for all together
	defer cancel()
	for _, l := range links {
		l.drain(ctx)
	}
	s.wg.Wait()
}

// pause waits, but not longer than ctx lives.
func (s *Set) pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
