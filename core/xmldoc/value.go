package xmldoc

import (
	"encoding"
	"fmt"
	"strconv"

	"github.com/beevik/etree"
)

// Attr is an optional attribute of the element at hand; the empty string is not
// written. Attributes come before content. Values with characters beyond
// printable ASCII, or with one of &<>"', are refused in writing, since JXSE
// neither encodes nor decodes them.
func (m *Mapper) Attr(name string, v *string) {
	if !m.ready() {
		return
	}
	if m.mode == writing {
		if *v != "" {
			m.p.attr(name, *v)
		}
		return
	}
	if a := attribute(m.cur, name); a != nil {
		*v = a.Value
	}
}

// Text is a child element that must be there; its text may be empty.
func (m *Mapper) Text(name string, v *string) {
	if !m.ready() {
		return
	}
	if m.mode == writing {
		m.write(name, *v)
		return
	}
	if e := m.child(name); e != nil {
		*v = text(e)
	}
}

// Filled is a child element that must be there and have text, in both directions.
func (m *Mapper) Filled(name string, v *string) {
	m.Text(name, v)
	if m.ready() && Trim(*v) == "" {
		m.failAt(name, ErrMissing)
	}
}

// Always is a child element that is written even if empty and may be missing.
func (m *Mapper) Always(name string, v *string) {
	if !m.ready() {
		return
	}
	if m.mode == writing {
		m.write(name, *v)
		return
	}
	if e := last(m.cur, name); e != nil {
		*v = text(e)
	}
}

// Optional is a child element that is written unless its text would be blank.
func (m *Mapper) Optional(name string, v *string) {
	if m.mode == writing && Trim(*v) == "" {
		return
	}
	m.Always(name, v)
}

// Value is a child element that must be there, not empty, with a text that v
// understands.
func (m *Mapper) Value(name string, v TextValue) {
	if !m.ready() {
		return
	}
	if m.mode == writing {
		s := m.format(name, v)
		if s == "" {
			m.failAt(name, ErrMissing)
			return
		}
		m.write(name, s)
		return
	}
	if e := m.child(name); e != nil {
		m.parse(e, v, true)
	}
}

// OptionalValue is a child element that is written unless its text is empty. If
// it is missing or empty in reading, v is left alone.
func (m *Mapper) OptionalValue(name string, v TextValue) {
	if !m.ready() {
		return
	}
	if m.mode == writing {
		if s := m.format(name, v); s != "" {
			m.write(name, s)
		}
		return
	}
	if e := last(m.cur, name); e != nil {
		m.parse(e, v, false)
	}
}

// Int is a child element that must hold a decimal number.
func (m *Mapper) Int(name string, v *int64) {
	if !m.ready() {
		return
	}
	if m.mode == writing {
		m.write(name, strconv.FormatInt(*v, 10))
		return
	}
	if e := m.child(name); e != nil {
		m.number(e, v, true)
	}
}

// OptionalInt is a decimal number that is always written; if it is missing or
// empty in reading, v is left alone, so that a default can be set beforehand.
func (m *Mapper) OptionalInt(name string, v *int64) {
	if m.mode == writing {
		m.Int(name, v)
		return
	}
	if !m.ready() {
		return
	}
	if e := last(m.cur, name); e != nil {
		m.number(e, v, false)
	}
}

// OptionalBool is a child element that is written, as "true", if v is set. In
// reading any spelling of true in any case sets v, everything else clears it; v
// is left alone if the element is missing.
func (m *Mapper) OptionalBool(name string, v *bool) {
	if !m.ready() {
		return
	}
	if m.mode == writing {
		if *v {
			m.write(name, "true")
		}
		return
	}
	if e := last(m.cur, name); e != nil {
		*v = isTrue(text(e))
	}
}

// Has reports, in reading, whether the element at hand has such a child element.
// In writing it is false.
func (m *Mapper) Has(name string) bool {
	return m.mode == reading && m.ready() && last(m.cur, name) != nil
}

// Self is the text of the element at hand.
func (m *Mapper) Self(v *string) {
	if !m.ready() {
		return
	}
	if m.mode == writing {
		m.p.text(*v)
		return
	}
	*v = text(m.cur)
}

// SelfValue is the text of the element at hand, which must not be empty and
// which v understands.
func (m *Mapper) SelfValue(v TextValue) {
	if !m.ready() {
		return
	}
	if m.mode == reading {
		m.parse(m.cur, v, true)
		return
	}
	b, err := v.MarshalText()
	switch {
	case err != nil:
		m.Fail(err)
	case len(b) == 0:
		m.Fail(ErrMissing)
	default:
		m.p.text(string(b))
	}
}

// write writes a child element with text.
func (m *Mapper) write(name, s string) {
	m.p.start(open{name: name})
	m.p.text(s)
	if m.p.err == nil {
		m.p.end()
	}
}

// format returns the text of a value, which may be empty.
func (m *Mapper) format(name string, v encoding.TextMarshaler) string {
	b, err := v.MarshalText()
	if err != nil {
		m.failAt(name, err)
	}
	return string(b)
}

// parse hands the text of e to v.
func (m *Mapper) parse(e *etree.Element, v encoding.TextUnmarshaler, required bool) {
	s := text(e)
	switch {
	case s != "":
		if err := v.UnmarshalText([]byte(s)); err != nil {
			m.err = at(path(e), err)
		}
	case required:
		m.err = at(path(e), ErrMissing)
	}
}

// number reads the text of e as a decimal number.
func (m *Mapper) number(e *etree.Element, v *int64, required bool) {
	s := text(e)
	if s == "" {
		if required {
			m.err = at(path(e), ErrMissing)
		}
		return
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		m.err = at(path(e), fmt.Errorf("%q is no number: %w", clip(s), ErrSyntax))
		return
	}
	*v = n
}

// isTrue reads a flag the way Java does.
func isTrue(s string) bool {
	return len(s) == 4 && s[0]|0x20 == 't' && s[1]|0x20 == 'r' && s[2]|0x20 == 'u' && s[3]|0x20 == 'e'
}
