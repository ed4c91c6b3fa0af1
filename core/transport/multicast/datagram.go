package multicast

import (
	"errors"
	"fmt"

	"github.com/juxta-p2p/juxta/core/transport/framing"
)

// magic starts every datagram.
const magic = "JXTA"

// overhead is what a datagram holds beside the message, in octets.
const overhead = len(magic) + framing.HeaderSize

// errMagic: the datagram is not one of JXTA.
var errMagic = errors.New("multicast: datagram does not start with " + magic)

// appendDatagram appends a datagram with an encoded message to b.
func appendDatagram(b, body []byte) []byte {
	b = append(b, magic...)
	b = framing.AppendHeader(b, len(body))
	return append(b, body...)
}

// parseDatagram returns the message in a datagram; it shares memory with b.
func parseDatagram(b []byte) ([]byte, error) {
	if len(b) < len(magic) || string(b[:len(magic)]) != magic {
		return nil, errMagic
	}
	h, rest, err := framing.ParseHeader(b[len(magic):])
	if err != nil {
		return nil, fmt.Errorf("multicast: %w", err)
	}
	if h.Length > uint64(len(rest)) {
		return nil, fmt.Errorf("multicast: a message of %d octets in a datagram with %d left", h.Length, len(rest))
	}
	return rest[:h.Length], nil
}
