package rendezvous

import (
	"encoding/binary"
	"math"

	"github.com/juxta-p2p/juxta/core/compact"
	"github.com/juxta-p2p/juxta/core/id"
)

// The header in the form of package compact, which only peers of Juxta read that got it
// straight from another one: hops, service, parameter, how many peers have been visited, and
// their IDs; what follows is the ID of the message, last since the rest is mostly that of the
// header before.

// Straight reports whether messages to the peer take a link that leads right there, and the
// peer is one of Juxta, so that it can read compact headers.
func (s *Service) Straight(p id.Peer) bool { return s.path(p).Direct() != nil }

// compact returns the header in the short form; ok is false if it has none.
func (h *header) compact() (doc []byte, ok bool) {
	if h.TTL < 0 || h.TTL > math.MaxUint16 || len(h.Path) == 0 || len(h.Path) > maxPath ||
		!plain(h.ID) || !plain(h.Service) || len(h.Service) > compact.MaxField || len(h.Param) > compact.MaxField {
		return nil, false
	}
	const ids = 80 // an ID, mostly less
	b := make([]byte, 0, 8+len(h.ID)+len(h.Service)+len(h.Param)+len(h.Path)*ids)
	b = binary.BigEndian.AppendUint16(append(b, compact.Mark), uint16(h.TTL))
	b = compact.Append(compact.Append(b, h.Service), h.Param)
	b = append(b, byte(len(h.Path)))
	for _, p := range h.Path {
		if len(p.Unique()) > compact.MaxField {
			return nil, false
		}
		b = compact.Append(b, p.Unique())
	}
	return append(b, h.ID...), true
}

// readCompact reads the short form.
func readCompact(b []byte) (h *header, ok bool) {
	if !compact.Is(b) || len(b) < 3 {
		return nil, false
	}
	h = &header{TTL: int64(binary.BigEndian.Uint16(b[1:]))}
	rest := b[3:]
	for _, text := range [...]*string{&h.Service, &h.Param} {
		field, more, ok := compact.Next(rest)
		if !ok {
			return nil, false
		}
		*text, rest = string(field), more
	}
	if len(rest) == 0 || rest[0] == 0 || int(rest[0]) > maxPath {
		return nil, false
	}
	n := int(rest[0])
	h.Path = make([]id.Peer, 0, n+1) // room for the next hop
	for rest = rest[1:]; n > 0; n-- {
		field, more, ok := compact.Next(rest)
		if !ok {
			return nil, false
		}
		p, err := id.ParsePeerUnique(string(field))
		if err != nil {
			return nil, false
		}
		h.Path, rest = append(h.Path, p), more
	}
	h.ID = string(rest)
	return h, plain(h.ID) && plain(h.Service)
}

// Uncompact returns the document for which a header in the short form stands, as peers of JXSE
// would get it. ok is false if that is none.
func Uncompact(b []byte) (doc []byte, ok bool) {
	h, ok := readCompact(b)
	if !ok {
		return nil, false
	}
	doc, err := h.print()
	return doc, err == nil
}
