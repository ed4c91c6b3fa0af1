// Package memory is a network in a box: any number of peers in one process,
// with latency, loss of datagrams, partitions and a seeded source of chance.
//
// It is a transport like any other, for tests, simulations and programs that
// hold several peers. Time is that of package time, so inside a testing/synctest
// bubble hours of network life take moments. A link at rest costs no goroutine.
package memory

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/juxta-p2p/juxta/core/endpoint"
)

// Protocol is the protocol of memory addresses: mem://name.
const Protocol = "mem"

// Config describes a network. The zero value is instant and loses nothing.
type Config struct {
	// Latency is the time a message takes one way.
	Latency time.Duration
	// Jitter is the most that is added to Latency by chance. Messages of one
	// link stay in order.
	Jitter time.Duration
	// Loss is the share of broadcast datagrams that vanish per receiver, 0 to 1.
	// Links lose nothing, as with TCP.
	Loss float64
	// Seed makes the choices repeatable.
	Seed uint64
}

// Network connects the transports made by it. Its methods are safe for
// concurrent use.
type Network struct {
	cfg Config

	mu     sync.Mutex
	rng    *rand.Rand
	hosts  map[string]*Transport // listening or broadcasting, by name
	island map[string]int        // 0 if absent
}

// New makes a network.
func New(cfg Config) *Network {
	return &Network{
		cfg: cfg, rng: rand.New(rand.NewPCG(cfg.Seed, 0x6a78)),
		hosts: map[string]*Transport{}, island: map[string]int{},
	}
}

// Partition puts the named hosts on an island of their own. Nothing crosses its
// shore: dialling waits for nothing, datagrams vanish, what is sent on a link is
// held up, and a link across it breaks, each side for itself, if the partition
// is not healed within [BreakAfter].
func (n *Network) Partition(names ...string) {
	n.mu.Lock()
	next := 1
	for _, i := range n.island {
		next = max(next, i+1)
	}
	for _, name := range names {
		n.island[strings.ToLower(name)] = next
	}
	n.mu.Unlock()
	n.newShore()
}

// Heal undoes every partition: what was held up goes on. Links that have broken
// stay broken.
func (n *Network) Heal() {
	n.mu.Lock()
	clear(n.island)
	n.mu.Unlock()
	n.newShore()
}

// newShore tells every link that the islands have changed.
func (n *Network) newShore() {
	n.mu.Lock()
	hosts := make([]*Transport, 0, len(n.hosts))
	for _, t := range n.hosts {
		hosts = append(hosts, t)
	}
	n.mu.Unlock()
	for _, t := range hosts {
		for _, l := range t.openLinks() {
			l.ashore()
		}
	}
}

func (n *Network) connected(a, b string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.island[a] == n.island[b]
}

