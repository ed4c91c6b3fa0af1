package yard

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

const (
	// processStarts is how long a process may take until it listens.
	processStarts = 20 * time.Second

	// processEnds is how long it may take to say goodbye; then it is killed.
	processEnds = 5 * time.Second
)

// startProcess starts a shell whose commands come from a pipe. It ends when the
// pipe is closed, so also when this process ends in whatever way.
func (y *Yard) startProcess(ctx context.Context, cfg UpConfig, p *Peer, seeds []string) (stop func() error, err error) {
	args := []string{"--name", p.Name, "--home", filepath.Join(y.home, p.Name), "--listen", listenURL(cfg.Listen),
		"--lan", "off", "--multicast", "off", "--role", p.Role, "--json", "-k"}
	for _, s := range seeds {
		args = append(args, "--seed", s)
	}
	cmd := exec.Command(cfg.Program, args...)
	faults := &head{limit: maxFaults}
	cmd.Stderr, cmd.WaitDelay = faults, waitDelay
	apart(cmd)
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	ended := make(chan error, 1)
	stop = func() error {
		_ = in.Close()
		kill := time.AfterFunc(processEnds, func() { _ = cmd.Process.Kill() })
		defer kill.Stop()
		return <-ended
	}
	first := make(chan []byte, 1)
	go func() { // ends with the process, for which stop waits
		lines := bufio.NewScanner(out)
		if lines.Scan() {
			first <- lines.Bytes()
		}
		close(first)
		_, _ = io.Copy(io.Discard, out)
		ended <- cmd.Wait()
	}()
	p.PID = cmd.Process.Pid
	if p.URL, err = ask(ctx, in, first); err != nil {
		if ended := stop(); ended != nil {
			err = fmt.Errorf("%w: %w", err, ended)
		}
		if text := faults.text(); text != "" {
			err = fmt.Errorf("%w: %s", err, strings.TrimSpace(text))
		}
		return nil, err
	}
	return stop, nil
}

// ask asks a shell where it listens.
func ask(ctx context.Context, in io.Writer, first <-chan []byte) (string, error) {
	if _, err := io.WriteString(in, "whoami\n"); err != nil {
		return "", err
	}
	limit := time.NewTimer(processStarts)
	defer limit.Stop()
	select {
	case b, ok := <-first:
		if !ok {
			return "", errors.New("the process ended at once")
		}
		var me struct{ Addresses []string }
		if err := json.Unmarshal(b, &me); err != nil || len(me.Addresses) == 0 {
			return "", fmt.Errorf("the process does not say where it listens: %q", b)
		}
		return me.Addresses[0], nil
	case <-limit.C:
		return "", errors.New("the process does not start")
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
}
