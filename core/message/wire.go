package message

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
)

const (
	msgMagic  = "jxmg"
	elemMagic = "jxel"

	// elementHead is the magic, the namespace and the flags.
	elementHead = len(elemMagic) + 2

	flagType      = 0x01
	flagSignature = 0x04
)

// ErrFormat is the cause of every error of [Decode]: the octets are not a
// message of version 0 within the limits of this package.
var ErrFormat = errors.New("malformed message")

// ErrTooLarge is the cause of encoding errors: the message exceeds a limit of
// this package, so that receivers would refuse it.
var ErrTooLarge = errors.New("message exceeds a limit")

// Size returns the encoded size in octets, without the trailer. It does not
// allocate unless the message uses more than eight namespaces.
func (m *Message) Size() int {
	if m.fixed != nil {
		return m.fixed.size
	}
	var arr [8]string
	n := 4 + 1 + 2 + 2
	for _, ns := range m.namespaces(arr[:0]) {
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
// keep their order; new ones follow in order of first use. It allocates nothing
// if b has room for [Message.Size] octets more and the namespaces are eight at
// most. The trailer is not written; see [Trailer.AppendTo].
//
// The error wraps [ErrTooLarge]; b is then returned unchanged.
func (m *Message) AppendTo(b []byte, tail ...Element) ([]byte, error) {
	var arr [8]string
	spaces := m.namespaces(arr[:0])
	for i := range tail {
		spaces = addSpace(spaces, tail[i].Namespace)
	}
	out, err := m.appendElements(b, spaces, len(tail))
	for i := range tail {
		if err == nil {
			out, err = tail[i].appendTo(out, spaces)
		}
	}
	if err != nil {
		return b, err
	}
	return out, nil
}

// AppendWith is [Message.AppendTo] with a tail that was encoded before.
func (m *Message) AppendWith(b []byte, tail Tail) ([]byte, error) {
	var arr [8]string
	spaces := arr[:0]
	if m.fixed != nil {
		spaces = m.fixed.spaces
	} else {
		spaces = m.namespaces(spaces)
	}
	out, err := m.appendElements(b, spaces, tail.n)
	if err != nil {
		return b, err
	}
	return append(out, tail.raw...), nil
}

// AppendAround is [Message.AppendWith] but for one body of least octets or more, which
// belongs at out[at:]: for who can write it without a copy. The body is the element's
// own. It is nil if there is none of that size, or the elements are encoded already.
func (m *Message) AppendAround(b []byte, tail Tail, least int) (out, body []byte, at int, err error) {
	large := -1
	if m.fixed == nil {
		large = slices.IndexFunc(m.elems, func(e Element) bool { return len(e.Body) >= least && e.Signature == nil })
	}
	if large < 0 {
		out, err = m.AppendWith(b, tail)
		return out, nil, len(out), err
	}
	var arr [8]string
	spaces := m.namespaces(arr[:0])
	if out, err = m.appendFront(b, spaces, tail.n); err != nil {
		return b, nil, 0, err
	}
	for i := range m.elems {
		e := &m.elems[i]
		if i == large {
			if out, err = e.appendHead(out, spaces); err == nil {
				at, body = len(out), e.Body
			}
		} else {
			out, err = e.appendTo(out, spaces)
		}
		if err != nil {
			return b, nil, 0, err
		}
	}
	return append(out, tail.raw...), body, at, nil
}

// appendElements appends the message but for a tail of that many elements.
func (m *Message) appendElements(b []byte, spaces []string, tail int) ([]byte, error) {
	out, err := m.appendFront(b, spaces, tail)
	if err != nil {
		return b, err
	}
	if m.fixed != nil && len(spaces) == len(m.fixed.spaces) {
		return append(out, m.fixed.raw...), nil
	}
	for i := range m.elems {
		if out, err = m.elems[i].appendTo(out, spaces); err != nil {
			return b, err
		}
	}
	return out, nil
}

// appendFront appends what stands before the elements.
func (m *Message) appendFront(b []byte, spaces []string, tail int) ([]byte, error) {
	count := len(m.elems) + tail
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
	return binary.BigEndian.AppendUint16(out, uint16(count)), nil
}

// MarshalBinary implements [encoding.BinaryMarshaler]; see [Message.AppendTo].
func (m *Message) MarshalBinary() ([]byte, error) {
	return m.AppendTo(make([]byte, 0, m.Size()))
}

func (e *Element) appendTo(b []byte, spaces []string) ([]byte, error) {
	b, err := e.appendHead(b, spaces)
	if err != nil {
		return b, err
	}
	b = append(b, e.Body...)
	if e.Signature != nil {
		sig := *e.Signature
		sig.Namespace = e.Namespace
		return sig.appendTo(b, spaces)
	}
	return b, nil
}

// appendHead appends what stands before the body.
func (e *Element) appendHead(b []byte, spaces []string) ([]byte, error) {
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
	return binary.BigEndian.AppendUint32(b, uint32(len(e.Body))), nil
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
// they are exactly three blobs, and ignored otherwise, as JXSE 2.5 does where
// the transport tells where a message ends. Flags that nobody uses are ignored.
// A message that counts no elements is empty; JXSE reads one from HTTP to the
// end of input instead, and loses the TCP connection. The error wraps [ErrFormat].
//
// It makes three allocations at most for a message within the usual bounds: two
// namespaces, no signed elements, and element names of 128 octets together
// beside those that JXTA itself uses.
func Decode(b []byte) (*Message, error) {
	d := decoder{b: b}
	return d.decode()
}

// Decoder decodes messages one after the other, as those of one link, and remembers
// the names in them, which are mostly the same. The zero value is ready for use. It
// is not safe for concurrent use.
type Decoder struct {
	names [maxNames]string
	next  int // in names, the one that is expected next
	last  int // in names, the one that was remembered last
}

// Decode is [Decode] of a message in memory that is used again: the message becomes
// a user of mem in place of the caller, until its [Message.Release]. mem may be nil.
func (d *Decoder) Decode(b []byte, mem *Memory) (*Message, error) {
	x := decoder{b: b, known: d, released: mem != nil}
	m, err := x.decode()
	if err == nil {
		m.mem = mem
	} else if mem != nil {
		mem.Release()
	}
	return m, err
}

// find returns a name that was remembered, or "".
func (d *Decoder) find(b []byte) string {
	for i := range d.names {
		at := (d.next + i) % maxNames
		if s := d.names[at]; len(s) == len(b) && s == string(b) {
			d.next = (at + 1) % maxNames
			return s
		}
	}
	return ""
}

// remember makes a string of b and keeps it, unless it is too long.
func (d *Decoder) remember(b []byte) string {
	s := string(b)
	if len(b) <= maxRemembered {
		d.last = (d.last + 1) % maxNames
		d.names[d.last], d.next = s, (d.last+1)%maxNames
	}
	return s
}

func (d *decoder) decode() (*Message, error) {
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
	m := newMessage(spaces, d.peekCount(spaces), d.released)
	for range spaces {
		m.spaces = append(m.spaces, d.name(MaxName))
	}
	count := int(d.u16())
	if d.err == nil && (count > MaxElements || minElement*count > len(d.b)) {
		return nil, fmt.Errorf("message: %w: %d elements in %d octets", ErrFormat, count, len(d.b))
	}
	if d.err == nil {
		if m.elems = m.elems[:0]; count > cap(m.elems) {
			m.elems = make([]Element, 0, count)
		}
		m.elems = m.elems[:count]
	}
	for i := range m.elems {
		d.element(&m.elems[i], m.spaces, false)
		if d.err != nil {
			return nil, fmt.Errorf("message: %w: %w", ErrFormat, d.err)
		}
	}
	if d.err != nil {
		return nil, fmt.Errorf("message: %w: %w", ErrFormat, d.err)
	}
	m.Trailer = d.trailer()
	return m, nil
}

// frame is a message with the room for namespaces that most need, and
// tinyFrame has the same for one or two elements of an application, which is what goes
// straight over a link, to have all in one allocation.
type frame struct {
	Message
	roomSpaces [2]string
}

type tinyFrame struct {
	frame
	roomElems [4]Element
}

// elements is room for those of most other messages. It is used again when the message
// is released.
type elements [8]Element

var elementsPool = sync.Pool{New: func() any { return new(elements) }}

func (r *elements) free() {
	clear(r[:])
	elementsPool.Put(r)
}

func newMessage(spaces, count int, released bool) *Message {
	var f *frame
	switch {
	case count <= len(tinyFrame{}.roomElems):
		tiny := new(tinyFrame)
		f = &tiny.frame
		f.elems = tiny.roomElems[:0]
	case count <= len(elements{}) && released:
		f = new(frame)
		f.room = elementsPool.Get().(*elements)
		f.elems = f.room[:0]
	default:
		f = new(frame)
	}
	f.spaces = f.roomSpaces[:0]
	if spaces > len(f.roomSpaces) {
		f.spaces = make([]string, 0, spaces)
	}
	return &f.Message
}

// peekCount returns the element count behind the namespaces that come next, or 0
// if the message ends before it.
func (d *decoder) peekCount(spaces int) int {
	ahead := decoder{b: d.b}
	for range spaces {
		ahead.take(int(ahead.u16()))
	}
	return int(ahead.u16())
}

// decoder reads from b with one sticky error.
type decoder struct {
	b        []byte
	known    *Decoder        // remembers names; may be nil
	names    strings.Builder // else holds the names that are not interned, many in one allocation
	released bool            // the message may be released
	err      error
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
	return d.text(d.take(n))
}

// text returns b as a string of its own memory.
func (d *decoder) text(b []byte) string {
	if d.known != nil && len(b) > 0 {
		if s := d.known.find(b); s != "" {
			return s
		}
		return d.known.remember(b)
	}
	if s := intern(b); s != "" || len(b) == 0 {
		return s
	}
	if len(b) > nameBlock {
		return string(b)
	}
	start := d.names.Len()
	if len(b) > d.names.Cap()-start {
		// What was handed out keeps the old block; never let the builder copy it.
		d.names, start = strings.Builder{}, 0
		d.names.Grow(min(nameBlock, len(b)+len(d.b)))
	}
	d.names.Write(b)
	return d.names.String()[start:]
}

func (d *decoder) element(e *Element, spaces []string, signature bool) {
	head := d.take(elementHead)
	switch {
	case len(head) >= len(elemMagic) && string(head[:4]) != elemMagic:
		d.err = fmt.Errorf("an element does not start with %q", elemMagic)
		return
	case d.err != nil:
		return
	}
	ns, flags := int(head[4]), head[5]
	switch {
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
		if e.Type = d.name(MaxType); e.Type == TypeOctets {
			e.Type = "" // one spelling of the default
		}
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
		e.Signature.Namespace = e.Namespace
	}
}

// AppendTo appends the trailer to b, an encoded message: each of its parts behind
// its length of four octets.
func (t *Trailer) AppendTo(b []byte) []byte {
	for _, blob := range [...][]byte{t.Cert, t.Source, t.Signature} {
		b = binary.BigEndian.AppendUint32(b, uint32(len(blob)))
		b = append(b, blob...)
	}
	return b
}

// Size returns the encoded size in octets.
func (t *Trailer) Size() int { return 3*4 + len(t.Cert) + len(t.Source) + len(t.Signature) }

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

// intern spares the memory for names and types that stand in nearly every
// message. It returns "" for others.
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
	case "jxta-NetGroupORes":
		return "jxta-NetGroupORes"
	case "jxta-NetGroupIRes":
		return "jxta-NetGroupIRes"
	case "jxta-NetGroupSrdi":
		return "jxta-NetGroupSrdi"
	}
	return ""
}

func clip(s string) string {
	if len(s) > 64 {
		return s[:64] + "…"
	}
	return s
}
