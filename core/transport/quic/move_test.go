package quic

import (
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"github.com/juxta-p2p/juxta/core/endpoint"
)

// TestWatch: a link that was dialled goes on from another address as soon as the
// machine has one, and is not touched before.
func TestWatch(t *testing.T) {
	var now atomic.Pointer[netip.Addr]
	set := func(s string) netip.Addr {
		a := netip.MustParseAddr(s)
		now.Store(&a)
		return a
	}
	set("127.0.0.1")
	looks := make(chan struct{}, 1000)
	a := listening(t, func(tr *Transport) {
		tr.times.watch = time.Millisecond
		tr.machine = func() []netip.Prefix {
			select {
			case looks <- struct{}{}:
			default:
			}
			return []netip.Prefix{netip.PrefixFrom(*now.Load(), 8)}
		}
		tr.route = func(netip.AddrPort) (netip.Addr, error) { return *now.Load(), nil }
	})
	b := listening(t)
	l := a.dial(t, b)
	back := next(t, b.opened)
	for range 5 {
		next(t, looks)
	}
	if n := a.t.Stats().Moved; n != 0 {
		t.Errorf("%d moved though nothing has changed", n)
	}
	own := set("127.0.0.2") // and it has the one no more to which the port is bound
	eventually(t, func() bool { return a.t.Stats().Moved == 1 })
	a.t.mu.Lock()
	for c := range a.t.conns {
		if c.dialled && ipOf(c.LocalAddr()) != own {
			t.Errorf("the link goes by %s", c.LocalAddr())
		}
	}
	a.t.mu.Unlock()
	for _, x := range []endpoint.Link{l, back} {
		if err := x.Send(short(t), body(1, 1)); err != nil {
			t.Error(err)
		}
	}
	next(t, a.bodies)
	next(t, b.bodies)
	_ = l.Close()
	eventually(t, func() bool {
		a.t.mu.Lock()
		defer a.t.mu.Unlock()
		return !a.t.watching
	})
}

// TestCloseWhere: links that were accepted at an address that is gone are closed, and
// those that were dialled if they cannot go on.
func TestCloseWhere(t *testing.T) {
	all := func(netip.Addr) bool { return true }
	a, b := listening(t, func(tr *Transport) { tr.times.move, tr.times.nudge = 100*time.Millisecond, 50*time.Millisecond }), listening(t)
	a.dial(t, b)
	next(t, b.opened)
	a.t.CloseWhere(func(netip.Addr) bool { return false })
	b.t.CloseWhere(all)
	next(t, a.closed)
	next(t, b.closed)

	a.dial(t, b)
	a.t.CloseWhere(all) // the address is as it was
	if err := next(t, b.opened).Send(t.Context(), body(1, 1)); err != nil {
		t.Error(err)
	}
	next(t, a.bodies)
	crash(b.t)
	a.t.route = func(netip.AddrPort) (netip.Addr, error) { return netip.MustParseAddr("127.0.0.2"), nil }
	eventually(t, func() bool { // the first attempt is not over yet
		a.t.CloseWhere(all)
		return a.t.Stats().NotMoved == 1
	})
	next(t, a.closed)
}
