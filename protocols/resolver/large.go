package resolver

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/juxta-p2p/juxta/core/xmldoc"
)

// Index messages may be larger than documents are otherwise: their payload is
// read and printed in pieces.

// text is a document of one text, to escape it and back.
type text struct{ s string }

// Map implements [xmldoc.Document].
func (t *text) Map(m *xmldoc.Mapper) {
	m.Root("t")
	m.Always("s", &t.s)
}

const (
	payloadBegin = "<Payload>"
	payloadEnd   = "</Payload>"
	textBegin    = "<s>"
	textEnd      = "</s>"
)

// readIndex reads an index message of at most [MaxIndex] octets.
func readIndex(b []byte) (*Index, error) {
	x := new(Index)
	if len(b) <= xmldoc.MaxDocument {
		return x, xmldoc.Unmarshal(b, x)
	}
	if len(b) > MaxIndex {
		return nil, errBomb
	}
	return readParts(b, piece)
}

// readParts reads an index message of which the payload is not looked at as a
// whole.
func readParts(b []byte, size int) (*Index, error) {
	x := new(Index)
	from := bytes.Index(b, []byte(payloadBegin))
	to := bytes.LastIndex(b, []byte(payloadEnd))
	if from < 0 || to < from {
		return nil, fmt.Errorf("resolver: large index message without payload: %w", xmldoc.ErrMissing)
	}
	from += len(payloadBegin)
	raw := b[from:to]
	if bytes.IndexByte(raw, '<') >= 0 {
		return nil, fmt.Errorf("resolver: large index message with markup in its payload: %w", xmldoc.ErrSyntax)
	}
	// The rest, with something for a payload, is an ordinary document.
	rest := make([]byte, 0, len(b)-len(raw)+1)
	rest = append(append(append(rest, b[:from]...), '-'), b[to:]...)
	if err := xmldoc.Unmarshal(rest, x); err != nil {
		return nil, err
	}
	if x.Payload != "-" {
		return nil, fmt.Errorf("resolver: large index message with two payloads: %w", xmldoc.ErrSyntax)
	}
	var out strings.Builder
	out.Grow(len(raw))
	for len(raw) > 0 {
		n := cut(raw, size)
		// A mark at each end keeps the blanks there.
		var t text
		doc := fmt.Sprintf("<t>%s.%s.%s</t>", textBegin, raw[:n], textEnd)
		if err := xmldoc.Unmarshal([]byte(doc), &t); err != nil {
			return nil, err
		}
		out.WriteString(t.s[1 : len(t.s)-1])
		raw = raw[n:]
	}
	x.Payload = xmldoc.Trim(out.String())
	return x, nil
}

// cut returns where a text can be cut, at most limit octets from its beginning:
// not within a character or a reference to one. The limit must be more than such a
// reference is long, by some octets.
func cut[T string | []byte](s T, limit int) int {
	if len(s) <= limit {
		return len(s)
	}
	n := limit
	for k := range maxReference {
		if s[limit-1-k] == ';' {
			break
		}
		if s[limit-1-k] == '&' {
			n = limit - 1 - k
			break
		}
	}
	for back := n; back > n-utf8.UTFMax; back-- {
		if utf8.RuneStart(s[back]) {
			return back
		}
	}
	return n // no UTF-8
}

// printIndex prints an index message.
func printIndex(x *Index) ([]byte, error) {
	if len(x.Payload) <= piece {
		return xmldoc.Marshal(x)
	}
	return printParts(x, piece)
}

// printParts is printIndex, so many octets at a time.
func printParts(x *Index, size int) ([]byte, error) {
	short := *x
	short.Payload = "-"
	rest, err := xmldoc.Marshal(&short)
	if err != nil {
		return nil, err
	}
	at := bytes.LastIndex(rest, []byte(payloadBegin))
	mark := at + bytes.IndexByte(rest[max(at, 0):], '-')
	if at < 0 || mark < at {
		return nil, fmt.Errorf("resolver: index message: %w: payload", xmldoc.ErrMissing)
	}
	out := make([]byte, 0, len(rest)+len(x.Payload)+len(x.Payload)/4)
	out = append(out, rest[:mark]...)
	for s := x.Payload; s != ""; {
		n := cut(s, size)
		doc, err := xmldoc.Marshal(&text{s[:n]})
		if err != nil {
			return nil, err
		}
		from, to := bytes.Index(doc, []byte(textBegin)), bytes.LastIndex(doc, []byte(textEnd))
		if from < 0 || to < from {
			return nil, fmt.Errorf("resolver: index message: %w: text", xmldoc.ErrMissing)
		}
		out = append(out, doc[from+len(textBegin):to]...)
		s = s[n:]
	}
	if out = append(out, rest[mark+1:]...); len(out) > MaxIndex {
		return nil, errBomb
	}
	return out, nil
}
