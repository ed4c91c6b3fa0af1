package message

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

const (
	msgMagic  = "jxmg"
	elemMagic = "jxel"

	flagType      = 0x01
	flagSignature = 0x04
)

// ErrFormat is the cause of every error of [Decode]: the octets are not a
// message of version 0 within the limits of this package.
var ErrFormat = errors.New("malformed message")

// ErrTooLarge is the cause of encoding errors: the message exceeds a limit of
// this package, so that receivers would refuse it.
var ErrTooLarge = errors.New("message exceeds a limit")

// Size returns the encoded size in octets.
func (m *Message) Size() int {
	var names []string
	n := 4 + 1 + 2 + 2
	for _, ns := range m.namespaces(names[:0]) {
		n += 2 + len(ns)
	}
	for i := range m.elems {
		n += m.elems[i].size()
	}
	return n
}

func (e *Element) size() int {
	n := minElement + len(e.Name) + len(e.Body)
	if t := e.Type; t != "" && t != TypeOctets {
		n += 2 + len(t)
	}
	if e.Signature != nil {
		n += e.Signature.size()
	}
	return n
}

// AppendTo appends the wire form to b. The elements of tail are written behind
// those of the message, as if they had been added; senders use it for the
// addresses that change with every hop. The namespaces of a decoded message
// keep their order; new ones follow in order of first use.
//
// The error wraps [ErrTooLarge]; b is then returned unchanged.
func (m *Message) AppendTo(b []byte, tail ...Element) ([]byte, error) {
	var arr [8]string
	spaces := m.namespaces(arr[:0])
	for i := range tail {
		spaces = addSpace(spaces, tail[i].Namespace)
	}
	count := len(m.elems) + len(tail)
	if count > MaxElements || len(spaces) > MaxNamespaces {
		return b, fmt.Errorf("message: %w: %d elements, %d namespaces", ErrTooLarge, count, len(spaces))
	}
	out := append(b, msgMagic...)
	out = append(out, 0)
	out = binary.BigEndian.AppendUint16(out, uint16(len(spaces)))
	for _, ns := range spaces {
		if len(ns) > MaxName {
			return b, fmt.Errorf("message: %w: namespace of %d octets", ErrTooLarge, len(ns))
		}
		out = appendString(out, ns)
	}
	out = binary.BigEndian.AppendUint16(out, uint16(count))
	var err error
	for i := range m.elems {
		if out, err = m.elems[i].appendTo(out, spaces); err != nil {
			return b, err
		}
	}
	for i := range tail {
		if out, err = tail[i].appendTo(out, spaces); err != nil {
			return b, err
		}
	}
	return out, nil
}

// MarshalBinary implements [encoding.BinaryMarshaler]; see [Message.AppendTo].
func (m *Message) MarshalBinary() ([]byte, error) {
	return m.AppendTo(make([]byte, 0, m.Size()))
}

func (e *Element) appendTo(b []byte, spaces []string) ([]byte, error) {
	if len(e.Name) > MaxName || len(e.Type) > MaxType || uint64(len(e.Body)) > 1<<31-1 {
		return b, fmt.Errorf("message: %w: element %q", ErrTooLarge, clip(e.Name))
	}
	var flags byte
	if e.Type != "" && e.Type != TypeOctets {
		flags |= flagType
	}
	if e.Signature != nil {
		if e.Signature.Signature != nil {
			return b, fmt.Errorf("message: %w: the signature of element %q is signed", ErrTooLarge, clip(e.Name))
		}
		flags |= flagSignature
	}
	b = append(b, elemMagic...)
	b = append(b, spaceID(spaces, e.Namespace), flags)
	b = appendString(b, e.Name)
	if flags&flagType != 0 {
		b = appendString(b, e.Type)
	}
	b = binary.BigEndian.AppendUint32(b, uint32(len(e.Body)))
	b = append(b, e.Body...)
	if e.Signature != nil {
		sig := *e.Signature
		sig.Namespace = e.Namespace
		return sig.appendTo(b, spaces)
	}
	return b, nil
}

// namespaces appends those to declare: the ones of the decoded original, then
// new ones in order of first use.
func (m *Message) namespaces(s []string) []string {
	s = append(s, m.spaces...)
	for i := range m.elems {
		s = addSpace(s, m.elems[i].Namespace)
	}
	return s
}

func addSpace(s []string, ns string) []string {
	if ns == "" || ns == Platform || slices.Contains(s, ns) {
		return s
	}
	return append(s, ns)
}

func spaceID(s []string, ns string) byte {
	switch ns {
	case "":
		return 0
	case Platform:
		return 1
	}
	return byte(slices.Index(s, ns) + 2)
}

func appendString(b []byte, s string) []byte {
	b = binary.BigEndian.AppendUint16(b, uint16(len(s)))
	return append(b, s...)
}

