//go:build unix

package terminal

import (
	"bufio"
	"io"
	"os/exec"
	"syscall"
)

// guard is a small program that outlives this one: should that be killed, or die of a panic,
// while it edits a line, nobody else would make the terminal whole again.
type guard struct {
	cmd *exec.Cmd
	in  io.WriteCloser
}

// guardScript waits until its input ends, and sets the terminal back to what it was at the
// beginning unless it is told that all is well. A shell that runs this program may have made
// the terminal its own in the meantime: only a terminal that makes no signals of keys, as
// this program leaves it and those shells do not, is set back.
const guardScript = `
trap '' INT QUIT TERM HUP TSTP TTIN TTOU
before=$(stty -g </dev/tty) || exit 1
echo ready
read -r word && exit 0
case $(stty -a </dev/tty) in
*-isig*)
	stty "$before" </dev/tty
	printf '\033[?2004l\033[0m\033[?25h\r\n' >/dev/tty
esac
`

// startGuard returns nil where there is no shell to run it.
func startGuard() *guard {
	cmd := exec.Command("/bin/sh", "-c", guardScript)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is not for it
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil
	}
	out, err := cmd.StdoutPipe()
	if err != nil || cmd.Start() != nil {
		return nil
	}
	g := &guard{cmd, in}
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		g.end()
		return nil
	}
	return g
}

// end tells it that the terminal is whole. g may be nil.
func (g *guard) end() {
	if g == nil {
		return
	}
	_, _ = io.WriteString(g.in, "bye\n") // if it is gone, nobody will do harm
	_ = g.in.Close()
	_ = g.cmd.Wait()
}
