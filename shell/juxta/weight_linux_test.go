package main_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestWeight: the program without its symbols takes 20 MB at most, one that idles 25 MB of memory,
// and one that runs a single command ends at once. Times are those of a busy machine; medians of a quiet one stand in
// performance.md.
func TestWeight(t *testing.T) {
	const (
		mostProgram = 20 << 20
		mostMemory  = 25 << 10 // KiB
		mostTime    = time.Second
	)
	stripped := filepath.Join(t.TempDir(), "juxta")
	build := exec.Command("go", "build", "-ldflags=-s -w", "-o", stripped, ".")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	info, err := os.Stat(stripped)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("program: %.1f MB", float64(info.Size())/(1<<20))
	if info.Size() > mostProgram {
		t.Errorf("the program has %d octets", info.Size())
	}
	home := t.TempDir()
	run := func(args ...string) *exec.Cmd {
		cmd := exec.Command(stripped, append(onLoopback("--home", filepath.Join(home, "peer")), args...)...)
		cmd.Env = environment(home, home)
		return cmd
	}
	var took []time.Duration
	for range 5 {
		begun := time.Now()
		if out, err := run("-c", "whoami").CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		took = append(took, time.Since(begun))
	}
	slices.Sort(took)
	t.Logf("whoami: %v", took)
	if took[len(took)/2] > mostTime {
		t.Errorf("whoami takes %v", took)
	}
	idle := run("--control", "off", "-c", "echo ready; sleep 60s")
	out, err := idle.StdoutPipe()
	if err == nil {
		err = idle.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = idle.Process.Kill()
		_ = idle.Wait()
	}()
	if _, err := out.Read(make([]byte, len("ready"))); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", idle.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(b), "VmRSS:")
	var memory int
	if _, err := fmt.Sscan(rest, &memory); err != nil {
		t.Fatal(err)
	}
	t.Logf("idle: %.1f MB", float64(memory)/1024)
	if memory > mostMemory {
		t.Errorf("an idle peer takes %d KiB", memory)
	}
}
