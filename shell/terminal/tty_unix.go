//go:build unix

package terminal

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// tty is the controlling terminal.
type tty struct {
	fd    int
	saved unix.Termios // as it was before this program came; never changed
	guard *guard       // should this program die; may be nil

	mu     sync.Mutex
	isRaw  bool
	closed bool
}

func openTTY() (*tty, error) {
	fd, err := unix.Open("/dev/tty", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, fmt.Errorf("terminal: open /dev/tty: %w", err)
	}
	saved, err := unix.IoctlGetTermios(fd, ioctlGetTermios)
	if err == nil && fd >= unix.FD_SETSIZE {
		err = errors.New("too many open files")
	}
	if err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("terminal: %w", err)
	}
	return &tty{fd: fd, saved: *saved, guard: startGuard()}, nil
}

// raw gives every key to the reader at once. What is printed is still processed,
// since the library writes bare line feeds. Bracketed paste is switched on.
func (t *tty) raw() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return os.ErrClosed
	}
	mode := t.saved
	mode.Iflag &^= unix.BRKINT | unix.ICRNL | unix.INLCR | unix.IGNCR | unix.INPCK | unix.ISTRIP | unix.IXON
	mode.Lflag &^= unix.ECHO | unix.ICANON | unix.IEXTEN | unix.ISIG
	mode.Oflag |= unix.OPOST | unix.ONLCR
	mode.Cc[unix.VMIN], mode.Cc[unix.VTIME] = 1, 0
	t.isRaw = true
	if err := unix.IoctlSetTermios(t.fd, ioctlSetTermios, &mode); err != nil {
		return fmt.Errorf("terminal: %w", err)
	}
	_, _ = unix.Write(t.fd, []byte("\x1b[?2004h"))
	return nil
}

// restore undoes raw.
func (t *tty) restore() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.restoreLocked()
}

// reset leaves the terminal as it was before this program came, whatever another one has
// done to it.
func (t *tty) reset() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.isRaw = true
	return t.restoreLocked()
}

func (t *tty) restoreLocked() error {
	if t.closed || !t.isRaw {
		return nil
	}
	t.isRaw = false
	err := unix.IoctlSetTermios(t.fd, ioctlSetTermios, &t.saved)
	_, _ = unix.Write(t.fd, []byte("\x1b[?2004l\x1b[0m\x1b[?25h"))
	if err != nil {
		return fmt.Errorf("terminal: %w", err)
	}
	return nil
}

// read returns what was typed within the time, which may be nothing. An error
// means that the terminal is gone.
func (t *tty) read(wait time.Duration) ([]byte, error) {
	var set unix.FdSet
	set.Set(t.fd)
	timeout := unix.NsecToTimeval(wait.Nanoseconds())
	n, err := unix.Select(t.fd+1, &set, nil, nil, &timeout)
	switch {
	case errors.Is(err, unix.EINTR) || err == nil && n == 0:
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("terminal: %w", err)
	}
	buf := make([]byte, 1024)
	n, err = unix.Read(t.fd, buf)
	switch {
	case errors.Is(err, unix.EINTR) || errors.Is(err, unix.EAGAIN):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("terminal: %w", err)
	case n <= 0:
		return nil, errors.New("terminal: hung up")
	}
	return buf[:n], nil
}

// size returns rows and columns.
func (t *tty) size() (rows, columns int) {
	ws, err := unix.IoctlGetWinsize(t.fd, unix.TIOCGWINSZ)
	if err != nil || ws.Col == 0 {
		return menuRows + 2, assumedColumns
	}
	return int(ws.Row), int(ws.Col)
}

// close restores the terminal. The descriptor stays open until the program ends:
// a reader may still be in it.
func (t *tty) close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return nil
	}
	err := t.restoreLocked()
	if err == nil { // a program run by the shell may have died and left it otherwise
		err = unix.IoctlSetTermios(t.fd, ioctlSetTermios, &t.saved)
	}
	t.closed = true
	t.guard.end()
	return err
}
