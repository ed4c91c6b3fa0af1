// Package tcp is the JXTA TCP transport: a welcome line each way, then messages
// in both directions over one connection for all groups and services.
//
// Peers with an identity encrypt: TLS on the same port, under tls:// addresses from
// the first octet, under tcp:// ones after the welcomes if both can.
//
// JXTA v2 specification, chapter "TCP/IP Message Transport"; the pause before
// the first message, the limits and the recovery from dead connections answer
// to the behaviour of JXSE 2.5.
package tcp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/transport/stream"
)

// The protocols of the addresses: tcp://host:port, and tls://host:port for peers
// that encrypt.
const (
	Protocol = "tcp"
	Secured  = "tls"
)

// The ports a peer tries when it is not told where to listen, as JXSE does.
const (
	FirstPort = 9701
	LastPort  = 9799
)

// Config configures a [Transport]. The zero value listens on every interface,
// on the first free port of 9701 to 9799.
type Config struct {
	// Listen are the places to listen on, "host:port"; port 0 lets the system
	// choose. Empty means ":9701" or the next free port up to 9799.
	Listen []string

	// ClientOnly peers do not listen; Listen is ignored.
	ClientOnly bool

	// Public are the addresses to advertise instead of those listened on,
	// for peers behind a port mapping. A tcp:// address stands for its tls:// twin,
	// too, if the peer has an identity.
	Public []endpoint.Address

	// MaxMessage bounds a message in octets. Zero means message.MaxSize.
	MaxMessage int

	// MaxPerHost bounds the connections accepted from one IP address, except
	// from this machine. Zero means 32.
	MaxPerHost int

	times stream.Times // tests shorten them
}

// Transport implements [endpoint.Multi] and [endpoint.Puncher] over TCP.
type Transport struct {
	cfg       Config
	host      endpoint.Host
	ctx       context.Context
	cancel    context.CancelCauseFunc
	wg        sync.WaitGroup
	listeners []net.Listener
	set       *stream.Set
	stats     counters
	times     times
	trusted   func(ip string) bool // exempt from the limits per IP address

	mu      sync.Mutex
	closed  bool
	waiting []stranger     // accepted, welcome not yet read; oldest first
	perHost map[string]int // accepted, by IP address
}

// stranger is an accepted connection that has not said who it is.
type stranger struct {
	c  net.Conn
	ip string
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
	t := &Transport{cfg: cfg, times: defaultTimes, trusted: isLoopback, perHost: map[string]int{}}
	t.set = stream.New(stream.Config{Protocol: Protocol, Secured: Secured, Local: t.local, MaxMessage: cfg.MaxMessage, Times: cfg.times})
	t.ctx, t.cancel = context.WithCancelCause(context.Background())
	return t
}

// Stats counts what a transport did since it was made.
type Stats struct {
	Accepted  uint64 // connections taken
	Links     int    // open at present
	Encrypted int    // of these

	RefusedHost      uint64 // connections turned away because their IP address had too many
	RefusedStrangers uint64 // connections ended without a welcome because too many others waited, too
	FailedAccepts    uint64 // connections that the system did not hand over, for lack of descriptors
	BadWelcome       uint64 // connections whose first line was no welcome, or did not come
	BadTLS           uint64 // connections that failed to become encrypted
	OtherKey         uint64 // connections whose certificate did not prove the peer ID
	Unproven         uint64 // plain connections refused because the peer ID was not proven
	BadFrame         uint64 // links closed because framing was lost or a message malformed
	LostOnClose      uint64 // messages queued on a link when it broke
}

type counters struct{ accepted, host, strangers, accepts atomic.Uint64 }

// Stats returns the counters.
func (t *Transport) Stats() Stats {
	c := &t.stats
	st := Stats{
		Accepted: c.accepted.Load(), RefusedHost: c.host.Load(), RefusedStrangers: c.strangers.Load(),
		FailedAccepts: c.accepts.Load(),
	}
	l := t.set.Stats()
	st.Links, st.Encrypted, st.LostOnClose = l.Links, l.Encrypted, l.LostOnClose
	st.BadWelcome, st.BadTLS, st.BadFrame = l.BadWelcome, l.BadTLS, l.BadFrame
	st.OtherKey, st.Unproven = l.OtherKey, l.Unproven
	return st
}

// Protocol implements [endpoint.Transport].
func (t *Transport) Protocol() string { return Protocol }

// Serves implements [endpoint.Multi]: "tcp", and "tls" once the transport has
// started with an identity.
func (t *Transport) Serves(protocol string) bool {
	return protocol == Protocol || protocol == Secured && t.set.Secures()
}

// CloseWhere closes the links whose own IP address f does not want any more, as
// when a network interface has gone.
func (t *Transport) CloseWhere(f func(local netip.Addr) bool) { t.set.CloseWhere(f) }

