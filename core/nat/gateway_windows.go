package nat

import (
	"fmt"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/windows"
)

// defaultGateway returns the default gateway of this machine.
func defaultGateway() (netip.Addr, error) {
	var table *windows.MibIpForwardTable2
	if err := windows.GetIpForwardTable2(windows.AF_INET, &table); err != nil {
		return netip.Addr{}, fmt.Errorf("%w: %w", ErrNoGateway, err)
	}
	defer windows.FreeMibTable(unsafe.Pointer(table))
	var best netip.Addr
	var least uint32
	for _, r := range table.Rows() {
		if r.DestinationPrefix.PrefixLength != 0 || r.NextHop.Family != windows.AF_INET || best.IsValid() && r.Metric >= least {
			continue
		}
		next := (*windows.RawSockaddrInet4)(unsafe.Pointer(&r.NextHop))
		if ip := netip.AddrFrom4(next.Addr); !ip.IsUnspecified() {
			best, least = ip, r.Metric
		}
	}
	if !best.IsValid() {
		return netip.Addr{}, ErrNoGateway
	}
	return best, nil
}
