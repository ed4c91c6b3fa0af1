//go:build darwin || dragonfly || freebsd || netbsd || openbsd

package nat

import (
	"fmt"
	"net/netip"
	"syscall"

	"golang.org/x/net/route"
)

// defaultGateway returns the default gateway of this machine.
func defaultGateway() (netip.Addr, error) {
	table, err := route.FetchRIB(syscall.AF_INET, route.RIBTypeRoute, 0)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("%w: %w", ErrNoGateway, err)
	}
	messages, err := route.ParseRIB(route.RIBTypeRoute, table)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("%w: %w", ErrNoGateway, err)
	}
	for _, m := range messages {
		r, ok := m.(*route.RouteMessage)
		if !ok || r.Flags&syscall.RTF_UP == 0 || r.Flags&syscall.RTF_GATEWAY == 0 || len(r.Addrs) <= syscall.RTAX_GATEWAY {
			continue
		}
		to, ok1 := r.Addrs[syscall.RTAX_DST].(*route.Inet4Addr)
		gateway, ok2 := r.Addrs[syscall.RTAX_GATEWAY].(*route.Inet4Addr)
		if ok1 && ok2 && to.IP == [4]byte{} {
			return netip.AddrFrom4(gateway.IP), nil
		}
	}
	return netip.Addr{}, ErrNoGateway
}
