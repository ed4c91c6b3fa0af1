// Package message holds JXTA messages: ordered lists of named, typed elements,
// and their binary wire form (version 0, the only one JXSE writes or reads).
//
// A decoded message shares memory with the octets it was read from; nothing is
// copied until somebody keeps an element. JXTA v2 specification, chapter
// "Messages".
package message

import (
	"iter"
	"slices"
)

// Well-known element types. On the wire an element without a type is of type
// [TypeOctets].
const (
	TypeOctets = "application/octet-stream"
	TypeText   = "text/plain;charset=UTF-8"
	TypeXML    = "text/xml;charset=UTF-8"
	TypeGzip   = "application/gzip"

	// ContentType is the media type of a whole message, in transports that name it.
	ContentType = "application/x-jxta-msg"
)

// Platform is the namespace of the elements JXTA itself adds. Applications use
// the empty one or their own.
const Platform = "jxta"

// Element is one part of a message. The receiver must treat Body as read-only;
// it may share memory with the message it came in.
type Element struct {
	Namespace string
	Name      string
	Type      string // MIME type; empty means TypeOctets
	Body      []byte

	// Signature signs the body; it travels with the element and in its
	// namespace. A signature cannot itself be signed.
	Signature *Element
}

// Is reports whether the element has that namespace and name.
func (e *Element) Is(namespace, name string) bool {
	return e.Name == name && e.Namespace == namespace
}

// Text returns the body as a string.
func (e *Element) Text() string { return string(e.Body) }

// Text makes a text/plain element.
func Text(namespace, name, text string) Element {
	return Element{Namespace: namespace, Name: name, Type: TypeText, Body: []byte(text)}
}

// XML makes a text/xml element of a printed document.
func XML(namespace, name string, doc []byte) Element {
	return Element{Namespace: namespace, Name: name, Type: TypeXML, Body: doc}
}

// Bytes makes an untyped element.
func Bytes(namespace, name string, b []byte) Element {
	return Element{Namespace: namespace, Name: name, Body: b}
}

// Message is an ordered list of elements; names may repeat. The zero value is
// an empty message ready for use. A Message is not safe for concurrent
// modification; concurrent reading is fine.
type Message struct {
	elems  []Element
	spaces []string  // namespaces 2, 3, … in the order of the decoded original
	mem    *Memory   // in which the bodies lie, if it is to be released
	room   *elements // in which elems lies or lay, if it is to be used again
	fixed  *fixed    // the encoded elements, if they have been

	// Trailer holds the signed trailer that JXSE 2.7 puts behind a message, if
	// the message was decoded from a package that had one.
	Trailer *Trailer
}

// Trailer is the signature of JXSE 2.7 over a whole message. It is kept
// unverified. It covers the octets of the message as they came, so it is void
// as soon as an element is added or removed.
type Trailer struct {
	Cert      []byte // DER of the sender's certificate
	Source    []byte // sender's peer ID, or a jxtatls address
	Signature []byte // RSA PKCS #1 v1.5 with SHA-256 over message, Cert and Source
}

// New makes a message of the elements. It keeps no reference to the slice.
func New(elems ...Element) *Message {
	// Room for what the platform adds before the message is sent.
	return &Message{elems: append(make([]Element, 0, len(elems)+platformRoom), elems...)}
}

// Add appends elements and returns the message.
func (m *Message) Add(elems ...Element) *Message {
	m.fixed = nil
	m.elems = append(m.elems, elems...)
	return m
}

// Payload returns what an application put into the message: the number of its
// elements that are not of the namespace [Platform], and the octets of their names and
// bodies. It does not change on the way.
func (m *Message) Payload() (elements, octets int) {
	for i := range m.elems {
		if e := &m.elems[i]; e.Namespace != Platform {
			elements++
			octets += len(e.Name) + len(e.Body)
		}
	}
	return elements, octets
}

// Len returns the number of elements.
func (m *Message) Len() int { return len(m.elems) }

// All yields the elements in order. The message must not be changed meanwhile.
func (m *Message) All() iter.Seq[Element] { return slices.Values(m.elems) }

// Get returns the first element of that namespace and name.
func (m *Message) Get(namespace, name string) (Element, bool) {
	for i := range m.elems {
		if m.elems[i].Is(namespace, name) {
			return m.elems[i], true
		}
	}
	return Element{}, false
}

// Text returns the body of the first element of that namespace and name as a
// string, or "" if there is none.
func (m *Message) Text(namespace, name string) string {
	e, _ := m.Get(namespace, name)
	return string(e.Body)
}

// Remove deletes all elements of that namespace and name and reports whether
// there was any.
func (m *Message) Remove(namespace, name string) bool {
	i := 0
	for i < len(m.elems) && !m.elems[i].Is(namespace, name) {
		i++
	}
	switch i {
	case len(m.elems):
		return false
	case len(m.elems) - 1:
		m.fixed = nil
		m.elems[i] = Element{}
		m.elems = m.elems[:i]
		return true
	}
	m.fixed = nil
	m.elems = slices.DeleteFunc(m.elems, func(e Element) bool { return e.Is(namespace, name) })
	return true
}

// Replace removes the elements of the same namespace and name and appends e,
// as JXSE does.
func (m *Message) Replace(e Element) {
	m.Remove(e.Namespace, e.Name)
	m.Add(e)
}

// Clone returns a message with its own list of elements; the bodies are shared.
func (m *Message) Clone() *Message {
	c := *m
	c.elems = append(make([]Element, 0, len(m.elems)+cloneRoom), m.elems...)
	c.room, c.fixed = nil, nil
	if c.mem != nil {
		c.mem.Hold()
	}
	return &c
}
