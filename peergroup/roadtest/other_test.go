//go:build !linux

package roadtest

import "testing"

func TestRoads(t *testing.T) {
	t.Skip("NOT TESTED: roads need the network namespaces and TUN devices of Linux")
}
