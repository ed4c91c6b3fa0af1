//go:build unix

package lan

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// checksModes: mode bits say who may write.
const checksModes = true

// ownedByUser reports whether a file belongs to the user of this process.
func ownedByUser(info fs.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(st.Uid) == os.Geteuid()
}

// alive reports whether there is a process of that number.
func alive(pid int) bool {
	return !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH)
}
