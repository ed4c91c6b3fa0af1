//go:build unix

package stream

import (
	"errors"
	"net"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// atOnce writes to a socket what the system takes without waiting. One goroutine at
// a time may use it.
type atOnce struct {
	c   net.Conn
	raw syscall.RawConn
	f   func(fd uintptr) bool // try, made once
	b   []byte
	n   int
	err error
}

// newAtOnce returns nil if the connection is no socket.
func newAtOnce(c net.Conn) *atOnce {
	sc, ok := c.(syscall.Conn)
	if !ok {
		return nil
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return nil
	}
	a := &atOnce{c: c, raw: raw}
	a.f = a.try
	return a
}

func (a *atOnce) try(fd uintptr) bool {
	for {
		a.n, a.err = writeQuiet(fd, a.b)
		if a.err != unix.EINTR {
			return true
		}
	}
}

// write returns how much of b was taken. That it was not all is no error.
func (a *atOnce) write(b []byte) (int, error) {
	a.b, a.n, a.err = b, 0, nil
	err := a.raw.Write(a.f)
	if errors.Is(err, os.ErrDeadlineExceeded) { // that of a write before, which was in time
		_ = a.c.SetWriteDeadline(time.Time{})
		err = a.raw.Write(a.f)
	}
	a.b = nil
	if err == nil && a.err != unix.EAGAIN {
		err = a.err
	}
	return max(a.n, 0), err
}
