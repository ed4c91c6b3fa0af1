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
func begin(ctx context.Context, j job) (*child, error) {
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
	if c.in, err = c.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := c.cmd.Start(); err != nil {
		return nil, err
	}
	go func() { // ends with the process
		defer close(c.lines)
		s := bufio.NewScanner(out)
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
	if j.Work == FanOut {
		return fanOut(ctx, j, server)
	}
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

// fanOut starts the subscribers and tells the publisher what all of them have got.
func fanOut(ctx context.Context, j job, publisher *child) (Result, error) {
	type progress struct {
		who         int
		n, disorder uint64
	}
	news := make(chan progress, j.Subscribers)
	failed := make(chan error, j.Subscribers)
	for i := range j.Subscribers {
		s, err := begin(ctx, j)
		if err != nil {
			return Result{}, err
		}
		defer s.end()
		r, err := s.report(ctx, childPatience)
		if err != nil || !r.Ready {
			return Result{}, fmt.Errorf("a subscriber: %w", err)
		}
		go func() { // ends with the process
			for text := range s.lines {
				p := progress{who: i}
				if _, err := fmt.Sscan(text, &p.n, &p.disorder); err != nil {
					failed <- fmt.Errorf("a subscriber said %q", text)
					return
				}
				select {
				case news <- p:
				case <-ctx.Done():
					return
				}
			}
		}()
	}
	select { // what a subscriber has said of itself must have arrived
	case <-time.After(time.Second):
	case <-ctx.Done():
		return Result{}, context.Cause(ctx)
	}
	if _, err := io.WriteString(publisher.in, "go\n"); err != nil {
		return Result{}, err
	}
	got, disorder := make([]uint64, j.Subscribers), make([]uint64, j.Subscribers)
	least := uint64(0)
	for {
		select {
		case p := <-news:
			got[p.who], disorder[p.who] = p.n, p.disorder
			now := got[0]
			for _, n := range got {
				now = min(now, n)
			}
			if now > least {
				least = now
				if _, err := fmt.Fprintln(publisher.in, least); err != nil {
					return Result{}, err
				}
			}
		case text := <-publisher.lines:
			var r report
			if err := json.Unmarshal([]byte(text), &r); err != nil {
				return Result{}, fmt.Errorf("the publisher: %s", firstLine(publisher.errs.String()))
			}
			if r.Error != "" {
				return Result{}, errors.New(r.Error)
			}
			for _, n := range disorder {
				r.Result.Disorder += n
			}
			return *r.Result, nil
		case err := <-failed:
			return Result{}, err
		case <-ctx.Done():
			return Result{}, context.Cause(ctx)
		}
	}
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
