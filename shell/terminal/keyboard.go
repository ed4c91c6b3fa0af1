package terminal

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/c-bata/go-prompt"
)

// How the reading of a line ended.
type ending uint8

const (
	endLine      ending = iota // Enter
	endEOF                     // Ctrl-D on an empty line, or hang-up
	endAbort                   // called off
	endRestart                 // the window changed: read on
	endInterrupt               // Ctrl-C in an answer
)

// errNothing tells the library that no key was pressed.
var errNothing = errors.New("terminal: no key")

// keyboard is the library's reader. Raw mode lasts from Setup to TearDown, which
// is while a line is edited; commands run on an ordinary terminal.
type keyboard struct {
	tty     *tty
	screen  *screen
	history func() []string

	reading atomic.Bool // see Terminal.Reading

	mu       sync.Mutex
	split    splitter
	private  [][]byte // keys of this package, before all others
	typed    [][]byte // keys of the user, also those typed ahead
	fresh    bool     // nothing was read since Setup
	held     bool     // a line was finished: nothing more until the next Setup
	last     byte     // first octet of the last key given out
	lasts    int      // how often in a row it was given out
	end      ending
	answer   bool // Ctrl-C ends the line
	columns  int  // width of the window when the line began
	hungUp   bool
	closed   bool
	search   *search // Ctrl-R is going on
	text     string  // for replaceLine
	cursor   int     // where its cursor stands, in runes from the end
	tabAlive bool    // the menu was asked for and is still open
}

var _ prompt.ConsoleParser = (*keyboard)(nil)

// newLine forgets what belonged to the line before.
func (k *keyboard) newLine(answer bool) {
	k.reading.Store(true)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.answer = answer
	k.private, k.end, k.last, k.lasts, k.tabAlive = nil, endLine, 0, 0, false
}

// Setup implements prompt.ConsoleParser.
func (k *keyboard) Setup() error {
	_, columns := k.tty.size()
	k.mu.Lock()
	k.fresh, k.held, k.search, k.columns = true, false, nil, columns
	restart := k.end == endRestart
	if restart {
		k.end = endLine
		k.private = append([][]byte{keyReplace}, k.private...)
	}
	closed := k.closed
	k.mu.Unlock()
	if closed {
		k.abort()
		return nil
	}
	k.screen.begin(columns)
	return k.tty.raw()
}

// TearDown implements prompt.ConsoleParser.
func (k *keyboard) TearDown() error {
	k.reading.Store(false) // before the terminal makes signals of keys again
	return k.tty.restore()
}

// GetWinSize implements prompt.ConsoleParser. The height is invented; see
// assumedRows.
func (k *keyboard) GetWinSize() *prompt.WinSize {
	_, columns := k.tty.size()
	return &prompt.WinSize{Row: assumedRows, Col: uint16(min(columns, 1<<16-1))}
}

// Read implements prompt.ConsoleParser: one key, or an error if there is none
// within a short time.
func (k *keyboard) Read() ([]byte, error) {
	if key, ok := k.next(); ok {
		return k.given(key)
	}
	k.mu.Lock()
	held, hungUp := k.held, k.hungUp
	k.mu.Unlock()
	if held {
		return nil, errNothing
	}
	if hungUp {
		k.mu.Lock()
		k.private = append(k.private, keySave, []byte{ctrlD})
		k.end = endEOF
		k.mu.Unlock()
		return nil, errNothing
	}
	k.checkWindow()
	b, err := k.tty.read(readWait)
	k.mu.Lock()
	if k.fresh { // typed ahead, a Ctrl-D was the end of input, which now reads as 0
		b = bytes.ReplaceAll(b, []byte{0}, []byte{ctrlD})
		k.fresh = false
	}
	switch {
	case err != nil:
		k.hungUp = true
	case len(k.typed) < maxTypedAhead:
		k.typed = append(k.typed, k.split.split(b, len(b) == 0)...)
	}
	k.mu.Unlock()
	if key, ok := k.next(); ok {
		return k.given(key)
	}
	return nil, errNothing
}

// next takes the next key off the queues.
func (k *keyboard) next() ([]byte, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.held {
		return nil, false
	}
	for _, q := range []*[][]byte{&k.private, &k.typed} {
		if len(*q) > 0 {
			key := (*q)[0]
			*q = (*q)[1:]
			return key, true
		}
	}
	return nil, false
}

// given looks at a key before the library gets it.
func (k *keyboard) given(key []byte) ([]byte, error) {
	if bytes.HasPrefix(key, []byte("\x1bJX")) {
		return key, nil
	}
	k.mu.Lock()
	s := k.search
	if s == nil && key[0] == ctrlR && k.end == endLine {
		s = &search{lines: k.history()}
		k.search = s
		k.mu.Unlock()
		k.screen.setOverlay(s.show())
		return nil, errNothing
	}
	k.mu.Unlock()
	if s != nil {
		k.searchKey(s, key)
		return nil, errNothing
	}

	k.mu.Lock()
	if key[0] == ctrlC && k.answer && k.end != endAbort {
		k.end = endInterrupt
		k.private = [][]byte{keySave, {ctrlD}}
		k.mu.Unlock()
		return nil, errNothing
	}
	again := k.last == key[0] && len(key) == 1
	k.last = key[0]
	k.lasts++
	if !again {
		k.lasts = 1
	}
	lasts := k.lasts
	k.tabAlive = key[0] == '\t' || bytes.Equal(key, []byte("\x1b[Z")) || k.tabAlive && isVertical(key)
	switch key[0] {
	case '\r', '\n':
		k.held = true
	case ctrlD:
		if k.end == endLine {
			k.end = endEOF // if the line is not empty, another key follows
		}
	default:
		if k.end == endEOF && !k.hungUp {
			k.end = endLine
		}
	}
	k.mu.Unlock()
	switch {
	case key[0] == escape && len(key) == 1:
		return nil, errNothing
	case key[0] == ctrlC && lasts == 2:
		k.screen.Print([]byte("# shell - Ctrl-D or exit leaves\n"))
	}
	return key, nil
}

