package interp

import (
	"fmt"

	"github.com/juxta-p2p/juxta/shell/lang"
)

// errTooMuch is the error of a line that variables make too long.
var errTooMuch = fmt.Errorf("interp: variables make this line longer than %d KiB", restrictedText>>10)

// expander replaces the variables of one pipeline, whose commands run side by side.
type expander struct {
	s    *Session
	left int // octets that variables may still put in, if the session is restricted
	over bool
}

func (s *Session) expander() *expander { return &expander{s: s, left: restrictedText} }

// expand returns the text of a word.
func (e *expander) expand(w *lang.Word) (string, error) {
	text, err := w.Expand(e.text)
	if e.over {
		return "", errTooMuch
	}
	return text, err
}

func (e *expander) text(name string) (string, bool) {
	text, ok := e.s.text(name)
	if !e.s.Restricted {
		return text, ok
	}
	if e.left -= len(text); e.left < 0 {
		e.over = true
		return "", ok
	}
	return text, ok
}

// noVariables and noFiles are what a restricted session may not do.
func noVariables() *Error {
	return Deniedf("no variables can be made here").Try("leave out what stands before the =")
}

func noFiles() *Error {
	return Deniedf("no files can be read or written here").Try("the command without < and > shows what it has to say")
}

// borrow returns what gives a name back to what it means now, so that the loops of a
// restricted session leave nothing behind that adds up.
func (v *Variables) borrow(name string) (restore func()) {
	v.mu.Lock()
	defer v.mu.Unlock()
	old, ok := v.byKey[name]
	return func() {
		v.mu.Lock()
		defer v.mu.Unlock()
		delete(v.byKey, name)
		if ok {
			v.byKey[name] = old
		}
	}
}
