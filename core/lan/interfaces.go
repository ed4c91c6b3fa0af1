package lan

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
)

// netInterface is a network interface with its addresses.
type netInterface struct {
	net.Interface
	addrs []netip.Addr
}

// interfaces lists the interfaces to use for mDNS.
func interfaces(names []string) []netInterface {
	all, err := net.Interfaces()
	if err != nil {
		return nil
	}
	out := make([]netInterface, 0, len(all))
	for _, i := range all {
		out = append(out, netInterface{i, addresses(i)})
	}
	return eligible(out, names)
}

// eligible picks interfaces that are up, can multicast and have an address: the
// named ones, or all that are not point-to-point, loopback only for want of
// others.
func eligible(all []netInterface, names []string) []netInterface {
	var out, loopback []netInterface
	for _, i := range all {
		if i.Flags&net.FlagUp == 0 || i.Flags&net.FlagMulticast == 0 || len(i.addrs) == 0 {
			continue
		}
		switch {
		case len(names) > 0:
			if slices.Contains(names, i.Name) {
				out = append(out, i)
			}
		case i.Flags&net.FlagLoopback != 0:
			loopback = append(loopback, i)
		case i.Flags&net.FlagPointToPoint == 0:
			out = append(out, i)
		}
	}
	if len(out) == 0 && len(names) == 0 {
		out = loopback
	}
	return out[:min(len(out), maxInterfaces)]
}

func addresses(i net.Interface) []netip.Addr {
	addrs, err := i.Addrs()
	if err != nil {
		return nil
	}
	var out []netip.Addr
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok {
			if ip, ok := netip.AddrFromSlice(n.IP); ok {
				out = append(out, ip.Unmap())
			}
		}
	}
	return out
}

// has reports whether the interface has an address of the family.
func (i netInterface) has(ipv4 bool) bool {
	return slices.ContainsFunc(i.addrs, func(a netip.Addr) bool { return a.Is4() == ipv4 })
}

// signature changes when the interface becomes another one, or gets or loses
// addresses.
func (i netInterface) signature() string { return fmt.Sprint(i.Index, i.Name, i.addrs) }

func signature(all []netInterface) string {
	s := ""
	for _, i := range all {
		s += i.signature() + "\n"
	}
	return s
}

// localAddresses lists the addresses of interfaces, IPv4 first.
func localAddresses(all []netInterface) []netip.Addr {
	var out []netip.Addr
	for _, v4 := range []bool{true, false} {
		for _, i := range all {
			for _, a := range i.addrs {
				if a.Is4() == v4 {
					out = append(out, a)
				}
			}
		}
	}
	return out
}