// Decode reads one message from all of b. The message shares memory with b,
// which must not be changed while any of its elements is in use.
//
// Octets behind the counted elements are taken as the trailer of JXSE 2.7 if
// they are exactly three blobs, and ignored otherwise, as chapter 1, section
// 2.6.4 of the wire notes recommends. Flags that nobody uses are ignored. The
// error wraps [ErrFormat].
func Decode(b []byte) (*Message, error) {
	d := decoder{b: b}
	if string(d.take(4)) != msgMagic {
		return nil, fmt.Errorf("message: %w: it does not start with %q", ErrFormat, msgMagic)
	}
	if v := d.u8(); d.err == nil && v != 0 {
		return nil, fmt.Errorf("message: %w: version %d, want 0", ErrFormat, v)
	}
	spaces := int(d.u16())
	if spaces > MaxNamespaces || 2*spaces > len(d.b) {
		return nil, fmt.Errorf("message: %w: %d namespaces", ErrFormat, spaces)
	}
	m := &Message{}
	if spaces > 0 {
		m.spaces = make([]string, spaces)
		for i := range m.spaces {
			m.spaces[i] = d.name(MaxName)
		}
	}
	count := int(d.u16())
	if d.err == nil && (count > MaxElements || minElement*count > len(d.b)) {
		return nil, fmt.Errorf("message: %w: %d elements in %d octets", ErrFormat, count, len(d.b))
	}
	if d.err == nil {
		// Room for what the platform adds before the message is sent on.
		m.elems = make([]Element, count, count+4)
	}
	for i := range m.elems {
		d.element(&m.elems[i], m.spaces, false)
	}
	if d.err != nil {
		return nil, fmt.Errorf("message: %w: %w", ErrFormat, d.err)
	}
	m.Trailer = d.trailer()
	return m, nil
}

// decoder reads from b with one sticky error.
type decoder struct {
	b   []byte
	err error
}

var errShort = errors.New("it ends too early")

func (d *decoder) take(n int) []byte {
	if d.err != nil || n > len(d.b) {
		if d.err == nil {
			d.err = errShort
		}
		return nil
	}
	v := d.b[:n:n]
	d.b = d.b[n:]
	return v
}

func (d *decoder) u8() byte {
	if v := d.take(1); v != nil {
		return v[0]
	}
	return 0
}

func (d *decoder) u16() uint16 {
	if v := d.take(2); v != nil {
		return binary.BigEndian.Uint16(v)
	}
	return 0
}

func (d *decoder) name(limit int) string {
	n := int(d.u16())
	if d.err == nil && n > limit {
		d.err = fmt.Errorf("a name of %d octets, the limit is %d", n, limit)
	}
	return intern(d.take(n))
}

func (d *decoder) element(e *Element, spaces []string, signature bool) {
	if magic := d.take(4); d.err == nil && string(magic) != elemMagic {
		d.err = fmt.Errorf("an element does not start with %q", elemMagic)
	}
	ns, flags := int(d.u8()), d.u8()
	switch {
	case d.err != nil:
		return
	case ns == 1:
		e.Namespace = Platform
	case ns >= 2 && ns-2 < len(spaces):
		e.Namespace = spaces[ns-2]
	case ns != 0:
		d.err = fmt.Errorf("namespace %d is not declared", ns)
		return
	}
	e.Name = d.name(MaxName)
	if flags&flagType != 0 {
		e.Type = d.name(MaxType)
	}
	size := d.take(4)
	if size == nil {
		return
	}
	n := binary.BigEndian.Uint32(size)
	if uint64(n) > uint64(len(d.b)) {
		d.err = errShort
		return
	}
	e.Body = d.take(int(n))
	if flags&flagSignature != 0 {
		if signature {
			d.err = errors.New("a signature is signed")
			return
		}
		e.Signature = new(Element)
		d.element(e.Signature, spaces, true)
	}
}

func (d *decoder) trailer() *Trailer {
	if len(d.b) == 0 {
		return nil
	}
	t := &Trailer{Cert: d.blob(maxTrailerCert), Source: d.blob(maxTrailerSource), Signature: d.blob(maxTrailerSignature)}
	if d.err != nil || len(d.b) != 0 {
		return nil
	}
	return t
}

func (d *decoder) blob(limit uint32) []byte {
	size := d.take(4)
	if size == nil {
		return nil
	}
	n := binary.BigEndian.Uint32(size)
	if n > limit {
		d.err = errShort
		return nil
	}
	return d.take(int(n))
}

// intern spares the allocation for names and types that stand in nearly every
// message.
func intern(b []byte) string {
	switch string(b) {
	case "":
		return ""
	case TypeText:
		return TypeText
	case TypeXML:
		return TypeXML
	case TypeOctets:
		return TypeOctets
	case "EndpointSourceAddress":
		return "EndpointSourceAddress"
	case "EndpointDestinationAddress":
		return "EndpointDestinationAddress"
	case "EndpointRouterMsg":
		return "EndpointRouterMsg"
	case "JxtaWireHeader":
		return "JxtaWireHeader"
	case "RendezVousPropagatejxta-NetGroup":
		return "RendezVousPropagatejxta-NetGroup"
	}
	return string(b)
}

func clip(s string) string {
	if len(s) > 64 {
		return s[:64] + "…"
	}
	return s
}
