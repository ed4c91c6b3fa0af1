//go:build darwin || dragonfly || freebsd || illumos || linux || netbsd || openbsd

package home

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
	"testing"
)

// A file system mounted read-only is no right to write either, although the
// system has an error of its own for it; a full disk is something else.
func TestWriteError(t *testing.T) {
	for err, want := range map[error]bool{syscall.EROFS: true, syscall.EACCES: true, syscall.EPERM: true, syscall.ENOSPC: false} {
		got := writeError("/h", &os.PathError{Op: "open", Path: "/h/lock", Err: err})
		if errors.Is(got, fs.ErrPermission) != want || !errors.Is(got, err) {
			t.Errorf("%v becomes %q; a matter of permission: %t, want %t", err, got, !want, want)
		}
	}
}
