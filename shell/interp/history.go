package interp

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// History keeps the lines that were typed, and writes them to a file if it was
// opened with one. Lines are numbered from 0. It is safe for concurrent use.
type History struct {
	mu    sync.Mutex
	file  string
	lines []string
}

// Open reads the file, which need not exist, shortens it to the newest
// HistoryLines lines, and from then on appends what is added. The file is
// readable by its owner alone.
func (h *History) Open(file string) error {
	b, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("interp: history: %w", err)
	}
	var lines []string
	for l := range strings.Lines(string(b)) {
		if text, err := strconv.Unquote(`"` + strings.TrimRight(l, "\r\n") + `"`); err == nil && text != "" {
			lines = append(lines, text)
		}
	}
	long := len(lines) > HistoryLines
	if long {
		lines = lines[len(lines)-HistoryLines:]
	}
	h.mu.Lock()
	h.file, h.lines = file, lines
	h.mu.Unlock()
	if long {
		return h.rewrite(file, lines)
	}
	return nil
}

// rewrite replaces the file by the lines.
func (h *History) rewrite(file string, lines []string) error {
	t, err := os.CreateTemp(filepath.Dir(file), ".history-*") // mode 0600
	if err != nil {
		return fmt.Errorf("interp: history: %w", err)
	}
	w := bufio.NewWriter(t)
	for _, l := range lines {
		_, _ = w.WriteString(escaped(l)) // the error stays until Flush
	}
	if err := errors.Join(w.Flush(), t.Close()); err != nil {
		_ = os.Remove(t.Name())
		return fmt.Errorf("interp: history: %w", err)
	}
	if err := os.Rename(t.Name(), file); err != nil {
		_ = os.Remove(t.Name())
		return fmt.Errorf("interp: history: %w", err)
	}
	return nil
}

// escaped is a line of the file: line ends and other controls as in Go strings.
func escaped(line string) string {
	q := strconv.Quote(line)
	return q[1:len(q)-1] + "\n"
}

// Add keeps a line, unless it is empty, begins with a blank, is that of before,
// or is very long.
func (h *History) Add(line string) error {
	line = strings.TrimRight(line, " \t\r\n")
	if line == "" || line[0] == ' ' || len(line) > maxHistoryLine {
		return nil
	}
	h.mu.Lock()
	if len(h.lines) > 0 && h.lines[len(h.lines)-1] == line {
		h.mu.Unlock()
		return nil
	}
	h.lines = append(h.lines, line)
	if len(h.lines) > 2*HistoryLines {
		h.lines = slices.Clone(h.lines[len(h.lines)-HistoryLines:])
	}
	file := h.file
	h.mu.Unlock()
	if file == "" {
		return nil
	}
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("interp: history: %w", err)
	}
	_, err = f.WriteString(escaped(line)) // one write, so that two shells do not mix their lines
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("interp: history: %w", err)
	}
	return nil
}

// Lines returns the newest lines, oldest first.
func (h *History) Lines() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.lines[max(0, len(h.lines)-HistoryLines):])
}

// Recall replaces a line "!n" by line n of the history and "!!" by the last one.
// It reports whether the line was such a recall; the error says that there is no
// such line.
func (h *History) Recall(line string) (text string, recalled bool, err error) {
	number, ok := strings.CutPrefix(strings.TrimSpace(line), "!")
	if !ok {
		return line, false, nil
	}
	lines := h.Lines()
	n, numErr := strconv.Atoi(number)
	if number == "!" {
		n, numErr = len(lines)-1, nil
	}
	if numErr != nil {
		return line, false, nil
	}
	if n < 0 || n >= len(lines) {
		return "", true, NotFoundf("the history has no line %s", number).Try("history lists them")
	}
	return lines[n], true, nil
}
