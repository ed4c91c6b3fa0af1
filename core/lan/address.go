package lan

import (
	"net"
	"net/netip"
	"slices"
	"strconv"

	"github.com/juxta-p2p/juxta/core/endpoint"
)

// dialable splits an address of the form protocol://host:port. ip is invalid
// if the host is a name.
func dialable(a endpoint.Address) (host string, ip netip.Addr, port uint16, ok bool) {
	host, portText, err := a.HostPort()
	if err != nil || host == "" || !plainProtocol(a.Protocol) {
		return "", netip.Addr{}, 0, false
	}
	n, err := strconv.ParseUint(portText, 10, 16)
	if err != nil || n == 0 {
		return "", netip.Addr{}, 0, false
	}
	if parsed, err := netip.ParseAddr(host); err == nil {
		if ip = parsed; ip.Zone() == "" {
			ip = ip.Unmap()
		}
		if ip.IsMulticast() || ip == netip.AddrFrom4([4]byte{255, 255, 255, 255}) {
			return "", netip.Addr{}, 0, false
		}
	}
	return host, ip, uint16(n), true
}

func plainProtocol(s string) bool {
	if s == "" || len(s) > maxProtocol {
		return false
	}
	for i := 0; i < len(s); i++ {
		if c := s[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return false
		}
	}
	return true
}

// fromNetwork reports whether an address that a stranger on the network
// announced may be dialled. It must be an IP address that leads out of this
// machine; the names of strangers are not looked up.
func fromNetwork(a endpoint.Address) bool {
	_, ip, _, ok := dialable(a)
	return ok && onNetwork(ip)
}

func onNetwork(ip netip.Addr) bool {
	return ip.IsValid() && ip.Zone() == "" && !ip.IsUnspecified() && !ip.IsLoopback() &&
		(ip.Is4() || !ip.IsLinkLocalUnicast())
}

// fromMachine reports whether an address that a peer of the same user announced
// on this machine may be dialled.
func fromMachine(a endpoint.Address) bool {
	_, ip, _, ok := dialable(a)
	return ok && !(ip.IsValid() && ip.IsUnspecified())
}

// forNetwork picks the addresses to announce on the network. Those that stand
// for every interface become the addresses of local.
func forNetwork(listen []endpoint.Address, local []netip.Addr) []endpoint.Address {
	var out []endpoint.Address
	for _, a := range listen {
		_, ip, port, ok := dialable(a)
		switch {
		case !ok || !ip.IsValid():
		case !ip.IsUnspecified():
			if onNetwork(ip) {
				out = append(out, at(a, ip, port))
			}
		default:
			for _, l := range local {
				if onNetwork(l) && (l.Is4() || !ip.Is4()) {
					out = append(out, at(a, l, port))
				}
			}
		}
	}
	return unique(out)
}

// forMachine picks the addresses to announce on this machine, loopback first.
func forMachine(listen []endpoint.Address) []endpoint.Address {
	var loopback, others []endpoint.Address
	for _, a := range listen {
		_, ip, port, ok := dialable(a)
		switch {
		case !ok:
		case !ip.IsValid():
			others = append(others, a.Base())
		case ip.IsUnspecified():
			loopback = append(loopback, at(a, netip.AddrFrom4([4]byte{127, 0, 0, 1}), port))
			if ip.Is6() {
				loopback = append(loopback, at(a, netip.IPv6Loopback(), port))
			}
		case ip.IsLoopback():
			loopback = append(loopback, a.Base())
		default:
			others = append(others, a.Base())
		}
	}
	return unique(append(loopback, others...))
}

// at returns the address with another host.
func at(a endpoint.Address, ip netip.Addr, port uint16) endpoint.Address {
	return endpoint.Address{Protocol: a.Protocol, Host: netip.AddrPortFrom(ip, port).String()}
}

// unique drops repetitions.
func unique(addrs []endpoint.Address) []endpoint.Address {
	var out []endpoint.Address
	for _, a := range addrs {
		if !slices.Contains(out, a) {
			out = append(out, a)
		}
	}
	return out
}

// ips returns the IP addresses of addresses that forNetwork picked, and the
// port of the first.
func ips(addrs []endpoint.Address) (out []net.IP, first uint16) {
	for _, a := range addrs {
		_, ip, port, ok := dialable(a)
		if !ok || !ip.IsValid() {
			continue
		}
		if first == 0 {
			first = port
		}
		if !slices.ContainsFunc(out, func(o net.IP) bool { return o.Equal(ip.AsSlice()) }) {
			out = append(out, ip.AsSlice())
		}
	}
	return out, first
}
