package main_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/juxta-p2p/juxta/shell/terminal/terminaltest"
)

// sitDown starts juxta in a terminal, below a shell that outlives it and tells
// the exit status, and waits for the first prompt. The peer stays on loopback.
func sitDown(t *testing.T, home string, env []string, args ...string) *terminaltest.Tmux {
	t.Helper()
	if buildError != nil {
		t.Fatal(buildError)
	}
	m := terminaltest.NewTmux(t, 100, 30, append(environment(home, home), env...), "sh")
	m.Enter("cd $HOME; PS1='$ '; stty -a >$HOME/before; sh -c 'echo $$ >$HOME/pid; exec " + binary + " " + strings.Join(onLoopback(args...), " ") + `'; echo status=$?; stty -a >$HOME/after`)
	m.Until("JXTA>")
	return m
}

// left waits until the program has ended with a status, and checks that the
// terminal is as it was before.
func left(t *testing.T, m *terminaltest.Tmux, home string, status int) {
	t.Helper()
	m.Line(fmt.Sprintf("status=%d", status))
	m.Enter("cmp $HOME/before $HOME/after && echo 'the terminal' is whole") // which does not look as what it prints
	m.Until("the terminal is whole")
}

// TestTmuxLeaving: whichever way the program ends, the terminal is as it was.
func TestTmuxLeaving(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		leave  func(m *terminaltest.Tmux, pid int)
		status int
	}{
		{"exit", func(m *terminaltest.Tmux, _ int) { m.Enter("exit 7") }, 7},
		{"Ctrl-D", func(m *terminaltest.Tmux, _ int) { m.Keys("C-d") }, 0},
		{"SIGTERM", func(_ *terminaltest.Tmux, pid int) { _ = syscall.Kill(pid, syscall.SIGTERM) }, 143},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			home := t.TempDir()
			m := sitDown(t, home, nil)
			tt.leave(m, pidIn(t, home))
			left(t, m, home, tt.status)
		})
	}
}

// pidIn returns the process that sitDown has started.
func pidIn(t *testing.T, home string) int {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(home, "pid"))
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

// TestTmuxDying: a program that is killed, or dies as of a panic, while a line is being typed
// leaves the terminal as it was, though it cannot do so itself.
func TestTmuxDying(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		signal syscall.Signal
		status int
	}{
		{"kill -9", syscall.SIGKILL, 137},
		{"panic", syscall.SIGABRT, 2}, // the end of a program of Go: nothing of its own runs any more
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			home := t.TempDir()
			m := sitDown(t, home, nil)
			m.Type("echo half a li")
			m.Until("half a li")
			tty := m.TTY()
			if mode := lineMode(t, tty); mode.whole() {
				t.Fatal("the terminal hands over whole lines while one is edited")
			}
			_ = syscall.Kill(pidIn(t, home), tt.signal)
			m.Until(fmt.Sprintf("status=%d", tt.status))
			m.Wait("a terminal that is whole", func(string) bool { return lineMode(t, tty).whole() })
			m.Enter("stty -a >$HOME/after")
			m.Enter("cmp $HOME/before $HOME/after && echo 'the terminal' is whole") // which does not look as what it prints
			m.Until("the terminal is whole")
		})
	}
}

type mode struct{ local uint32 }

// whole reports whether the terminal echoes, edits lines, and makes signals of keys.
func (m mode) whole() bool {
	const all = unix.ECHO | unix.ICANON | unix.ISIG
	return m.local&all == all
}

func lineMode(t *testing.T, tty string) mode {
	t.Helper()
	fd, err := unix.Open(tty, unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Close(fd) }()
	modes, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	return mode{modes.Lflag}
}

