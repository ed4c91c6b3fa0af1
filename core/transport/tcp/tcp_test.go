package tcp

import (
	"errors"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/juxta-p2p/juxta/core/endpoint"
)

// TestPortTaken: the error names the address and unwraps to the system's reason.
func TestPortTaken(t *testing.T) {
	h := listening(t)
	taken := h.addr().Host
	tr := New(Config{Listen: []string{"127.0.0.1:0", taken}})
	err := tr.Start(endpoint.Host{})
	if !errors.Is(err, syscall.EADDRINUSE) || !strings.Contains(err.Error(), taken) {
		t.Errorf("the error is %v", err)
	}
	if n := strings.Count(err.Error(), taken); n != 1 {
		t.Errorf("the error names the address %d times: %v", n, err)
	}
	if err := tr.Close(); err != nil { // and gives back the port it got
		t.Error(err)
	}
}

// TestPortRange: the first free port, or an error that names the range.
func TestPortRange(t *testing.T) {
	first := newHost(t, New(Config{}))
	second := newHost(t, New(Config{}))
	a, b := first.t.ListenPorts(), second.t.ListenPorts()
	if len(a) != 1 || len(b) != 1 || a[0] < FirstPort || b[0] <= a[0] || b[0] > LastPort {
		t.Fatalf("ports %v and %v", a, b)
	}
	if ln, err := listenRange(a[0], b[0]); err == nil { // unless others have gone meanwhile
		_ = ln.Close()
	} else if !errors.Is(err, syscall.EADDRINUSE) || !strings.Contains(err.Error(), strconv.Itoa(b[0])) {
		t.Errorf("the error is %v", err)
	}
	_, err := listenRange(a[0], a[0])
	if !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("the error is %v", err)
	}
}

// TestAddresses: a wildcard is never advertised, but where it can be reached.
func TestAddresses(t *testing.T) {
	h := newHost(t, New(Config{Listen: []string{":0", "127.0.0.1:0"}}))
	all := h.t.Addresses()
	if len(all) < 2 || len(h.t.ListenPorts()) != 2 {
		t.Fatalf("addresses %v, ports %v", all, h.t.ListenPorts())
	}
	for i, a := range all {
		at, err := netip.ParseAddrPort(a.Host)
		if err != nil || at.Addr().IsUnspecified() || at.Addr().Is4In6() || at.Port() == 0 || at.Addr().Zone() != "" {
			t.Errorf("address %s", a)
		}
		if slices.Contains(all[:i], a) {
			t.Errorf("%s twice", a)
		}
	}
	// On a connection, it is the interface the connection uses.
	l, err := h.t.Dial(short(t), at(net.JoinHostPort("127.0.0.1", strconv.Itoa(h.t.ListenPorts()[0]))))
	if err != nil {
		t.Fatal(err)
	}
	if want := at(net.JoinHostPort("127.0.0.1", strconv.Itoa(h.t.ListenPorts()[0]))); l.Local() != want {
		t.Errorf("Local is %s, want %s", l.Local(), want)
	}

	public := []endpoint.Address{at("198.51.100.7:80"), at("peer.example.org:9701")}
	h = newHost(t, New(Config{Listen: []string{"127.0.0.1:0"}, Public: public}))
	if got := h.t.Addresses(); !slices.Equal(got, public) {
		t.Errorf("addresses %v, want %v", got, public)
	}
	l, err = h.t.Dial(short(t), at(net.JoinHostPort("127.0.0.1", strconv.Itoa(h.t.ListenPorts()[0]))))
	if err != nil {
		t.Fatal(err)
	}
	if l.Local() != public[0] {
		t.Errorf("Local is %s", l.Local())
	}
	for range 2 {
		if l := next(t, h.opened); !l.Outgoing() && l.Remote() != public[0] {
			t.Errorf("the acceptor was told %s", l.Remote())
		}
	}
}

// TestIPv6 where the machine has it.
func TestIPv6(t *testing.T) {
	ln, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		t.Skipf("SKIPPED: this machine has no IPv6: %v", err)
	}
	_ = ln.Close()
	h := newHost(t, New(Config{Listen: []string{"[::1]:0"}}))
	addr, err := endpoint.ParseAddress(h.addr().String())
	if err != nil {
		t.Fatal(err)
	}
	l, err := h.t.Dial(short(t), addr)
	if err != nil {
		t.Fatal(err)
	}
	if l.Origin() != "::1" || l.Local() != addr {
		t.Errorf("origin %s, local %s", l.Origin(), l.Local())
	}
}

// TestStats: what was taken and what was turned away.
func TestStats(t *testing.T) {
	h := listening(t)
	_ = greet(t, h)
	r := connect(t, h)
	r.write([]byte("what?"))
	r.ended()
	if s := h.t.Stats(); s.Accepted != 2 || s.BadWelcome != 1 || s.RefusedHost+s.RefusedStrangers+s.FailedAccepts != 0 || s.Links != 1 || s.BadFrame != 0 {
		t.Errorf("stats %+v", s)
	}
}

// TestConnectionLossIsNoBadFrame: a peer that goes away is no malformed input.
func TestConnectionLossIsNoBadFrame(t *testing.T) {
	h := listening(t)
	r := greet(t, h)
	if c, ok := r.Conn.(*net.TCPConn); ok {
		_ = c.SetLinger(0) // reset
	}
	_ = r.Close()
	next(t, h.closed)
	r = greet(t, h)
	_ = r.Close()
	next(t, h.closed)
	if s := h.t.Stats(); s.BadFrame != 0 {
		t.Errorf("stats %+v", s)
	}
}
