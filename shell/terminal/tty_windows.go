package terminal

import (
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/c-bata/go-prompt"
	"golang.org/x/sys/windows"
)

// tty is the console. The library's own reader handles its modes, and never had
// the defects that the one for other systems has.
type tty struct {
	parser prompt.ConsoleParser
	out    windows.Handle
	mode   uint32 // of the output, before this program came

	mu     sync.Mutex
	isRaw  bool
	closed bool
}

func openTTY() (*tty, error) {
	out := windows.Handle(os.Stdout.Fd())
	t := &tty{parser: prompt.NewStandardInputParser(), out: out}
	if err := windows.GetConsoleMode(out, &t.mode); err != nil {
		return nil, fmt.Errorf("terminal: %w", err)
	}
	if err := windows.SetConsoleMode(out, t.mode|windows.ENABLE_VIRTUAL_TERMINAL_PROCESSING); err != nil {
		return nil, fmt.Errorf("terminal: %w", err)
	}
	return t, nil
}

func (t *tty) raw() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return os.ErrClosed
	}
	if t.isRaw {
		return nil
	}
	t.isRaw = true
	return t.parser.Setup()
}

func (t *tty) restore() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed || !t.isRaw {
		return nil
	}
	t.isRaw = false
	return t.parser.TearDown()
}

// reset is restore: the modes of a console belong to each program.
func (t *tty) reset() error { return t.restore() }

// read returns what was typed, which may be nothing: the library's reader does
// not wait.
func (t *tty) read(wait time.Duration) ([]byte, error) {
	t.mu.Lock()
	usable := t.isRaw && !t.closed
	t.mu.Unlock()
	if usable {
		if b, err := t.parser.Read(); err == nil && len(b) > 0 {
			return b, nil
		}
	}
	time.Sleep(min(wait, 10*time.Millisecond))
	return nil, nil
}

func (t *tty) size() (rows, columns int) {
	var info windows.ConsoleScreenBufferInfo
	if err := windows.GetConsoleScreenBufferInfo(t.out, &info); err != nil {
		return menuRows + 2, assumedColumns
	}
	return int(info.Window.Bottom-info.Window.Top) + 1, int(info.Window.Right-info.Window.Left) + 1
}

func (t *tty) close() error {
	err := t.restore()
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.closed {
		t.closed = true
		_ = windows.SetConsoleMode(t.out, t.mode)
	}
	return err
}
