// Package multicast is the JXTA IP multicast transport: one UDP datagram, with
// one message in it, to every peer of the local network. There are no links;
// what comes in is unauthenticated, and where it claims to come from a hint.
//
// JXTA v2 specification, chapter "Standard Message Transports". As JXSE 2.5 does
// it: group 224.0.1.85, port 1234 at both ends, TTL 1, no welcome.
package multicast

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/juxta-p2p/juxta/core/endpoint"
)

// Protocol is the protocol of the group address, mcast://224.0.1.85:1234.
const Protocol = "mcast"

// DefaultGroup is the group address and port of JXTA peers.
const DefaultGroup = "224.0.1.85:1234"

// Errors of sending and dialling.
var (
	// ErrTooLarge: the message does not fit a datagram.
	ErrTooLarge = errors.New("message is too large for a datagram")
	// ErrNoInterface: no network interface can multicast now.
	ErrNoInterface = errors.New("no network interface for multicast")
	// ErrNoLinks: multicast reaches everybody or nobody.
	ErrNoLinks = errors.New("multicast has no links to single peers")
)

// Config configures a [Transport]. The zero value serves the group of JXTA on
// every interface.
type Config struct {
	// Group is the IPv4 multicast address and port. Empty means DefaultGroup.
	Group string

	// Interfaces are the names of the network interfaces to use. Empty means
	// all that are up and can multicast; loopback only where no other is.
	Interfaces []string

	// SourceRate and TotalRate bound the datagrams taken in a second from one
	// IP address and from all. Zero means 200 and 1000.
	SourceRate, TotalRate int

	// Quiet makes the transport listen and say nothing until it hears somebody.
	// What is multicast everybody near by can read; peers that have other means
	// to find each other need it only for original JXTA peers, which speak
	// unasked.
	Quiet bool

	// MaxDatagram bounds what is sent, in octets with headers. Zero means
	// 16384, which JXSE receives; the largest is 65507.
	MaxDatagram int
}

// Transport implements [endpoint.Broadcaster] over IP multicast. Its methods
// are safe for concurrent use. Messages are delivered on one goroutine; while a
// handler runs, the system keeps some datagrams and drops the rest.
type Transport struct {
	cfg      Config
	group    netip.AddrPort
	groupErr error
	host     endpoint.Host
	limit    limiter // of the reading goroutine
	stats    counters
	ctx      context.Context
	cancel   context.CancelFunc
	wg       sync.WaitGroup

	rejoinEvery time.Duration

	// members is replaced by the rejoining goroutine alone.
	members atomic.Pointer[membership]

	heard atomic.Bool // somebody else multicasts

	mu     sync.Mutex
	closed bool
	conn   *conn
}

// New makes a transport; the endpoint starts it.
func New(cfg Config) *Transport {
	cfg.Interfaces = slices.Clone(cfg.Interfaces)
	if cfg.Group == "" {
		cfg.Group = DefaultGroup
	}
	if cfg.SourceRate <= 0 {
		cfg.SourceRate = defaultSourceRate
	}
	if cfg.TotalRate <= 0 {
		cfg.TotalRate = defaultTotalRate
	}
	if cfg.MaxDatagram <= 0 {
		cfg.MaxDatagram = defaultMaxDatagram
	}
	cfg.MaxDatagram = min(cfg.MaxDatagram, maxRead)
	t := &Transport{cfg: cfg, limit: newLimiter(cfg.SourceRate, cfg.TotalRate), rejoinEvery: rejoinInterval}
	t.group, t.groupErr = netip.ParseAddrPort(cfg.Group)
	if t.groupErr == nil && (!t.group.Addr().Is4() || !t.group.Addr().IsMulticast() || t.group.Port() == 0) {
		t.groupErr = errors.New("not an IPv4 multicast address with a port")
	}
	t.members.Store(&membership{})
	t.ctx, t.cancel = context.WithCancel(context.Background())
	return t
}

// Stats counts what a transport did since it was made. What the system drops
// because its buffer is full while a handler runs, it does not tell.
type Stats struct {
	Sent       uint64 // datagrams handed to the system, one for each interface
	Received   uint64 // messages delivered
	Foreign    uint64 // datagrams to another group, or from outside the local networks: not for this transport
	Interfaces int    // those the group is joined on at present

	HeldBack       uint64 // messages not sent since nobody was heard
	UnsentTooLarge uint64 // messages that do not fit a datagram
	Unsent         uint64 // messages that went out on no interface, and datagrams that one of several did not take

	DroppedMalformed uint64 // datagrams that held no message
	DroppedOverRate  uint64 // datagrams above the rate of their source, or of all
	DroppedSources   uint64 // datagrams of sources for which there was no room in the table of rates
	FailedReads      uint64 // errors of the system; some datagram may be gone
}

type counters struct {
	sent, received, foreign, heldBack, tooLarge, unsent, malformed, overRate, sources, reads atomic.Uint64
}

// Stats returns the counters.
func (t *Transport) Stats() Stats {
	c := &t.stats
	return Stats{
		Sent: c.sent.Load(), Received: c.received.Load(), Foreign: c.foreign.Load(), Interfaces: len(*t.members.Load()),
		HeldBack: c.heldBack.Load(), UnsentTooLarge: c.tooLarge.Load(), Unsent: c.unsent.Load(), DroppedMalformed: c.malformed.Load(),
		DroppedOverRate: c.overRate.Load(), DroppedSources: c.sources.Load(), FailedReads: c.reads.Load(),
	}
}

// Protocol implements [endpoint.Transport].
func (t *Transport) Protocol() string { return Protocol }

