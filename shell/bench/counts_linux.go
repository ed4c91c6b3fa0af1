package bench

import (
	"io"
	"os"
	"syscall"
	"unsafe"
)

// quiet reads and writes a pipe without telling Go's scheduler: what is measured must not
// pay for the counts. An ordinary system call wakes the runtime's watchdog, and a read that waits takes
// a thread of its own.
type quiet struct{ raw syscall.RawConn }

// quietly returns the pipe for reading or writing counts; f itself must not be used any more.
func quietly(f *os.File) io.ReadWriter {
	fd := f.Fd()
	if err := syscall.SetNonblock(int(fd), true); err != nil {
		return f
	}
	raw, err := os.NewFile(fd, f.Name()).SyscallConn()
	if err != nil {
		return f
	}
	return quiet{raw}
}

func (q quiet) Read(b []byte) (n int, err error) {
	var e syscall.Errno
	wait := q.raw.Read(func(fd uintptr) bool {
		n, e = rawCall(syscall.SYS_READ, fd, b)
		return e != syscall.EAGAIN
	})
	switch {
	case wait != nil:
		return 0, wait
	case e != 0:
		return 0, e
	case n == 0 && len(b) > 0:
		return 0, io.EOF
	}
	return n, nil
}

// Write writes what fits into the pipe at once.
func (q quiet) Write(b []byte) (n int, err error) {
	var e syscall.Errno
	wait := q.raw.Write(func(fd uintptr) bool {
		n, e = rawCall(syscall.SYS_WRITE, fd, b)
		return e != syscall.EAGAIN
	})
	switch {
	case wait != nil:
		return 0, wait
	case e != 0:
		return 0, e
	case n < len(b):
		return n, io.ErrShortWrite // does not happen: lines are shorter than what pipes take at once
	}
	return n, nil
}

func rawCall(trap, fd uintptr, b []byte) (int, syscall.Errno) {
	for {
		n, _, e := syscall.RawSyscall(trap, fd, uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
		switch e {
		case 0:
			return int(n), 0
		case syscall.EINTR:
		default:
			return 0, e
		}
	}
}
