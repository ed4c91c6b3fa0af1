package terminal

import (
	"bufio"
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"sync/atomic"
)

// lines reads plain lines. A goroutine reads ahead by one line, so that waiting
// for a line can end with its context; it ends with the input.
type lines struct {
	out    io.Writer
	prompt bool // show one

	mu   sync.Mutex // guards the fields below, and writes
	text string

	reading atomic.Bool

	start sync.Once
	read  func() // reads the lines
	next  chan string
	err   error // why next was closed
	done  chan struct{}
	once  sync.Once
}

// Lines returns a terminal that reads lines of any input. Close does not wait
// for a read that is under way, which nothing can end.
func Lines(in io.Reader, out io.Writer, prompt bool) Terminal {
	l := &lines{out: out, prompt: prompt, next: make(chan string), done: make(chan struct{})}
	l.read = func() {
		defer close(l.next)
		s := bufio.NewScanner(in)
		s.Buffer(nil, maxLine)
		for s.Scan() {
			select {
			case l.next <- s.Text():
			case <-l.done:
				l.err = io.EOF
				return
			}
		}
		if l.err = s.Err(); l.err == nil {
			l.err = io.EOF
		}
		if errors.Is(l.err, bufio.ErrTooLong) {
			l.err = errors.New("terminal: a line is longer than 1 MiB")
		}
	}
	return l
}

func (l *lines) ReadLine(ctx context.Context) (string, error) {
	l.start.Do(func() { go l.read() })
	l.reading.Store(true)
	defer l.reading.Store(false)
	if l.prompt {
		l.mu.Lock()
		_, _ = io.WriteString(l.out, l.text)
		l.mu.Unlock()
	}
	select {
	case line, ok := <-l.next:
		if !ok {
			return "", l.err
		}
		return strings.TrimSuffix(line, "\r"), nil
	case <-l.done:
		return "", io.EOF
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

func (l *lines) ReadAnswer(ctx context.Context) (string, error) { return l.ReadLine(ctx) }

func (l *lines) ReadSecret(context.Context, string) (string, error) { return "", ErrNoTerminal }

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.out.Write(p)
}

func (l *lines) PrintAbove(text string) { _, _ = l.Write([]byte(text + "\n")) }

func (l *lines) SetPrompt(prompt string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = prompt
}

func (l *lines) Reading() bool { return l.reading.Load() }

func (l *lines) SetCompleter(Completer) {}
func (l *lines) Width() int             { return 0 }
func (l *lines) Height() int            { return 0 }
func (l *lines) Lend() func()           { return func() {} }

func (l *lines) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}
