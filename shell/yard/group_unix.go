//go:build unix

package yard

import (
	"os/exec"
	"syscall"
)

// apart keeps Ctrl-C, which a terminal gives to all processes of a group, from
// the process: only this one ends it.
func apart(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }
