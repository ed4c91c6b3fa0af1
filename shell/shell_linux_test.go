package shell_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/juxta-p2p/juxta/shell/terminal/terminaltest"
)

// sit starts juxta in a pseudo-terminal and waits for its prompt.
func sit(t *testing.T, home string, args ...string) *terminaltest.Session {
	t.Helper()
	s := terminaltest.Start(t, 24, 100, program(t, home, args...))
	ready(s)
	return s
}

// ready waits for an empty prompt.
func ready(s *terminaltest.Session) {
	s.Until("prompt", func(v *terminaltest.Screen) bool { return strings.HasSuffix(v.Text(), "JXTA>") && v.X == len("JXTA> ") })
}

func has(s *terminaltest.Session, text string) {
	s.Until(text, func(v *terminaltest.Screen) bool { return strings.Contains(v.Text(), text) })
}

// running waits until a command runs: the terminal is as it was.
func running(s *terminaltest.Session) {
	s.Until("a command runs", func(v *terminaltest.Screen) bool {
		return strings.Count(v.Written(), "\x1b[?2004h") == strings.Count(v.Written(), "\x1b[?2004l") && v.X == 0
	})
}

func TestInteractive(t *testing.T) {
	t.Parallel()
	home := filepath.Join(t.TempDir(), "juxta")
	if err := os.MkdirAll(home, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(home, ".jshrc"), []byte("hello = 'from the startup file'\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := terminaltest.Start(t, 24, 100, program(t, home, quiet()...))
	before, raw := s.Mode(), s.Raw()
	ready(s)
	greeting := strings.Split(s.Text(), "\n")
	if len(greeting) != 4 || !strings.HasPrefix(greeting[0], "ann, edge, peer ") || !strings.HasPrefix(greeting[1], "listening on t") ||
		!strings.Contains(greeting[2], "help") {
		t.Errorf("greeting\n%s", s.Text())
	}
	s.Type("echo $hello\r")
	has(s, "\nfrom the startup file\n")
	s.Type("whoa\t \r") // completion
	has(s, "peer id:     urn:jxta:cbid-")
	s.Type("echo 'one\r")
	has(s, "\n  ...>")
	s.Type("two'\r")
	has(s, "\none\ntwo\n")
	s.Type("sleep 1h\r")
	running(s)
	s.Type("\x03")
	has(s, " - interrupted\n")
	s.Type("talk ann hello, me\r")
	has(s, "# talk - ann to ann> hello, me\n")
	s.Type(" echo secret\r")
	has(s, "\nsecret\n")
	s.Type("history\r")
	has(s, "  0  echo $hello\n")
	s.Type("!0\r")
	has(s, "JXTA> !0\necho $hello\nfrom the startup file\n")
	s.Type("newpgrp -j crew\r")
	has(s, "\nJXTA crew>")
	s.Type("nix\r")
	has(s, `there is no command "nix"`)
	s.Type("\x04")
	if status := s.Wait(); status != 0 {
		t.Errorf("status %d after Ctrl-D", status)
	}
	if s.Raw() || !raw && s.Mode() != before {
		t.Error("the terminal was not restored")
	}
	if out := s.Output(); strings.Contains(out, "\x1b[0;3") || strings.Contains(out, "\x1b[1;3") {
		t.Error("colours in spite of NO_COLOR")
	}
	b, err := os.ReadFile(filepath.Join(home, "history"))
	if err != nil || !strings.HasPrefix(string(b), "echo $hello\nwhoami \n") && !strings.HasPrefix(string(b), "echo $hello\nwhoami\n") || strings.Contains(string(b), "secret") {
		t.Errorf("history %q, %v", b, err)
	}

	// The history and the peer are there again.
	s = sit(t, home, quiet()...)
	s.Type("\x12startup\x07\x1b[A\x1b[A\r")
	has(s, "JXTA crew>")
	s.Type("exit\r")
	if status := s.Wait(); status != 2 && status != 0 {
		t.Errorf("status %d after exit", status)
	}
}

// TestTwoNewcomersTalk is what two people do first.
func TestTwoNewcomersTalk(t *testing.T) {
	t.Parallel()
	ann := sit(t, filepath.Join(t.TempDir(), "juxta"), quiet("--role", "rendezvous")...)
	_, address, ok := strings.Cut(ann.Text(), "listening on ")
	if !ok {
		t.Fatal(ann.Text())
	}
	address, _, _ = strings.Cut(address, "\n")
	address, _, _ = strings.Cut(address, " ")
	bob := sit(t, filepath.Join(t.TempDir(), "juxta"), quiet("--name", "bob", "--seed", address)...)
	ann.Type("echo half a")
	has(ann, "echo half a")
	bob.Type("talk ann hello, it's me\r")
	has(ann, "\n# talk - bob to ann> hello, it's me\nJXTA> echo half a")
	ann.Type(" line\r")
	has(ann, "\nhalf a line\n")
	ready(ann)
	ann.Type("talk bob\r")
	has(ann, "\nann to bob>")
	ann.Type("hello bob\r")
	has(bob, "# talk - ann to bob> hello bob\nJXTA>")
	bob.Type("talk ann bye\r")
	has(ann, "# talk - bob to ann> bye\nann to bob>")
	ann.Type(".\r")
	has(ann, "ann to bob> .\nJXTA>")
	for _, s := range []*terminaltest.Session{ann, bob} {
		ready(s)
		s.Type("exit\r")
		if status := s.Wait(); status != 0 {
			t.Errorf("status %d\n%s", status, s.Text())
		}
	}
}

// TestCtrlCGivesUp what was begun: a command of several lines, a conversation.
func TestCtrlCGivesUp(t *testing.T) {
	t.Parallel()
	s := sit(t, filepath.Join(t.TempDir(), "juxta"), quiet()...)
	s.Type("echo 'one\r")
	has(s, "\n  ...>")
	s.Type("two\x03")
	ready(s)
	s.Type("talk -w 100ms ann\r")
	has(s, "\nann to ann>")
	s.Type("half a line\x03")
	has(s, "\n# talk - interrupted\nJXTA>")
	ready(s)
	s.Type("echo 'still' there\r")
	has(s, "\nstill there\nJXTA>")
	s.Type("exit\r")
	if status := s.Wait(); status != 130 { // that of the last command that failed
		t.Errorf("status %d", status)
	}
}

func TestSignals(t *testing.T) {
	t.Parallel()
	s := sit(t, filepath.Join(t.TempDir(), "juxta"), quiet()...)
	s.Type("half a line")
	has(s, "half a line")
	s.Signal(syscall.SIGTERM)
	if status := s.Wait(); status != 143 {
		t.Errorf("status %d after SIGTERM", status)
	}
	if s.Raw() {
		t.Error("the terminal was not restored")
	}

	s = sit(t, filepath.Join(t.TempDir(), "juxta"), quiet()...)
	s.Type("sleep 1h\r")
	running(s)
	s.Signal(syscall.SIGTERM)
	if status := s.Wait(); status != 143 {
		t.Errorf("status %d after SIGTERM during a command", status)
	}

	s = sit(t, filepath.Join(t.TempDir(), "juxta"), quiet()...)
	s.HangUp()
	if status := s.Wait(); status != 129 && status != 0 {
		t.Errorf("status %d after hang-up", status)
	}
}

func TestInterruptOfAScript(t *testing.T) {
	t.Parallel()
	cmd := program(t, filepath.Join(t.TempDir(), "juxta"), quiet("-c", "echo ready; sleep 1h; echo never")...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 64)
	if n, err := out.Read(buf); err != nil || string(buf[:n]) != "ready\n" {
		t.Fatalf("%q, %v", buf[:n], err)
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if status := cmd.ProcessState.ExitCode(); status != 130 {
		t.Errorf("status %d", status)
	}
}

func TestDumbTerminal(t *testing.T) {
	t.Parallel()
	cmd := program(t, filepath.Join(t.TempDir(), "juxta"), quiet()...)
	cmd.Env = append(cmd.Env, "TERM=dumb")
	s := terminaltest.Start(t, 24, 100, cmd)
	has(s, "JXTA>")
	s.Type("echo $?\r")
	has(s, "\n0\n")
	s.Type("exit 4\r")
	if status := s.Wait(); status != 4 {
		t.Errorf("status %d", status)
	}
	if strings.Contains(s.Output(), "\x1b") {
		t.Errorf("control sequences for a dumb terminal: %q", s.Output())
	}
}
