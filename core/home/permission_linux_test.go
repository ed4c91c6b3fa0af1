package home_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"github.com/juxta-p2p/juxta/core/home"
)

// nobody is a user ID without rights.
const nobody = 65534

// unprivileged runs f without the rights of root. Only the thread it runs on
// loses them, and the thread ends with it.
func unprivileged(t *testing.T, f func()) {
	t.Helper()
	if os.Getuid() != 0 {
		f()
		return
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // for good
		_, _, errno := syscall.RawSyscall(syscall.SYS_SETFSUID, nobody, 0, 0)
		if errno != 0 {
			t.Errorf("setfsuid: %v", errno)
			return
		}
		f()
	}()
	<-done
}

func TestNoRightToWrite(t *testing.T) {
	dir := t.TempDir()
	readOnly := filepath.Join(dir, "readonly")
	if err := os.Mkdir(readOnly, 0o555); err != nil {
		t.Fatal(err)
	}
	others := filepath.Join(dir, "others")
	if err := os.Mkdir(others, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(others, "lock"), nil, 0o400); err != nil {
		t.Fatal(err)
	}
	for d := dir; d != "/" && d != os.TempDir(); d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o755); err != nil { // so that nobody can get there
			t.Fatal(err)
		}
	}
	unprivileged(t, func() {
		for _, d := range []string{readOnly, filepath.Join(readOnly, "new"), others} {
			l, err := home.Acquire(d)
			var locked *home.LockedError
			if !errors.Is(err, fs.ErrPermission) || errors.As(err, &locked) {
				t.Errorf("%s: got %v, %v, want fs.ErrPermission", d, l, err)
			}
		}
	})
}
