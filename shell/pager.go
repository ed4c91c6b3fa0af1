package shell

import (
	"context"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
)

// pager returns the program that shows long output page by page and its arguments, nil if
// there is none: $PAGER, split at blanks, or less if that is not set.
func pager() []string {
	text, set := os.LookupEnv("PAGER")
	if !set {
		text = "less"
	}
	argv := strings.Fields(text)
	if len(argv) == 0 || argv[0] == "cat" {
		return nil
	}
	if _, err := exec.LookPath(argv[0]); err != nil {
		return nil
	}
	return argv
}

// lessOptions are those of less unless the user has set others: end when all fits on one screen,
// show bold text, leave the text on the screen, end with Ctrl-C.
const lessOptions = "FRXK"

// paging is a pager that runs.
type paging struct {
	in   io.WriteCloser
	cmd  *exec.Cmd
	back func() // gives the terminal back
}

// page starts the pager and lends it the terminal.
func (p *program) page(ctx context.Context, argv []string) (io.WriteCloser, error) {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Stdout, cmd.Stderr = p.stdout, p.stderr
	cmd.Env = os.Environ()
	if _, set := os.LookupEnv("LESS"); !set {
		cmd.Env = append(cmd.Env, "LESS="+lessOptions)
	}
	cmd.WaitDelay = endsWithin
	cmd.Cancel = func() error {
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			return cmd.Process.Kill() // where there is no such signal
		}
		return nil
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	back := p.term.Lend()
	if err := cmd.Start(); err != nil {
		back()
		return nil, err
	}
	return &paging{in, cmd, back}, nil
}

// Write implements io.Writer. It fails when the user has left the pager.
func (p *paging) Write(b []byte) (int, error) { return p.in.Write(b) }

// Close waits until the user leaves the pager.
func (p *paging) Close() error {
	_ = p.in.Close()
	err := p.cmd.Wait()
	p.back()
	return err
}
