// Package xmldoc reads and writes the structured documents of JXTA: XML as the
// Java peers print it and as little of XML as they understand.
//
// A document type is a struct with one description, Map, that serves both
// directions:
//
//	func (p *Pipe) Map(m *xmldoc.Mapper) {
//		m.Root("jxta:PipeAdvertisement")
//		m.Value("Id", &p.ID)
//		m.Text("Type", &p.Type)
//		m.Optional("Name", &p.Name)
//	}
//
// Names are literal: "jxta:PA" is a name with a colon in it, there are no
// namespaces. Text is trimmed when read. Order of children and of attributes,
// and children that the description does not name, carry no meaning. Documents
// of strangers are read within the limits of limits.go; nothing is ever fetched
// or expanded. Content of unknown shape travels as [Node].
package xmldoc

import (
	"encoding"
	"errors"
	"fmt"
)

// Document is anything with a description. Map calls [Mapper.Root] first and
// then names each part once, in the order in which it is written. Map must not
// have effects beyond the document itself: it may be called without anything
// being read or written, to learn the name of the root.
type Document interface {
	Map(m *Mapper)
}

// TextValue is a value that knows its text form, such as an ID or an address.
type TextValue interface {
	encoding.TextMarshaler
	encoding.TextUnmarshaler
}

// Errors that tell what was wrong; those returned wrap them and name the place,
// for example "xmldoc: /jxta:PA/Svc[2]/MCID: missing".
var (
	ErrSyntax  = errors.New("malformed XML")
	ErrLimit   = errors.New("over the limit")
	ErrMissing = errors.New("missing")
	ErrRoot    = errors.New("another type of document")
	ErrText    = errors.New("text that XML cannot carry")
)

// errUsage marks descriptions that break the rules of Map.
var errUsage = errors.New("wrong use of Mapper")

// Marshal returns the document with prolog and DOCTYPE, in the compact layout
// in which JXSE stores and sends it, or in the indented one if the description
// says [Mapper.Indented].
//
// Control characters other than tab, line feed and carriage return are refused
// with [ErrText], since other peers could not read them. Blanks at both ends of
// a text are written and lost in reading.
func Marshal(d Document) ([]byte, error) {
	return newPrinter().document(d)
}

// MarshalIndent is [Marshal] in the indented layout, in which JXSE turns
// advertisements into strings. Embedded documents stay compact.
func MarshalIndent(d Document) ([]byte, error) {
	p := newPrinter()
	p.indented = true
	return p.document(d)
}

// Unmarshal reads a document into d, which should be a fresh value: what the
// document does not have is left alone. A repeated child counts once, with its
// last appearance, as in JXSE.
//
// The error wraps [ErrSyntax], [ErrLimit], [ErrMissing], [ErrRoot] or what a
// value said of its text. After an error d holds a part of the document.
func Unmarshal(b []byte, d Document) error {
	n, err := ParseNode(b)
	if err != nil {
		return err
	}
	return n.Decode(d)
}

// Leaves calls fn with the name and the trimmed text of each direct child of
// the root that has text, in the order written. It is the cheap way to the
// searchable values of a document, without printing and parsing it.
func Leaves(d Document, fn func(name, text string)) error {
	p := newPrinter()
	p.leaf = fn
	_, err := p.document(d)
	return err
}

// at wraps err with the place where it arose.
func at(path string, err error) error {
	return fmt.Errorf("xmldoc: %s: %w", path, err)
}
