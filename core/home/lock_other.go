//go:build !(darwin || dragonfly || freebsd || illumos || linux || netbsd || openbsd || windows)

package home

import (
	"errors"
	"os"
)

// tryLock has no means here.
func tryLock(*os.File) error { return errors.ErrUnsupported }

func isReadOnly(error) bool { return false }
