package nat

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strconv"
	"strings"
)

// routesFile is where the kernel shows the routes of IPv4.
const routesFile = "/proc/net/route"

// Flags of a route, as linux/route.h has them.
const (
	routeUp      = 0x1
	routeGateway = 0x2
)

// defaultGateway returns the default gateway of this machine.
func defaultGateway() (netip.Addr, error) {
	f, err := os.Open(routesFile)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("%w: %w", ErrNoGateway, err)
	}
	defer func() { _ = f.Close() }()
	return readRoutes(io.LimitReader(f, maxRoutes))
}

// Columns of routesFile.
const (
	columnDestination = 1
	columnGateway     = 2
	columnFlags       = 3
	columnMetric      = 6
	columnMask        = 7
)

// readRoutes finds the default gateway of the least metric. Lines that make no
// sense, such as the title, are passed over.
func readRoutes(r io.Reader) (netip.Addr, error) {
	var best netip.Addr
	var least uint64
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		f := strings.Fields(lines.Text())
		if len(f) <= columnMask {
			continue
		}
		to, err1 := strconv.ParseUint(f[columnDestination], 16, 32)
		gateway, err2 := strconv.ParseUint(f[columnGateway], 16, 32)
		flags, err3 := strconv.ParseUint(f[columnFlags], 16, 32)
		metric, err4 := strconv.ParseUint(f[columnMetric], 10, 32)
		mask, err5 := strconv.ParseUint(f[columnMask], 16, 32)
		if err1 != nil || err2 != nil || err3 != nil || err4 != nil || err5 != nil {
			continue
		}
		if to != 0 || mask != 0 || gateway == 0 || flags&routeUp == 0 || flags&routeGateway == 0 || best.IsValid() && metric >= least {
			continue
		}
		var ip [4]byte // the kernel prints what stands in memory as a number
		binary.NativeEndian.PutUint32(ip[:], uint32(gateway))
		best, least = netip.AddrFrom4(ip), metric
	}
	if err := lines.Err(); err != nil && !best.IsValid() {
		return netip.Addr{}, fmt.Errorf("%w: %s: %w", ErrNoGateway, routesFile, err)
	}
	if !best.IsValid() {
		return netip.Addr{}, ErrNoGateway
	}
	return best, nil
}
