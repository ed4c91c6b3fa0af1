package memory

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/juxta-p2p/juxta/core/endpoint"
)

// TransportConfig describes one host of a network.
type TransportConfig struct {
	// Name is the host part of its address, mem://Name. Required, unique in
	// the network; case does not count, as in every address.
	Name string
	// Deaf hosts cannot be dialled, only dial, as behind NAT.
	Deaf bool
	// Segment is the neighbourhood that broadcasts reach; empty means none.
	Segment string
	// Original hosts say nothing of Juxta on their links, so that others send them only
	// what peers of JXSE understand.
	Original bool
}

// Transport makes the transport of one host. It joins the network when the
// endpoint starts it.
func (n *Network) Transport(cfg TransportConfig) *Transport {
	cfg.Name = strings.ToLower(cfg.Name)
	return &Transport{net: n, name: cfg.Name, cfg: cfg, closing: make(chan struct{})}
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
	dials   map[string]uint64 // how often each host was dialled
	casts   uint64            // how many datagrams were sent
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
	n := t.net
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.hosts[t.name] != nil {
		return fmt.Errorf("memory: %s: %w", t.address(), errTaken)
	}
	t.host = h
	n.hosts[t.name] = t
	if s := t.cfg.Segment; s != "" {
		i, _ := slices.BinarySearchFunc(n.segments[s], t, byName)
		n.segments[s] = slices.Insert(slices.Clone(n.segments[s]), i, t)
	}
	return nil
}

func byName(a, b *Transport) int { return strings.Compare(a.name, b.name) }

// leave takes the host off the network, if it is there.
func (t *Transport) leave() {
	n := t.net
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.hosts[t.name] != t {
		return
	}
	delete(n.hosts, t.name)
	if s := t.cfg.Segment; s != "" {
		n.segments[s] = slices.DeleteFunc(slices.Clone(n.segments[s]), func(o *Transport) bool { return o == t })
		if len(n.segments[s]) == 0 {
			delete(n.segments, s)
		}
	}
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
	which := t.dialled(addr.Host)
	c := t.net.newChance(drawDial, t.name, addr.Host, which)
	if err := t.pause(ctx, 2*t.net.delay(&c)); err != nil {
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
	other := t.net.host(addr.Host)
	if other == nil || other.cfg.Deaf {
		return fail(endpoint.PhaseConnect, errNoHost)
	}
	a, b := newLinks(t, other, which)
	if err := other.open(b); err != nil {
		var r *endpoint.Refusal
		if errors.As(err, &r) {
			err = &endpoint.Refusal{Peer: other.host.Peer, Rule: r.Rule, When: r.When}
		}
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

// dialled counts an attempt to dial the host.
func (t *Transport) dialled(host string) uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.dials == nil {
		t.dials = map[string]uint64{}
	}
	t.dials[host]++
	return t.dials[host]
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
	if d <= 0 {
		return nil
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
	if t.links == nil {
		t.links = map[*link]struct{}{}
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
	if t.cfg.Segment == "" {
		return fmt.Errorf("memory: broadcast: %w", errNoSegment)
	}
	t.mu.Lock()
	closed := t.closed
	t.casts++
	which := t.casts
	t.mu.Unlock()
	if closed {
		return fmt.Errorf("memory: broadcast: %w", endpoint.ErrClosed)
	}
	n := t.net
	n.mu.RLock()
	to := n.segments[t.cfg.Segment] // replaced, never changed
	n.mu.RUnlock()
	for _, o := range to {
		if o == t || !n.connected(t.name, o.name) {
			continue
		}
		c := n.newChance(drawDatagram, t.name, o.name, which)
		if d := n.delay(&c); !c.happens(n.cfg.Loss) {
			o.datagram(slices.Clone(body), d)
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

// shut takes the host off the network and closes its links, without waiting for
// anything.
func (t *Transport) shut() {
	t.mu.Lock()
	if !t.closed {
		t.closed = true
		close(t.closing)
	}
	t.mu.Unlock()
	t.leave()
	for _, l := range t.openLinks() {
		_ = l.Close()
	}
}

// Close implements [endpoint.Transport].
func (t *Transport) Close() error {
	t.shut()
	t.wg.Wait()
	return nil
}
