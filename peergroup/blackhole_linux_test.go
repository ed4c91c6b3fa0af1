package peergroup_test

import (
	"errors"
	"fmt"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/juxta-p2p/juxta/protocols/diagnose"
)

// blackHole returns a place that answers nothing at all: the system's queue of
// connections there is full, so that it drops what else comes.
func blackHole(t *testing.T) string {
	t.Helper()
	s, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Close(s) })
	if err := errors.Join(syscall.Bind(s, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}), syscall.Listen(s, 0)); err != nil {
		t.Fatal(err)
	}
	name, err := syscall.Getsockname(s)
	if err != nil {
		t.Fatal(err)
	}
	at := fmt.Sprint("127.0.0.1:", name.(*syscall.SockaddrInet4).Port)
	for range 8 {
		c, err := net.DialTimeout("tcp", at, 200*time.Millisecond)
		if err != nil {
			return "tcp://" + at
		}
		t.Cleanup(func() { _ = c.Close() })
	}
	t.Skip("SKIPPED: this system takes more connections than it was told")
	return ""
}

func TestWhyBlackHole(t *testing.T) {
	t.Parallel()
	a, q := start(t, onLoopback("ann")), nobody()
	knows(a, q, blackHole(t))
	why(t, a, q, diagnose.BlackHole)
}
