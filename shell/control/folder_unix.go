//go:build unix

package control

import (
	"io/fs"
	"os"
	"syscall"
)

// checksModes: mode bits say who may do what.
const checksModes = true

// ownedByUser reports whether a file belongs to the user of this process.
func ownedByUser(info fs.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(st.Uid) == os.Geteuid()
}
