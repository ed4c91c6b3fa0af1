package quic

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"time"
)

// enter puts a connection on the list of those that Close and a change of network
// concern. It reports false if the transport is closed.
func (t *Transport) enter(c *conn) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return false
	}
	t.conns[c] = struct{}{}
	if c.dialled && !t.watching {
		t.watching = true
		t.wg.Go(t.watch)
	}
	return true
}

// leave takes a connection off the list.
func (t *Transport) leave(c *conn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.conns, c)
}

// dialled returns the connections that this side opened; only those can move.
func (t *Transport) dialled() []*conn {
	t.mu.Lock()
	defer t.mu.Unlock()
	var all []*conn
	for c := range t.conns {
		if c.dialled {
			all = append(all, c)
		}
	}
	return all
}

// watch looks for a change of the addresses of this machine while there are
// connections to move. The other side need not do anything: it answers to wherever
// packets come from, once it has seen that this is no forgery.
func (t *Transport) watch() {
	before := t.machine()
	tick := time.NewTicker(t.times.watch)
	defer tick.Stop()
	for {
		select {
		case <-t.ctx.Done():
			return
		case <-tick.C:
		}
		all := t.dialled()
		if len(all) == 0 {
			t.mu.Lock()
			none := true
			for c := range t.conns {
				none = none && !c.dialled
			}
			t.watching = !none
			t.mu.Unlock()
			if none {
				return
			}
			continue
		}
		after := t.machine()
		if slices.Equal(before, after) {
			continue
		}
		before = after
		for _, c := range all {
			own, err := t.route(ipPortOf(c.RemoteAddr()))
			if err == nil && own != ipOf(c.LocalAddr()) {
				t.move(c, own, false)
			}
		}
	}
}

// machineAddresses lists the addresses of the interfaces that are up, in order.
func machineAddresses() []netip.Prefix {
	all, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	var found []netip.Prefix
	for _, a := range all {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			found = append(found, p)
		}
	}
	slices.SortFunc(found, netip.Prefix.Compare)
	return found
}

// CloseWhere is for a change of network, or when the machine has slept: of the links
// whose own IP address f does not want any more, those that this side dialled go on
// from another address, and are closed if they cannot; the others are closed. Links
// whose address is still right are tried, and end soon if the other side has given
// them up.
func (t *Transport) CloseWhere(f func(local netip.Addr) bool) {
	t.mu.Lock()
	var all []*conn
	for c := range t.conns {
		all = append(all, c)
	}
	t.mu.Unlock()
	for _, c := range all {
		if !f(ipOf(c.LocalAddr()).WithZone("")) {
			continue
		}
		if !c.dialled {
			if t.begin() {
				_ = c.q.CloseWithError(codeClosed, "") // what is queued cannot leave
				t.wg.Done()
			}
			continue
		}
		own, _ := t.route(ipPortOf(c.RemoteAddr()))
		t.move(c, own, true)
	}
}

// move has a connection go on from this machine's address own, which may not be
// known, or lets it be closed if it cannot. It returns at once.
func (t *Transport) move(c *conn, own netip.Addr, orClose bool) {
	c.mu.Lock()
	busy := c.moving || c.closed
	c.moving = !c.closed
	same := own.IsValid() && own == ipOf(c.local)
	c.mu.Unlock()
	if busy || !t.begin() {
		return
	}
	go func() {
		defer t.wg.Done()
		p, err := t.migrate(c, same)
		c.mu.Lock()
		c.moving = false
		if err == nil && !same && own.IsValid() {
			c.local = net.UDPAddrFromAddrPort(netip.AddrPortFrom(own, p.at.Port()))
		}
		c.mu.Unlock()
		switch {
		case same: // nothing is said by that
		case err == nil:
			t.stats.moved.Add(1)
			t.host.Logger.Debug("a link goes on from another address", "to", c.RemoteAddr().String(), "from", own)
		default:
			t.stats.notMoved.Add(1)
			t.host.Logger.Debug("a link cannot go on from another address", "to", c.RemoteAddr().String(), "error", err)
			if orClose {
				_ = c.q.CloseWithError(codeClosed, "")
			}
		}
	}()
}

// migrate opens a path from the present address of this machine and goes over to it
// (RFC 9000, section 9). If the address is the same as before, it only sends
// something, to which the other machine answers if it has forgotten the connection;
// that it is alive cannot be asked, since paths in use are not probed.
func (t *Transport) migrate(c *conn, same bool) (*port, error) {
	patience := t.times.move
	if same {
		patience = t.times.nudge
	}
	ctx, cancel := t.bound(context.Background(), patience)
	defer cancel()
	defer context.AfterFunc(c.q.Context(), cancel)()
	p, err := t.portTo(ipOf(c.RemoteAddr()), t.machine())
	if err != nil {
		return nil, err
	}
	path, err := c.q.AddPath(p.quic)
	if err != nil {
		return nil, err
	}
	before := c.q.ConnectionStats().PacketsReceived
	if err := path.Probe(ctx); err != nil {
		_ = path.Close()
		if c.q.Context().Err() == nil && c.q.ConnectionStats().PacketsReceived > before {
			return p, nil // the other side had noticed before it was asked, and sends here
		}
		return nil, err
	}
	return p, path.Switch()
}
