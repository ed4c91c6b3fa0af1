// Package yard is where peers are tried out by the thousand: [Run] simulates a
// network in virtual time, [Up] starts one on the loopback interface.
//
// Virtual time is that of testing/synctest, which exists only inside a test. So
// Run starts the running program once more, as a child whose main enters [Child]
// first: there a test runs that is the simulation. Parameters and report cross
// between the two as JSON.
package yard

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"

	"github.com/juxta-p2p/juxta/peergroup/peergrouptest"
)

// Config is what [Run] may be told besides the simulation.
type Config struct {
	// Progress is told how it goes, by the goroutine that called Run. Nil: nobody
	// is. Sim.Progress is not used.
	Progress func(peergrouptest.Progress)

	// CPUProfile is a file for the profile of the simulation; empty: none.
	CPUProfile string
}

const (
	// waitDelay is how long the child's output may stay open after its end.
	waitDelay = 2 * time.Second

	// maxFaults is how much of what a child says when it breaks is kept.
	maxFaults = 4096

	// maxLine is the longest line of the child, its report.
	maxLine = 16 << 20
)

// parameters are what the child reads: one line.
type parameters struct {
	Sim        peergrouptest.Sim `json:"sim"`
	CPUProfile string            `json:"cpu_profile"`
}

// line is what the child writes: one field a line.
type line struct {
	Progress *peergrouptest.Progress `json:"progress,omitempty"`
	Report   *peergrouptest.Report   `json:"report,omitempty"`
	Error    string                  `json:"error,omitempty"`
}

// errEnded is the cause when the child ended without a word.
var errEnded = errors.New("the simulation ended before its time")

// Run simulates in virtual time, in a process of its own, which ends with ctx and
// with this process. The program's main must call [Child] first. Sim.Configure
// cannot be used.
func Run(ctx context.Context, sim peergrouptest.Sim, cfg Config) (*peergrouptest.Report, error) {
	if sim.Configure != nil {
		return nil, errors.New("yard: Sim.Configure cannot go to another process")
	}
	text, err := json.Marshal(parameters{sim, cfg.CPUProfile})
	if err != nil {
		return nil, fmt.Errorf("yard: %w", err)
	}
	program, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("yard: %w", err)
	}
	own, cancel := context.WithCancel(ctx)
	defer cancel()
	cmd := exec.CommandContext(own, program)
	faults := &head{limit: maxFaults}
	cmd.Env, cmd.WaitDelay, cmd.Stderr = append(os.Environ(), childVariable+"=1"), waitDelay, faults
	apart(cmd)
	in, err := cmd.StdinPipe() // stays open as long as the child is to live
	if err != nil {
		return nil, fmt.Errorf("yard: %w", err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("yard: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("yard: %w", err)
	}
	var rep *peergrouptest.Report
	if _, err = in.Write(append(text, '\n')); err == nil {
		rep, err = read(out, cfg.Progress)
	}
	if err != nil {
		cancel() // there is nothing to wait for
	}
	ended := cmd.Wait()
	switch {
	case err == nil && ended == nil:
		return rep, nil
	case ctx.Err() != nil:
		return nil, fmt.Errorf("yard: %w", context.Cause(ctx))
	case err == nil:
		err = ended
	case !errors.Is(err, errEnded):
		return nil, fmt.Errorf("yard: %w", err)
	}
	if why := faults.text(); why != "" {
		return nil, fmt.Errorf("yard: %w: %s", err, why)
	}
	return nil, fmt.Errorf("yard: %w", err)
}

// read reads what the child writes, until its report.
func read(out io.Reader, progress func(peergrouptest.Progress)) (*peergrouptest.Report, error) {
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		var l line
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
			return nil, fmt.Errorf("the simulation is not understood: %w", err)
		}
		switch {
		case l.Error != "":
			return nil, errors.New(l.Error)
		case l.Report != nil:
			return l.Report, nil
		case l.Progress != nil && progress != nil:
			progress(*l.Progress)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	return nil, errEnded
}

// head keeps the start of what is written to it, where a crashed program tells
// why.
type head struct {
	limit int
	kept  []byte
}

func (t *head) Write(p []byte) (int, error) {
	t.kept = append(t.kept, p[:min(len(p), t.limit-len(t.kept))]...)
	return len(p), nil
}

func (t *head) text() string { return string(t.kept) }
