//go:build linux

package reachtest

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
)

// sweepVariable says to this binary that it is to remove the namespaces with a
// prefix when its standard input ends.
const sweepVariable = "JUXTA_TEST_REACH_SWEEP"

var (
	sweeper   sync.Once
	sweeperIn io.Closer // kept: it ends with this process, and with it the sweeper
)

// spacesOf is how the names of all namespaces begin that a process makes.
func spacesOf(pid int) string { return fmt.Sprintf("jx%d-", pid) }

// startSweeper starts, once, a process that removes what this one leaves behind,
// however it ends. Tests remove their namespaces themselves; this is for those that
// run out of time or are killed.
func startSweeper(t *testing.T) {
	t.Helper()
	sweeper.Do(func() {
		self, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(self)
		cmd.Env = append(os.Environ(), sweepVariable+"="+spacesOf(os.Getpid()))
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		sweeperIn = in
	})
}

// sweep waits for the end of its standard input and removes namespaces.
func sweep(prefix string) {
	_, _ = io.Copy(io.Discard, os.Stdin)
	out, err := exec.Command("ip", "netns", "list").Output()
	if err != nil {
		return
	}
	for _, line := range strings.Split(string(out), "\n") {
		name, _, _ := strings.Cut(line, " ")
		if strings.HasPrefix(name, prefix) {
			_ = exec.Command("ip", "netns", "del", name).Run()
		}
	}
}
