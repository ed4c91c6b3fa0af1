// Package terminaltest runs programs in a pseudo-terminal and sees what a user
// would see on the screen.
package terminaltest

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"github.com/mattn/go-runewidth"
)

// Screen is a terminal: it keeps what a screen would show, for the control
// sequences that line editors use. Anything else is kept in Unknown. It does not
// wrap lines anew when its size changes. The zero value is not usable.
type Screen struct {
	rows, cols int
	lines      [][]rune // on the screen; 0 stands behind a wide character
	above      []string // scrolled off
	X, Y       int      // cursor
	Wrap       bool     // the next character goes to the next line
	rest       []byte
	written    bytes.Buffer
	Unknown    []string // control sequences that were not understood
}

// NewScreen returns an empty screen.
func NewScreen(rows, cols int) *Screen {
	v := &Screen{rows: rows, cols: cols}
	for range rows {
		v.lines = append(v.lines, v.blank())
	}
	return v
}

func (v *Screen) blank() []rune { return []rune(strings.Repeat(" ", v.cols)) }

// down goes to the next line and scrolls at the lower edge.
func (v *Screen) down() {
	if v.Y < v.rows-1 {
		v.Y++
		return
	}
	v.above = append(v.above, rowText(v.lines[0]))
	v.lines = append(v.lines[1:], v.blank())
}

func rowText(row []rune) string {
	var b strings.Builder
	for _, r := range row {
		if r != 0 {
			b.WriteRune(r)
		}
	}
	return strings.TrimRight(b.String(), " ")
}

// Text returns all lines, also those scrolled off, without blank ones at the end.
func (v *Screen) Text() string {
	all := append([]string(nil), v.above...)
	for _, l := range v.lines {
		all = append(all, rowText(l))
	}
	return strings.TrimRight(strings.Join(all, "\n"), "\n")
}

// Written returns all that was written, with control sequences.
func (v *Screen) Written() string { return v.written.String() }

// Write shows what a program prints.
func (v *Screen) Write(p []byte) {
	v.written.Write(p)
	buf := append(v.rest, p...)
	v.rest = nil
	for len(buf) > 0 {
		switch c := buf[0]; {
		case c == '\r':
			v.X, v.Wrap, buf = 0, false, buf[1:]
		case c == '\n':
			v.Wrap, buf = false, buf[1:]
			v.down()
		case c == '\b':
			v.X, v.Wrap, buf = max(v.X-1, 0), false, buf[1:]
		case c == 0x1b:
			n := sequenceLength(buf)
			if n == 0 {
				v.rest = append([]byte(nil), buf...)
				return
			}
			v.sequence(string(buf[1:n]))
			buf = buf[n:]
		case c < ' ':
			buf = buf[1:]
		default:
			if !utf8.FullRune(buf) {
				v.rest = append([]byte(nil), buf...)
				return
			}
			r, n := utf8.DecodeRune(buf)
			v.put(r)
			buf = buf[n:]
		}
	}
}

func (v *Screen) put(r rune) {
	w := runewidth.RuneWidth(r)
	if v.Wrap || v.X+w > v.cols {
		v.X, v.Wrap = 0, false
		v.down()
	}
	v.lines[v.Y][v.X] = r
	if w == 2 {
		v.lines[v.Y][v.X+1] = 0
	}
	v.X += w
	if v.X >= v.cols {
		v.X, v.Wrap = v.cols-1, true
	}
}

func (v *Screen) sequence(s string) {
	switch {
	case s == "D":
		v.Wrap = false
		v.down()
		return
	case s == "M":
		v.Wrap = false
		v.Y = max(v.Y-1, 0) // the editor never goes above the screen
		return
	case s[0] != '[':
		v.Unknown = append(v.Unknown, s)
		return
	}
	final := s[len(s)-1]
	n, digits := 0, false
	for _, c := range s[1 : len(s)-1] {
		if c >= '0' && c <= '9' {
			n, digits = n*10+int(c-'0'), true
		}
	}
	move := n
	if !digits {
		move = 1
	}
	switch final {
	case 'A':
		v.Y, v.Wrap = max(v.Y-move, 0), false
	case 'B':
		v.Y, v.Wrap = min(v.Y+move, v.rows-1), false
	case 'C':
		v.X, v.Wrap = min(v.X+move, v.cols-1), false
	case 'D':
		v.X, v.Wrap = max(v.X-move, 0), false
	case 'H':
		v.X, v.Y, v.Wrap = 0, 0, false
	case 'J':
		if n == 2 {
			for i := range v.lines {
				v.lines[i] = v.blank()
			}
			return
		}
		for i := v.X; i < v.cols; i++ {
			v.lines[v.Y][i] = ' '
		}
		for i := v.Y + 1; i < v.rows; i++ {
			v.lines[i] = v.blank()
		}
		v.Wrap = false
	case 'K':
		for i := v.X; i < v.cols; i++ {
			v.lines[v.Y][i] = ' '
		}
	case 'm', 'h', 'l':
	default:
		v.Unknown = append(v.Unknown, s)
	}
}

// sequenceLength returns the length of the control sequence at the start of b, 0
// if more must come.
func sequenceLength(b []byte) int {
	if len(b) < 2 {
		return 0
	}
	if b[1] != '[' {
		return 2
	}
	for i := 2; i < len(b); i++ {
		if b[i] >= 0x40 && b[i] <= 0x7e {
			return i + 1
		}
	}
	return 0
}
