package endpoint

import (
	"net"
	"net/netip"
)

// ReachableIPs returns the IP addresses at which others may reach a listener on ip:
// ip itself, or where it stands for every interface those of the interfaces that
// are up, IPv4 before IPv6, at most 16. Link-local ones are left out, loopback is
// listed only if there is nothing else.
func ReachableIPs(ip netip.Addr) []netip.Addr {
	if !ip.IsUnspecified() {
		return []netip.Addr{ip.Unmap()}
	}
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
		return all[:min(len(all), maxIPs)]
	}
	return local
}
