//go:build unix

package stream

import (
	"io"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// socket reads from a connection that is a socket as [net.Conn] does, but quietly, see
// readQuiet. One goroutine at a time may use it.
type socket struct {
	raw syscall.RawConn
	f   func(fd uintptr) bool // try, made once
	b   []byte
	n   int
	err error
}

// newSocket returns nil if the connection is no socket.
func newSocket(c net.Conn) *socket {
	sc, ok := c.(syscall.Conn)
	if !ok {
		return nil
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return nil
	}
	s := &socket{raw: raw}
	s.f = s.try
	return s
}

// try reads, and reports false if nothing has come.
func (s *socket) try(fd uintptr) bool {
	for {
		if s.n, s.err = readQuiet(fd, s.b); s.err != unix.EINTR {
			return s.err != unix.EAGAIN
		}
	}
}

// read waits as the deadline of the connection allows.
func (s *socket) read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	s.b, s.n, s.err = b, 0, nil
	err := s.raw.Read(s.f)
	s.b = nil
	switch {
	case err != nil: // of package net, as its own Read returns it
		return 0, err
	case s.err != nil:
		return 0, &net.OpError{Op: "read", Net: "tcp", Err: os.NewSyscallError("read", s.err)}
	case s.n == 0:
		return 0, io.EOF
	}
	return s.n, nil
}
