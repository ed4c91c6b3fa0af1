// Package http is the JXTA HTTP transport, for peers that only HTTP reaches, also
// through a proxy. A peer that accepts runs a server; one that initiates learns who
// that is (ping), posts messages to it, and polls for those in the other direction.
//
// Between Juxta peers the messages do not travel in the open: the server offers a
// tunnel, an octet stream in POST and GET requests, in which goes what goes over
// TCP: welcome lines, TLS with both certificates, framed messages. With original
// peers it is the transport of JXSE 2.5.
//
// JXTA v2 specification, chapter "HTTP Message Transport", as JXSE 2.5 does it:
// polls are GET requests, a ping is answered with the unique value of the ID.
package http

import (
	"context"
	"errors"
	"fmt"
	"net"
	nethttp "net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/transport/stream"
)

// Protocol is the protocol of the addresses: http://host:port.
const Protocol = "http"

// DefaultPort is the port of JXTA over HTTP.
const DefaultPort = 9700

// Config configures a [Transport]. The zero value listens on every interface, on
// port 9700.
type Config struct {
	// Listen are the places to listen on, "host:port"; port 0 lets the system
	// choose. Empty means ":9700".
	Listen []string

	// ClientOnly peers do not listen; Listen is ignored.
	ClientOnly bool

	// Public are the addresses to advertise instead of those listened on.
	Public []endpoint.Address

	// Proxy returns the proxy for a request, nil for none; see
	// [nethttp.Transport]. nil means the one that the environment names
	// (HTTP_PROXY, NO_PROXY).
	Proxy func(*nethttp.Request) (*url.URL, error)

	// MaxMessage bounds a message in octets. Zero means message.MaxSize.
	MaxMessage int

	// Original speaks to Juxta peers as to original ones: in the open.
	Original bool
}

// Transport implements [endpoint.Transport] over HTTP.
type Transport struct {
	cfg       Config
	host      endpoint.Host
	ctx       context.Context
	cancel    context.CancelCauseFunc
	wg        sync.WaitGroup
	set       *stream.Set // links in tunnels
	client    *nethttp.Client
	server    *nethttp.Server
	listeners []net.Listener
	stats     counters
	trusted   func(ip string) bool // exempt from the limits per IP address

	mu       sync.Mutex
	closed   bool
	sessions map[string]*session
	polled   map[pollKey]*polled // links of original peers that poll
	posting  map[*posting]struct{}
	refused  map[pollKey]time.Time
	conns    map[string]int // connections, by IP address
}

// New makes a transport; the endpoint starts it.
func New(cfg Config) *Transport {
	cfg.Listen = slices.Clone(cfg.Listen)
	cfg.Public = slices.Clone(cfg.Public)
	if cfg.MaxMessage <= 0 {
		cfg.MaxMessage = defaultMaxMessage
	}
	if cfg.Proxy == nil {
		cfg.Proxy = nethttp.ProxyFromEnvironment
	}
	t := &Transport{
		cfg: cfg, trusted: isLoopback, sessions: map[string]*session{}, polled: map[pollKey]*polled{},
		posting: map[*posting]struct{}{}, refused: map[pollKey]time.Time{}, conns: map[string]int{},
	}
	t.ctx, t.cancel = context.WithCancelCause(context.Background())
	t.set = stream.New(stream.Config{Protocol: Protocol, Local: t.local, MaxMessage: cfg.MaxMessage})
	t.client = &nethttp.Client{
		Transport: &nethttp.Transport{
			Proxy: cfg.Proxy, MaxIdleConnsPerHost: 4, MaxIdleConns: 64, IdleConnTimeout: idleConnections, DisableCompression: true,
			DialContext: (&net.Dialer{Timeout: requestTimeout}).DialContext, MaxResponseHeaderBytes: maxHead,
		},
		CheckRedirect: func(*nethttp.Request, []*nethttp.Request) error { return nethttp.ErrUseLastResponse },
	}
	return t
}