func (n *Network) delay() time.Duration {
	if n.cfg.Jitter <= 0 {
		return n.cfg.Latency
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.cfg.Latency + time.Duration(n.rng.Int64N(int64(n.cfg.Jitter)))
}

func (n *Network) lost() bool {
	if n.cfg.Loss <= 0 {
		return false
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.rng.Float64() < n.cfg.Loss
}

// TransportConfig describes one host of a network.
type TransportConfig struct {
	// Name is the host part of its address, mem://Name. Required, unique in
	// the network; case does not count, as in every address.
	Name string
	// Deaf hosts cannot be dialled, only dial, as behind NAT.
	Deaf bool
	// Segment is the neighbourhood that broadcasts reach; empty means none.
	Segment string
}

// Transport makes the transport of one host. It joins the network when the
// endpoint starts it.
func (n *Network) Transport(cfg TransportConfig) *Transport {
	cfg.Name = strings.ToLower(cfg.Name)
	return &Transport{net: n, name: cfg.Name, cfg: cfg, links: map[*link]struct{}{}, closing: make(chan struct{})}
}

// Transport is one host's way into a [Network]. It implements
// [endpoint.Broadcaster].
type Transport struct {
	net  *Network
	name string
	cfg  TransportConfig
	host endpoint.Host
	wg   sync.WaitGroup

	mu      sync.Mutex
	links   map[*link]struct{}
	closed  bool
	closing chan struct{}
}

var _ endpoint.Broadcaster = (*Transport)(nil)

// Errors of this transport, as causes of a *endpoint.DialError.
var (
	errNoHost    = errors.New("no host of this name listens")
	errTaken     = errors.New("the name is taken")
	errNoSegment = errors.New("the host is in no segment")
)

// Protocol implements [endpoint.Transport].
func (t *Transport) Protocol() string { return Protocol }

// Start implements [endpoint.Transport]. It fails when the name is taken.
func (t *Transport) Start(h endpoint.Host) error {
	t.net.mu.Lock()
	defer t.net.mu.Unlock()
	if t.net.hosts[t.name] != nil {
		return fmt.Errorf("memory: %s: %w", t.address(), errTaken)
	}
	t.host = h
	t.net.hosts[t.name] = t
	return nil
}

func (t *Transport) address() endpoint.Address {
	return endpoint.Address{Protocol: Protocol, Host: t.name}
}

// Addresses implements [endpoint.Transport].
func (t *Transport) Addresses() []endpoint.Address {
	if t.cfg.Deaf {
		return nil
	}
	return []endpoint.Address{t.address()}
}

// Group implements [endpoint.Broadcaster].
func (t *Transport) Group() endpoint.Address {
	return endpoint.Address{Protocol: "mcast", Host: "segment-" + t.cfg.Segment}
}

// Dial implements [endpoint.Transport].
func (t *Transport) Dial(ctx context.Context, addr endpoint.Address) (endpoint.Link, error) {
	fail := func(p endpoint.Phase, err error) (endpoint.Link, error) {
		return nil, &endpoint.DialError{Addr: addr, Phase: p, Err: err}
	}
	if addr.Protocol != Protocol {
		return fail(endpoint.PhaseAddress, endpoint.ErrNoTransport)
	}
	if err := t.pause(ctx, 2*t.net.delay()); err != nil {
		return fail(endpoint.PhaseConnect, err)
	}
	if !t.net.connected(t.name, addr.Host) { // a black hole
		select {
		case <-ctx.Done():
			return fail(endpoint.PhaseConnect, context.Cause(ctx))
		case <-t.closing:
			return fail(endpoint.PhaseConnect, endpoint.ErrClosed)
		}
	}
	t.net.mu.Lock()
	other := t.net.hosts[addr.Host]
	t.net.mu.Unlock()
	if other == nil || other.cfg.Deaf {
		return fail(endpoint.PhaseConnect, errNoHost)
	}
	a := newLink(t, addr.Base(), true)
	b := newLink(other, endpoint.Address{Protocol: Protocol, Host: t.name}, false)
	a.peer, b.peer = b, a
	if err := other.open(b); err != nil {
		return fail(endpoint.PhasePolicy, err)
	}
	if err := t.open(a); err != nil {
		_ = b.Close()
		return fail(endpoint.PhasePolicy, err)
	}
	a.ashore() // a partition may have come between
	b.ashore()
	return a, nil
}

// pause waits, but not longer than ctx and the transport live.
func (t *Transport) pause(ctx context.Context, d time.Duration) error {
	select {
	case <-t.closing:
		return endpoint.ErrClosed
	case <-ctx.Done():
		return context.Cause(ctx)
	default:
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-t.closing:
		return endpoint.ErrClosed
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// open registers the link and tells the host, before anything is delivered.
func (t *Transport) open(l *link) error {
	t.mu.Lock()
	if t.closed {
		t.mu.Unlock()
		return endpoint.ErrClosed
	}
	t.links[l] = struct{}{}
	t.wg.Add(1) // until the link is finished
	t.mu.Unlock()
	if err := t.host.Opened(l); err != nil {
		t.drop(l)
		return err
	}
	l.start()
	return nil
}

func (t *Transport) drop(l *link) {
	t.mu.Lock()
	delete(t.links, l)
	t.mu.Unlock()
	t.wg.Done()
}

func (t *Transport) openLinks() []*link {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := make([]*link, 0, len(t.links))
	for l := range t.links {
		all = append(all, l)
	}
	return all
}

// Broadcast implements [endpoint.Broadcaster].
func (t *Transport) Broadcast(_ context.Context, body []byte) error {
	select {
	case <-t.closing:
		return fmt.Errorf("memory: broadcast: %w", endpoint.ErrClosed)
	default:
	}
	if t.cfg.Segment == "" {
		return fmt.Errorf("memory: broadcast: %w", errNoSegment)
	}
	t.net.mu.Lock()
	var to []*Transport
	for _, o := range t.net.hosts {
		if o != t && o.cfg.Segment == t.cfg.Segment && t.net.island[o.name] == t.net.island[t.name] {
			to = append(to, o)
		}
	}
	t.net.mu.Unlock()
	slices.SortFunc(to, func(a, b *Transport) int { return strings.Compare(a.name, b.name) })
	for _, o := range to {
		if !t.net.lost() {
			o.datagram(slices.Clone(body), t.net.delay())
		}
	}
	return nil
}

func (t *Transport) datagram(body []byte, after time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return
	}
	t.wg.Go(func() {
		if t.pause(context.Background(), after) == nil {
			_ = t.host.Receive(nil, body)
		}
	})
}

// Close implements [endpoint.Transport].
func (t *Transport) Close() error {
	t.mu.Lock()
	if !t.closed {
		t.closed = true
		close(t.closing)
	}
	t.mu.Unlock()
	t.net.mu.Lock()
	if t.net.hosts[t.name] == t {
		delete(t.net.hosts, t.name)
	}
	t.net.mu.Unlock()
	for _, l := range t.openLinks() {
		_ = l.Close()
	}
	t.wg.Wait()
	return nil
}