// Start implements [endpoint.Transport]. The error names the address that
// cannot be listened on and unwraps to the system's reason.
func (t *Transport) Start(h endpoint.Host) error {
	t.host = h
	t.set.Start(h)
	if t.cfg.ClientOnly {
		return nil
	}
	if len(t.cfg.Listen) == 0 {
		ln, err := listenRange(FirstPort, LastPort)
		if err != nil {
			return err
		}
		t.listeners = append(t.listeners, ln)
	}
	for _, at := range t.cfg.Listen {
		ln, err := net.Listen("tcp", at)
		if err != nil {
			return fmt.Errorf("tcp: cannot listen on %s: %w", at, reason(err))
		}
		t.listeners = append(t.listeners, ln)
	}
	for _, ln := range t.listeners {
		share(ln)
		t.wg.Go(func() { t.accept(ln) })
	}
	return nil
}

// listenRange takes the first free port from first to last.
func listenRange(first, last int) (net.Listener, error) {
	var failed error
	for port := first; port <= last; port++ {
		ln, err := net.Listen("tcp", ":"+strconv.Itoa(port))
		if err == nil {
			return ln, nil
		}
		failed = err
	}
	return nil, fmt.Errorf("tcp: no free port from %d to %d: %w", first, last, reason(failed))
}

// reason strips what repeats the address from an error of package net.
func reason(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		err = op.Err
	}
	var call *os.SyscallError // "connect: connection refused"
	if errors.As(err, &call) {
		err = call.Err
	}
	return err
}

// Close implements [endpoint.Transport]. Links write what is queued, for a
// moment.
func (t *Transport) Close() error {
	t.mu.Lock()
	first := !t.closed
	t.closed = true
	strangers := slices.Clone(t.waiting)
	t.mu.Unlock()
	t.cancel(endpoint.ErrClosed)
	var errs []error
	if first {
		for _, ln := range t.listeners {
			errs = append(errs, ln.Close())
		}
	}
	for _, s := range strangers {
		_ = s.c.Close()
	}
	t.set.Close()
	t.wg.Wait()
	return errors.Join(errs...)
}

// accept takes connections from a listener until it is closed.
func (t *Transport) accept(ln net.Listener) {
	for {
		c, err := ln.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			t.stats.accepts.Add(1)
			t.host.Logger.Warn("accepting failed", "error", err)
			if t.pause(t.ctx, acceptRetry) != nil {
				return
			}
			continue
		}
		if !t.admit(c) {
			_ = c.Close()
			continue
		}
		t.stats.accepted.Add(1)
	}
}

// admit applies the limits on strangers and starts the handshake.
func (t *Transport) admit(c net.Conn) bool {
	ip := origin(c)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return false
	}
	if !t.trusted(ip) && (t.perHost[ip] >= t.cfg.MaxPerHost || t.handshakesOf(ip) >= maxHandshakesPerHost) {
		t.stats.host.Add(1)
		t.set.Offend(ip, "connections")
		return false
	}
	if len(t.waiting) >= maxHandshakes {
		_ = t.waiting[0].c.Close() // its handshake ends with an error
		t.set.Offend(t.waiting[0].ip, "connections without a welcome")
		t.waiting = slices.Delete(t.waiting, 0, 1)
		t.stats.strangers.Add(1)
	}
	t.waiting = append(t.waiting, stranger{c, ip})
	t.perHost[ip]++
	t.wg.Go(func() { t.welcomeIncoming(c, ip) })
	return true
}

// handshakesOf counts the strangers of an IP address. t.mu is held.
func (t *Transport) handshakesOf(ip string) int {
	n := 0
	for _, s := range t.waiting {
		if s.ip == ip {
			n++
		}
	}
	return n
}

func (t *Transport) welcomeIncoming(c net.Conn, ip string) {
	if tc, ok := c.(*net.TCPConn); ok {
		_ = tc.SetKeepAliveConfig(keepAlive)
		setUserTimeout(tc)
	}
	_, err := t.set.Accepted(t.ctx, c, func() { t.release(ip) })
	t.mu.Lock()
	t.waiting = slices.DeleteFunc(t.waiting, func(s stranger) bool { return s.c == c })
	t.mu.Unlock()
	if err != nil {
		t.release(ip)
		t.host.Logger.Debug("incoming connection ended early", "from", ip, "error", err)
	}
}

// release takes an accepted connection off the count of its IP address.
func (t *Transport) release(ip string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.perHost[ip]--; t.perHost[ip] <= 0 {
		delete(t.perHost, ip)
	}
}

// origin is the IP address at the other end.
func origin(c net.Conn) string {
	if a, ok := c.RemoteAddr().(*net.TCPAddr); ok {
		return a.AddrPort().Addr().Unmap().String()
	}
	return c.RemoteAddr().String()
}

func isLoopback(ip string) bool {
	a, err := netip.ParseAddr(ip)
	return err == nil && a.IsLoopback()
}