// Stats counts what a transport did since it was made.
type Stats struct {
	Links   int    // open at present
	Tunnels uint64 // accepted from Juxta peers
	Polls   uint64 // taken from original peers
	Posts   uint64 // messages that they posted

	RefusedRequests uint64 // requests turned away because of a limit or a rule
	BadRequests     uint64 // requests that could not be read
	FailedRequests  uint64 // own requests that had to be repeated or given up
	BadFrame        uint64 // links closed because framing was lost or a message malformed
	BadWelcome      uint64 // tunnels whose first line was no welcome, or did not come
	Unproven        uint64 // links refused because the peer ID was not proven
	LostOnClose     uint64 // messages queued on a link when it broke
}

type counters struct{ tunnels, polls, posts, refused, bad, failed, badFrame, unproven, lost atomic.Uint64 }

// Stats returns the counters.
func (t *Transport) Stats() Stats {
	c, s := &t.stats, t.set.Stats()
	t.mu.Lock()
	links := s.Links + len(t.polled) + len(t.posting)
	t.mu.Unlock()
	return Stats{
		Links: links, Tunnels: c.tunnels.Load(), Polls: c.polls.Load(), Posts: c.posts.Load(),
		RefusedRequests: c.refused.Load(), BadRequests: c.bad.Load(), FailedRequests: c.failed.Load(),
		BadFrame: c.badFrame.Load() + s.BadFrame, BadWelcome: s.BadWelcome, Unproven: c.unproven.Load() + s.Unproven + s.OtherKey,
		LostOnClose: c.lost.Load() + s.LostOnClose,
	}
}

// Protocol implements [endpoint.Transport].
func (t *Transport) Protocol() string { return Protocol }

// Start implements [endpoint.Transport]. The error names the address that cannot
// be listened on and unwraps to the system's reason.
func (t *Transport) Start(h endpoint.Host) error {
	t.host = h
	t.set.Start(h)
	if t.cfg.ClientOnly {
		return nil
	}
	places := t.cfg.Listen
	if len(places) == 0 {
		places = []string{":" + strconv.Itoa(DefaultPort)}
	}
	t.server = &nethttp.Server{
		Handler: nethttp.HandlerFunc(t.serve), ReadHeaderTimeout: headTimeout, MaxHeaderBytes: maxHead, IdleTimeout: idleConnections,
		ConnState: t.connState, ErrorLog: nil, BaseContext: func(net.Listener) context.Context { return t.ctx },
	}
	for _, at := range places {
		ln, err := net.Listen("tcp", at)
		if err != nil {
			return fmt.Errorf("http: cannot listen on %s: %w", at, reason(err))
		}
		t.listeners = append(t.listeners, ln)
	}
	for _, ln := range t.listeners {
		t.wg.Go(func() { _ = t.server.Serve(&bounded{ln, t}) })
	}
	return nil
}

// Close implements [endpoint.Transport]. Links write what is queued, for a moment.
func (t *Transport) Close() error {
	t.mu.Lock()
	t.closed = true
	polled, posting := make([]*polled, 0, len(t.polled)), make([]*posting, 0, len(t.posting))
	for _, l := range t.polled {
		polled = append(polled, l)
	}
	for l := range t.posting {
		posting = append(posting, l)
	}
	t.mu.Unlock()
	for _, l := range posting {
		l.drain()
	}
	for _, l := range polled {
		l.drain()
	}
	t.set.Close()
	sessions := t.finish()
	t.cancel(endpoint.ErrClosed)
	for _, s := range sessions {
		s.fail(net.ErrClosed)
	}
	var err error
	if t.server != nil {
		err = t.server.Close()
	}
	for _, ln := range t.listeners {
		_ = ln.Close()
	}
	for _, l := range posting {
		l.fail(endpoint.ErrLinkClosed)
	}
	for _, l := range polled {
		l.fail(endpoint.ErrLinkClosed)
	}
	t.wg.Wait()
	t.client.CloseIdleConnections()
	t.awaitConnections()
	return err
}

// awaitConnections waits for the goroutines of the server's connections, which
// net/http lets linger for half a second after an answer that was broken off.
func (t *Transport) awaitConnections() {
	for by := time.Now().Add(lingerFor); time.Now().Before(by); {
		t.mu.Lock()
		n := len(t.conns)
		t.mu.Unlock()
		if n == 0 {
			return
		}
		time.Sleep(lingerStep)
	}
}

