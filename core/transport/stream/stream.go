// Package stream makes JXTA links of connections that carry octets in order,
// whatever is under them: a welcome line each way, then messages in both
// directions, for all groups and services. The transports of TCP, HTTP and QUIC
// share it; what they add is how a connection comes about.
//
// JXTA v2 specification, chapter "TCP/IP Message Transport"; the pause before
// the first message, the limits and the recovery from dead connections answer
// to the behaviour of JXSE 2.5.
package stream

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/message"
)

// Config configures a [Set]. It is copied.
type Config struct {
	// Protocol is the protocol of the addresses of the links, for example
	// "tcp". Required.
	Protocol string

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
	ctx    context.Context
	cancel context.CancelCauseFunc
	wg     sync.WaitGroup
	stats  counters
	times  Times

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

// Start tells the set whose links they are. It comes before the first link.
func (s *Set) Start(h endpoint.Host) { s.host = h }

// Stats counts what became of the links of a set since it was made.
type Stats struct {
	Links       int    // open at present
	BadWelcome  uint64 // connections whose first line was no welcome, or did not come
	BadFrame    uint64 // links closed because framing was lost or a message malformed
	LostOnClose uint64 // messages queued on a link when it broke
}

type counters struct{ badWelcome, badFrame, lost atomic.Uint64 }

// Stats returns the counters.
func (s *Set) Stats() Stats {
	s.mu.Lock()
	links := len(s.links)
	s.mu.Unlock()
	return Stats{
		Links: links, BadWelcome: s.stats.badWelcome.Load(), BadFrame: s.stats.badFrame.Load(),
		LostOnClose: s.stats.lost.Load(),
	}
}

// Dialled makes a link of a connection that this side opened to reach target,
// which may name a service. It takes the connection over, and closes it if it
// fails; the error is a *[endpoint.DialError].
func (s *Set) Dialled(ctx context.Context, c net.Conn, target endpoint.Address) (endpoint.Link, error) {
	fail := func(p endpoint.Phase, err error) (endpoint.Link, error) {
		_ = c.Close()
		return nil, &endpoint.DialError{Addr: target, Phase: p, Err: err}
	}
	l, err := s.handshake(ctx, c, target)
	if err == nil && !l.juxta {
		// A JXSE 2.5 acceptor that reads a message together with the welcome
		// does not look at it before more octets come.
		err = s.pause(ctx, s.times.Settle)
	}
	if err != nil {
		return fail(endpoint.PhaseHandshake, err)
	}
	if err := s.open(l); err != nil {
		return fail(endpoint.PhasePolicy, err)
	}
	return l, nil
}

// Accepted makes a link of a connection that the other side opened. It takes the
// connection over, and closes it if it fails. closed, if not nil, is called once
// when the link is closed, and not if there is an error.
func (s *Set) Accepted(ctx context.Context, c net.Conn, closed func()) (endpoint.Link, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(s.ctx, func() { cancel(endpoint.ErrClosed) })()
	l, err := s.handshake(ctx, c, endpoint.Address{})
	if err == nil {
		l.onClosed = closed
		err = s.open(l)
	}
	if err != nil {
		_ = c.Close()
		return nil, err
	}
	return l, nil
}

// open registers a link whose handshake is done, and starts to read it.
func (s *Set) open(l *link) error {
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
