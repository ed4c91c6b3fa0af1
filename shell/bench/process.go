package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"
)

// child is a process that does a part of a job.
type child struct {
	cmd   *exec.Cmd
	in    io.WriteCloser
	lines chan string
	errs  strings.Builder
}

// begin starts this program again for a job.
func begin(ctx context.Context, j job) (*child, error) { return beginBetween(ctx, j, nil, nil) }

// beginBetween is begin for a process that reads from one file and writes to another,
// as others may, and not from and to this process; which nil means.
func beginBetween(ctx context.Context, j job, in, out *os.File) (*child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(j)
	if err != nil {
		return nil, err
	}
	c := &child{cmd: exec.CommandContext(ctx, self), lines: make(chan string, 64)}
	c.cmd.Env = append(os.Environ(), childVariable+"="+string(text))
	c.cmd.Stderr = &c.errs
	if in != nil {
		c.cmd.Stdin, c.in = in, nowhere{io.Discard}
	} else if c.in, err = c.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if out != nil {
		c.cmd.Stdout = out
		close(c.lines)
		return c, c.cmd.Start()
	}
	said, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := c.cmd.Start(); err != nil {
		return nil, err
	}
	go func() { // ends with the process
		defer close(c.lines)
		s := bufio.NewScanner(said)
		s.Buffer(nil, maxLine)
		for s.Scan() {
			select {
			case c.lines <- s.Text():
			case <-ctx.Done():
				return
			}
		}
	}()
	return c, nil
}

// nowhere is the input of a process that reads from elsewhere.
type nowhere struct{ io.Writer }

func (nowhere) Close() error { return nil }

const (
	maxLine = 1 << 20

	// childPatience bounds how long a child may say nothing, beside what it measures.
	childPatience = 60 * time.Second
)

// report returns the next report.
func (c *child) report(ctx context.Context, within time.Duration) (r report, err error) {
	timer := time.NewTimer(within)
	defer timer.Stop()
	select {
	case text, ok := <-c.lines:
		if !ok {
			return r, fmt.Errorf("the process ended: %s", firstLine(c.errs.String()))
		}
		if err := json.Unmarshal([]byte(text), &r); err != nil {
			return r, fmt.Errorf("the process said %q", text)
		}
		if r.Error != "" {
			return r, errors.New(r.Error)
		}
		return r, nil
	case <-timer.C:
		return r, fmt.Errorf("the process said nothing for %v", within)
	case <-ctx.Done():
		return r, context.Cause(ctx)
	}
}

func firstLine(s string) string {
	s, _, _ = strings.Cut(strings.TrimSpace(s), "\n")
	if s == "" {
		return "without a word"
	}
	return s
}

// end has the process end, and kills it if it does not.
func (c *child) end() {
	_ = c.in.Close()
	done := make(chan struct{})
	go func() {
		for range c.lines {
		}
		_ = c.cmd.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(time.Second):
		_ = c.cmd.Process.Kill()
		<-done
	}
}

// once measures one contestant once.
func once(ctx context.Context, j job) (Result, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	length := time.Duration((j.Seconds+j.WarmUp)*float64(time.Second)) + childPatience
	if j.Work == Start {
		return starts(ctx, j)
	}
	if j.Work == FanOut {
		return fanOut(ctx, j, length)
	}
	j.Part = "serve"
	server, err := begin(ctx, j)
	if err != nil {
		return Result{}, err
	}
	defer server.end()
	r, err := server.report(ctx, childPatience)
	if err != nil {
		return Result{}, err
	}
	j.Part, j.Addr = "send", r.Addr
	client, err := begin(ctx, j)
	if err != nil {
		return Result{}, err
	}
	defer client.end()
	if r, err = client.report(ctx, length); err != nil {
		select {
		case text := <-server.lines: // may say why
			return Result{}, fmt.Errorf("%w; the other side: %s", err, text)
		default:
			return Result{}, err
		}
	}
	return *r.Result, nil
}

// starts measures how long a whole process takes until it is ready, and what memory
// it has after a while.
func starts(ctx context.Context, j job) (Result, error) {
	j.Part = "serve"
	server, err := begin(ctx, j)
	if err != nil {
		return Result{}, err
	}
	defer server.end()
	r, err := server.report(ctx, childPatience)
	if err != nil {
		return Result{}, err
	}
	j.Part, j.Addr = "start", r.Addr
	if j.Home, err = homeOf(j.Home, j.Contestant); err != nil {
		return Result{}, err
	}
	var took []float64
	memory := 0.0
	for i := range startTimes {
		begun := time.Now()
		c, err := begin(ctx, j)
		if err != nil {
			return Result{}, err
		}
		r, err := c.report(ctx, childPatience)
		if err == nil && !r.Ready {
			err = errors.New("it did not say that it was ready")
		}
		if err != nil {
			c.end()
			return Result{}, err
		}
		if i > 0 { // the first has no home yet
			took = append(took, float64(time.Since(begun))/1e3)
		}
		if i == startTimes-1 {
			select {
			case <-time.After(restFor):
			case <-ctx.Done():
			}
			memory = resident(c.cmd.Process.Pid)
		}
		c.end()
	}
	res := latencies(took)
	res.Memory = memory
	return res, nil
}

const (
	// startTimes is how many processes are started in a round.
	startTimes = 6
	// restFor is how long a process is at rest before its memory is looked at.
	restFor = 5 * time.Second
)

// resident is the memory of a process in MiB; 0 where the system does not tell.
func resident(pid int) float64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			var kib float64
			if _, err := fmt.Sscan(rest, &kib); err == nil {
				return kib / 1024
			}
		}
	}
	return 0
}