// finish gives tunnels a moment to tell the other side of their end.
func (t *Transport) finish() []*session {
	t.mu.Lock()
	all := make([]*session, 0, len(t.sessions))
	for _, s := range t.sessions {
		all = append(all, s)
	}
	t.mu.Unlock()
	by := time.Now().Add(lingerFor / 8)
	for _, s := range all {
		s.drained(by)
		s.ended(by)
	}
	return all
}

// work runs f, for which Close waits. It reports false if the transport is closed.
func (t *Transport) work(f func()) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return false
	}
	t.wg.Go(f)
	return true
}

// Addresses implements [endpoint.Transport].
func (t *Transport) Addresses() []endpoint.Address {
	if len(t.cfg.Public) > 0 {
		return slices.Clone(t.cfg.Public)
	}
	var all []endpoint.Address
	for _, ln := range t.listeners {
		at, err := netip.ParseAddrPort(ln.Addr().String())
		if err != nil {
			continue
		}
		for _, ip := range endpoint.ReachableIPs(at.Addr()) {
			all = append(all, endpoint.Address{Protocol: Protocol, Host: netip.AddrPortFrom(ip, at.Port()).String()})
		}
	}
	return all
}

// local is the address to go by on a tunnel: an own one, or one that says that
// nobody can dial this peer.
func (t *Transport) local(net.Conn) endpoint.Address {
	if all := t.Addresses(); len(all) > 0 {
		return all[0]
	}
	return nowhere
}

// nowhere is the address of those who cannot be dialled.
var nowhere = endpoint.Address{Protocol: Protocol, Host: "0.0.0.0:0"}

// admitted applies the rules of the host on who may go unproven.
func (t *Transport) admitted(p id.Peer) error {
	switch {
	case t.host.RequireSecure:
		return fmt.Errorf("%w: only encrypted links are wanted here", endpoint.ErrUnproven)
	case p.Provable() && t.host.Identity != nil && t.host.Identity.Peer() == t.host.Peer && !t.host.AllowClaimed:
		return fmt.Errorf("%w: the ID is made of a key", endpoint.ErrUnproven)
	}
	return nil
}

func (t *Transport) offend(ip, limit string) {
	if t.host.Offend != nil {
		t.host.Offend(ip, id.Peer{}, "HTTP "+limit)
	}
}

// bounded is a listener that turns away connections beyond the limits.
type bounded struct {
	net.Listener
	t *Transport
}

// Accept implements [net.Listener].
func (b *bounded) Accept() (net.Conn, error) {
	for {
		c, err := b.Listener.Accept()
		if err != nil {
			return nil, err
		}
		ip := originOf(c.RemoteAddr().String())
		t := b.t
		t.mu.Lock()
		all := 0
		for _, n := range t.conns {
			all += n
		}
		ok := all < 4*maxAll && (t.trusted(ip) || t.conns[ip] < 2*maxPerHost)
		if ok {
			t.conns[ip]++
		}
		t.mu.Unlock()
		if ok {
			return c, nil
		}
		t.stats.refused.Add(1)
		t.offend(ip, "connections")
		_ = c.Close()
	}
}

// connState counts connections off.
func (t *Transport) connState(c net.Conn, s nethttp.ConnState) {
	if s != nethttp.StateClosed && s != nethttp.StateHijacked {
		return
	}
	ip := originOf(c.RemoteAddr().String())
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.conns[ip]--; t.conns[ip] <= 0 {
		delete(t.conns, ip)
	}
}

// originOf is the IP address in "ip:port".
func originOf(at string) string {
	if a, err := netip.ParseAddrPort(at); err == nil {
		return a.Addr().Unmap().WithZone("").String()
	}
	return at
}

func addrOf(at string) net.Addr {
	if a, err := netip.ParseAddrPort(at); err == nil {
		return net.TCPAddrFromAddrPort(a)
	}
	return &net.TCPAddr{}
}

// localOf is the address at which a request came in.
func (t *Transport) localOf(r *nethttp.Request) net.Addr {
	if a, ok := r.Context().Value(nethttp.LocalAddrContextKey).(net.Addr); ok {
		return a
	}
	return &net.TCPAddr{}
}

func isLoopback(ip string) bool {
	a, err := netip.ParseAddr(ip)
	return err == nil && a.IsLoopback()
}

// reason strips what repeats the address from an error of package net.
func reason(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Err
	}
	return err
}
