package http

import (
	"net"
	nethttp "net/http"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"github.com/juxta-p2p/juxta/core/endpoint"
)

// Addresses implements [endpoint.Transport]. An address that listens on every
// interface is expanded to those of the interfaces that are up; see
// [endpoint.ReachableIPs].
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

// ListenPorts returns the ports listened on.
func (t *Transport) ListenPorts() []int {
	var ports []int
	for _, ln := range t.listeners {
		if a, ok := ln.Addr().(*net.TCPAddr); ok {
			ports = append(ports, a.Port)
		}
	}
	return ports
}

// nowhere is the address of those who cannot be dialled, as JXSE writes it.
var nowhere = endpoint.Address{Protocol: Protocol, Host: "0.0.0.0:0"}

// local is the address to go by in a tunnel: the one configured; or that of the
// listener, with the interface the connection uses if it listens on all of them; or
// the interface with port 0 when nobody can dial this peer.
func (t *Transport) local(c net.Conn) endpoint.Address {
	if len(t.cfg.Public) > 0 {
		return t.cfg.Public[0].Base()
	}
	here, err := netip.ParseAddrPort(c.LocalAddr().String())
	for _, ln := range t.listeners {
		at, ok := ln.Addr().(*net.TCPAddr)
		if !ok {
			continue
		}
		if ip := at.AddrPort().Addr().Unmap(); !ip.IsUnspecified() {
			return endpoint.Address{Protocol: Protocol, Host: at.AddrPort().String()}
		}
		if err == nil {
			return endpoint.Address{Protocol: Protocol, Host: net.JoinHostPort(plainIP(here).String(), strconv.Itoa(at.Port))}
		}
	}
	if err != nil {
		return nowhere
	}
	return endpoint.Address{Protocol: Protocol, Host: net.JoinHostPort(plainIP(here).String(), "0")}
}

func plainIP(a netip.AddrPort) netip.Addr { return a.Addr().Unmap().WithZone("") }

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
		if b.t.admitConn(ip) {
			return c, nil
		}
		b.t.stats.refused.Add(1)
		b.t.offend(ip, "connections")
		_ = c.Close()
	}
}

// admitConn counts a connection, if there may be one more.
func (t *Transport) admitConn(ip string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.shut || t.allConns >= 2*maxAll || !t.trusted(ip) && t.conns[ip] >= 2*t.cfg.MaxPerHost {
		return false
	}
	t.conns[ip]++
	t.allConns++
	return true
}

func (t *Transport) releaseConn(ip string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.allConns--
	if t.conns[ip]--; t.conns[ip] <= 0 {
		delete(t.conns, ip)
	}
}

// connState counts connections, whose goroutines Close waits for.
func (t *Transport) connState(c net.Conn, s nethttp.ConnState) {
	switch s {
	case nethttp.StateNew:
		t.wg.Add(1)
		t.mu.Lock()
		late := t.shut
		t.mu.Unlock()
		if late { // the server may have closed its connections before this one
			_ = c.Close()
		}
	case nethttp.StateClosed:
		t.releaseConn(originOf(c.RemoteAddr().String()))
		t.wg.Done()
	}
}

// originOf is the IP address, or the name, in "host:port".
func originOf(at string) string {
	if a, err := netip.ParseAddrPort(at); err == nil {
		return plainIP(a).String()
	}
	if host, _, err := net.SplitHostPort(at); err == nil && host != "" {
		return host
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
func localOf(r *nethttp.Request) net.Addr {
	if a, ok := r.Context().Value(nethttp.LocalAddrContextKey).(net.Addr); ok {
		return a
	}
	return &net.TCPAddr{}
}

func isLoopback(ip string) bool {
	a, err := netip.ParseAddr(ip)
	return err == nil && a.IsLoopback()
}

// keepAlive finds a vanished machine at the other end of an idle connection within
// half a minute.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 3}
