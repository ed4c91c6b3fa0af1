package terminal

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/c-bata/go-prompt"
)

// editor is the line editor.
type editor struct {
	cfg    Config
	screen *screen
	keys   *keyboard
	prompt *prompt.Prompt // one for the whole run: each one made opens a descriptor for good

	mu       sync.Mutex
	prefix   string
	complete Completer
}

func newEditor(cfg Config) (ed *editor, err error) {
	tty, err := openTTY()
	if err != nil {
		return nil, err
	}
	defer func() {
		if r := recover(); r != nil { // the library panics where it finds no terminal
			_ = tty.close()
			ed, err = nil, fmt.Errorf("terminal: %v", r)
		}
	}()
	ed = &editor{cfg: cfg, screen: newScreen(cfg.Out, cfg.Color)}
	ed.keys = &keyboard{tty: tty, screen: ed.screen, history: cfg.History}
	ed.prompt = prompt.New(func(string) {}, ed.suggest,
		prompt.OptionParser(ed.keys),
		prompt.OptionWriter(ed.screen),
		prompt.OptionLivePrefix(func() (string, bool) { return ed.currentPrompt(), true }),
		prompt.OptionShowCompletionAtStart(), // or the menu of the last line would show again
		prompt.OptionSwitchKeyBindMode(prompt.EmacsKeyBind),
		prompt.OptionAddASCIICodeBind(wordKeys()...),
		prompt.OptionAddASCIICodeBind(
			prompt.ASCIICodeBind{ASCIICode: keyReplace, Fn: ed.keys.replaceLine},
			prompt.ASCIICodeBind{ASCIICode: keyRedraw, Fn: func(*prompt.Buffer) {}},
			prompt.ASCIICodeBind{ASCIICode: keySave, Fn: ed.keys.saveLine},
		),
		prompt.OptionPrefixTextColor(prompt.Cyan),
		prompt.OptionPreviewSuggestionTextColor(prompt.Green),
		prompt.OptionSuggestionTextColor(prompt.White),
		prompt.OptionSuggestionBGColor(prompt.DarkGray),
		prompt.OptionSelectedSuggestionTextColor(prompt.Black),
		prompt.OptionSelectedSuggestionBGColor(prompt.Cyan),
		prompt.OptionDescriptionTextColor(prompt.White),
		prompt.OptionDescriptionBGColor(prompt.DarkGray),
		prompt.OptionSelectedDescriptionTextColor(prompt.Black),
		prompt.OptionSelectedDescriptionBGColor(prompt.Cyan),
		prompt.OptionScrollbarThumbColor(prompt.Cyan),
		prompt.OptionScrollbarBGColor(prompt.DarkGray),
	)
	return ed, nil
}

// suggest is the library's completer.
func (ed *editor) suggest(d prompt.Document) []prompt.Suggest {
	ed.mu.Lock()
	complete := ed.complete
	ed.mu.Unlock()
	if complete == nil || ed.keys.answering() {
		return nil
	}
	if d.TextAfterCursor() != "" && !strings.HasPrefix(d.TextAfterCursor(), " ") {
		return nil // in the middle of a word
	}
	asked := d.LastKeyStroke() == prompt.Tab || d.LastKeyStroke() == prompt.BackTab
	var all []prompt.Suggest
	for _, s := range complete(d.TextBeforeCursor(), asked || ed.keys.tabbed()) {
		all = append(all, prompt.Suggest{Text: s.Text, Description: s.Description})
	}
	return all
}

func (ed *editor) ReadLine(ctx context.Context) (string, error) { return ed.readLine(ctx, false) }

func (ed *editor) ReadAnswer(ctx context.Context) (string, error) { return ed.readLine(ctx, true) }

func (ed *editor) readLine(ctx context.Context, answer bool) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	rows, _ := ed.keys.tty.size()
	lines := ed.cfg.History()
	for i, l := range lines {
		lines[i] = strings.ReplaceAll(l, "\n", " ; ") // the library edits one line
	}
	for _, option := range []prompt.Option{
		prompt.OptionHistory(lines),
		prompt.OptionMaxSuggestion(uint16(min(menuRows, max(rows-2, 1)))),
	} {
		_ = option(ed.prompt) // these two cannot fail
	}
	ed.keys.newLine(answer)
	stop := context.AfterFunc(ctx, ed.keys.abort)
	defer stop()
	for {
		line := ed.prompt.Input()
		ed.screen.end()
		switch ed.keys.ended() {
		case endRestart:
			ed.keys.reading.Store(true)
			continue
		case endAbort:
			return "", ctx.Err()
		case endInterrupt:
			return "", ErrInterrupted
		case endEOF:
			return "", io.EOF
		}
		return line, nil
	}
}

func (ed *editor) ReadSecret(ctx context.Context, question string) (string, error) {
	return ed.keys.readSecret(ctx, question)
}

func (ed *editor) Reading() bool { return ed.keys.reading.Load() }

func (ed *editor) Write(p []byte) (int, error) {
	ed.screen.Print(p)
	return len(p), nil
}

func (ed *editor) PrintAbove(text string) { ed.screen.Print([]byte(text + "\n")) }

func (ed *editor) SetPrompt(prefix string) {
	ed.mu.Lock()
	ed.prefix = prefix
	ed.mu.Unlock()
	ed.keys.redraw()
}

func (ed *editor) currentPrompt() string {
	ed.mu.Lock()
	defer ed.mu.Unlock()
	return ed.prefix
}

func (ed *editor) SetCompleter(c Completer) {
	ed.mu.Lock()
	defer ed.mu.Unlock()
	ed.complete = c
}

func (ed *editor) Width() int {
	_, columns := ed.keys.tty.size()
	return columns
}

func (ed *editor) Height() int {
	rows, _ := ed.keys.tty.size()
	return rows
}

func (ed *editor) Lend() func() {
	ed.screen.hold()
	return func() {
		_ = ed.keys.tty.reset() // if the terminal is gone, the next line tells
		ed.screen.release()
	}
}

func (ed *editor) Close() error { return ed.keys.close() }
