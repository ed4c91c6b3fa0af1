package stream

import (
	"syscall"
	"unsafe"
)

// readQuiet and writeQuiet call the system without telling Go's scheduler. Sockets are
// never waited for in them, so it has nothing to do; but to be told it takes longer than
// short reads and writes, and in a process that was asleep it first wakes the runtime's watchdog,
// which then looks around every 20 µs: two changes of process for each message.

func readQuiet(fd uintptr, b []byte) (int, error) {
	n, _, errno := syscall.RawSyscall(syscall.SYS_READ, fd, uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

func writeQuiet(fd uintptr, b []byte) (int, error) {
	n, _, errno := syscall.RawSyscall(syscall.SYS_WRITE, fd, uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}
