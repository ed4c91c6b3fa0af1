package nat

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
)

// routeLine is a line as the kernel prints it.
func routeLine(device, to, gateway string, flags, metric int, mask string) string {
	number := func(s string) uint32 { ip := netip.MustParseAddr(s).As4(); return binary.NativeEndian.Uint32(ip[:]) }
	return fmt.Sprintf("%s\t%08X\t%08X\t%04X\t0\t0\t%d\t%08X\t0\t0\t0   \n", device, number(to), number(gateway), flags, metric, number(mask))
}

const routeTitle = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"

func TestRoutes(t *testing.T) {
	lan := routeLine("eth0", "192.168.1.0", "0.0.0.0", 1, 100, "255.255.255.0")
	wire := routeLine("eth0", "0.0.0.0", "192.168.1.254", 3, 100, "0.0.0.0")
	wifi := routeLine("wlan0", "0.0.0.0", "10.0.0.1", 3, 600, "0.0.0.0")
	down := routeLine("eth1", "0.0.0.0", "10.9.9.9", 2, 0, "0.0.0.0")
	tunnel := routeLine("tun0", "0.0.0.0", "10.8.0.1", 3, 0, "128.0.0.0")
	cable := routeLine("ppp0", "0.0.0.0", "0.0.0.0", 1, 0, "0.0.0.0")
	for name, x := range map[string]struct{ text, want string }{
		"one":       {routeTitle + lan + wire, "192.168.1.254"},
		"metric":    {routeTitle + wifi + wire + lan, "192.168.1.254"},
		"wifi":      {routeTitle + wifi, "10.0.0.1"},
		"others":    {routeTitle + down + tunnel + cable + wifi, "10.0.0.1"},
		"none":      {routeTitle + lan + down + tunnel + cable, ""},
		"empty":     {"", ""},
		"long line": {strings.Repeat("x", 1<<17), ""},
	} {
		got, err := readRoutes(strings.NewReader(x.text))
		switch {
		case x.want == "" && !errors.Is(err, ErrNoGateway):
			t.Errorf("%s: %v, %v", name, got, err)
		case x.want != "" && (err != nil || got.String() != x.want):
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}

func FuzzRoutes(f *testing.F) {
	f.Add(routeTitle + routeLine("eth0", "0.0.0.0", "192.168.1.254", 3, 100, "0.0.0.0"))
	f.Add("a b c d e f g h\n")
	f.Fuzz(func(t *testing.T, text string) {
		a, err := readRoutes(strings.NewReader(text))
		if (err == nil) != (a.Is4() && !a.IsUnspecified()) {
			t.Errorf("%v, %v", a, err)
		}
	})
}
