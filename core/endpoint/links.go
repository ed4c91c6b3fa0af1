package endpoint

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/juxta-p2p/juxta/core/id"
)

// conn is what the endpoint keeps about a link.
type conn struct {
	Link
	opened   time.Time
	used     atomic.Int64 // unix ns of the last message in either direction
	received atomic.Int64 // unix ns of the last message from the other side

	// in caches the addresses of the last message; it belongs to the reading goroutine.
	in parsedAddresses
}

func (c *conn) touch() { c.used.Store(time.Now().UnixNano()) }

// LinkEvent tells that a link came up or went down.
type LinkEvent struct {
	Link Link
	Up   bool

	// Last reports, for a link that went down, that no other link to the
	// same peer is left.
	Last bool
}

type watch struct{ f func(LinkEvent) }

// Watch calls f for every link that comes up or goes down from now on, until
// stop is called. f must not block; it may be called from several goroutines.
func (e *Endpoint) Watch(f func(LinkEvent)) (stop func()) {
	w := &watch{f}
	e.lmu.Lock()
	defer e.lmu.Unlock()
	e.watches[w] = struct{}{}
	return func() {
		e.lmu.Lock()
		defer e.lmu.Unlock()
		delete(e.watches, w)
	}
}

func (e *Endpoint) notify(ev LinkEvent) {
	e.lmu.RLock()
	all := make([]*watch, 0, len(e.watches))
	for w := range e.watches {
		all = append(all, w)
	}
	e.lmu.RUnlock()
	for _, w := range all {
		w.f(ev)
	}
}

// LinkTo returns the link on which to send to a peer, or nil. Of several it is
// a proven one before a claimed one and the newest before an older one, except
// that a claim from another place does not displace a link that is alive.
func (e *Endpoint) LinkTo(p id.Peer) Link {
	e.lmu.RLock()
	defer e.lmu.RUnlock()
	var best *conn
	for _, c := range e.byPeer[p] {
		if best == nil || c.preferredTo(best) {
			best = c
		}
	}
	if best == nil {
		return nil
	}
	return best.Link
}

// preferredTo reports whether c, which is newer, is the better way.
func (c *conn) preferredTo(old *conn) bool {
	if c.Proven() != old.Proven() {
		return c.Proven()
	}
	if c.Outgoing() || c.Origin() == old.Origin() {
		return true
	}
	return time.Since(time.Unix(0, old.received.Load())) > claimGrace
}

// Links returns all open links.
func (e *Endpoint) Links() []Link {
	e.lmu.RLock()
	defer e.lmu.RUnlock()
	all := make([]Link, 0, len(e.byLink))
	for l := range e.byLink {
		all = append(all, l)
	}
	return all
}

// dialCall is one attempt that several callers wait for.
type dialCall struct {
	done chan struct{}
	link Link
	err  error
}

// Dial returns a link to the address: an open one that was dialled under the
// same address, the one another caller is just opening, or a new one. ctx
// bounds the wait, and ends the attempt if nobody else waits for it. The error
// is a *[DialError], or wraps [ErrNoTransport], [ErrClosed] or ctx's cause.
func (e *Endpoint) Dial(ctx context.Context, addr Address) (Link, error) {
	addr = addr.Base()
	e.lmu.Lock()
	if e.closed {
		e.lmu.Unlock()
		return nil, fmt.Errorf("endpoint: dial %s: %w", addr, ErrClosed)
	}
	if c := e.dialled[addr]; c != nil {
		e.lmu.Unlock()
		return c.Link, nil
	}
	call := e.dialing[addr]
	if call == nil {
		t := e.transport(addr.Protocol)
		if t == nil {
			e.lmu.Unlock()
			return nil, &DialError{Addr: addr, Phase: PhaseAddress, Err: ErrNoTransport}
		}
		call = &dialCall{done: make(chan struct{})}
		e.dialing[addr] = call
		e.wg.Go(func() { e.dial(t, addr, call) })
	}
	e.lmu.Unlock()
	select {
	case <-call.done:
		return call.link, call.err
	case <-ctx.Done():
		return nil, &DialError{Addr: addr, Phase: PhaseConnect, Err: context.Cause(ctx)}
	}
}

func (e *Endpoint) transport(protocol string) Transport {
	e.tmu.RLock()
	defer e.tmu.RUnlock()
	for _, t := range e.transports {
		if t.Protocol() == protocol {
			return t
		}
	}
	return nil
}

// Serves reports whether a transport dials addresses of this protocol.
func (e *Endpoint) Serves(protocol string) bool { return e.transport(protocol) != nil }

func (e *Endpoint) dial(t Transport, addr Address, call *dialCall) {
	ctx, cancel := context.WithTimeout(e.ctx, dialTimeout)
	defer cancel()
	l, err := t.Dial(ctx, addr)
	if errors.Is(err, ErrSelf) {
		err = &DialError{Addr: addr, Phase: PhaseIdentity, Err: ErrSelf}
	}
	e.lmu.Lock()
	delete(e.dialing, addr)
	e.lmu.Unlock()
	if err != nil {
		call.err = err
		e.log.Debug("dialling failed", "address", addr.String(), "error", err)
	} else {
		call.link = l
	}
	close(call.done)
}

