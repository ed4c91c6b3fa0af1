package nat

import (
	"fmt"
	"net"
	"net/netip"
)

// unreachable are the IPv4 networks, beyond those that package netip knows, whose
// addresses nobody can reach from the Internet. The networks for documentation
// (RFC 5737) are not among them: they occur only where they stand for public ones.
var unreachable = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),     // this network, RFC 1122
	netip.MustParsePrefix("100.64.0.0/10"), // between providers and customers, RFC 6598
	netip.MustParsePrefix("192.0.0.0/24"),  // protocol assignments, such as DS-Lite, RFC 6333
	netip.MustParsePrefix("198.18.0.0/15"), // benchmarks, RFC 2544
	netip.MustParsePrefix("240.0.0.0/4"),   // reserved, RFC 1112
}

// Public reports whether an address can be reached from the Internet, as far as
// the address itself tells.
func Public(a netip.Addr) bool {
	a = a.Unmap()
	if !a.IsGlobalUnicast() || a.IsPrivate() {
		return false
	}
	for _, p := range unreachable {
		if p.Contains(a) {
			return false
		}
	}
	return true
}

// localTowards returns the own address from which the gateway is reached. Nothing
// is sent.
func localTowards(gateway netip.Addr) (netip.Addr, error) {
	c, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(gateway, pmpPort)))
	if err != nil {
		return netip.Addr{}, fmt.Errorf("no way to the gateway: %w", err)
	}
	defer func() { _ = c.Close() }()
	at, ok := c.LocalAddr().(*net.UDPAddr)
	if !ok {
		return netip.Addr{}, fmt.Errorf("no way to the gateway: it is reached from %v", c.LocalAddr())
	}
	return at.AddrPort().Addr().Unmap(), nil
}
