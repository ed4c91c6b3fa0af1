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
		if !at.Addr().IsUnspecified() {
			all = append(all, address(at))
			continue
		}
		for _, ip := range interfaceIPs() {
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

// interfaceIPs lists the addresses of the interfaces that others may reach:
// IPv4 before IPv6, no link-local ones, loopback only if there is nothing else.
func interfaceIPs() []netip.Addr {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1})}
	}
	var v4, v6, local []netip.Addr
	for _, a := range addrs {
		p, err := netip.ParsePrefix(a.String())
		if err != nil {
			continue
		}
		switch ip := p.Addr().Unmap(); {
		case ip.IsLoopback():
			if ip.Is4() {
				local = append(local, ip)
			}
		case ip.IsLinkLocalUnicast(), ip.IsMulticast():
		case ip.Is4():
			v4 = append(v4, ip)
		default:
			v6 = append(v6, ip)
		}
	}
	if all := append(v4, v6...); len(all) > 0 {
		return all[:min(len(all), maxAddresses)]
	}
	return local
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
