//go:build unix

package main_test

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// nobody is a user without any right, on every Unix.
const nobody = 65534

// TestHomeNotWritable: root may write everywhere, so as root the program runs as
// another user.
func TestHomeNotWritable(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("", "juxta")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o555); err != nil {
		t.Fatal(err)
	}
	home := filepath.Join(dir, "home")
	cmd := program(t, onLoopback("--home", home, "-c", "version")...)
	cmd.Dir = "/"
	if os.Geteuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	}
	got := finish(t, cmd, "")
	if got.status != 5 || got.out != "" || !oneLine(got.errors) || !strings.Contains(got.errors, home) || !strings.Contains(got.errors, "permission denied") {
		t.Errorf("%+v", got)
	}
}

// TestSignals: the program leaves the network and tells what ended it.
func TestSignals(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		signal syscall.Signal
		status int
	}{{syscall.SIGINT, 130}, {syscall.SIGTERM, 143}, {syscall.SIGHUP, 129}} {
		t.Run(tt.signal.String(), func(t *testing.T) {
			t.Parallel()
			cmd := program(t, onLoopback("-c", "echo ready; recv wall; echo never", "--name", "ann")...)
			cmd.Args = append(cmd.Args[:1], append([]string{"--json"}, cmd.Args[1:]...)...)
			got, took := interrupted(t, cmd, tt.signal)
			if got.status != tt.status || strings.Contains(got.out, "never") {
				t.Errorf("%+v, want status %d", got, tt.status)
			}
			if took > patience/3 {
				t.Errorf("it took %v", took)
			}
		})
	}
}

// interrupted runs the program until its first line, and ends it by a signal.
func interrupted(t *testing.T, cmd *exec.Cmd, sig os.Signal) (end, time.Duration) {
	t.Helper()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
	defer kill.Stop()
	lines := bufio.NewScanner(out)
	lines.Scan()
	began := time.Now()
	if err := cmd.Process.Signal(sig); err != nil {
		t.Error(err)
	}
	var e end
	for lines.Scan() {
		e.out += lines.Text() + "\n"
	}
	_ = cmd.Wait() // the status says what is to be said
	e.status = cmd.ProcessState.ExitCode()
	return e, time.Since(began)
}

// TestServiceManager: what a service manager does to a peer.
func TestServiceManager(t *testing.T) {
	t.Parallel()
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP} {
		t.Run(sig.String(), func(t *testing.T) {
			t.Parallel()
			dir := sockets(t)
			cmd := service(t, dir, "ann")
			asking := program(t, "--attach", "ann", "--json", "-c", "echo ready; sleep 1h")
			asking.Env = append(asking.Env, "XDG_RUNTIME_DIR="+dir)
			out, err := asking.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := asking.Start(); err != nil {
				t.Fatal(err)
			}
			lines := bufio.NewScanner(out)
			lines.Scan()
			if err := cmd.Process.Signal(sig); err != nil {
				t.Fatal(err)
			}
			state, err := cmd.Process.Wait()
			if err != nil || state.ExitCode() != 0 {
				t.Errorf("%v, %v", state, err)
			}
			_ = asking.Wait() // the status says what is to be said
			if status := asking.ProcessState.ExitCode(); status != 130 {
				t.Errorf("who runs a command then gets status %d", status)
			}
		})
	}
}

// TestAttachInterrupted: SIGINT ends the command at the other peer too.
func TestAttachInterrupted(t *testing.T) {
	t.Parallel()
	dir := sockets(t)
	service(t, dir, "ann")
	cmd := program(t, "--json", "--attach", "ann", "--session", "s", "-c", "echo ready; sleep 1h; echo never")
	cmd.Env = append(cmd.Env, "XDG_RUNTIME_DIR="+dir)
	got, took := interrupted(t, cmd, syscall.SIGINT)
	if got.status != 130 || got.out != "" || took > patience/3 {
		t.Errorf("%+v after %v", got, took)
	}
	deadline := time.Now().Add(patience)
	for { // the session is free as soon as the command has ended
		got := attach(t, dir, "--attach", "ann", "--session", "s", "-c", "echo free")
		if got.out == "free\n" {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the session stays busy: %+v", got)
		}
	}
}

// TestAttachAsAnotherUser: the peer of one user is out of reach for others.
func TestAttachAsAnotherUser(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("NOT TESTED: other users cannot attach to a peer: acting as another user needs root")
	}
	dir := sockets(t)
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	service(t, dir, "ann")
	cmd := program(t, "--attach", filepath.Join(dir, "juxta-control", "ann", "sock"), "-c", "whoami")
	cmd.Dir, cmd.Env = "/", append(cmd.Env, "XDG_RUNTIME_DIR="+dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	got := finish(t, cmd, "")
	if got.status != 4 || got.out != "" || !strings.Contains(got.errors, "may not be controlled by this user") {
		t.Errorf("%+v", got)
	}
}
