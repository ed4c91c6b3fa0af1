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
	"fmt"
	"log/slog"
	"maps"
	"net"
	nethttp "net/http"
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

	// MaxMessage bounds a message in octets. Zero means message.MaxSize; more than
	// that cannot be polled for.
	MaxMessage int

	// MaxPerHost bounds the tunnels accepted from one IP address, and with it, as
	// half and twice of it, its polling clients and its connections; except from this
	// machine. Zero means 32. Servers behind a proxy of their own need more.
	MaxPerHost int

	// Original speaks to Juxta peers as to original ones: in the open.
	Original bool
}

// Transport implements [endpoint.Transport] over HTTP.
type Transport struct {
	cfg       Config
	host      endpoint.Host
	ctx       context.Context // of requests
	cancel    context.CancelCauseFunc
	wg        sync.WaitGroup
	set       *stream.Set // links in tunnels
	client    *nethttp.Client
	server    *nethttp.Server
	listeners []net.Listener
	stats     counters
	times     times
	trusted   func(ip string) bool // exempt from the limits per IP address

	mu       sync.Mutex
	closed   bool // no new links
	shut     bool // no new requests
	sessions map[string]*session
	polled   map[pollKey]*polled // links of original peers that poll
	news     chan struct{}       // closed and replaced when there is one more
	posting  map[*posting]struct{}
	sides    map[*side]struct{} // dialled ends of tunnels
	refused  map[pollKey]time.Time
	conns    map[string]int // connections, by IP address
	allConns int
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
	if cfg.Proxy == nil {
		cfg.Proxy = nethttp.ProxyFromEnvironment
	}
	t := &Transport{
		cfg: cfg, times: defaultTimes, trusted: isLoopback, sessions: map[string]*session{}, polled: map[pollKey]*polled{},
		news: make(chan struct{}), posting: map[*posting]struct{}{}, sides: map[*side]struct{}{}, refused: map[pollKey]time.Time{}, conns: map[string]int{},
	}
	t.ctx, t.cancel = context.WithCancelCause(context.Background())
	t.set = stream.New(stream.Config{Protocol: Protocol, Local: t.local, MaxMessage: cfg.MaxMessage})
	dialer := &net.Dialer{Timeout: requestTimeout, KeepAliveConfig: keepAlive}
	t.client = &nethttp.Client{
		Transport: &nethttp.Transport{
			Proxy: cfg.Proxy, DialContext: dialer.DialContext, MaxIdleConnsPerHost: maxIdle, IdleConnTimeout: idleConnections,
			DisableCompression: true, MaxResponseHeaderBytes: maxHead,
		},
		CheckRedirect: func(*nethttp.Request, []*nethttp.Request) error { return nethttp.ErrUseLastResponse },
	}
	return t
}

// Stats counts what a transport did since it was made.
type Stats struct {
	Links     int    // open at present
	Encrypted int    // of these
	Tunnels   uint64 // accepted from Juxta peers
	Polls     uint64 // links accepted from original peers, which poll
	Posts     uint64 // messages that they posted

	RefusedRequests uint64 // requests and connections turned away because of a limit or a rule
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
		Links: links, Encrypted: s.Encrypted, Tunnels: c.tunnels.Load(), Polls: c.polls.Load(), Posts: c.posts.Load(),
		RefusedRequests: c.refused.Load(), BadRequests: c.bad.Load(), FailedRequests: c.failed.Load(),
		BadFrame: c.badFrame.Load() + s.BadFrame, BadWelcome: s.BadWelcome + s.BadTLS, Unproven: c.unproven.Load() + s.Unproven + s.OtherKey,
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
		Handler: nethttp.HandlerFunc(t.serve), ReadHeaderTimeout: t.times.head, MaxHeaderBytes: maxHead - headSlack,
		IdleTimeout: idleConnections, ConnState: t.connState, ErrorLog: slog.NewLogLogger(h.Logger.Handler(), slog.LevelDebug),
	}
	listen := net.ListenConfig{KeepAliveConfig: keepAlive}
	for _, at := range places {
		ln, err := listen.Listen(t.ctx, "tcp", at)
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
	var links []interface{ Close() error }
	for _, l := range t.polled {
		links = append(links, l)
	}
	for l := range t.posting {
		links = append(links, l)
	}
	accepted, dialled := slices.Collect(maps.Values(t.sessions)), slices.Collect(maps.Keys(t.sides))
	t.mu.Unlock()
	var all sync.WaitGroup
	all.Go(t.set.Close)
	for _, l := range links {
		all.Go(func() { _ = l.Close() })
	}
	all.Wait()
	by := time.Now().Add(drainFor)
	for _, s := range accepted { // the other sides hear of the end
		s.drained(by)
		s.fail(net.ErrClosed)
	}
	for _, s := range dialled {
		s.finished(by)
	}
	t.cancel(endpoint.ErrClosed)
	t.mu.Lock()
	t.shut = true
	t.mu.Unlock()
	var err error
	if t.server != nil {
		err = t.server.Close()
	}
	for _, ln := range t.listeners { // of which the server may not know yet
		_ = ln.Close()
	}
	t.wg.Wait()
	t.client.CloseIdleConnections()
	return err
}

// enter has Close wait for a request. It reports false if it is too late.
func (t *Transport) enter() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.shut {
		return false
	}
	t.wg.Add(1)
	return true
}

var (
	errInsecure = fmt.Errorf("%w: only encrypted links are wanted here", endpoint.ErrUnproven)
	errClaimed  = fmt.Errorf("%w: the ID is made of a key", endpoint.ErrUnproven)
)

// admitted applies the rules of the host on who may go unproven.
func (t *Transport) admitted(p id.Peer) error {
	switch {
	case t.host.RequireSecure:
		return errInsecure
	case p.Provable() && t.set.Secures() && !t.host.AllowClaimed:
		return errClaimed
	}
	return nil
}

func (t *Transport) offend(ip, limit string) {
	if t.host.Offend != nil {
		t.host.Offend(ip, id.Peer{}, "HTTP "+limit)
	}
}

var _ endpoint.Transport = (*Transport)(nil)
