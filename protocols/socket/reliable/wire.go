package reliable

import (
	"encoding/binary"
	"slices"

	"github.com/juxta-p2p/juxta/core/message"
)

// Elements of the layer.
const (
	namespace = "jxtarel"

	typeBlock = "application/x-jxta-reliable-block"
	typeAck   = "application/x-jxta-reliable-ack"
	typeEnd   = "application/x-juxta-reliable-end"

	nameAck   = "ack"
	nameRetry = "retry"
	nameWin   = "win"

	retryText = "RETRY"
)

// retryBody is the body of all elements `retry`.
var retryBody = []byte(retryText)

// kind is what an element is.
type kind int

const (
	foreign kind = iota // not of this layer
	block
	end
	ack
	win
	retry
)

// kindOf tells what an element is. JXSE goes by the type alone for blocks and
// acknowledgements.
func kindOf(e *message.Element) kind {
	if e.Namespace != namespace {
		return foreign
	}
	switch e.Type {
	case typeBlock:
		return block
	case typeAck:
		return ack
	case typeEnd:
		return end
	}
	switch message.BaseType(e.Type) {
	case typeBlock:
		return block
	case typeAck:
		return ack
	case typeEnd:
		return end
	}
	switch e.Name {
	case nameWin:
		return win
	case nameRetry:
		return retry
	}
	return foreign
}

// parseNumber reads the name of a block: digits only, no sign, not zero. JXSE would
// take a plus sign too, but never writes one.
func parseNumber(s string) (uint64, bool) {
	if s == "" || len(s) > maxDigits {
		return 0, false
	}
	var n uint64
	for i := 0; i < len(s); i++ {
		d := s[i] - '0'
		if d > 9 {
			return 0, false
		}
		n = n*10 + uint64(d)
	}
	return n, n != 0
}

// span is a range of block numbers, both ends included.
type span struct{ first, last uint64 }

// acknowledgement is the content of an element `ack`.
type acknowledgement struct {
	upTo   uint64 // this and all before
	listed []span // ascending, not touching upTo; not necessarily disjoint
	count  int    // numbers listed as the other side counts them, in mode Java
}

// parseAck reads the body of an element `ack`, using list as memory. Numbers beyond
// maxListed are left out.
func parseAck(mode Mode, body []byte, list []span) (acknowledgement, bool) {
	if mode == Java {
		return parseJavaAck(body, list)
	}
	if len(body) < 8 || len(body)%16 != 8 {
		return acknowledgement{}, false
	}
	a := acknowledgement{upTo: binary.BigEndian.Uint64(body), listed: list[:0]}
	low := a.upTo
	for body = body[8:]; len(body) > 0 && len(a.listed) < maxListed; body = body[16:] {
		s := span{binary.BigEndian.Uint64(body), binary.BigEndian.Uint64(body[8:])}
		if s.first <= low || s.last < s.first {
			return acknowledgement{}, false
		}
		low = s.last
		a.listed = append(a.listed, s)
	}
	return a, true
}

// parseJavaAck reads int32s. JXSE ignores octets behind the last whole one, and
// sorts the list.
func parseJavaAck(body []byte, list []span) (acknowledgement, bool) {
	if len(body) < 4 {
		return acknowledgement{}, false
	}
	upTo := int32(binary.BigEndian.Uint32(body))
	if upTo < 0 {
		return acknowledgement{}, false
	}
	a := acknowledgement{upTo: uint64(upTo), listed: list[:0], count: len(body)/4 - 1}
	for body = body[4:]; len(body) >= 4 && len(a.listed) < maxListed; body = body[4:] {
		n := int32(binary.BigEndian.Uint32(body))
		if n <= upTo { // negative, or told already
			continue
		}
		a.listed = append(a.listed, span{uint64(n), uint64(n)})
	}
	slices.SortFunc(a.listed, func(x, y span) int {
		switch {
		case x.first < y.first:
			return -1
		case x.first > y.first:
			return 1
		}
		return 0
	})
	return a, true
}

// appendAck is the inverse of parseAck.
func appendAck(b []byte, mode Mode, upTo uint64, listed []span) []byte {
	if mode == Java {
		b = binary.BigEndian.AppendUint32(b, uint32(upTo))
		for _, s := range listed {
			for n := s.first; n <= s.last; n++ {
				b = binary.BigEndian.AppendUint32(b, uint32(n))
			}
		}
		return b
	}
	b = binary.BigEndian.AppendUint64(b, upTo)
	for _, s := range listed {
		b = binary.BigEndian.AppendUint64(b, s.first)
		b = binary.BigEndian.AppendUint64(b, s.last)
	}
	return b
}

// parseWin reads the body of an element `win`.
func parseWin(body []byte) (uint64, bool) {
	if len(body) != 8 {
		return 0, false
	}
	return binary.BigEndian.Uint64(body), true
}
