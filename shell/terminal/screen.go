package terminal

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/c-bata/go-prompt"
	"github.com/mattn/go-runewidth"
)

// screen is the library's writer. It remembers the last frame (prompt, line and
// menu) and where in it the cursor stands, so that text can be printed above.
type screen struct {
	out   io.Writer
	color bool

	mu      sync.Mutex
	columns int
	pending []byte // written since the last flush
	start   int    // where in pending a frame begins; -1: none does
	x, y    int    // cursor, counted from the start of the frame
	frame   []byte // the frame on the screen; nil: none
	overlay []byte // one line shown instead of the frame; nil: none
	muted   bool   // the library draws for nobody
	midLine bool   // the last output did not end its line
	lent    bool   // another program has the terminal
	waiting []byte // printed meanwhile
	cut     bool   // the beginning of that is gone
}

var _ prompt.ConsoleWriter = (*screen)(nil)

func newScreen(out io.Writer, color bool) *screen {
	return &screen{out: out, color: color, columns: assumedColumns, start: -1}
}

// emit writes to the terminal; the caller holds mu.
func (s *screen) emit(b []byte) { _, _ = s.out.Write(b) }

// Print writes text: above the frame if there is one, otherwise where the cursor
// is.
func (s *screen) Print(p []byte) {
	if len(p) == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lent {
		s.wait(p)
		return
	}
	if s.frame == nil && s.overlay == nil {
		s.emit(p)
		s.midLine = p[len(p)-1] != '\n'
		return
	}
	var b bytes.Buffer
	s.leaveFrame(&b)
	b.Write(p)
	if p[len(p)-1] != '\n' {
		b.WriteByte('\n')
	}
	if s.overlay != nil {
		b.Write(s.overlay)
	} else {
		b.Write(s.frame)
	}
	s.emit(b.Bytes())
}

// wait keeps what is printed while another program has the terminal; the caller holds mu.
func (s *screen) wait(p []byte) {
	s.waiting = append(s.waiting, p...)
	if over := len(s.waiting) - maxWaiting; over > 0 {
		if end := bytes.IndexByte(s.waiting[over:], '\n'); end >= 0 {
			over += end + 1
		}
		s.waiting, s.cut = append(s.waiting[:0], s.waiting[over:]...), true
	}
}

// hold leaves the terminal to another program.
func (s *screen) hold() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lent = true
}

// release shows what was printed meanwhile.
func (s *screen) release() {
	s.mu.Lock()
	text, cut := s.waiting, s.cut
	s.lent, s.waiting, s.cut = false, nil, false
	s.mu.Unlock()
	if cut {
		s.Print([]byte("# shell - there was more, which is lost\n"))
	}
	s.Print(text)
}

// leaveFrame moves to the start of what stands on the screen and erases it.
func (s *screen) leaveFrame(b *bytes.Buffer) {
	if s.overlay == nil && s.y > 0 {
		fmt.Fprintf(b, "\x1b[%dA", s.y)
	}
	b.WriteString("\r\x1b[J")
}

// setOverlay shows one line instead of the frame.
func (s *screen) setOverlay(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var b bytes.Buffer
	s.leaveFrame(&b)
	s.overlay = []byte(runewidth.Truncate(text, max(s.columns-1, 1), "…"))
	b.Write(s.overlay)
	s.emit(b.Bytes())
}

// dropOverlay shows the frame again.
func (s *screen) dropOverlay() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.overlay == nil {
		return
	}
	var b bytes.Buffer
	s.leaveFrame(&b)
	s.overlay = nil
	b.Write(s.frame)
	s.emit(b.Bytes())
}

// resize erases the frame of a window that had another width, and draws nothing
// until begin. The terminal has wrapped the lines anew.
func (s *screen) resize(columns int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.frame != nil {
		rows := s.y
		if columns < s.columns {
			rows = (s.y*s.columns + s.x) / max(columns, 1)
		}
		var b bytes.Buffer
		if rows > 0 {
			fmt.Fprintf(&b, "\x1b[%dA", rows)
		}
		b.WriteString("\r\x1b[J")
		s.emit(b.Bytes())
	}
	s.frame, s.overlay, s.muted = nil, nil, true
	s.columns = max(columns, 1)
}

// begin prepares for a new line of input in a window of that width.
func (s *screen) begin(columns int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.columns = max(columns, 1)
	s.muted, s.pending, s.start, s.frame, s.overlay = false, nil, -1, nil, nil
	if s.midLine {
		s.emit([]byte("\n"))
		s.midLine = false
	}
	s.emit([]byte("\r\x1b[K")) // keys typed ahead were echoed here; the frame shows them again
}

// end forgets the frame: what is printed from now on comes below it.
func (s *screen) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.frame, s.overlay, s.pending, s.start = nil, nil, nil, -1
}

// Flush implements prompt.ConsoleWriter.
func (s *screen) Flush() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, start := s.pending, s.start
	s.pending, s.start = nil, -1
	if s.muted {
		return nil
	}
	if start >= 0 {
		s.frame = bytes.Clone(b[start:])
	} else if bytes.IndexByte(b, '\n') >= 0 { // the line was finished
		s.frame = nil
	}
	if s.overlay != nil {
		return nil // drawn when it goes
	}
	_, err := s.out.Write(b)
	return err
}

// HideCursor implements prompt.ConsoleWriter. The library calls it where it
// begins to draw the frame.
func (s *screen) HideCursor() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.start, s.x, s.y = len(s.pending), 0, 0
	s.pending = append(s.pending, "\x1b[?25l"...)
}

