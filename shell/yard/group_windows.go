package yard

import (
	"os/exec"
	"syscall"
)

// apart keeps Ctrl-C, which a console gives to all processes of a group, from the
// process: only this one ends it.
func apart(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{CreationFlags: syscall.CREATE_NEW_PROCESS_GROUP}
}