// TestTmuxPager: what is longer than the screen is shown page by page; what comes meanwhile
// waits; and the terminal is whole however the pager ends.
func TestTmuxPager(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	const script = `#!/bin/sh
echo this is the pager
head -n 2
stty -echo -icanon </dev/tty
echo turn the page
read -r key </dev/tty
[ "$key" = q ] && exit 0
kill -9 $$
`
	pager := filepath.Join(home, "pager")
	if err := os.WriteFile(pager, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	m := sitDown(t, home, []string{"PAGER=" + pager})
	for i, key := range []string{"q", "x"} {
		m.Enter("help; echo the status is $?")
		m.Wait("the pager", func(all string) bool { return terminaltest.Rows(all, "turn the page") == i+1 })
		m.Enter(key)
		m.Wait("the end", func(all string) bool { return terminaltest.Rows(all, "the status is 0") == i+1 })
	}
	m.Enter("whoami; echo short")
	all := m.Line("short")
	if n := terminaltest.Rows(all, "this is the pager"); n != 2 {
		t.Errorf("%d pagers were seen:\n%s", n, all)
	}
	m.Enter("help; echo the status is $?")
	m.Wait("the pager", func(all string) bool { return terminaltest.Rows(all, "turn the page") == 3 })
	m.Keys("C-c") // ends the pager; the command had written all it had to say
	m.Wait("the end", func(all string) bool { return terminaltest.Rows(all, "the status is 0") == 3 })
	m.Enter("exit 7")
	left(t, m, home, 7)
}

// TestTmuxInterrupt: Ctrl-C ends the command that waits, with status 130, and not
// the shell.
func TestTmuxInterrupt(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	m := sitDown(t, home, nil)
	m.Enter("p = newpipe wall; echo waiting; recv p")
	m.Line("waiting")
	m.Keys("C-c")
	m.Enter("echo the status is $?")
	m.Line("the status is 130")
	m.Keys("C-d")
	left(t, m, home, 0)
}

// TestTmuxPaste: every line of a long paste runs, once.
func TestTmuxPaste(t *testing.T) {
	t.Parallel()
	const lines = 200
	home := t.TempDir()
	m := sitDown(t, home, nil)
	m.Enter("r = 'ran'") // so that what is typed does not look like what it says
	var paste strings.Builder
	for n := range lines {
		fmt.Fprintf(&paste, "echo $r %03d\n", n)
	}
	m.Paste(paste.String())
	m.Keys("Enter")
	m.Enter("echo finished")
	all := m.Line("finished")
	for n := range lines {
		row := fmt.Sprintf("ran %03d", n)
		if got := terminaltest.Rows(all, row); got != 1 {
			t.Errorf("%s ran %d times", row, got)
		}
	}
}

// TestTmuxHistory: lines typed in one run are found in the next, by the arrow and
// by Ctrl-R.
func TestTmuxHistory(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	m := sitDown(t, home, nil)
	m.Enter("echo first-needle")
	m.Line("first-needle")
	m.Enter("echo second-straw")
	m.Line("second-straw")
	m.Keys("C-d")
	left(t, m, home, 0)

	m = sitDown(t, home, nil)
	m.Keys("Up")
	m.Until("JXTA> echo second-straw")
	m.Keys("Enter")
	m.Line("second-straw")
	m.Keys("C-r")
	m.Type("needle")
	m.Until("echo first-needle")
	m.Keys("Enter")
	m.Line("first-needle")
}

// TestTmuxResize: a line that is being typed survives changes of the width.
func TestTmuxResize(t *testing.T) {
	t.Parallel()
	m := sitDown(t, t.TempDir(), nil)
	long := strings.Repeat("0123456789", 7)
	m.Type("echo x" + long)
	m.Until(long)
	m.Resize(40, 20)
	m.Resize(90, 20)
	m.Keys("Enter")
	m.Line("x" + long)
}

// TestTmuxPlain: with NO_COLOR or a dumb terminal nothing is coloured.
func TestTmuxPlain(t *testing.T) {
	t.Parallel()
	for _, env := range []string{"NO_COLOR=1", "TERM=dumb"} {
		t.Run(env, func(t *testing.T) {
			t.Parallel()
			m := sitDown(t, t.TempDir(), nil)
			m.Enter("exit")
			m.Line("status=0")
			m.Enter("clear; " + env + " " + binary + " " + strings.Join(onLoopback(), " "))
			m.Until("JXTA>")
			m.Enter("whoami; peers; echo done")
			m.Line("done")
			if s := m.Colours(); strings.Contains(s, "\x1b[") {
				t.Errorf("colours:\n%q", s)
			}
		})
	}
}

// TestTmuxTalk: two peers chat, in wide characters too, and what one says comes
// above the line that the other is typing, which stays as it is.
func TestTmuxTalk(t *testing.T) {
	t.Parallel()
	port := freePort(t)
	ann := sitDown(t, t.TempDir(), nil, "--name", "ann", "--role", "rendezvous", "--listen", "tcp://127.0.0.1:"+port)
	bob := sitDown(t, t.TempDir(), nil, "--name", "bob", "--seed", "tcp://127.0.0.1:"+port)
	for name, m := range map[string]*terminaltest.Tmux{"ann": ann, "bob": bob} {
		m.Enter("echo " + name + " is here")
		m.Line(name + " is here")
	}
	ann.Type("echo half-a line")
	bob.Enter("talk ann 'grüß dich 世界 🎉'")
	all := ann.Until("grüß dich 世界 🎉")
	if said, typed := strings.Index(all, "grüß dich"), strings.LastIndex(all, "echo half-a line"); said > typed {
		t.Errorf("the chat is not above the line being typed:\n%s", all)
	}
	ann.Type(" goes on")
	ann.Keys("Enter")
	ann.Line("half-a line goes on")
}
