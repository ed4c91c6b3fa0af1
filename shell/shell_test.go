package shell_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/juxta-p2p/juxta/shell"
)

// programEnv makes the test binary act as the program juxta.
const programEnv = "JUXTA_SHELL_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(programEnv) != "" {
		os.Exit(shell.Main(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
	}
	goleak.VerifyTestMain(m)
}

// program returns the command that runs juxta with these arguments and folders
// of its own.
func program(t *testing.T, home string, args ...string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, args...)
	cmd.Env = append(os.Environ(), programEnv+"=1", "JUXTA_HOME="+home, "TERM=xterm", "NO_COLOR=1")
	return cmd
}

// quiet are the options of peers that stay alone, on a port of their own.
func quiet(more ...string) []string {
	return append([]string{"--lan", "off", "--multicast", "off", "--listen", "tcp://127.0.0.1:0", "--name", "ann"}, more...)
}

// run runs Main in this process, without a terminal.
func run(t *testing.T, stdin string, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	status = shell.Main(t.Context(), args, strings.NewReader(stdin), &out, &errs)
	return status, out.String(), errs.String()
}

func TestCommandLine(t *testing.T) {
	home := filepath.Join(t.TempDir(), "home")
	script := filepath.Join(t.TempDir(), "script")
	if err := os.WriteFile(script, []byte("# a script\necho one\necho 'two\nthree'\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name          string
		args          []string
		stdin         string
		status        int
		stdout, inErr string
	}{
		{name: "version", args: []string{"--version"}, stdout: "juxta "},
		{name: "help", args: []string{"--help"}, stdout: "usage: juxta"},
		{name: "unknown option", args: []string{"--nix"}, status: 2, inErr: "juxta --help tells the options"},
		{name: "bad role", args: []string{"--role", "king"}, status: 2, inErr: `"king" is none of edge`},
		{name: "bad group", args: []string{"--net", "x"}, status: 2, inErr: "not a JXTA ID"},
		{name: "bad switch", args: []string{"--lan", "maybe"}, status: 2, inErr: "want on or off"},
		{name: "bad level", args: []string{"--log", "loud"}, status: 2, inErr: "want debug"},
		{name: "missing value", args: []string{"--name"}, status: 2, inErr: "needs an argument"},
		{name: "script and -c", args: []string{"-c", "a", "b"}, status: 2, inErr: "exclude each other"},
		{name: "two scripts", args: []string{"a.jsh", "b.jsh"}, status: 2, inErr: "one script"},
		{name: "almost a command", args: []string{"pers", "-r"}, status: 2, inErr: "neither a command nor a script \"pers\"; did you mean peers?"},
		{name: "no command at all", args: []string{"frobnicate"}, status: 2, inErr: "juxta help lists the commands"},
		{name: "no such script", args: []string{"/nonexistent/script"}, status: 1, inErr: "cannot read the script"},
		{name: "-c", args: quiet("--home", home, "-c", "whoami | grep name; echo $?"), stdout: "name: ann\n0\n"},
		{name: "-c stops at the first failure", args: quiet("--home", home, "-c", "echo a; peers; echo b"), status: 3, stdout: "a\n", inErr: "# peers - no other peers found"},
		{name: "-k goes on", args: quiet("--home", home, "-k", "-c", "echo a; peers; echo b"), status: 3, stdout: "a\nb\n", inErr: "no other peers"},
		{name: "exit status", args: quiet("--home", home, "-c", "exit 7; echo no"), status: 7},
		{name: "standard input", args: quiet("--home", home), stdin: "echo a; echo b\n\necho 'c\nd' # e\nexit\necho no\n", stdout: "a\nb\nc\nd\n"},
		{name: "standard input stops at the first failure", args: quiet("--home", home), stdin: "nix\necho no\n", status: 2, inErr: `there is no command "nix"`},
		{name: "unfinished input", args: quiet("--home", home), stdin: "echo 'a", status: 2, inErr: "not closed"},
		{name: "script", args: quiet("--home", home, script), stdout: "one\ntwo\nthree\n"},
		{name: "json", args: quiet("--home", home, "--json", "-c", "echo a; nix"), status: 2, stdout: `{"text":"a"}` + "\n", inErr: `{"error":{"code":"unknown_command"`},
		{name: "no home", args: quiet("--home", ""), status: 2, inErr: "must not be empty"},
		{name: "home cannot be made", args: quiet("--home", script+"/home", "-c", "version"), status: 5, inErr: "juxta: "},
		{name: "address of another machine", args: []string{"--home", home, "--lan", "off", "--multicast", "off", "--listen", "tcp://192.0.2.1:0", "-c", "version"}, status: 5, inErr: "--listen wants an address of this machine"},
		{name: "not an address", args: []string{"--home", home, "--lan", "off", "--multicast", "off", "--listen", "tcp://nowhere", "-c", "version"}, status: 5, inErr: "listen"},
		{name: "talk from a script", args: quiet("--home", home, "-c", "talk -w 200ms bob hello"), status: 3, inErr: `nobody called "bob" was found`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			status, stdout, stderr := run(t, tt.stdin, tt.args...)
			if status != tt.status {
				t.Errorf("status %d, want %d", status, tt.status)
			}
			if exact := strings.HasSuffix(tt.stdout, "\n"); exact && stdout != tt.stdout || !strings.Contains(stdout, tt.stdout) {
				t.Errorf("output %q, want %q", stdout, tt.stdout)
			}
			if !strings.Contains(stderr, tt.inErr) || tt.inErr == "" && stderr != "" {
				t.Errorf("errors %q, want %q", stderr, tt.inErr)
			}
			if tt.status == 2 || tt.status == 5 {
				if n := strings.Count(stderr, "\n"); n != 1 {
					t.Errorf("%d lines of errors, want one: %q", n, stderr)
				}
			}
		})
	}
}

