package xmldoc

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Trim removes the blanks that JXSE removes at both ends of a text: what Java
// calls white space, which leaves the no-break spaces alone and takes the
// separators U+001C to U+001F along.
func Trim(s string) string {
	if s == "" || inner(s[0]) && inner(s[len(s)-1]) {
		return s
	}
	return strings.TrimFunc(s, isBlank)
}

// inner tells that an octet is ASCII and no blank.
func inner(c byte) bool { return c > ' ' && c < utf8.RuneSelf }

// isBlank is Java's Character.isWhitespace.
func isBlank(r rune) bool {
	switch r {
	case 0x85, 0xa0, 0x2007, 0x202f:
		return false
	case 0x1c, 0x1d, 0x1e, 0x1f:
		return true
	}
	return unicode.IsSpace(r)
}

// allowed tells whether XML can carry a character.
func allowed(r rune) bool {
	switch {
	case r < ' ':
		return r == '\t' || r == '\n' || r == '\r'
	case r == 0xfffe || r == 0xffff:
		return false
	}
	return true
}

// appendText appends s as the text of an element. Beyond "&" and "<" it escapes
// the carriage return, which readers turn into a line feed, and the ">" of
// "]]>", which XML parsers refuse. It reports false if XML cannot carry s.
func appendText(b []byte, s string) ([]byte, bool) {
	done := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			r, n := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && n == 1 || !allowed(r) {
				return b, false
			}
			i += n
			continue
		}
		var esc string
		switch {
		case c == '&':
			esc = "&amp;"
		case c == '<':
			esc = "&lt;"
		case c == '\r':
			esc = "&#13;"
		case c == '>' && i >= 2 && s[i-1] == ']' && s[i-2] == ']':
			esc = "&gt;"
		case !allowed(rune(c)):
			return b, false
		default:
			i++
			continue
		}
		b = append(b, s[done:i]...)
		b = append(b, esc...)
		i++
		done = i
	}
	return append(b, s[done:]...), true
}

// plainAttr tells whether an attribute value is safe to write: JXSE neither
// encodes nor decodes attribute values, so that only characters without meaning
// in XML arrive as sent.
func plainAttr(s string) bool {
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '&' || c == '<' || c == '>' || c == '"' || c == '\'':
			return false
		case c < ' ' || c >= 0x7f:
			return false
		}
	}
	return true
}

// appendAttr appends an attribute value that was read from a foreign document,
// escaped the way XML has it.
func appendAttr(b []byte, s string) ([]byte, bool) {
	for _, r := range s {
		switch {
		case r == '&':
			b = append(b, "&amp;"...)
		case r == '<':
			b = append(b, "&lt;"...)
		case r == '>':
			b = append(b, "&gt;"...)
		case r == '"':
			b = append(b, "&#34;"...)
		case r == '\t':
			b = append(b, "&#9;"...)
		case r == '\n':
			b = append(b, "&#10;"...)
		case r == '\r':
			b = append(b, "&#13;"...)
		case !allowed(r):
			return b, false
		default:
			b = utf8.AppendRune(b, r)
		}
	}
	return b, utf8.ValidString(s)
}

// validName tells whether s can be the name of an element or attribute that
// every JXTA peer reads.
func validName(s string) bool {
	if s == "" || len(s) > MaxName || !nameStart(s[0]) {
		return false
	}
	for i := 1; i < len(s); i++ {
		if c := s[i]; !nameStart(c) && c != '-' && c != '.' && (c < '0' || c > '9') {
			return false
		}
	}
	return s[len(s)-1] != ':'
}

// nameStart tells whether c may begin a name. Letters beyond ASCII are allowed
// without looking closer: they only arise from documents that were parsed.
func nameStart(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c == ':' || c >= utf8.RuneSelf
}