// ShowCursor implements prompt.ConsoleWriter.
func (s *screen) ShowCursor() { s.raw("\x1b[?25h") }

func (s *screen) raw(seq string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pending = append(s.pending, seq...)
}

// WriteRaw implements prompt.ConsoleWriter. The library writes only line ends so.
func (s *screen) WriteRaw(data []byte) { s.WriteStr(string(data)) }

// WriteRawStr implements prompt.ConsoleWriter.
func (s *screen) WriteRawStr(data string) { s.WriteStr(data) }

// Write implements prompt.ConsoleWriter.
func (s *screen) Write(data []byte) { s.WriteStr(string(data)) }

// WriteStr implements prompt.ConsoleWriter. Control characters other than line
// ends become question marks.
func (s *screen) WriteStr(data string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range data {
		if r == '\n' {
			s.x = 0
			s.y++
			s.pending = append(s.pending, '\n')
			continue
		}
		if r < ' ' || r == deleteKey {
			r = '?'
		}
		w := runewidth.RuneWidth(r)
		if s.x+w > s.columns { // the terminal wraps before this character
			s.x = 0
			s.y++
		}
		s.x += w
		s.pending = utf8.AppendRune(s.pending, r)
	}
}

// move adds a relative movement; the cursor stays in the frame and the window.
func (s *screen) move(n int, forward, back byte, x, y int) {
	if n == 0 {
		return
	}
	if n < 0 {
		n, forward, x, y = -n, back, -x, -y
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pending = append(s.pending, fmt.Sprintf("\x1b[%d%c", n, forward)...)
	if x != 0 {
		s.x = min(max(min(s.x, s.columns-1)+x*n, 0), s.columns-1)
	}
	s.y += y * n
}

// CursorUp implements prompt.ConsoleWriter.
func (s *screen) CursorUp(n int) { s.move(n, 'A', 'B', 0, -1) }

// CursorDown implements prompt.ConsoleWriter.
func (s *screen) CursorDown(n int) { s.move(n, 'B', 'A', 0, 1) }

// CursorForward implements prompt.ConsoleWriter.
func (s *screen) CursorForward(n int) { s.move(n, 'C', 'D', 1, 0) }

// CursorBackward implements prompt.ConsoleWriter.
func (s *screen) CursorBackward(n int) { s.move(n, 'D', 'C', -1, 0) }

// ScrollDown implements prompt.ConsoleWriter: one row down, which scrolls at the
// lower edge.
func (s *screen) ScrollDown() {
	s.raw("\x1bD")
	s.mu.Lock()
	defer s.mu.Unlock()
	s.y++
}

// ScrollUp implements prompt.ConsoleWriter.
func (s *screen) ScrollUp() {
	s.raw("\x1bM")
	s.mu.Lock()
	defer s.mu.Unlock()
	s.y--
}

// EraseScreen implements prompt.ConsoleWriter. The library calls it for Ctrl-L.
func (s *screen) EraseScreen() { s.raw("\x1b[2J") }

// CursorGoTo implements prompt.ConsoleWriter; only the upper left corner is asked
// for.
func (s *screen) CursorGoTo(int, int) { s.raw("\x1b[H") }

// EraseUp implements prompt.ConsoleWriter.
func (s *screen) EraseUp() { s.raw("\x1b[1J") }

// EraseDown implements prompt.ConsoleWriter.
func (s *screen) EraseDown() { s.raw("\x1b[J") }

// EraseStartOfLine implements prompt.ConsoleWriter.
func (s *screen) EraseStartOfLine() { s.raw("\x1b[1K") }

// EraseEndOfLine implements prompt.ConsoleWriter.
func (s *screen) EraseEndOfLine() { s.raw("\x1b[K") }

// EraseLine implements prompt.ConsoleWriter.
func (s *screen) EraseLine() { s.raw("\x1b[2K") }

// AskForCPR implements prompt.ConsoleWriter; nobody reads the answer.
func (s *screen) AskForCPR() {}

// SaveCursor implements prompt.ConsoleWriter.
func (s *screen) SaveCursor() { s.raw("\x1b[s") }

// UnSaveCursor implements prompt.ConsoleWriter.
func (s *screen) UnSaveCursor() { s.raw("\x1b[u") }

// SetTitle implements prompt.ConsoleWriter; the title of the window is the
// user's.
func (s *screen) SetTitle(string) {}

// ClearTitle implements prompt.ConsoleWriter.
func (s *screen) ClearTitle() {}

// SetColor implements prompt.ConsoleWriter. Without colours, what is chosen in
// the menu stands in reverse.
func (s *screen) SetColor(fg, bg prompt.Color, bold bool) {
	if !s.color {
		if bold {
			s.raw("\x1b[7m")
		} else {
			s.raw("\x1b[0m")
		}
		return
	}
	attr := "0"
	if bold {
		attr = "1"
	}
	s.raw("\x1b[" + strings.Join([]string{attr, ansi(fg, 0), ansi(bg, 10)}, ";") + "m")
}

// ansi returns the code of a colour; background codes are higher by 10.
func ansi(c prompt.Color, plus int) string {
	code := 39
	switch {
	case c >= prompt.Black && c <= prompt.LightGray:
		code = 30 + int(c-prompt.Black)
	case c >= prompt.DarkGray && c <= prompt.White:
		code = 90 + int(c-prompt.DarkGray)
	}
	return fmt.Sprint(code + plus)
}
