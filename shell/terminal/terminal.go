// Package terminal is where the shell meets its user: a line editor with
// history, search and completion on a real terminal, plain lines everywhere
// else.
//
// The line editor is go-prompt, behind its own reader and writer: the reader
// leaves the terminal as it found it after every line and keeps what is typed
// ahead; the writer remembers what the prompt looks like, so that text can be
// printed above the line that is being typed. Nothing outside this package
// knows the library.
package terminal

import (
	"context"
	"errors"
	"io"
	"os"

	"golang.org/x/term"
)

// Suggestion is one entry of the completion menu.
type Suggestion struct{ Text, Description string }

// Completer lists what may stand in place of the word before the cursor. asked
// tells that the user pressed Tab. It runs on the keyboard's goroutine and must
// answer at once.
type Completer func(before string, asked bool) []Suggestion

// Terminal reads lines and prints. One goroutine reads; everything else is safe
// for concurrent use.
type Terminal interface {
	// ReadLine shows the prompt and returns a line without its end. io.EOF: the user
	// has left (Ctrl-D, end of input, hang-up). It ends with ctx.
	ReadLine(ctx context.Context) (string, error)

	// ReadAnswer is ReadLine for a line that belongs to something begun: Ctrl-C
	// does not only drop the line but ends the call with ErrInterrupted, where the
	// terminal gives it as a key and not as a signal. Nothing is completed.
	ReadAnswer(ctx context.Context) (string, error)

	// ReadSecret asks for a line without showing what is typed. It fails with
	// ErrNoTerminal if that cannot be done.
	ReadSecret(ctx context.Context, prompt string) (string, error)

	// Reading reports whether a line is being read, so that Ctrl-C is for nobody but its editor.
	Reading() bool

	// Write prints whole lines: above the prompt if one is shown.
	io.Writer

	// PrintAbove prints a line of text like Write.
	PrintAbove(text string)

	SetPrompt(prompt string)
	SetCompleter(c Completer)

	// Width returns the number of columns, 0 if there is no terminal, and Height that of
	// rows.
	Width() int
	Height() int

	// Lend leaves the terminal to another program, while no line is read, until back is
	// called. What is printed meanwhile waits, the latest 64 KiB of it, and is shown then.
	Lend() (back func())

	// Close leaves the terminal as it was before Open. It may be called at any time
	// and more than once.
	Close() error
}

// ErrNoTerminal is the error of questions that need a terminal.
var ErrNoTerminal = errors.New("terminal: there is no terminal to ask")

// ErrInterrupted is the error of [Terminal.ReadAnswer] and [Terminal.ReadSecret]
// on Ctrl-C.
var ErrInterrupted = errors.New("terminal: interrupted")

// Config is what a terminal needs.
type Config struct {
	In, Out *os.File
	History func() []string // lines for the arrow keys and Ctrl-R, oldest first; nil: none
	Color   bool            // colours may be used
	Dumb    bool            // the terminal knows no control sequences: plain lines with a prompt
}

// Interactive reports whether both files are terminals.
func Interactive(in, out *os.File) bool {
	return term.IsTerminal(int(in.Fd())) && term.IsTerminal(int(out.Fd()))
}

// Open returns the best terminal for the files: the line editor if both are
// terminals, plain lines with a prompt if the terminal is dumb or cannot be
// controlled, plain lines without a prompt otherwise.
func Open(cfg Config) Terminal {
	if cfg.History == nil {
		cfg.History = func() []string { return nil }
	}
	switch {
	case !Interactive(cfg.In, cfg.Out):
		return Lines(cfg.In, cfg.Out, false)
	case cfg.Dumb:
		return Lines(cfg.In, cfg.Out, true)
	}
	ed, err := newEditor(cfg)
	if err != nil {
		return Lines(cfg.In, cfg.Out, true)
	}
	return ed
}
