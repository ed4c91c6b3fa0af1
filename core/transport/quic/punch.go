package quic

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"time"

	"github.com/juxta-p2p/juxta/core/endpoint"
)

// puncher waits for a connection from a place.
type puncher struct {
	at   netip.AddrPort
	came chan endpoint.Link // holds one
}

var (
	errPunchers  = errors.New("too many peers are waited for")
	errElsewhere = errors.New("no port that takes connections leads there")
)

// Punch implements [endpoint.Puncher]. The leader dials, again and again; the other
// side sends it packets that open the own address translator, and returns the link
// that comes from addr. A link that comes from another port, as through some
// translators, is told by Opened only. A peer that is ClientOnly takes connections
// from the IP address of addr meanwhile.
func (t *Transport) Punch(ctx context.Context, addr endpoint.Address, lead bool) (endpoint.Link, error) {
	if !t.begin() {
		return nil, &endpoint.DialError{Addr: addr, Phase: endpoint.PhaseConnect, Err: endpoint.ErrClosed}
	}
	defer t.wg.Done()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(t.ctx, func() { cancel(endpoint.ErrClosed) })()
	if lead {
		return t.lead(ctx, addr)
	}
	l, phase, err := t.follow(ctx, addr)
	if err != nil {
		return nil, &endpoint.DialError{Addr: addr, Phase: phase, Err: err}
	}
	return l, nil
}

// lead dials until a link is open.
func (t *Transport) lead(ctx context.Context, addr endpoint.Address) (endpoint.Link, error) {
	for {
		began := time.Now()
		attempt, cancel := context.WithTimeout(ctx, t.times.punch)
		c, phase, err := t.connect(attempt, addr)
		if err == nil {
			defer cancel()
			return t.dialledOn(ctx, c, addr)
		}
		cancel()
		if phase == endpoint.PhaseAddress || phase == endpoint.PhaseResolve {
			return nil, &endpoint.DialError{Addr: addr, Phase: phase, Err: err}
		}
		select { // what fails at once may do so because the other side has not begun
		case <-time.After(punchEvery - min(punchEvery, time.Since(began))):
		case <-ctx.Done():
			return nil, &endpoint.DialError{Addr: addr, Phase: phase, Err: context.Cause(ctx)}
		}
	}
}

// follow waits for the connection of the leader, and sends towards it meanwhile.
func (t *Transport) follow(ctx context.Context, addr endpoint.Address) (endpoint.Link, endpoint.Phase, error) {
	places, phase, err := resolve(ctx, addr)
	if err != nil {
		return nil, phase, err
	}
	at := places[0]
	p, err := t.portTo(at.Addr(), nil)
	if err != nil {
		return nil, endpoint.PhaseConnect, err
	}
	if p.listener == nil {
		return nil, endpoint.PhaseAddress, errElsewhere
	}
	w := &puncher{at: at, came: make(chan endpoint.Link, 1)}
	t.mu.Lock()
	full := len(t.punchers) >= maxPunchers
	if !full {
		t.punchers[w] = struct{}{}
	}
	t.mu.Unlock()
	if full {
		return nil, endpoint.PhasePolicy, errPunchers
	}
	defer func() {
		t.mu.Lock()
		delete(t.punchers, w)
		t.mu.Unlock()
	}()
	tick := time.NewTicker(punchEvery)
	defer tick.Stop()
	to := net.UDPAddrFromAddrPort(at)
	for {
		if _, err := p.quic.WriteTo(opening, to); err != nil {
			return nil, endpoint.PhaseConnect, reason(err)
		}
		select {
		case l := <-w.came:
			return l, "", nil
		case <-tick.C:
		case <-ctx.Done():
			return nil, endpoint.PhaseConnect, context.Cause(ctx)
		}
	}
}

// expects reports whether a link from an IP address is waited for. t.mu is held.
func (t *Transport) expects(ip netip.Addr) bool {
	for w := range t.punchers {
		if w.at.Addr() == ip {
			return true
		}
	}
	return false
}

// cameFrom gives an accepted link to who waits for one from there.
func (t *Transport) cameFrom(at netip.AddrPort, l endpoint.Link) {
	var waiting []*puncher
	t.mu.Lock()
	for w := range t.punchers {
		if w.at == at {
			waiting = append(waiting, w)
		}
	}
	t.mu.Unlock()
	for _, w := range waiting {
		select {
		case w.came <- l:
		default: // another one came before
		}
	}
}
