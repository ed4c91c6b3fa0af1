package secure

import (
	"encoding/binary"
	"errors"
	"strconv"

	"github.com/juxta-p2p/juxta/core/message"
)

// Names of the elements, all in namespace space. JXSE tells blocks and
// acknowledgements by their types and passes over others, such as the tag.
const (
	space     = "jxtatls"
	nameAck   = "TLSACK"
	nameRetry = "MARKRetr"
	textRetry = "TLSRET"
	nameTag   = "JuxtaTag"

	typeBlock = "application/x-jxta-tls-block"
	typeAck   = "application/x-jxta-tls-ack"
	typeTag   = "application/x-juxta-tls-tag"
)

// kind is what a tag is for.
type kind byte

const (
	kindPlain kind = iota // it names the connection of what is in the message
	kindAsk               // the sender wants an acknowledgement
	kindGone              // the sender does not know the connection
)

// Sizes of a tag: kind and number of the connection; with the limit; with a seal.
const (
	tagShort  = 1 + 8
	tagLimit  = tagShort + 8
	tagSealed = tagLimit + sealSize
	sealSize  = 16
)

// tag is the element by which Juxta peers tell the connections between them
// apart, open the window and seal acknowledgements.
type tag struct {
	kind    kind
	id      uint64
	limit   uint64 // octets of the stream that the sender is ready to take in all
	limited bool   // limit is there
	seal    []byte // nil if there is none
}

func (t *tag) element() message.Element {
	b := make([]byte, 0, tagSealed)
	b = append(b, byte(t.kind))
	b = binary.BigEndian.AppendUint64(b, t.id)
	if t.limited {
		b = binary.BigEndian.AppendUint64(b, t.limit)
		b = append(b, t.seal...)
	}
	return message.Element{Namespace: space, Name: nameTag, Type: typeTag, Body: b}
}

func parseTag(b []byte) (t tag, err error) {
	switch len(b) {
	case tagShort, tagLimit, tagSealed:
	default:
		return t, errTag
	}
	t.kind, t.id = kind(b[0]), binary.BigEndian.Uint64(b[1:])
	if t.kind > kindGone || t.id == 0 {
		return t, errTag
	}
	if len(b) >= tagLimit {
		t.limit, t.limited = binary.BigEndian.Uint64(b[tagShort:]), true
	}
	if len(b) == tagSealed {
		t.seal = b[tagLimit:]
	}
	return t, nil
}

// ack says which blocks have come: all up to upTo, and those listed.
type ack struct {
	upTo      uint32
	selective []uint32 // ascending, above upTo
}

func (a *ack) body() []byte {
	b := make([]byte, 0, 4+4*len(a.selective))
	b = binary.BigEndian.AppendUint32(b, a.upTo)
	for _, n := range a.selective {
		b = binary.BigEndian.AppendUint32(b, n)
	}
	return b
}

func parseAck(b []byte) (a ack, err error) {
	if len(b) < 4 || len(b)%4 != 0 || len(b) > 4+4*maxSelective {
		return a, errAck
	}
	a.upTo = binary.BigEndian.Uint32(b)
	if a.upTo > maxNumber {
		return a, errAck
	}
	last := a.upTo
	for b = b[4:]; len(b) > 0; b = b[4:] {
		n := binary.BigEndian.Uint32(b)
		if n <= last || n > maxNumber {
			return a, errAck
		}
		a.selective = append(a.selective, n)
		last = n
	}
	return a, nil
}

// numbered is a block with its place in the stream.
type numbered struct {
	number uint32
	data   []byte
}

func (n *numbered) element() message.Element {
	return message.Element{
		Namespace: space, Name: strconv.FormatUint(uint64(n.number), 10), Type: typeBlock, Body: n.data,
	}
}

// parseNumber reads the name of a block: digits only.
func parseNumber(s string) (uint32, bool) {
	if s == "" || len(s) > len("2147483647") {
		return 0, false
	}
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return 0, false
		}
	}
	n, err := strconv.ParseUint(s, 10, 32)
	return uint32(n), err == nil && n > 0 && n <= maxNumber
}

// packet is what a message to the service holds.
type packet struct {
	tagged  bool
	tag     tag
	acked   bool
	ack     ack
	ackBody []byte
	blocks  []numbered
	repeat  bool
}

var (
	errTag   = errors.New("malformed tag")
	errAck   = errors.New("malformed acknowledgement")
	errBlock = errors.New("malformed block")
	errTwice = errors.New("an element is there twice")
	errBare  = errors.New("nothing in it that belongs here")
)

// parsePacket reads a message. Its blocks share memory with it.
func parsePacket(m *message.Message) (p packet, err error) {
	for e := range m.All() {
		if e.Namespace != space {
			continue
		}
		switch message.BaseType(e.Type) {
		case typeBlock:
			n, ok := parseNumber(e.Name)
			if !ok || len(e.Body) == 0 || len(e.Body) > maxBlock || len(p.blocks) == maxBlocksPerMessage {
				return p, errBlock
			}
			p.blocks = append(p.blocks, numbered{n, e.Body})
		case typeAck:
			if p.acked {
				return p, errTwice
			}
			if p.ack, err = parseAck(e.Body); err != nil {
				return p, err
			}
			p.acked, p.ackBody = true, e.Body
		case typeTag:
			if p.tagged {
				return p, errTwice
			}
			if p.tag, err = parseTag(e.Body); err != nil {
				return p, err
			}
			p.tagged = true
		default:
			p.repeat = p.repeat || e.Name == nameRetry
		}
	}
	if !p.tagged && !p.acked && len(p.blocks) == 0 {
		return p, errBare
	}
	return p, nil
}
