//go:build !linux && !windows && !darwin && !dragonfly && !freebsd && !netbsd && !openbsd

package nat

import (
	"fmt"
	"net/netip"
	"runtime"
)

// defaultGateway cannot be known here; Config.Gateway has to tell.
func defaultGateway() (netip.Addr, error) {
	return netip.Addr{}, fmt.Errorf("%w is known on %s", ErrNoGateway, runtime.GOOS)
}
