// Package quic is a transport of Juxta alone: what TCP links carry, over one
// stream of a QUIC connection (RFC 9000), in UDP. It gets through more address
// translators than TCP, and its links survive a change of the dialler's address. Both
// sides prove their peer IDs, and everything is encrypted.
//
// The accepting side opens the stream and writes its welcome with its first flight,
// before it knows the dialler, so that the dialler is through after one round trip,
// where TCP with TLS takes three.
//
// The package, and the QUIC library with it, is linked into programs that import it,
// and no others.
package quic

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"

	quicgo "github.com/quic-go/quic-go"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/transport/stream"
)

// Protocol is the protocol of the addresses: quic://host:port, where port is one of
// UDP.
const Protocol = "quic"

// The UDP ports a peer tries when it is not told where to listen, as with TCP.
const (
	FirstPort = 9701
	LastPort  = 9799
)

// ErrIdentity is the cause when a peer without an identity starts the transport.
var ErrIdentity = errors.New("QUIC needs an identity that proves the peer ID")

// Config configures a [Transport]. The zero value listens on every interface,
// on the first free port of 9701 to 9799.
type Config struct {
	// Listen are the places to listen on, "host:port"; port 0 lets the system
	// choose. Empty means ":9701" or the next free port up to 9799.
	Listen []string

	// ClientOnly peers take no connections, but those that [Transport.Punch] waits
	// for; Listen is ignored.
	ClientOnly bool

	// Public are the addresses to advertise instead of those listened on,
	// for peers behind a port mapping.
	Public []endpoint.Address

	// MaxMessage bounds a message in octets. Zero means message.MaxSize.
	MaxMessage int

	// MaxPerHost bounds the connections accepted from one IP address, except
	// from this machine. Zero means 32.
	MaxPerHost int

	times stream.Times // tests shorten them
}

// Transport implements [endpoint.Transport] and [endpoint.Puncher] over QUIC. One
// UDP socket serves to listen and to dial, so that the address at which others see
// this peer is one at which it may be dialled.
type Transport struct {
	cfg     Config
	host    endpoint.Host
	ctx     context.Context
	cancel  context.CancelCauseFunc
	wg      sync.WaitGroup
	set     *stream.Set
	stats   counters
	times   times
	server  *tls.Config
	client  *tls.Config
	accepts *quicgo.Config
	dials   *quicgo.Config
	keys    keys
	ports   []*port
	trusted func(ip string) bool  // exempt from the limits per IP address
	machine func() []netip.Prefix // the addresses of this machine
	route   func(to netip.AddrPort) (netip.Addr, error)

	released sync.WaitGroup // arrivals that have not been taken off the lists

	mu       sync.Mutex
	closed   bool
	spare    *port          // to dial from where no port serves; made when needed
	waiting  []*arrival     // said nothing yet; oldest first
	perHost  map[string]int // accepted, by IP address
	conns    map[*conn]struct{}
	watching bool
	punchers map[*puncher]struct{}
}

// New makes a transport; the endpoint starts it.
func New(cfg Config) *Transport {
	cfg.Listen = slices.Clone(cfg.Listen)
	cfg.Public = slices.Clone(cfg.Public)
	if cfg.MaxMessage <= 0 {
		cfg.MaxMessage = defaultMaxMessage
	}
	if cfg.MaxPerHost <= 0 {
		cfg.MaxPerHost = defaultMaxPerHost
	}
	t := &Transport{
		cfg: cfg, times: defaultTimes, trusted: isLoopback, machine: machineAddresses, route: route,
		perHost: map[string]int{}, conns: map[*conn]struct{}{}, punchers: map[*puncher]struct{}{},
	}
	t.set = stream.New(stream.Config{Protocol: Protocol, Local: t.local, MaxMessage: cfg.MaxMessage, Times: cfg.times})
	t.ctx, t.cancel = context.WithCancelCause(context.Background())
	return t
}

// Stats counts what a transport did since it was made.
type Stats struct {
	Accepted uint64 // connections taken
	Links    int    // open at present

	RefusedHost      uint64 // connections turned away because their IP address had too many
	RefusedStrangers uint64 // connections ended without a welcome because too many others waited, too
	BadHandshake     uint64 // connections that ended before their welcome
	BadWelcome       uint64 // connections whose first line was no welcome, or did not come
	BadFrame         uint64 // links closed because framing was lost or a message malformed
	OtherKey         uint64 // connections whose certificate did not prove the peer ID
	LostOnClose      uint64 // messages queued on a link when it broke
	Moved            uint64 // links that went on from another address of this machine
	NotMoved         uint64 // links that could not
	Unsent           uint64 // packets that this machine had no way for
}

