//go:build !linux

package tcp

import (
	"net"
	"syscall"
)

func control(_, _ string, _ syscall.RawConn) error { return nil }

// setUserTimeout does nothing: this system has no such setting, and the write
// timeout serves once its buffer is full.
func setUserTimeout(*net.TCPConn) {}
