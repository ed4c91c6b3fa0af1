package tcp

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// control sets the user timeout on a connection about to be dialled.
func control(_, _ string, c syscall.RawConn) error {
	return c.Control(setFD)
}

// setUserTimeout bounds how long octets may stay unacknowledged, so that a link
// whose machine vanished while we send is found as fast as an idle one; and how many
// the system takes beyond those it can send, so that others are not behind them.
func setUserTimeout(c *net.TCPConn) {
	if raw, err := c.SyscallConn(); err == nil {
		_ = raw.Control(setFD)
	}
}

func setFD(fd uintptr) {
	_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(userTimeout.Milliseconds()))
	_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, maxUnsent)
}
