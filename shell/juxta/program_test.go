package main_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// end is how a run of the program ended.
type end struct {
	status      int
	out, errors string
}

// finish runs the program to its end.
func finish(t *testing.T, cmd *exec.Cmd, stdin string) end {
	t.Helper()
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
	defer kill.Stop()
	if err := cmd.Wait(); err != nil && !errors.As(err, new(*exec.ExitError)) {
		t.Fatal(err)
	}
	return end{cmd.ProcessState.ExitCode(), out.String(), errs.String()}
}

// oneLine reports whether a text is a single line.
func oneLine(s string) bool { return strings.Count(s, "\n") == 1 && strings.HasSuffix(s, "\n") }

func TestStatuses(t *testing.T) {
	t.Parallel()
	script := filepath.Join(t.TempDir(), "script.jsh")
	if err := os.WriteFile(script, []byte("# counts\necho one; echo two\nnix\necho never\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name         string
		args         []string
		stdin        string
		status       int
		out, inError string
	}{
		{name: "all went well", args: onLoopback("-c", "echo hello"), out: "hello\n"},
		{name: "a command fails", args: onLoopback("-c", "leave; echo never"), status: 1, inError: "# leave - "},
		{name: "unknown option", args: []string{"--nix"}, status: 2, inError: "juxta: "},
		{name: "wrong value", args: []string{"--role", "king"}, status: 2, inError: "juxta: "},
		{name: "roles that exclude each other", args: []string{"--role", "adhoc,relay"}, status: 2, inError: "juxta: "},
		{name: "command used wrongly", args: onLoopback("-c", "peers --nix"), status: 2, inError: "# peers - "},
		{name: "nothing found", args: onLoopback("-c", "peers"), status: 3, inError: "# peers - no other peers found"},
		{name: "nobody to ask", args: onLoopback("-c", "search -r -w 100ms"), status: 3, inError: "# search - no advertisements found"},
		{name: "the time is over", args: onLoopback("-c", "p = newpipe wall; recv -w 50ms p"), status: 124, inError: "# recv - no message came within 50ms"},
		{name: "own status", args: onLoopback("-c", "exit 42"), status: 42},
		{name: "standard input", args: onLoopback(), stdin: "echo one\n\n# nothing\necho 'two\nthree'; echo four | wc -l", out: "one\ntwo\nthree\n1\n"},
		{name: "script", args: onLoopback(script), status: 2, out: "one\ntwo\n", inError: `# nix - there is no command "nix"`},
		{name: "script that goes on", args: onLoopback("-k", script), status: 2, out: "one\ntwo\nnever\n", inError: `there is no command "nix"`},
		{name: "no such script", args: onLoopback(script + ".gone"), status: 1, inError: "juxta: cannot read the script"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := finish(t, program(t, tt.args...), tt.stdin)
			if got.status != tt.status || got.out != tt.out {
				t.Errorf("status %d, want %d; output %q, want %q; errors %q", got.status, tt.status, got.out, tt.out, got.errors)
			}
			if !strings.Contains(got.errors, tt.inError) || tt.inError == "" && got.errors != "" {
				t.Errorf("errors %q, want %q", got.errors, tt.inError)
			}
			if strings.HasPrefix(tt.inError, "juxta: ") && !oneLine(got.errors) {
				t.Errorf("more than a line: %q", got.errors)
			}
		})
	}
}

// TestJSON: with --json every line of both streams is an object, and errors have
// one shape, of the program as of commands.
func TestJSON(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name          string
		args          []string
		status        int
		code, command string
		rows          int
	}{
		{"a listing", onLoopback("-c", "whoami; env; echo text; help | grep pipe"), 0, "", "", 10},
		{"nothing found", onLoopback("-c", "whoami; peers"), 3, "not_found", "peers", 1},
		{"unknown command", onLoopback("-c", "nix"), 2, "unknown_command", "nix", 0},
		{"used wrongly", onLoopback("-c", "send"), 2, "usage", "send", 0},
		{"syntax", onLoopback("-c", "echo 'open"), 2, "syntax", "", 0},
		{"the time is over", onLoopback("-c", "p = newpipe wall; recv -w 50ms p"), 124, "timed_out", "recv", 1},
		{"cannot start", onLoopback("--home", filepath.Join(binary, "home"), "-c", "version"), 5, "not_started", "juxta", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := finish(t, program(t, append([]string{"--json"}, tt.args...)...), "")
			rows := 0
			for line := range strings.Lines(got.out) {
				var o object
				if err := json.Unmarshal([]byte(line), &o); err != nil || len(o) == 0 {
					t.Errorf("no object: %q, %v", line, err)
				}
				rows++
			}
			if got.status != tt.status || rows < tt.rows || tt.rows == 0 && rows > 0 {
				t.Errorf("status %d, want %d; %d lines, want %d or more: %q", got.status, tt.status, rows, tt.rows, got.out)
			}
			if tt.code == "" {
				if got.errors != "" {
					t.Errorf("errors %q", got.errors)
				}
				return
			}
			var o object
			if err := json.Unmarshal([]byte(got.errors), &o); err != nil {
				t.Fatalf("%q: %v", got.errors, err)
			}
			e := o.within("error")
			if e.text("code") != tt.code || e.text("message") == "" || e["status"] != float64(tt.status) || tt.command != "" && e.text("command") != tt.command {
				t.Errorf("errors %s", got.errors)
			}
		})
	}
}

func TestPortTaken(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	got := finish(t, program(t, "--lan", "off", "--multicast", "off", "--listen", "tcp://"+l.Addr().String(), "-c", "version"), "")
	if got.status != 5 || got.out != "" || !oneLine(got.errors) || !strings.Contains(got.errors, l.Addr().String()) || !strings.Contains(got.errors, "in use") {
		t.Errorf("%+v", got)
	}
}

func TestHomeInUse(t *testing.T) {
	t.Parallel()
	home := filepath.Join(t.TempDir(), "home")
	first := open(t, "first", program(t, onLoopback("--home", home)...))
	first.must("whoami")
	got := finish(t, program(t, onLoopback("--home", home, "-c", "version")...), "")
	pid := fmt.Sprint(first.cmd.Process.Pid)
	if got.status != 5 || got.out != "" || !oneLine(got.errors) || !strings.Contains(got.errors, home) || !strings.Contains(got.errors, pid) {
		t.Errorf("%+v, want %s and process %s named", got, home, pid)
	}
	// What is left when a process dies stands in nobody's way.
	first.kill()
	if got := finish(t, program(t, onLoopback("--home", home, "-c", "echo free")...), ""); got.status != 0 || got.out != "free\n" || got.errors != "" {
		t.Errorf("%+v", got)
	}
}