type counters struct{ accepted, host, strangers, handshake, moved, notMoved, unsent atomic.Uint64 }

// Stats returns the counters.
func (t *Transport) Stats() Stats {
	c, l := &t.stats, t.set.Stats()
	return Stats{
		Accepted: c.accepted.Load(), Links: l.Links, RefusedHost: c.host.Load(), RefusedStrangers: c.strangers.Load(),
		BadHandshake: c.handshake.Load(), BadWelcome: l.BadWelcome, BadFrame: l.BadFrame, OtherKey: l.OtherKey,
		LostOnClose: l.LostOnClose, Moved: c.moved.Load(), NotMoved: c.notMoved.Load(), Unsent: c.unsent.Load(),
	}
}

// Protocol implements [endpoint.Transport].
func (t *Transport) Protocol() string { return Protocol }

// Start implements [endpoint.Transport]. The host's identity must be that of its
// peer, or the error wraps [ErrIdentity]. Other errors name the address that cannot
// be listened on and unwrap to the system's reason.
func (t *Transport) Start(h endpoint.Host) error {
	if h.Identity == nil || h.Identity.Peer() != h.Peer {
		return fmt.Errorf("quic: %w", ErrIdentity)
	}
	t.host = h
	if err := t.secure(h.Identity); err != nil {
		return err
	}
	t.set.Start(h)
	open := func(at string) error {
		p, err := t.open(at, true)
		if err != nil {
			return fmt.Errorf("quic: cannot listen on %s: %w", at, reason(err))
		}
		t.ports = append(t.ports, p)
		return nil
	}
	switch {
	case t.cfg.ClientOnly:
		if err := open(":0"); err != nil {
			return err
		}
	case len(t.cfg.Listen) == 0:
		p, err := t.openRange(FirstPort, LastPort)
		if err != nil {
			return err
		}
		t.ports = append(t.ports, p)
	}
	if !t.cfg.ClientOnly {
		for _, at := range t.cfg.Listen {
			if err := open(at); err != nil {
				return err
			}
		}
	}
	for _, p := range t.ports {
		t.wg.Go(func() { t.accept(p) })
	}
	return nil
}

// openRange takes the first free port from first to last.
func (t *Transport) openRange(first, last int) (*port, error) {
	var failed error
	for n := first; n <= last; n++ {
		p, err := t.open(":"+strconv.Itoa(n), true)
		if err == nil {
			return p, nil
		}
		failed = err
	}
	return nil, fmt.Errorf("quic: no free port from %d to %d: %w", first, last, reason(failed))
}

// begin counts an activity that Close waits for; t.wg.Done ends it. It reports
// false if the transport is closed.
func (t *Transport) begin() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return false
	}
	t.wg.Add(1)
	return true
}

// Close implements [endpoint.Transport]. Links write what is queued, and wait until
// the other side has taken it, for a moment.
func (t *Transport) Close() error {
	t.mu.Lock()
	t.closed = true
	var strangers []*quicgo.Conn
	for _, a := range t.waiting {
		if a.conn != nil {
			strangers = append(strangers, a.conn)
		}
	}
	spare := t.spare
	t.mu.Unlock()
	t.cancel(endpoint.ErrClosed)
	for _, p := range t.ports {
		p.stop()
	}
	for _, q := range strangers {
		_ = q.CloseWithError(codeClosed, "")
	}
	t.set.Close()
	t.wg.Wait()
	for _, p := range t.ports {
		p.close()
	}
	if spare != nil {
		spare.close()
	}
	t.released.Wait()
	return nil
}

// offend tells the host of somebody who runs into a limit.
func (t *Transport) offend(origin, limit string) {
	if t.host.Offend != nil {
		t.host.Offend(origin, id.Peer{}, limit)
	}
}

// reason strips what repeats the address from an error of package net.
func reason(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Err
	}
	return err
}

var _ endpoint.Puncher = (*Transport)(nil)
