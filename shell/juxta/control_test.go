package main_test

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// service starts juxta up as a process, and waits until it is ready. Sockets are
// in dir, whose path is short.
func service(t *testing.T, dir, name string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := program(t, onLoopback(append([]string{"--quic", "off", "up", name}, args...)...)...)
	cmd.Env = append(cmd.Env, "XDG_RUNTIME_DIR="+dir)
	words, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill := time.AfterFunc(4*patience, func() { _ = cmd.Process.Kill() })
	read := make(chan struct{})
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // an error if it has ended
		<-read
		_ = cmd.Wait()
		kill.Stop()
	})
	ready, all := make(chan bool, 1), ""
	go func() {
		defer close(read)
		for s := bufio.NewScanner(words); s.Scan(); {
			if all += s.Text() + "\n"; strings.Contains(s.Text(), name+" runs; ") {
				ready <- true
			}
		}
		ready <- false
	}()
	if !<-ready {
		t.Fatalf("%s does not start: %s", name, all)
	}
	return cmd
}

// sockets makes a folder for sockets. Folders of tests have long paths.
func sockets(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "jx")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// attach runs commands at a peer that runs.
func attach(t *testing.T, dir string, args ...string) end {
	t.Helper()
	cmd := program(t, args...)
	cmd.Env = append(cmd.Env, "XDG_RUNTIME_DIR="+dir)
	return finish(t, cmd, "")
}

// TestControlFromPython runs the program in docs/control.md.
func TestControlFromPython(t *testing.T) {
	t.Parallel()
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skipf("NOT TESTED: the Python program of docs/control.md: %v", err)
	}
	page, err := os.ReadFile("../../docs/control.md")
	if err != nil {
		t.Fatal(err)
	}
	_, code, ok := strings.Cut(string(page), "```python\n")
	if !ok {
		t.Fatal("docs/control.md shows no program in Python")
	}
	code, _, _ = strings.Cut(code, "```")
	dir := sockets(t)
	service(t, dir, "ann")
	cmd := exec.Command(python, "-c", code, "ann")
	cmd.Env = append(os.Environ(), "XDG_RUNTIME_DIR="+dir)
	got := finish(t, cmd, "")
	if want := "I am ann\nerror: there is no command \"nix\"\nstatus 2\nheard: hello from Python\n"; got.status != 0 || got.out != want {
		t.Errorf("%+v, want %q", got, want)
	}
}

// TestServiceDies: a peer that was killed leaves nothing that hinders the next.
func TestServiceDies(t *testing.T) {
	t.Parallel()
	dir := sockets(t)
	first := service(t, dir, "ann")
	if got := attach(t, dir, "--attach", "ann", "-c", "whoami | grep name"); got.out != "name: ann\n" {
		t.Errorf("%+v", got)
	}
	if err := first.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_, _ = first.Process.Wait()
	if _, err := os.Stat(filepath.Join(dir, "juxta-control", "ann", "sock")); err != nil {
		t.Errorf("the dead peer left no socket, so this test shows nothing: %v", err)
	}
	if got := attach(t, dir, "--attach", "ann", "-c", "whoami"); got.status != 3 || got.errors != "juxta: no peer called \"ann\" runs; juxta up ann starts one\n" {
		t.Errorf("%+v", got)
	}
	service(t, dir, "ann")
	if got := attach(t, dir, "down", "ann"); got.status != 0 || got.errors != "" {
		t.Errorf("%+v", got)
	}
	if got := attach(t, dir, "running"); got.status != 3 {
		t.Errorf("%+v", got)
	}
}
