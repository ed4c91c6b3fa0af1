//go:build unix && !linux

package stream

import "golang.org/x/sys/unix"

// readQuiet and writeQuiet are the usual calls: elsewhere the system may only be called
// through its library.

func readQuiet(fd uintptr, b []byte) (int, error) { return unix.Read(int(fd), b) }

func writeQuiet(fd uintptr, b []byte) (int, error) { return unix.Write(int(fd), b) }