// ErrSelf is the cause when an address turns out to be this very peer's.
var ErrSelf = errors.New("the address is this peer's own")

// opened takes a link in, before the transport begins to read it.
func (e *Endpoint) opened(l Link) error {
	if l.Peer() == e.cfg.Peer {
		return ErrSelf
	}
	c := &conn{Link: l, opened: time.Now()}
	c.touch()
	c.received.Store(c.used.Load())
	e.lmu.Lock()
	switch {
	case e.closed:
		e.lmu.Unlock()
		return ErrClosed
	case len(e.byLink) >= e.cfg.MaxLinks:
		e.lmu.Unlock()
		return ErrTooManyLinks
	}
	e.byLink[l] = c
	e.byPeer[l.Peer()] = append(e.byPeer[l.Peer()], c)
	if l.Outgoing() {
		e.dialled[l.Remote().Base()] = c
	}
	e.lmu.Unlock()
	e.stats.links.Add(1)
	e.log.Debug("link up", "peer", l.Peer().Short(), "remote", l.Remote().String(), "outgoing", l.Outgoing())
	e.notify(LinkEvent{Link: l, Up: true})
	return nil
}

func (e *Endpoint) linkClosed(l Link) {
	e.lmu.Lock()
	c := e.byLink[l]
	if c == nil {
		e.lmu.Unlock()
		return
	}
	delete(e.byLink, l)
	rest := slices.DeleteFunc(e.byPeer[l.Peer()], func(x *conn) bool { return x == c })
	if len(rest) == 0 {
		delete(e.byPeer, l.Peer())
	} else {
		e.byPeer[l.Peer()] = rest
	}
	for a, x := range e.dialled {
		if x == c {
			delete(e.dialled, a)
		}
	}
	e.lmu.Unlock()
	e.log.Debug("link down", "peer", l.Peer().Short(), "remote", l.Remote().String())
	e.notify(LinkEvent{Link: l, Last: len(rest) == 0})
}

// closeIdle closes links that carried nothing for the idle time.
func (e *Endpoint) closeIdle() {
	t := time.NewTicker(max(e.cfg.IdleTimeout/15, time.Second))
	defer t.Stop()
	for {
		select {
		case <-e.ctx.Done():
			return
		case <-t.C:
		}
		e.lmu.RLock()
		var idle []Link
		for l, c := range e.byLink {
			if time.Since(time.Unix(0, c.used.Load())) > e.cfg.IdleTimeout {
				idle = append(idle, l)
			}
		}
		e.lmu.RUnlock()
		for _, l := range idle {
			_ = l.Close()
		}
	}
}

// Stats counts what went through an endpoint since it was made.
type Stats struct {
	Sent, Failed      uint64 // messages handed to links; refused by links
	Received          uint64 // messages that came in
	Delivered         uint64 // of these, those that a service took
	DroppedMalformed  uint64 // octets that were no message
	DroppedNoAddress  uint64 // without source or destination
	DroppedNoListener uint64 // for a service nobody listens to
	LinksOpened       uint64
}

type counters struct {
	sent, failed, received, delivered, malformed, noAddress, noListener, links atomic.Uint64
}

// Stats returns the counters.
func (e *Endpoint) Stats() Stats {
	c := &e.stats
	return Stats{
		Sent: c.sent.Load(), Failed: c.failed.Load(), Received: c.received.Load(), Delivered: c.delivered.Load(),
		DroppedMalformed: c.malformed.Load(), DroppedNoAddress: c.noAddress.Load(), DroppedNoListener: c.noListener.Load(),
		LinksOpened: c.links.Load(),
	}
}

// loopback delivers messages of the peer to itself, in order, on one goroutine
// that lives only while there are any.
type loopback struct {
	mu      sync.Mutex
	queue   []Incoming
	running bool
	wg      sync.WaitGroup
}

func (lb *loopback) put(e *Endpoint, in Incoming) error {
	lb.mu.Lock()
	defer lb.mu.Unlock()
	if e.ctx.Err() != nil {
		return fmt.Errorf("endpoint: %w", ErrClosed)
	}
	if len(lb.queue) >= maxLoopback {
		return fmt.Errorf("endpoint: %w", ErrQueueFull)
	}
	lb.queue = append(lb.queue, in)
	if !lb.running {
		lb.running = true
		lb.wg.Go(func() { lb.run(e) })
	}
	return nil
}

func (lb *loopback) run(e *Endpoint) {
	for {
		lb.mu.Lock()
		if len(lb.queue) == 0 || e.ctx.Err() != nil {
			lb.running, lb.queue = false, nil
			lb.mu.Unlock()
			return
		}
		in := lb.queue[0]
		lb.queue = lb.queue[1:]
		lb.mu.Unlock()
		e.Deliver(in, true)
	}
}

func (lb *loopback) wait() { lb.wg.Wait() }
