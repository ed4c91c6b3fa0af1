package xmldoc

import (
	"fmt"

	"github.com/beevik/etree"
)

// Mapper carries a document through its description, out of a tree or into
// text. Its methods name the parts of the element at hand, which is the root
// first. The first failure sticks: every later call does nothing.
//
// A Mapper is valid only during the call of Map that it was passed to.
type Mapper struct {
	mode   mode
	err    error
	cur    *etree.Element // reading: the element at hand
	p      *printer       // writing
	as     string         // name that the place prescribes for the document at hand
	rooted bool           // Root was called for the document at hand
	docs   int            // how many documents surround the one at hand
	root   string         // probing: the name found
	skip   bool           // reading a list: leave this one out
	held   bool           // reading: the place has a neutral name, Type must tell what it holds
}

type mode uint8

const (
	reading mode = iota
	writing
	probing
)

// Reading reports whether the document is being read. A description needs it for
// checks that only one direction has.
func (m *Mapper) Reading() bool { return m.mode == reading && m.err == nil }

// Err returns the error that stopped the description, or nil.
func (m *Mapper) Err() error {
	if m.err == nil && m.p != nil {
		return m.p.err
	}
	return m.err
}

// Fail refuses the document; the place is added to err. The first error counts,
// and a nil error is none.
func (m *Mapper) Fail(err error) {
	if err == nil || m.mode == probing || m.Err() != nil {
		return
	}
	if m.mode == writing {
		m.err = at(m.p.path(), err)
		return
	}
	m.err = at(path(m.cur), err)
}

// failAt is Fail for a child element of the one at hand.
func (m *Mapper) failAt(name string, err error) {
	switch {
	case m.Err() != nil || m.mode == probing:
	case m.mode == writing:
		m.err = at(m.p.path()+"/"+name, err)
	default:
		if e := last(m.cur, name); e != nil {
			m.err = at(path(e), err)
			return
		}
		m.err = at(path(m.cur)+"/"+name, err)
	}
}

// finish closes the work of a whole document.
func (m *Mapper) finish() error {
	switch {
	case m.Err() != nil:
	case !m.rooted:
		m.Fail(fmt.Errorf("%w: Root was not called", errUsage))
	case m.held:
		m.Fail(ErrRoot)
	}
	return m.Err()
}

// ready reports whether there is something to do.
func (m *Mapper) ready() bool {
	if m.mode == probing || m.Err() != nil {
		return false
	}
	if !m.rooted {
		m.Fail(fmt.Errorf("%w: Root must come first", errUsage))
		return false
	}
	return true
}

// Root names the root element; it must be the first call. A document that is
// read must have this name, letter by letter, or be in a place with a neutral
// name and say it, or the name given to [Mapper.Type], in its type attribute.
func (m *Mapper) Root(name string) {
	if m.mode == probing {
		m.root = name
		return
	}
	if m.Err() != nil {
		return
	}
	if m.rooted {
		m.Fail(fmt.Errorf("%w: Root twice", errUsage))
		return
	}
	m.rooted = true
	if m.mode == reading {
		switch {
		case m.as != "" || holds(m.cur, name):
		case neutral(m.cur):
			m.held = true
		default:
			m.Fail(fmt.Errorf("%w, want %s", ErrRoot, name))
		}
		return
	}
	if m.as != "" {
		name = m.as
	}
	m.p.start(open{name: name, doc: true, reverse: m.docs%2 == 1})
}

// Type says, after Root, which of several document types with the same root
// this is. The type attribute of a document that is read must be the same.
func (m *Mapper) Type(name string) {
	if !m.ready() {
		return
	}
	if m.mode == writing {
		m.p.attr(typeAttr, name)
		return
	}
	m.held = false
	if a := attribute(m.cur, typeAttr); a == nil || a.Value != name {
		m.Fail(fmt.Errorf("%w, want type %s", ErrRoot, name))
	}
}

// Indented says, after Root, that the document has no xml:space attribute and is
// always printed indented, as JXSE does with resolver messages.
func (m *Mapper) Indented() {
	if m.mode == writing && m.ready() {
		m.p.top().plain = true
	}
}

// Whole stands in for Root and everything else: the document is the node.
func (m *Mapper) Whole(v *Node) {
	switch {
	case m.mode == probing:
		m.root = v.Name()
	case m.Err() != nil:
	case m.mode == reading:
		m.rooted = true
		*v = Node{m.cur}
	case v.e == nil:
		m.Fail(ErrMissing)
	default:
		m.rooted = true
		name := m.as
		if name == "" {
			name = v.Name()
		}
		m.p.node(name, v.e)
	}
}
