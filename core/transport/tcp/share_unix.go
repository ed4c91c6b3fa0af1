//go:build linux || darwin

package tcp

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// share lets connections be dialled from the port of a listener. The option is set
// after the port was taken, so that no second listener can take it.
func share(ln net.Listener) {
	if l, ok := ln.(*net.TCPListener); ok {
		if raw, err := l.SyscallConn(); err == nil {
			_ = raw.Control(setShared)
		}
	}
}

// controlShared is control for a connection dialled from the port of a listener.
func controlShared(network, address string, c syscall.RawConn) error {
	if err := c.Control(setShared); err != nil {
		return err
	}
	return control(network, address, c)
}

func setShared(fd uintptr) {
	_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
	_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
}
