package yard

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"runtime/debug"
	"runtime/pprof"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/juxta-p2p/juxta/peergroup/peergrouptest"
)

// childVariable tells a program by its environment that it is to simulate.
const childVariable = "JUXTA_YARD"

const (
	// heapGrowth is how much the heap of a simulation may grow between two
	// collections, in percent: much of it lives as long as the peers.
	heapGrowth = 300

	// heapLimit is from when on memory counts more than time.
	heapLimit = 4 << 30
)

// Child simulates and ends the process, if the process was started by [Run];
// otherwise it does nothing. It must be the first thing that main does.
func Child() {
	if os.Getenv(childVariable) == "" {
		return
	}
	c := &child{out: os.Stdout}
	os.Stdout = os.Stderr // where the test writes what is of no use here
	in := bufio.NewReader(os.Stdin)
	text, err := in.ReadBytes('\n')
	var p parameters
	if err == nil {
		err = json.Unmarshal(text, &p)
	}
	if err != nil {
		c.write(line{Error: "no parameters: " + err.Error()})
		os.Exit(1)
	}
	stop, err := profile(p.CPUProfile)
	if err != nil {
		c.write(line{Error: "no profile: " + err.Error()})
		os.Exit(1)
	}
	go func() { // not waited for: it ends the process when the parent is gone
		_, _ = io.Copy(io.Discard, in)
		os.Exit(1)
	}()
	debug.SetGCPercent(heapGrowth)
	debug.SetMemoryLimit(heapLimit)
	p.Sim.Progress = func(p peergrouptest.Progress) { c.write(line{Progress: &p}) }
	every := func(_, _ string) (bool, error) { return true, nil }
	testing.Main(every, []testing.InternalTest{{Name: "Yard", F: func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			rep, err := peergrouptest.Run(context.Background(), p.Sim)
			if err = errors.Join(err, stop()); err != nil {
				c.write(line{Error: err.Error()})
				return
			}
			c.write(line{Report: rep})
		})
	}}}, nil, nil)
}

// profile begins a CPU profile, if there is a file for one. Package testing would
// do so only under the go command.
func profile(file string) (stop func() error, err error) {
	if file == "" {
		return func() error { return nil }, nil
	}
	f, err := os.Create(file)
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() error {
		pprof.StopCPUProfile()
		return f.Close()
	}, nil
}

// child writes to its parent.
type child struct {
	mu  sync.Mutex
	out io.Writer
}

func (c *child) write(l line) {
	c.mu.Lock()
	defer c.mu.Unlock()
	b, err := json.Marshal(l)
	if err != nil {
		b = []byte(`{"error":"the report cannot be written"}`)
	}
	if _, err := c.out.Write(append(b, '\n')); err != nil {
		os.Exit(1) // the parent is gone
	}
}
