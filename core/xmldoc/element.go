package xmldoc

import "github.com/beevik/etree"

// Element is a child element with a structure of its own, which fn describes; it
// must be there.
func (m *Mapper) Element(name string, fn func(m *Mapper)) {
	if !m.ready() {
		return
	}
	if m.mode == writing {
		m.inside(name, fn)
		return
	}
	if e := m.child(name); e != nil {
		m.within(e, fn)
	}
}

// OptionalElement is an Element that is written if *present. In reading *present
// says whether it was there.
func (m *Mapper) OptionalElement(name string, present *bool, fn func(m *Mapper)) {
	if !m.ready() {
		return
	}
	if m.mode == writing {
		if *present {
			m.inside(name, fn)
		}
		return
	}
	e := last(m.cur, name)
	*present = e != nil
	if e != nil {
		m.within(e, fn)
	}
}

// Node is an optional child element of any content. It is written, under the
// given name, unless v is zero. If it is missing in reading, v is left alone.
func (m *Mapper) Node(name string, v *Node) {
	if !m.ready() {
		return
	}
	if m.mode == writing {
		if v.e != nil {
			m.p.node(name, v.e)
		}
		return
	}
	if e := last(m.cur, name); e != nil {
		*v = Node{e}
	}
}

// child finds a child element that must be there.
func (m *Mapper) child(name string) *etree.Element {
	e := last(m.cur, name)
	if e == nil {
		m.failAt(name, ErrMissing)
	}
	return e
}

// within runs fn with another element at hand.
func (m *Mapper) within(e *etree.Element, fn func(m *Mapper)) {
	outer := m.cur
	m.cur = e
	fn(m)
	m.cur = outer
}

// inside runs fn while an element is being written.
func (m *Mapper) inside(name string, fn func(m *Mapper)) {
	m.p.start(open{name: name})
	fn(m)
	if m.Err() == nil {
		m.p.end()
	}
}
