package quic

import (
	"net"
	"net/netip"
	"slices"

	"github.com/juxta-p2p/juxta/core/endpoint"
)

// Addresses implements [endpoint.Transport]. An address that listens on every
// interface is expanded to those of the interfaces that are up; loopback is
// listed only where nothing else is.
func (t *Transport) Addresses() []endpoint.Address {
	if t.cfg.ClientOnly {
		return nil
	}
	if len(t.cfg.Public) > 0 {
		return slices.Clone(t.cfg.Public)
	}
	var all []endpoint.Address
	for _, p := range t.ports {
		for _, ip := range endpoint.ReachableIPs(p.at.Addr()) {
			if !p.at.Addr().IsUnspecified() || p.serves(ip) {
				all = append(all, address(netip.AddrPortFrom(ip, p.at.Port())))
			}
		}
	}
	return all
}

// ListenPorts returns the UDP ports listened on.
func (t *Transport) ListenPorts() []int {
	var ports []int
	for _, p := range t.ports {
		if !t.cfg.ClientOnly {
			ports = append(ports, int(p.at.Port()))
		}
	}
	return ports
}

func address(at netip.AddrPort) endpoint.Address {
	return endpoint.Address{Protocol: Protocol, Host: netip.AddrPortFrom(at.Addr().Unmap(), at.Port()).String()}
}

// local is the address to go by on a connection: the one configured; or that of
// the listener, with the interface the connection uses if it listens on all of
// them; or the interface with port 0 when nobody can dial this peer.
func (t *Transport) local(c net.Conn) endpoint.Address {
	if len(t.cfg.Public) > 0 && !t.cfg.ClientOnly {
		return t.cfg.Public[0]
	}
	here := ipOf(c.LocalAddr()).WithZone("")
	if !here.IsValid() {
		here = netip.IPv4Unspecified()
	}
	if t.cfg.ClientOnly || len(t.ports) == 0 {
		return address(netip.AddrPortFrom(here, 0))
	}
	found := t.ports[0]
	if x, ok := c.(*conn); ok && x.port.listener != nil {
		found = x.port
	}
	if found.at.Addr().IsUnspecified() {
		return address(netip.AddrPortFrom(here, found.at.Port()))
	}
	return address(found.at)
}
