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
	b   []byte                // to read to; nil if a chunk is to be taken when something is there
	got *chunk
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
	b := s.b
	if b == nil {
		s.got = chunks.Get().(*chunk)
		b = s.got[:]
	}
	for {
		if s.n, s.err = readQuiet(fd, b); s.err != unix.EINTR {
			break
		}
	}
	if s.n <= 0 && s.got != nil {
		chunks.Put(s.got)
		s.got = nil
	}
	return s.err != unix.EAGAIN
}

// read waits as the deadline of the connection allows.
func (s *socket) read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	s.b = b
	n, err := s.wait()
	s.b = nil
	return n, err
}

// readChunk waits as read does, and holds memory only when something is there. The
// caller gives the chunk back.
func (s *socket) readChunk() (*chunk, int, error) {
	n, err := s.wait()
	c := s.got
	s.got = nil
	return c, n, err
}

func (s *socket) wait() (int, error) {
	s.n, s.err = 0, nil
	err := s.raw.Read(s.f)
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
