package terminaltest

import (
	"fmt"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// patience is how long programs may take to do what is waited for.
const patience = 20 * time.Second

// Session is a program in a pseudo-terminal with the screen it has drawn.
type Session struct {
	t      *testing.T
	fd     int // of master
	master *os.File
	cmd    *exec.Cmd

	drained chan struct{} // closed when all output was read

	mu      sync.Mutex
	changed *sync.Cond
	vt      *Screen
	closed  bool
	exited  bool
}

// Start runs the command in a new pseudo-terminal, as the leader of its session.
// The end of the test kills it. It skips the test where there are no
// pseudo-terminals.
func Start(t *testing.T, rows, cols int, cmd *exec.Cmd) *Session {
	t.Helper()
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no pseudo-terminals here: %v", err)
	}
	master := os.NewFile(uintptr(fd), "/dev/ptmx")
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	}
	if err != nil {
		t.Skipf("no pseudo-terminals here: %v", err)
	}
	slave, err := os.OpenFile(fmt.Sprint("/dev/pts/", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no pseudo-terminals here: %v", err)
	}
	defer slave.Close()
	s := &Session{t: t, fd: fd, master: master, cmd: cmd, vt: NewScreen(rows, cols), drained: make(chan struct{})}
	s.changed = sync.NewCond(&s.mu)
	s.Resize(rows, cols)
	s.cmd.Stdin, s.cmd.Stdout, s.cmd.Stderr = slave, slave, slave
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: 0}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { // waited for by the end of the test
		defer close(s.drained)
		buf := make([]byte, 4096)
		for {
			n, err := master.Read(buf)
			s.mu.Lock()
			s.vt.Write(buf[:n])
			s.closed = err != nil
			s.changed.Broadcast()
			s.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() {
		if !s.exited {
			_ = s.cmd.Process.Kill()
			_ = s.cmd.Wait()
		}
		master.Close()
		<-s.drained
	})
	return s
}

// Resize changes the size of the window, not that of the screen kept here.
func (s *Session) Resize(rows, cols int) {
	s.t.Helper()
	ws := unix.Winsize{Row: uint16(rows), Col: uint16(cols)}
	if err := unix.IoctlSetWinsize(s.fd, unix.TIOCSWINSZ, &ws); err != nil {
		s.t.Fatal(err)
	}
}

// Type types text.
func (s *Session) Type(text string) {
	s.t.Helper()
	if _, err := s.master.WriteString(text); err != nil {
		s.t.Fatal(err)
	}
}

// Until waits until the condition on the screen holds.
func (s *Session) Until(what string, cond func(v *Screen) bool) {
	s.t.Helper()
	deadline := time.AfterFunc(patience, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.closed = true
		s.changed.Broadcast()
	})
	defer deadline.Stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	for !cond(s.vt) {
		if s.closed {
			s.t.Fatalf("never on the screen: %s\n--- screen, cursor %d,%d ---\n%s\n---", what, s.vt.X, s.vt.Y, s.vt.Text())
		}
		s.changed.Wait()
	}
}

// Shows waits until the screen is exactly the text.
func (s *Session) Shows(want string) {
	s.t.Helper()
	s.Until(want, func(v *Screen) bool { return v.Text() == want })
}

// Wait waits for the program to end and for the last of its output, and returns
// its exit status: 128 and its number if a signal ended it.
func (s *Session) Wait() int {
	s.t.Helper()
	kill := time.AfterFunc(patience, func() { _ = s.cmd.Process.Kill() })
	defer kill.Stop()
	_ = s.cmd.Wait() // the status says what is to be said
	s.exited = true
	<-s.drained
	if ws, ok := s.cmd.ProcessState.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return 128 + int(ws.Signal())
	}
	return s.cmd.ProcessState.ExitCode()
}

// Signal sends a signal to the program.
func (s *Session) Signal(sig os.Signal) {
	s.t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		s.t.Fatal(err)
	}
}

// HangUp closes the terminal under the program.
func (s *Session) HangUp() { _ = s.master.Close() }

// Raw reports whether the terminal hands over every key at once, without echo.
func (s *Session) Raw() bool {
	m := s.termios()
	return m.Lflag&(unix.ECHO|unix.ICANON) == 0
}

// Mode returns all settings of the terminal, to be compared.
func (s *Session) Mode() string { return fmt.Sprintf("%+v", s.termios()) }

func (s *Session) termios() unix.Termios {
	s.t.Helper()
	m, err := unix.IoctlGetTermios(s.fd, unix.TCGETS)
	if err != nil {
		s.t.Fatal(err)
	}
	return *m
}

// Output returns everything that was printed, with control sequences.
func (s *Session) Output() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.vt.Written()
}

// Text returns what is on the screen and what was scrolled off it.
func (s *Session) Text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.vt.Text()
}