func TestPortTaken(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	addr := l.Addr().String()
	status, _, stderr := run(t, "", "--home", t.TempDir(), "--lan", "off", "--multicast", "off", "--listen", "tcp://"+addr, "-c", "version")
	if want := fmt.Sprintf("juxta: cannot listen on %s: address already in use; choose another port with --listen\n", addr); status != 5 || stderr != want {
		t.Errorf("status %d, %q; want %q", status, stderr, want)
	}
	status, _, stderr = run(t, "", "--home", t.TempDir(), "--json", "--lan", "off", "--multicast", "off", "--listen", "tcp://"+addr, "-c", "version")
	var e struct {
		Error struct {
			Code, Message string
			Status        int
		}
	}
	if err := json.Unmarshal([]byte(stderr), &e); err != nil || status != 5 || e.Error.Code != "not_started" || e.Error.Status != 5 {
		t.Errorf("status %d, %q, %v", status, stderr, err)
	}
}

// TestHomeInUse: a home that was asked for is refused, of the default one the
// next profile is taken.
func TestHomeInUse(t *testing.T) {
	dir := t.TempDir()
	home := filepath.Join(dir, "juxta")
	first := program(t, home, quiet()...)
	in, err := first.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := first.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		in.Close()
		if err := first.Wait(); err != nil {
			t.Errorf("first shell: %v", err)
		}
	}()
	fmt.Fprintln(in, "echo ready")
	buf := make([]byte, 64)
	if n, err := out.Read(buf); err != nil || string(buf[:n]) != "ready\n" {
		t.Fatalf("%q, %v", buf[:n], err)
	}

	status, _, stderr := run(t, "", quiet("--home", home, "-c", "version")...)
	if status != 5 || !strings.Contains(stderr, "is in use by another peer, process") || !strings.Contains(stderr, "--home") {
		t.Errorf("explicit home: status %d, %q", status, stderr)
	}
	second := program(t, home, quiet("-c", "whoami | grep home")...)
	var errs bytes.Buffer
	second.Stderr = &errs
	got, err := second.Output()
	if err != nil || string(got) != "home: "+home+"-2\n" || !strings.Contains(errs.String(), "another peer uses "+home) {
		t.Errorf("default home: %q, %q, %v", got, errs.String(), err)
	}
}

func TestLogGoesToStandardError(t *testing.T) {
	status, stdout, stderr := run(t, "", quiet("--home", t.TempDir(), "--log", "info", "-c", "echo a")...)
	if status != 0 || stdout != "a\n" || !strings.Contains(stderr, "level=INFO") {
		t.Errorf("status %d, output %q, errors %q", status, stdout, stderr)
	}
}

func TestContextEndsMain(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var out, errs bytes.Buffer
	cancel()
	shell.Main(ctx, quiet("--home", t.TempDir(), "-c", "sleep 1h"), strings.NewReader(""), &out, &errs)
}

// ExampleMain shows the shell as a program uses it.
func ExampleMain() {
	home, err := os.MkdirTemp("", "juxta")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(home)
	args := []string{"--home", home, "--name", "ann", "--listen", "tcp://127.0.0.1:0", "--lan", "off", "--multicast", "off",
		"-c", "whoami | grep name; chat = newpipe -p chat; env | grep chat | wc -l"}
	status := shell.Main(context.Background(), args, os.Stdin, os.Stdout, os.Stderr)
	fmt.Println("status", status)
	// Output:
	// name: ann
	// 1
	// status 0
}