// Group implements [endpoint.Broadcaster].
func (t *Transport) Group() endpoint.Address {
	return endpoint.Address{Protocol: Protocol, Host: t.cfg.Group}
}

// Addresses implements [endpoint.Transport]; it is always empty.
func (t *Transport) Addresses() []endpoint.Address { return nil }

// Dial implements [endpoint.Transport]; it always fails with [ErrNoLinks].
func (t *Transport) Dial(_ context.Context, addr endpoint.Address) (endpoint.Link, error) {
	return nil, &endpoint.DialError{Addr: addr, Phase: endpoint.PhaseAddress, Err: fmt.Errorf("multicast: %w", ErrNoLinks)}
}

// Start implements [endpoint.Transport]. It joins the group on the interfaces,
// and then on those that come up later. The error wraps [ErrNoInterface] if
// there is none yet.
func (t *Transport) Start(h endpoint.Host) error {
	if t.groupErr != nil {
		return fmt.Errorf("multicast: group %q: %w", t.cfg.Group, t.groupErr)
	}
	c, err := listen(t.group)
	if err != nil {
		return err
	}
	if err := t.join(c); err != nil {
		_ = c.Close()
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		_ = c.Close()
		return fmt.Errorf("multicast: %w", endpoint.ErrClosed)
	}
	t.host, t.conn = h, c
	t.wg.Go(func() { t.read(c) })
	t.wg.Go(func() { t.rejoin(c) })
	return nil
}

// Broadcast implements [endpoint.Broadcaster]: it sends one datagram on each
// interface, and fails if none takes it. The error wraps [ErrTooLarge],
// [ErrNoInterface] or [endpoint.ErrClosed], or is that of the system. While
// [Config.Quiet] holds, nothing is sent, which is counted and no error.
func (t *Transport) Broadcast(ctx context.Context, body []byte) error {
	if err := ctx.Err(); err != nil {
		t.stats.unsent.Add(1)
		return fmt.Errorf("multicast: %w", err)
	}
	if t.cfg.Quiet && !t.heard.Load() {
		t.stats.heldBack.Add(1)
		return nil
	}
	if n := overhead + len(body); n > t.cfg.MaxDatagram {
		t.stats.tooLarge.Add(1)
		return fmt.Errorf("multicast: %w: %d octets, the limit is %d", ErrTooLarge, n, t.cfg.MaxDatagram)
	}
	t.mu.Lock()
	c := t.conn
	t.mu.Unlock()
	if c == nil {
		t.stats.unsent.Add(1)
		return fmt.Errorf("multicast: %w", endpoint.ErrClosed)
	}
	bp := datagrams.Get().(*[]byte)
	defer datagrams.Put(bp)
	*bp = appendDatagram((*bp)[:0], body)
	first := ErrNoInterface
	done, failed := false, uint64(0)
	for _, m := range *t.members.Load() {
		if err := c.send(*bp, m); err == nil {
			done = true
			t.stats.sent.Add(1)
		} else {
			failed++
			if errors.Is(first, ErrNoInterface) {
				first = err
			}
		}
		if c.plain {
			break // all leave by the same interface
		}
	}
	if done {
		t.stats.unsent.Add(failed)
		return nil
	}
	t.stats.unsent.Add(1)
	return fmt.Errorf("multicast: %w", first)
}

var datagrams = sync.Pool{New: func() any { b := make([]byte, 0, defaultMaxDatagram); return &b }}

// Close implements [endpoint.Transport]. It is idempotent.
func (t *Transport) Close() error {
	t.mu.Lock()
	c := t.conn
	t.closed, t.conn = true, nil
	t.mu.Unlock()
	t.cancel()
	var err error
	if c != nil {
		err = c.Close()
	}
	t.wg.Wait()
	return err
}

// read delivers datagrams until the socket is closed.
func (t *Transport) read(c *conn) {
	buf := make([]byte, maxRead+1)
	var warned time.Time
	for {
		n, from, err := c.receive(buf)
		if t.ctx.Err() != nil {
			return
		}
		if err != nil {
			t.stats.reads.Add(1)
			t.host.Logger.Debug("multicast read failed", "err", err)
			select {
			case <-t.ctx.Done():
				return
			case <-time.After(readRetry):
			}
			continue
		}
		if !t.members.Load().takes(from, t.group.Addr()) {
			t.stats.foreign.Add(1)
			continue
		}
		if now := time.Now(); !t.admit(from, now) {
			if now.Sub(warned) > warnInterval {
				warned = now
				t.host.Logger.Warn("too many multicast datagrams, some are dropped", "from", from.ip)
			}
			continue
		}
		body, err := parseDatagram(buf[:n])
		if err == nil {
			err = t.host.Receive(nil, slices.Clone(body))
		}
		if err != nil {
			t.stats.malformed.Add(1)
			t.host.Logger.Debug("multicast datagram dropped", "from", from.ip, "err", err)
			continue
		}
		t.stats.received.Add(1)
		if !t.heard.Load() {
			t.heard.Store(true)
		}
	}
}

// admit applies the rate limits.
func (t *Transport) admit(from origin, now time.Time) bool {
	switch t.limit.allow(from.ip, now) {
	case overRate:
		t.stats.overRate.Add(1)
		return false
	case tooMany:
		t.stats.sources.Add(1)
		return false
	}
	return true
}

// rejoin follows the interfaces as they come and go.
func (t *Transport) rejoin(c *conn) {
	tick := time.NewTicker(t.rejoinEvery)
	defer tick.Stop()
	for {
		select {
		case <-t.ctx.Done():
			return
		case <-tick.C:
		}
		if err := t.join(c); err != nil && t.ctx.Err() == nil {
			t.host.Logger.Debug("multicast has no interface", "err", err)
		}
	}
}
