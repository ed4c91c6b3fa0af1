//go:build darwin || dragonfly || freebsd || illumos || linux || netbsd || openbsd

package home

import (
	"errors"
	"os"
	"syscall"
)

// tryLock locks the file for this open file, not for the process, so that two
// peers of one process exclude each other, too. It returns errHeld if somebody
// else has the lock. Closing the file releases it.
func tryLock(f *os.File) error {
	for {
		switch err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); {
		case err == nil:
			return nil
		case errors.Is(err, syscall.EWOULDBLOCK):
			return errHeld
		case !errors.Is(err, syscall.EINTR):
			return os.NewSyscallError("flock", err)
		}
	}
}

// isReadOnly reports whether the error is that of a file system mounted read-only.
func isReadOnly(err error) bool { return errors.Is(err, syscall.EROFS) }
