package content

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
)

// ID names a content: the SHA-256 of its manifest. It is comparable; the zero
// value means none.
type ID [sha256.Size]byte

// ParseID reads the 64 hex digits of an ID. The error wraps [ErrMalformed].
func ParseID(text string) (ID, error) {
	var c ID
	b, err := hex.DecodeString(text)
	if err != nil || len(b) != len(c) {
		return c, fmt.Errorf("content: an ID has %d hex digits: %w", 2*len(c), ErrMalformed)
	}
	copy(c[:], b)
	return c, nil
}

// String returns the ID as 64 hex digits.
func (c ID) String() string { return hex.EncodeToString(c[:]) }

// IsZero reports whether it is the zero value.
func (c ID) IsZero() bool { return c == ID{} }

// MarshalText implements encoding.TextMarshaler. The zero ID has an empty text.
func (c ID) MarshalText() ([]byte, error) {
	if c.IsZero() {
		return nil, nil
	}
	return []byte(c.String()), nil
}

// UnmarshalText implements encoding.TextUnmarshaler; see [ParseID].
func (c *ID) UnmarshalText(b []byte) (err error) {
	*c, err = ParseID(string(b))
	return err
}

const (
	hashSize     = sha256.Size
	manifestName = "juxta content 1\n"
	manifestHead = len(manifestName) + 8
)

// manifest lists the chunks of a content. Its bytes are the line "juxta content 1",
// the size in eight octets, most significant first, and the SHA-256 of each chunk
// of [ChunkSize] octets. It says nothing of names: what has the same octets is the
// same content.
type manifest struct {
	size   int64
	hashes []byte // one after the other
}

func (m *manifest) chunks() int { return len(m.hashes) / hashSize }

func (m *manifest) hash(i int) []byte { return m.hashes[i*hashSize : (i+1)*hashSize] }

// length is how many octets chunk i has.
func (m *manifest) length(i int) int {
	return int(min(ChunkSize, m.size-int64(i)*ChunkSize))
}

// fits reports whether the octets are those of chunk i.
func (m *manifest) fits(i int, chunk []byte) bool {
	sum := sha256.Sum256(chunk)
	return len(chunk) == m.length(i) && bytes.Equal(sum[:], m.hash(i))
}

func (m *manifest) encode() []byte {
	b := make([]byte, 0, manifestHead+len(m.hashes))
	b = append(b, manifestName...)
	b = binary.BigEndian.AppendUint64(b, uint64(m.size))
	return append(b, m.hashes...)
}

func (m *manifest) id() ID { return sha256.Sum256(m.encode()) }

// chunksOf is how many chunks a size makes; an empty file has none.
func chunksOf(size int64) int64 {
	n := size / ChunkSize
	if size%ChunkSize != 0 {
		n++
	}
	return n
}

// readManifest reads the bytes of a manifest.
func readManifest(b []byte) (*manifest, error) {
	rest, ok := bytes.CutPrefix(b, []byte(manifestName))
	if !ok || len(rest) < 8 {
		return nil, fmt.Errorf("content: a manifest: %w", ErrMalformed)
	}
	size := binary.BigEndian.Uint64(rest)
	if size > MaxChunks*ChunkSize {
		return nil, fmt.Errorf("content: a content of %d octets: %w", size, ErrLimit)
	}
	m := &manifest{size: int64(size), hashes: bytes.Clone(rest[8:])}
	if int64(len(m.hashes)) != chunksOf(m.size)*hashSize {
		return nil, fmt.Errorf("content: a manifest of another length: %w", ErrMalformed)
	}
	return m, nil
}

// makeManifest hashes what r has, which is expected to be so many octets; of more
// the manifest is of no use if size is less than a chunk.
func makeManifest(r io.Reader, size int64) (*manifest, error) {
	m, chunk := &manifest{}, make([]byte, min(max(size, 1), ChunkSize))
	for {
		n, err := io.ReadFull(r, chunk)
		if n > 0 {
			if m.chunks() == MaxChunks {
				return nil, fmt.Errorf("content: more than %d octets: %w", int64(MaxChunks)*ChunkSize, ErrLimit)
			}
			sum := sha256.Sum256(chunk[:n])
			m.hashes, m.size = append(m.hashes, sum[:]...), m.size+int64(n)
		}
		switch {
		case err == nil:
		case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
			return m, nil
		default:
			return nil, err
		}
	}
}

// IDOf returns the ID of what r has until its end.
func IDOf(r io.Reader) (ID, error) {
	m, err := makeManifest(r, ChunkSize)
	if err != nil {
		return ID{}, err
	}
	return m.id(), nil
}
