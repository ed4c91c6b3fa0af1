package content

import (
	"encoding/binary"
	"fmt"
	"io"
)

// Chunks travel over a stream that whoever fetches opens. It begins with greeting;
// then come requests of 37 octets (what, ID, number), answered in order, each
// with a head of five octets (status, length of what follows) and so many octets.
// Any number of requests may be under way.
const greeting = "juxtac1\n"

// What can be asked for.
const (
	askManifest byte = 1 // of the ID; number 0
	askChunk    byte = 2 // of the ID, by number
	askItem     byte = 3 // the holder's advertisement of the ID; number 0
	askKept     byte = 4 // a page of what the peer keeps; ID zero, number of the page
)

// What can be answered. All but given have length 0.
const (
	given   byte = 0
	notHere byte = 1 // does not have it, or not any more
	refused byte = 2 // it is withdrawn
)

const (
	requestSize = 1 + hashSize + 4
	headSize    = 1 + 4
)

// request asks for something.
type request struct {
	what   byte
	id     ID
	number uint32
}

func (r request) encode() []byte {
	b := make([]byte, 0, requestSize)
	b = append(append(b, r.what), r.id[:]...)
	return binary.BigEndian.AppendUint32(b, r.number)
}

// decodeRequest reads requestSize octets.
func decodeRequest(b []byte) (request, error) {
	if len(b) != requestSize || b[0] < askManifest || b[0] > askKept {
		return request{}, fmt.Errorf("content: a request: %w", ErrMalformed)
	}
	r := request{what: b[0], number: binary.BigEndian.Uint32(b[1+hashSize:])}
	copy(r.id[:], b[1:])
	return r, nil
}

// limit is how long the answer may be at the most.
func (r request) limit() int {
	switch r.what {
	case askManifest:
		return maxManifest
	case askChunk:
		return ChunkSize
	case askItem:
		return maxItem
	}
	return keptPage * keptEntry
}

func encodeHead(status byte, length int) []byte {
	return binary.BigEndian.AppendUint32([]byte{status}, uint32(length))
}

// decodeHead reads headSize octets of an answer to the request.
func decodeHead(b []byte, to request) (status byte, length int, err error) {
	if len(b) != headSize || b[0] > refused {
		return 0, 0, fmt.Errorf("content: an answer: %w", ErrMalformed)
	}
	n := binary.BigEndian.Uint32(b[1:])
	if n > uint32(to.limit()) || b[0] != given && n != 0 {
		return 0, 0, fmt.Errorf("content: an answer of %d octets: %w", n, ErrLimit)
	}
	return b[0], int(n), nil
}

// keptEntry is the size of one kept content in a page: its ID and the number of
// replicas wanted.
const keptEntry = hashSize + 1

// kept is a content that somebody keeps for the group.
type kept struct {
	id       ID
	replicas int
}

func encodeKept(page []kept) []byte {
	b := make([]byte, 0, len(page)*keptEntry)
	for _, k := range page {
		b = append(append(b, k.id[:]...), byte(k.replicas))
	}
	return b
}

func decodeKept(b []byte) ([]kept, error) {
	if len(b)%keptEntry != 0 || len(b) > keptPage*keptEntry {
		return nil, fmt.Errorf("content: a page of what is kept: %w", ErrMalformed)
	}
	page := make([]kept, 0, len(b)/keptEntry)
	for ; len(b) > 0; b = b[keptEntry:] {
		k := kept{replicas: int(b[hashSize])}
		copy(k.id[:], b)
		if k.id.IsZero() || k.replicas < 1 || k.replicas > maxReplicas {
			return nil, fmt.Errorf("content: a page of what is kept: %w", ErrMalformed)
		}
		page = append(page, k)
	}
	return page, nil
}

// readAnswer reads the answer to a request; alive is called whenever something
// has come.
func readAnswer(r io.Reader, to request, alive func()) (status byte, body []byte, err error) {
	var head [headSize]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, nil, err
	}
	alive()
	status, n, err := decodeHead(head[:], to)
	if err != nil || n == 0 {
		return status, nil, err
	}
	body = make([]byte, n)
	for rest := body; len(rest) > 0; {
		n, err := io.ReadFull(r, rest[:min(len(rest), uploadPiece)])
		if err != nil {
			return 0, nil, err
		}
		alive()
		rest = rest[n:]
	}
	return status, body, nil
}
