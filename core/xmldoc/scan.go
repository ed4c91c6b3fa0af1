package xmldoc

import (
	"strings"

	"github.com/beevik/etree"
)

// scan reads what JXTA peers print, and nothing else: elements with attributes in
// double quotes, text, the five entities that XML knows, and DOCTYPE. It makes the
// tree that the general parser makes, in an eighth of the allocations, and reports
// false for everything that it does not know, which need not be wrong. b is clean.
//
// Texts are copied one by one, since they outlive the tree; names and blanks are
// parts of one copy of the document.
func scan(b []byte) (*etree.Element, bool) {
	s := scanner{in: string(b)}
	s.room = min(scanRoom, strings.Count(s.in, "<")/2+1)
	var open [MaxDepth]frame
	var waiting [scanRoom]etree.Token
	s.waiting = waiting[:0]
	if !s.start() {
		return nil, false
	}
	for depth := 0; ; {
		// A start tag or an end tag is next.
		if s.take("</") {
			if depth == 0 {
				return nil, false
			}
			f := &open[depth-1]
			if !s.take(f.name) || !s.take(">") {
				return nil, false
			}
			s.adopt(f)
			depth--
		} else {
			if depth == MaxDepth || !s.take("<") {
				return nil, false
			}
			f := &open[depth]
			empty, ok := s.tag(f)
			if !ok || depth == 0 && s.doctype != "" && s.doctype != f.name {
				return nil, false
			}
			if depth > 0 {
				s.waiting = append(s.waiting, f.e)
			}
			f.from = len(s.waiting)
			if !empty {
				depth++
			}
		}
		if depth == 0 {
			s.blanks()
			return open[0].e, s.in == ""
		}
		if !s.text() {
			return nil, false
		}
	}
}

const (
	// scanRoom is for how many elements, texts and attributes a scan makes room at
	// once, at most: most documents need one or two such pieces, and what turns out
	// not to be well-formed has not cost much.
	scanRoom = 24

	doctypeOpen = "<!DOCTYPE "
)

// scanner is a document of which a part was scanned.
type scanner struct {
	in      string // what is left
	doctype string
	waiting []etree.Token // children of the open elements, the innermost last

	// Room for what is to come, for so many of each at once.
	room     int
	elements []etree.Element
	texts    []etree.CharData
	tokens   []etree.Token
	attrs    []etree.Attr
}

// frame is an element of which the end tag is to come.
type frame struct {
	e    *etree.Element
	name string
	from int // its first child among those that wait
}

// take skips what stands next, if it is that.
func (s *scanner) take(what string) (ok bool) {
	s.in, ok = strings.CutPrefix(s.in, what)
	return ok
}

func (s *scanner) blanks() int {
	n := 0
	for n < len(s.in) && (s.in[n] == ' ' || s.in[n] == '\n' || s.in[n] == '\t') {
		n++
	}
	s.in = s.in[n:]
	return n
}

// start skips what stands before the root.
func (s *scanner) start() bool {
	s.blanks()
	if s.take(doctypeOpen) {
		if s.doctype = s.name(); s.doctype == "" || !s.take(">") {
			return false
		}
		s.blanks()
	}
	return true
}

// name takes a name of ASCII letters and the like; "" if there is none.
func (s *scanner) name() string {
	n := 0
	for n < len(s.in) {
		c := s.in[n]
		letter := c|0x20 >= 'a' && c|0x20 <= 'z' || c == '_'
		if !letter && (n == 0 || c != ':' && c != '-' && c != '.' && (c < '0' || c > '9')) {
			break
		}
		n++
	}
	name := s.in[:n]
	s.in = s.in[n:]
	return name
}

// split separates the prefix of a name, and refuses names in which it is not clear
// what that is.
func split(name string) (space, local string, ok bool) {
	space, local, found := strings.Cut(name, ":")
	if !found {
		return "", name, name != ""
	}
	return space, local, local != "" && !strings.Contains(local, ":")
}

