package tcp

import (
	"net"
	"net/netip"
	"slices"
	"strconv"

	"github.com/juxta-p2p/juxta/core/endpoint"
)

// Addresses implements [endpoint.Transport]. An address that listens on every
// interface is expanded to those of the interfaces that are up; loopback is
// listed only where nothing else is. Before each tcp:// address stands its tls://
// twin if the peer has an identity, and in its place if only encrypted links are
// wanted.
func (t *Transport) Addresses() []endpoint.Address {
	if len(t.cfg.Public) > 0 {
		return t.twins(t.cfg.Public)
	}
	var all []endpoint.Address
	for _, ln := range t.listeners {
		at, err := netip.ParseAddrPort(ln.Addr().String())
		if err != nil {
			continue
		}
		for _, ip := range endpoint.ReachableIPs(at.Addr()) {
			all = append(all, address(netip.AddrPortFrom(ip, at.Port())))
		}
	}
	return t.twins(all)
}

// twins adds the tls:// twins of tcp:// addresses.
func (t *Transport) twins(all []endpoint.Address) []endpoint.Address {
	var out []endpoint.Address
	add := func(a endpoint.Address) {
		if !slices.Contains(out, a) {
			out = append(out, a)
		}
	}
	for _, a := range all {
		if a.Protocol != Protocol {
			add(a)
			continue
		}
		if t.set.Secures() {
			add(endpoint.Address{Protocol: Secured, Host: a.Host})
		}
		if !t.host.RequireSecure {
			add(a)
		}
	}
	return out
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

func address(at netip.AddrPort) endpoint.Address {
	return endpoint.Address{Protocol: Protocol, Host: netip.AddrPortFrom(at.Addr().Unmap(), at.Port()).String()}
}

// local is the address to go by on a connection, always tcp://, which every peer
// knows: the one configured; or that of
// the listener, with the interface the connection uses if it listens on all of
// them; or the interface with port 0 when nobody can dial this peer.
func (t *Transport) local(c net.Conn) endpoint.Address {
	if len(t.cfg.Public) > 0 {
		return endpoint.Address{Protocol: Protocol, Host: t.cfg.Public[0].Host}
	}
	a, ok := c.LocalAddr().(*net.TCPAddr)
	if !ok {
		return endpoint.Address{Protocol: Protocol, Host: "0.0.0.0:0"}
	}
	here := a.AddrPort().Addr().Unmap().WithZone("")
	for _, ln := range t.listeners {
		at, ok := ln.Addr().(*net.TCPAddr)
		if !ok {
			continue
		}
		if ip := at.AddrPort().Addr().Unmap(); !ip.IsUnspecified() {
			return address(at.AddrPort())
		}
		return endpoint.Address{Protocol: Protocol, Host: net.JoinHostPort(here.String(), strconv.Itoa(at.Port))}
	}
	return endpoint.Address{Protocol: Protocol, Host: net.JoinHostPort(here.String(), "0")}
}
