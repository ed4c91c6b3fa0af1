package home

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"
)

// lockOffset is the high half of the position that is locked, far behind the
// content: Windows keeps others from reading what is locked, and they shall read
// the process ID.
const lockOffset = 1 << 30

// tryLock locks the file for this handle. It returns errHeld if somebody else has
// the lock. Closing the file releases it.
func tryLock(f *os.File) error {
	const flags = windows.LOCKFILE_EXCLUSIVE_LOCK | windows.LOCKFILE_FAIL_IMMEDIATELY
	err := windows.LockFileEx(windows.Handle(f.Fd()), flags, 0, 1, 0, &windows.Overlapped{OffsetHigh: lockOffset})
	switch {
	case err == nil:
		return nil
	case errors.Is(err, windows.ERROR_LOCK_VIOLATION), errors.Is(err, windows.ERROR_IO_PENDING):
		return errHeld
	}
	return os.NewSyscallError("LockFileEx", err)
}

// isReadOnly reports whether the error is that of a write-protected volume.
func isReadOnly(err error) bool { return errors.Is(err, windows.ERROR_WRITE_PROTECT) }
