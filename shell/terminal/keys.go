package terminal

import (
	"bytes"
	"unicode/utf8"

	"github.com/c-bata/go-prompt"
)

// Keys with a meaning to this package.
const (
	ctrlC     = 0x03
	ctrlD     = 0x04
	ctrlG     = 0x07
	backspace = 0x08
	ctrlR     = 0x12
	escape    = 0x1b
	deleteKey = 0x7f
)

// Private keys: what no terminal sends. The library runs code of this package on
// its buffer when it reads one of them.
var (
	keyReplace = []byte("\x1bJX1") // replace the line by editor.replacement
	keyRedraw  = []byte("\x1bJX2") // do nothing, which draws the line again
	keySave    = []byte("\x1bJX3") // keep the line in editor.replacement and empty it
)

var (
	pasteStart = []byte("\x1b[200~")
	pasteEnd   = []byte("\x1b[201~")
)

// splitter cuts what a terminal sends into keys: single control characters,
// whole escape sequences, and runs of text. Pieces that are not complete wait
// for the next read.
type splitter struct {
	rest    []byte
	pasting bool
}

// split returns the keys in b and in what was left from before. idle says that
// the terminal has sent nothing for a while, so that a lone escape is the key,
// not the start of a sequence.
func (s *splitter) split(b []byte, idle bool) [][]byte {
	buf := append(s.rest, b...)
	s.rest = nil
	var keys [][]byte
	for len(buf) > 0 {
		if s.pasting {
			text, n, done := pasted(buf, idle)
			if len(text) > 0 {
				keys = append(keys, text)
			}
			buf = buf[n:]
			s.pasting = !done
			if !done {
				break
			}
			continue
		}
		if bytes.HasPrefix(buf, pasteStart) {
			buf, s.pasting = buf[len(pasteStart):], true
			continue
		}
		n := keyLength(buf)
		if n == 0 { // not complete
			if !idle {
				break
			}
			if buf[0] == escape && len(buf) == 1 {
				keys = append(keys, []byte{escape})
			}
			buf = nil
			break
		}
		key := buf[:n]
		buf = buf[n:]
		if other, ok := sameAs(key); ok {
			key = other
		}
		if known(key) {
			keys = append(keys, bytes.Clone(key))
		}
	}
	s.rest = bytes.Clone(buf)
	return keys
}

// keyLength returns the length of the first key in b, 0 if more must come.
func keyLength(b []byte) int {
	switch {
	case b[0] == escape:
		return sequenceLength(b)
	case b[0] < ' ' || b[0] == deleteKey:
		return 1
	}
	n := 0
	for n < len(b) && b[n] >= ' ' && b[n] != deleteKey {
		if !utf8.FullRune(b[n:]) {
			break
		}
		_, size := utf8.DecodeRune(b[n:])
		n += size
	}
	return n
}

// maxSequence is longer than any escape sequence a keyboard sends.
const maxSequence = 32

// sequenceLength returns the length of the escape sequence at the start of b.
func sequenceLength(b []byte) int {
	switch {
	case len(b) == 1:
		return 0
	case b[1] == 'O': // SS3: one more
		if len(b) < 3 {
			return 0
		}
		return 3
	case b[1] != '[': // Alt and a key
		if b[1] < ' ' {
			return 1 // an escape, then a control character of its own
		}
		if !utf8.FullRune(b[1:]) {
			return 0
		}
		_, n := utf8.DecodeRune(b[1:])
		return 1 + n
	}
	for i := 2; i < len(b); i++ {
		switch {
		case i == 2 && b[i] == '[': // Linux console: ESC [ [ A
		case b[i] >= 0x40 && b[i] <= 0x7e:
			return i + 1
		case b[i] < ' ' || i >= maxSequence:
			return i // broken off
		}
	}
	return 0
}

// pasted returns the text of a paste up to its end mark, made fit for one line:
// line ends become " ; ", so that the user sees what will run, tabs become
// blanks, other control characters vanish.
func pasted(b []byte, idle bool) (text []byte, n int, done bool) {
	end := bytes.Index(b, pasteEnd)
	switch {
	case end >= 0:
		n, done = end+len(pasteEnd), true
	case idle:
		end, n = len(b), len(b)
	default: // the end mark, a line end or a rune may be cut in two
		end = len(b) - min(len(b), len(pasteEnd)-1)
		for end > 0 && (!utf8.RuneStart(b[end]) || b[end-1] == '\r' || b[end-1] == '\n') {
			end--
		}
		n = end
	}
	raw := bytes.ReplaceAll(b[:end], []byte("\r\n"), []byte("\n"))
	if done {
		raw = bytes.TrimRight(raw, "\r\n")
	}
	for _, r := range string(raw) {
		switch {
		case r == '\n' || r == '\r':
			text = append(text, " ; "...)
		case r == '\t':
			text = append(text, ' ')
		case r >= ' ' && r != deleteKey && (r < 0x80 || r > 0x9f):
			text = utf8.AppendRune(text, r)
		}
	}
	return text, n, done
}

// known reports whether the library or this package knows what to do with a key.
// It would insert unknown sequences as text.
func known(key []byte) bool {
	if key[0] != escape {
		return true
	}
	if len(key) == 1 {
		return true
	}
	for _, b := range wordKeys() {
		if bytes.Equal(b.ASCIICode, key) {
			return true
		}
	}
	return prompt.GetKey(key) != prompt.NotDefined
}

// wordKeys move and delete by words, which the library has no keys for.
func wordKeys() []prompt.ASCIICodeBind {
	return []prompt.ASCIICodeBind{
		{ASCIICode: []byte("\x1bb"), Fn: prompt.GoLeftWord},    // Alt-b
		{ASCIICode: []byte("\x1bf"), Fn: prompt.GoRightWord},   // Alt-f
		{ASCIICode: []byte("\x1b\x7f"), Fn: prompt.DeleteWord}, // Alt-Backspace
	}
}

// sameAs returns the key that means the same as one which the library knows but
// does nothing with, or does not know.
func sameAs(key []byte) ([]byte, bool) {
	switch string(key) {
	case "\x1b[1;5D", "\x1b[1;3D", "\x1b[5D", "\x1bOd": // Ctrl-Left, Alt-Left
		return []byte("\x1bb"), true
	case "\x1b[1;5C", "\x1b[1;3C", "\x1b[5C", "\x1bOc":
		return []byte("\x1bf"), true
	case "\x1bOA", "\x1bOB", "\x1bOC", "\x1bOD", "\x1bOH", "\x1bOF": // keypad mode
		return []byte{escape, '[', key[2]}, true
	}
	return nil, false
}
