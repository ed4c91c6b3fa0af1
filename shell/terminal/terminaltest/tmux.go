package terminaltest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

const (
	tmuxPatience = 8 * time.Second       // longest wait for a text, on a busy machine
	tmuxLook     = 20 * time.Millisecond // pause between two looks at the screen
)

// Tmux is a terminal in a tmux server of its own, so that programs are seen as
// their users see them: through a real terminal emulator. It is for one
// goroutine. The server ends with the test.
type Tmux struct {
	t      testing.TB
	socket string
	env    []string
}

// NewTmux starts a terminal of the given size in which command runs, a plain
// shell if it is empty, with just the environment env. It skips the test where
// there is no tmux.
func NewTmux(t testing.TB, columns, rows int, env []string, command ...string) *Tmux {
	t.Helper()
	if _, err := exec.LookPath("tmux"); err != nil {
		t.Skipf("NOT TESTED: the terminal is driven through tmux: %v", err)
	}
	if len(command) == 0 {
		command = []string{"sh"}
	}
	dir, err := os.MkdirTemp("", "tmux") // short: the path of a socket may have 100 bytes
	if err != nil {
		t.Fatal(err)
	}
	m := &Tmux{t: t, socket: filepath.Join(dir, "s"), env: append([]string{"LC_ALL=C.UTF-8"}, env...)}
	t.Cleanup(func() {
		_, _ = m.run("kill-server")
		_ = os.RemoveAll(dir)
	})
	args := []string{
		"-f", "/dev/null", "new-session", "-d", "-x", strconv.Itoa(columns), "-y", strconv.Itoa(rows), "--",
	}
	m.must(append(args, command...)...)
	// A server would outlive a test that is killed.
	m.must("run-shell", "-b", fmt.Sprintf("while kill -0 %d; do sleep 1; done >/dev/null 2>&1; tmux -S %s kill-server", os.Getpid(), m.socket))
	return m
}

// run runs one command of tmux.
func (m *Tmux) run(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), tmuxPatience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "tmux", append([]string{"-u", "-S", m.socket}, args...)...)
	cmd.Env = m.env
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (m *Tmux) must(args ...string) string {
	m.t.Helper()
	out, err := m.run(args...)
	if err != nil {
		m.t.Fatalf("tmux %s: %v: %s", strings.Join(args, " "), err, out)
	}
	return out
}

// Type types text as it is, without Enter.
func (m *Tmux) Type(text string) {
	m.t.Helper()
	m.must("send-keys", "-l", "--", text)
}

// Enter types a line and Enter.
func (m *Tmux) Enter(line string) {
	m.t.Helper()
	if line != "" {
		m.Type(line)
	}
	m.Keys("Enter")
}

// Keys presses keys by their names in tmux, such as C-c, Tab and Up.
func (m *Tmux) Keys(names ...string) {
	m.t.Helper()
	m.must(append([]string{"send-keys", "--"}, names...)...)
}

// Paste pastes text, as a bracketed paste if the program asks for those.
func (m *Tmux) Paste(text string) {
	m.t.Helper()
	file := m.socket + ".paste"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		m.t.Fatal(err)
	}
	m.must("load-buffer", file)
	m.must("paste-buffer", "-p")
}

// TTY returns the path of the terminal's device.
func (m *Tmux) TTY() string {
	m.t.Helper()
	return strings.TrimSpace(m.must("display-message", "-p", "#{pane_tty}"))
}

// Resize changes the size of the terminal.
func (m *Tmux) Resize(columns, rows int) {
	m.t.Helper()
	m.must("resize-window", "-x", strconv.Itoa(columns), "-y", strconv.Itoa(rows))
}

// Screen returns what the terminal shows now, rows without their trailing
// spaces.
func (m *Tmux) Screen() string {
	m.t.Helper()
	return m.must("capture-pane", "-p")
}

// Colours returns the screen with the escape sequences of colours and the like.
func (m *Tmux) Colours() string {
	m.t.Helper()
	return m.must("capture-pane", "-p", "-e")
}

// All returns the screen and what has left it at the top, with wrapped rows
// joined.
func (m *Tmux) All() string {
	m.t.Helper()
	return m.must("capture-pane", "-p", "-J", "-S", "-")
}

// Wait looks until ok says yes to what [Tmux.All] returns, and returns that. It
// ends the test if that takes longer than 8 s.
func (m *Tmux) Wait(what string, ok func(all string) bool) string {
	m.t.Helper()
	deadline := time.Now().Add(tmuxPatience)
	for {
		all := m.All()
		if ok(all) {
			return all
		}
		if time.Now().After(deadline) {
			m.t.Fatalf("not seen: %s; the terminal shows\n%s", what, indent(all))
		}
		<-time.After(tmuxLook)
	}
}

// Until waits for a text.
func (m *Tmux) Until(text string) string {
	m.t.Helper()
	return m.Wait(fmt.Sprintf("%q", text), func(all string) bool { return strings.Contains(all, text) })
}

// Line waits for a row that is text and nothing else.
func (m *Tmux) Line(text string) string {
	m.t.Helper()
	return m.Wait(fmt.Sprintf("the row %q", text), func(all string) bool { return Rows(all, text) > 0 })
}

// Rows counts the rows that are text and nothing else, but for trailing spaces.
func Rows(all, text string) (n int) {
	for row := range strings.Lines(all) {
		if strings.TrimRight(row, " \n") == text {
			n++
		}
	}
	return n
}

func indent(s string) string {
	return "\t| " + strings.ReplaceAll(strings.TrimRight(s, "\n"), "\n", "\n\t| ")
}
