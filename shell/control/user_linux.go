package control

import (
	"fmt"
	"net"
	"os"
	"syscall"
)

// admit asks the system whose process is at the other end (SO_PEERCRED), and
// refuses all users but that of this process.
func admit(c net.Conn) error {
	u, ok := c.(*net.UnixConn)
	if !ok {
		return fmt.Errorf("control: %T is no Unix socket", c)
	}
	raw, err := u.SyscallConn()
	if err != nil {
		return fmt.Errorf("control: %w", err)
	}
	var cred *syscall.Ucred
	var credErr error
	if err := raw.Control(func(fd uintptr) {
		cred, credErr = syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED)
	}); err != nil {
		return fmt.Errorf("control: %w", err)
	}
	if credErr != nil {
		return fmt.Errorf("control: who connects is not known: %w", credErr)
	}
	if int(cred.Uid) != os.Geteuid() {
		return fmt.Errorf("control: process %d of user %d may not control this peer", cred.Pid, cred.Uid)
	}
	return nil
}
