//go:build linux

package roadtest

import (
	"flag"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// peerVariable says to this binary that it is to be a peer.
const peerVariable = "JUXTA_TEST_ROAD_PEER"

func TestMain(m *testing.M) {
	switch {
	case os.Getenv(sweepVariable) != "":
		sweep(os.Getenv(sweepVariable))
	case os.Getenv(peerVariable) != "":
		bePeer()
	default:
		flag.Parse()
		parallel := scenesAtOnce
		flag.Visit(func(f *flag.Flag) {
			if f.Name == "test.parallel" {
				parallel = f.Value.String()
			}
		})
		_ = flag.Set("test.parallel", parallel)
		os.Exit(m.Run())
	}
}

// scenesAtOnce is how many tests run at a time, unless told otherwise: they wait for
// their roads, not for processors.
const scenesAtOnce = "48"

// now is a clock that all processes of this machine share, in nanoseconds.
func now() int64 {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts)
	return ts.Nano()
}
