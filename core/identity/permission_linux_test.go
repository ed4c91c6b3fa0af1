package identity_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"github.com/juxta-p2p/juxta/core/identity"
)

// nobody is a user ID without rights.
const nobody = 65534

// Without the right to read or write the error says so, and is none of those that
// invite to make a new identity.
func TestNoRights(t *testing.T) {
	dir := t.TempDir()
	sealed, theirs := filepath.Join(dir, "sealed"), filepath.Join(dir, "theirs")
	if err := newIdentity(t).Save(theirs); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(sealed, 0o555); err != nil {
		t.Fatal(err)
	}
	for d := dir; d != "/" && d != os.TempDir(); d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o755); err != nil { // so that nobody can get there
			t.Fatal(err)
		}
	}
	check := func() {
		for _, d := range []string{sealed, theirs} {
			if _, created, err := identity.LoadOrCreate(d, identity.Config{}); !errors.Is(err, fs.ErrPermission) || created {
				t.Errorf("%s: created %t, %v, want fs.ErrPermission", d, created, err)
			}
		}
	}
	if os.Getuid() != 0 {
		if err := os.Chmod(filepath.Join(theirs, identity.File), 0); err != nil {
			t.Fatal(err)
		}
		check()
		return
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // for good: this thread alone loses the rights of root
		if _, _, errno := syscall.RawSyscall(syscall.SYS_SETFSUID, nobody, 0, 0); errno != 0 {
			t.Errorf("setfsuid: %v", errno)
			return
		}
		check()
	}()
	<-done
}