// tag takes the rest of a start tag and reports whether it is the end tag too.
func (s *scanner) tag(f *frame) (empty, ok bool) {
	f.name = s.name()
	space, local, ok := split(f.name)
	if !ok {
		return false, false
	}
	if len(s.elements) == cap(s.elements) {
		s.elements = make([]etree.Element, 0, s.room)
	}
	s.elements = append(s.elements, etree.Element{Space: space, Tag: local})
	f.e = &s.elements[len(s.elements)-1]
	for {
		if s.take(">") {
			return false, true
		}
		if s.take("/>") {
			return true, true
		}
		if s.blanks() == 0 || !s.attribute(f.e) {
			return false, false
		}
	}
}

// attribute takes an attribute of an element.
func (s *scanner) attribute(e *etree.Element) bool {
	space, key, ok := split(s.name())
	if !ok || len(e.Attr) == MaxAttributes || !s.take(`="`) {
		return false
	}
	n := strings.IndexAny(s.in, "\"&<\r")
	if n < 0 || s.in[n] != '"' {
		return false
	}
	value := s.in[:n]
	s.in = s.in[n+1:]
	switch value {
	case nsValue, preserve, unwritten: // these nobody keeps
	default:
		value = strings.Clone(value)
	}
	// The attributes that e has are the last ones there, and stay together.
	if len(s.attrs) == cap(s.attrs) {
		s.attrs = append(make([]etree.Attr, 0, s.room+len(e.Attr)), e.Attr...)
	}
	from := len(s.attrs) - len(e.Attr)
	s.attrs = append(s.attrs, etree.Attr{Space: space, Key: key, Value: value})
	e.Attr = s.attrs[from:len(s.attrs):len(s.attrs)]
	return true
}

// text takes what stands before the next tag.
func (s *scanner) text() bool {
	n := strings.IndexByte(s.in, '<')
	if n < 0 {
		return false
	}
	if n == 0 {
		return true
	}
	raw := s.in[:n]
	s.in = s.in[n:]
	blank := true
	special := false
	for i := range len(raw) {
		switch c := raw[i]; c {
		case ' ', '\n', '\t':
		case '\r':
			return false // it would become a line feed
		case '&':
			special = true
			fallthrough
		default:
			blank = false
		}
	}
	switch {
	case blank:
	case special:
		var ok bool
		if raw, ok = unescape(raw); !ok {
			return false
		}
	default:
		raw = strings.Clone(raw)
	}
	if len(s.texts) == cap(s.texts) {
		s.texts = make([]etree.CharData, 0, s.room)
	}
	s.texts = append(s.texts, etree.CharData{Data: raw})
	s.waiting = append(s.waiting, &s.texts[len(s.texts)-1])
	return true
}

// adopt gives an element the children that wait for its end tag.
func (s *scanner) adopt(f *frame) {
	children := s.waiting[f.from:]
	n := len(children)
	if n == 0 {
		return
	}
	if cap(s.tokens)-len(s.tokens) < n {
		s.tokens = make([]etree.Token, 0, max(n, 2*s.room))
	}
	at := len(s.tokens)
	s.tokens = s.tokens[:at+n]
	f.e.Child = s.tokens[at : at : at+n]
	for _, c := range children {
		f.e.AddChild(c)
	}
	s.waiting = s.waiting[:f.from]
}

// unescape replaces the entities that XML knows; it reports false if there are
// others.
func unescape(s string) (string, bool) {
	var b strings.Builder
	b.Grow(len(s))
	for {
		before, after, found := strings.Cut(s, "&")
		b.WriteString(before)
		if !found {
			return b.String(), true
		}
		switch {
		case strings.HasPrefix(after, "lt;"):
			b.WriteByte('<')
			s = after[len("lt;"):]
		case strings.HasPrefix(after, "gt;"):
			b.WriteByte('>')
			s = after[len("gt;"):]
		case strings.HasPrefix(after, "amp;"):
			b.WriteByte('&')
			s = after[len("amp;"):]
		case strings.HasPrefix(after, "quot;"):
			b.WriteByte('"')
			s = after[len("quot;"):]
		case strings.HasPrefix(after, "apos;"):
			b.WriteByte('\'')
			s = after[len("apos;"):]
		default:
			return "", false
		}
	}
}
