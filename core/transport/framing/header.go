// Package framing holds what JXTA puts around messages on a stream or in a
// datagram: the welcome line, with which both sides of a TCP connection say who
// they are, and the header block in front of each message, which tells its
// length. JXTA v2 specification, chapter "Standard Message Transports".
package framing

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/juxta-p2p/juxta/core/message"
)

const (
	nameType   = "content-type"
	nameLength = "content-length"

	// lengthSize is the size of the value of content-length.
	lengthSize = 8

	// canonical is the header block that JXSE and Juxta write, up to the value
	// of content-length, behind which only the terminator follows.
	canonical = "\x0c" + nameType + "\x00\x16" + message.ContentType + "\x0e" + nameLength + "\x00\x08"

	// terminator is the empty header name that ends a block.
	terminator = 0
)

// HeaderSize is the size of the header block written by [AppendHeader], in octets.
const HeaderSize = len(canonical) + lengthSize + 1

// ErrHeader is the cause of every error of reading a header block, except
// errors of the reader itself.
var ErrHeader = errors.New("malformed package header")

// Header is what a header block says about the message behind it.
type Header struct {
	// Type is the value of content-type as it stands, parameters included. Its
	// media type is [message.ContentType].
	Type string

	// Length is the number of octets of the message. It is what the other side
	// claims; compare it with a limit before allocating.
	Length uint64
}

// AppendHeader appends the header block of a message of size octets to b. It
// adds [HeaderSize] octets; JXSE takes the names in this spelling only.
func AppendHeader(b []byte, size int) []byte {
	b = append(b, canonical...)
	b = binary.BigEndian.AppendUint64(b, uint64(size))
	return append(b, terminator)
}

// ReadHeader reads one header block; the next octet of r is then the first of
// the message. Header names may have any case, unknown headers are passed over,
// and the first of several of the same name counts. Either header missing, or a
// media type that is not that of a message, is an error.
//
// The buffer of r must hold [MaxHeader] octets, else long blocks fail with
// [bufio.ErrBufferFull]. ReadHeader reads no further than it must: it blocks
// only while a valid block cannot be complete. At the end of the stream the
// error is io.EOF, inside a block it wraps io.ErrUnexpectedEOF; malformed
// blocks wrap [ErrHeader]. It does not allocate for blocks as [AppendHeader]
// writes them.
func ReadHeader(r *bufio.Reader) (Header, error) {
	need := HeaderSize // no valid block is shorter
	for {
		b, err := r.Peek(need)
		if h, ok := parseCanonical(b); ok {
			_, err = r.Discard(HeaderSize)
			return h, err
		}
		p := parser{b: b}
		h, perr := p.block()
		switch {
		case perr == nil:
			_, err = r.Discard(p.off)
			return h, err
		case !errors.Is(perr, io.ErrUnexpectedEOF):
			return Header{}, perr
		case errors.Is(err, io.EOF) && len(b) == 0:
			return Header{}, io.EOF
		case errors.Is(err, io.EOF):
			return Header{}, perr
		case err != nil:
			return Header{}, fmt.Errorf("framing: reading a package header: %w", err)
		}
		need = p.need
	}
}

// ParseHeader reads the header block at the start of b, by the rules of
// [ReadHeader], and returns what follows it. The error wraps [ErrHeader], and
// also io.ErrUnexpectedEOF if b ends inside the block. The header does not
// share memory with b, the rest does.
func ParseHeader(b []byte) (h Header, rest []byte, err error) {
	if h, ok := parseCanonical(b); ok {
		return h, b[HeaderSize:], nil
	}
	p := parser{b: b}
	if h, err = p.block(); err != nil {
		return Header{}, nil, err
	}
	return h, b[p.off:], nil
}

func parseCanonical(b []byte) (Header, bool) {
	if len(b) < HeaderSize || b[HeaderSize-1] != terminator || string(b[:len(canonical)]) != canonical {
		return Header{}, false
	}
	return Header{Type: message.ContentType, Length: binary.BigEndian.Uint64(b[len(canonical):])}, true
}

// parser walks a header block that may not be there to its end.
type parser struct {
	b    []byte
	off  int
	need int // octets that b must have to get further, when it ends too early
}

// block reads headers up to the terminator and leaves off behind it.
func (p *parser) block() (Header, error) {
	var h Header
	var haveType, haveLength bool
	for count := 0; ; count++ {
		size, err := p.take(1)
		if err != nil {
			return Header{}, err
		}
		n := int(size[0])
		if n == terminator {
			break
		}
		if count == maxHeaders {
			return Header{}, malformed("more than %d headers", maxHeaders)
		}
		if n > maxHeaderName {
			return Header{}, malformed("a name of %d octets, the limit is %d", n, maxHeaderName)
		}
		name, err := p.take(n)
		if err != nil {
			return Header{}, err
		}
		if size, err = p.take(2); err != nil {
			return Header{}, err
		}
		if n = int(binary.BigEndian.Uint16(size)); n > maxHeaderValue {
			return Header{}, malformed("a value of %d octets, the limit is %d", n, maxHeaderValue)
		}
		value, err := p.take(n)
		if err != nil {
			return Header{}, err
		}
		switch {
		case !haveType && len(name) == len(nameType) && strings.EqualFold(string(name), nameType):
			haveType, h.Type = true, string(value)
		case !haveLength && len(name) == len(nameLength) && strings.EqualFold(string(name), nameLength):
			if len(value) != lengthSize {
				return Header{}, malformed("a %s of %d octets", nameLength, len(value))
			}
			haveLength, h.Length = true, binary.BigEndian.Uint64(value)
		}
	}
	media, _, _ := strings.Cut(h.Type, ";")
	switch {
	case !haveType:
		return Header{}, malformed("no %s", nameType)
	case !haveLength:
		return Header{}, malformed("no %s", nameLength)
	case !strings.EqualFold(strings.TrimSpace(media), message.ContentType):
		return Header{}, malformed("%s is not %s", nameType, message.ContentType)
	}
	return h, nil
}

// take returns the next n octets.
func (p *parser) take(n int) ([]byte, error) {
	end := p.off + n
	if end > MaxHeader {
		return nil, malformed("longer than %d octets", MaxHeader)
	}
	if end > len(p.b) {
		p.need = end
		return nil, fmt.Errorf("framing: %w: %w", ErrHeader, io.ErrUnexpectedEOF)
	}
	v := p.b[p.off:end]
	p.off = end
	return v, nil
}

func malformed(format string, args ...any) error {
	return fmt.Errorf("framing: %w: %s", ErrHeader, fmt.Sprintf(format, args...))
}
