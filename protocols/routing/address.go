package routing

import (
	"net/netip"
	"slices"

	"github.com/juxta-p2p/juxta/core/endpoint"
)

// usable keeps the addresses that a transport here can dial and that are not
// our own, those of a loopback interface only if we are reached there too.
func (r *Router) usable(in []endpoint.Address) []endpoint.Address {
	if len(in) == 0 {
		return nil
	}
	own := r.cfg.Self().Addresses
	local := func() bool {
		return slices.ContainsFunc(own, isLoopback) ||
			slices.ContainsFunc(r.ep.Links(), func(l endpoint.Link) bool { return loopbackIP(l.Origin()) })
	}
	var out []endpoint.Address
	for _, a := range in {
		a = a.Base()
		switch {
		case !r.ep.Serves(a.Protocol), slices.Contains(own, a), slices.Contains(out, a):
		case unspecified(a), isLoopback(a) && !local():
		case len(out) >= maxAddresses:
			r.stats.clipped.Add(1)
		default:
			out = append(out, a)
		}
	}
	return out
}

// ipOf returns the IP address that an address names, without the zone it may have.
func ipOf(a endpoint.Address) (netip.Addr, bool) {
	host, _, err := a.HostPort()
	if err != nil {
		return netip.Addr{}, false // not of the host:port kind; its transport knows
	}
	ip, err := netip.ParseAddr(host)
	return ip.Unmap().WithZone(""), err == nil
}

func isLoopback(a endpoint.Address) bool {
	host, _, err := a.HostPort()
	return err == nil && loopbackIP(host)
}

func loopbackIP(s string) bool {
	ip, err := netip.ParseAddr(s)
	return s == "localhost" || err == nil && ip.Unmap().IsLoopback()
}

func unspecified(a endpoint.Address) bool {
	_, port, err := a.HostPort()
	if err != nil {
		return false
	}
	ip, ok := ipOf(a)
	return port == "0" || ok && (ip.IsUnspecified() || ip.IsMulticast())
}

// families says which versions of IP this machine has addresses of that others
// can use.
type families struct{ v4, v6 bool }

func familiesOf(own []endpoint.Address) (f families) {
	for _, a := range own {
		if ip, ok := ipOf(a); ok && !ip.IsLoopback() && !ip.IsLinkLocalUnicast() {
			f.v4 = f.v4 || ip.Is4()
			f.v6 = f.v6 || ip.Is6()
		}
	}
	return f
}

// Classes of addresses, in the order in which they are dialled. Within a class the
// order is that of whoever told them.
const (
	rankUsual  = iota
	rankFamily // of the IP version that this machine has no address of
	rankLocal  // link-local: only good within one cable, and not without its zone
	rankHTTP   // slowest, for where nothing else comes through
)

func (f families) rank(a endpoint.Address) int {
	if a.Protocol == protocolHTTP {
		return rankHTTP
	}
	ip, ok := ipOf(a)
	switch {
	case !ok:
		return rankUsual
	case ip.IsLinkLocalUnicast():
		return rankLocal
	case f.v4 && !f.v6 && ip.Is6(), f.v6 && !f.v4 && ip.Is4():
		if !ip.IsLoopback() {
			return rankFamily
		}
	}
	return rankUsual
}

// Protocols of which the order of dialling knows more than that they are some.
const (
	protocolTCP  = "tcp"
	protocolTLS  = "tls"
	protocolHTTP = "http"
)

// places orders addresses as they are to be dialled, and puts those together that
// are the same place spoken to in another way, the better one first: where tls
// finds another peer than it should, tcp at the same port must not be tried.
func places(addresses []endpoint.Address, own []endpoint.Address) [][]endpoint.Address {
	f := familiesOf(own)
	sorted := slices.Clone(addresses)
	slices.SortStableFunc(sorted, func(a, b endpoint.Address) int { return f.rank(a) - f.rank(b) })
	var all [][]endpoint.Address
	for _, a := range sorted {
		switch a.Protocol {
		case protocolTCP:
			if slices.Contains(sorted, twin(a, protocolTLS)) {
				continue // stands with it
			}
		case protocolTLS:
			if t := twin(a, protocolTCP); slices.Contains(sorted, t) {
				all = append(all, []endpoint.Address{a, t})
				continue
			}
		}
		all = append(all, []endpoint.Address{a})
	}
	return all
}

// twin is the same place under another protocol.
func twin(a endpoint.Address, protocol string) endpoint.Address {
	a.Protocol = protocol
	return a
}
