package main_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// The tests of this folder run the program itself, as users do: separate
// processes that know nothing of each other but what the network tells them.

// binary is the program, built once for all tests; buildError tells why there is
// none.
var (
	binary     string
	buildError error
)

// patience bounds every wait for something that is not timed itself. It is long
// because the machine may be busy.
const patience = 15 * time.Second

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "juxta")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil { // one test runs the program as another user
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	binary = filepath.Join(dir, "juxta.exe") // Windows wants the suffix, others do not mind
	if out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		buildError = fmt.Errorf("the program does not build: %w\n%s", err, out)
	}
	return m.Run()
}

// environment is that of a user whose home folder is dir, on a machine where
// peers meet in the folder meeting.
func environment(dir, meeting string) []string {
	env := []string{"HOME=" + dir, "USERPROFILE=" + dir, "AppData=" + dir, "XDG_RUNTIME_DIR=" + meeting, "TMPDIR=" + meeting, "TERM=xterm-256color"}
	for _, name := range []string{"PATH", "SYSTEMROOT", "TEMP", "TMP"} {
		if v, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	return env
}

// program returns the command that runs juxta with these arguments for a user of
// its own, outside of any namespace: the arguments must keep it off the network.
func program(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	if buildError != nil {
		t.Fatal(buildError)
	}
	cmd := exec.Command(binary, args...)
	cmd.Env = environment(t.TempDir(), t.TempDir())
	return cmd
}

// onLoopback are the options of a peer that stays on the loopback interface and
// meets only whom it is told to.
func onLoopback(more ...string) []string {
	return append([]string{"--lan", "off", "--multicast", "off", "--listen", "tcp://127.0.0.1:0"}, more...)
}