func isVertical(key []byte) bool {
	return bytes.Equal(key, []byte("\x1b[A")) || bytes.Equal(key, []byte("\x1b[B"))
}

// answering reports whether the line is an answer.
func (k *keyboard) answering() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.answer
}

// tabbed reports whether the user has asked for the menu and not left it yet.
func (k *keyboard) tabbed() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.tabAlive
}

// searchKey gives a key to the search, and acts when that ends.
func (k *keyboard) searchKey(s *search, key []byte) {
	outcome := s.key(key)
	if outcome == searchGoesOn {
		k.screen.setOverlay(s.show())
		return
	}
	line, found := s.found()
	k.screen.dropOverlay()
	k.mu.Lock()
	defer k.mu.Unlock()
	k.search = nil
	if outcome == searchGivenUp || !found {
		return
	}
	k.text, k.cursor = line, 0
	k.private = append(k.private, keyReplace)
	if outcome == searchRun {
		k.private = append(k.private, []byte{'\r'})
	}
}

// checkWindow restarts the line if the window has another width.
func (k *keyboard) checkWindow() {
	_, columns := k.tty.size()
	k.mu.Lock()
	if columns == k.columns || k.end != endLine || k.held {
		k.mu.Unlock()
		return
	}
	k.columns, k.search, k.end = columns, nil, endRestart
	k.private = [][]byte{keySave, {ctrlD}}
	k.mu.Unlock()
	k.screen.resize(columns)
}

// abort ends the line from outside.
func (k *keyboard) abort() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.search, k.end = nil, endAbort
	k.private = [][]byte{keySave, {ctrlD}}
}

// redraw draws the line again, because the prompt has changed.
func (k *keyboard) redraw() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.held {
		k.private = append(k.private, keyRedraw)
	}
}

// ended tells how the line ended.
func (k *keyboard) ended() ending {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.end == endEOF && k.held { // Ctrl-D deleted a character, then came Enter
		return endLine
	}
	return k.end
}

// replaceLine puts the text in place of the line. The library calls it.
func (k *keyboard) replaceLine(b *prompt.Buffer) {
	k.mu.Lock()
	text, cursor := k.text, k.cursor
	k.mu.Unlock()
	emptyLine(b)
	b.InsertText(text, false, true)
	b.CursorLeft(cursor)
}

// saveLine takes the line away and keeps it for replaceLine. The library calls it.
func (k *keyboard) saveLine(b *prompt.Buffer) {
	d := b.Document()
	k.mu.Lock()
	k.text, k.cursor = d.Text, len([]rune(d.TextAfterCursor()))
	k.mu.Unlock()
	emptyLine(b)
}

func emptyLine(b *prompt.Buffer) {
	b.DeleteBeforeCursor(len([]rune(b.Document().TextBeforeCursor())))
	b.Delete(len([]rune(b.Document().TextAfterCursor())))
}

// readSecret reads a line without showing it.
func (k *keyboard) readSecret(ctx context.Context, question string) (string, error) {
	if err := k.tty.raw(); err != nil {
		return "", err
	}
	defer func() { _ = k.tty.restore() }()
	k.screen.Print([]byte(question))
	defer k.screen.Print([]byte("\n"))
	var secret []byte
	for {
		k.mu.Lock()
		keys := k.typed
		k.typed = nil
		k.mu.Unlock()
		for i, key := range keys {
			switch {
			case key[0] == '\r' || key[0] == '\n':
				k.mu.Lock()
				k.typed = append(keys[i+1:], k.typed...)
				k.mu.Unlock()
				return string(secret), nil
			case key[0] == ctrlC || key[0] == ctrlD:
				return "", ErrInterrupted
			case key[0] == backspace || key[0] == deleteKey:
				runes := []rune(string(secret))
				secret = []byte(string(runes[:max(len(runes)-1, 0)]))
			case key[0] >= ' ':
				secret = append(secret, key...)
			}
		}
		if err := ctx.Err(); err != nil {
			return "", err
		}
		b, err := k.tty.read(readWait)
		if err != nil {
			return "", err
		}
		k.mu.Lock()
		k.typed = append(k.typed, k.split.split(b, len(b) == 0)...)
		k.mu.Unlock()
	}
}

// close leaves the terminal as it was.
func (k *keyboard) close() error {
	k.mu.Lock()
	k.closed = true
	k.mu.Unlock()
	return k.tty.close()
}
