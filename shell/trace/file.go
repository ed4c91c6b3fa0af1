package trace

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
)

// A file of traced messages begins with fileMagic. Each message follows as a head of headSize
// octets and three texts, all numbers big-endian:
//
//	octets  0  1  flags: 1 sent, 2 encrypted
//	        1  8  time, nanoseconds since 1970
//	        9  2  length of the peer ID
//	       11  2  length of the address
//	       13  4  length of the message
//
// then the peer ID ("urn:jxta:…", or nothing), the address of the link, and the message as JXTA writes it.
const (
	fileMagic = "juxta trace 1\n"
	headSize  = 17

	flagOut       = 1
	flagEncrypted = 2
)

// Limits of what is read from a file, which may come from anywhere.
const (
	maxText    = 4 << 10
	maxMessage = 16 << 20
)

// ErrFile is the cause of errors about what a file holds.
var ErrFile = errors.New("this is no file of traced messages")

// Writer writes messages to a file. It is not safe for concurrent use.
type Writer struct{ w *bufio.Writer }

// NewWriter begins a file.
func NewWriter(w io.Writer) (*Writer, error) {
	b := bufio.NewWriter(w)
	if _, err := b.WriteString(fileMagic); err != nil {
		return nil, fmt.Errorf("trace: %w", err)
	}
	return &Writer{b}, nil
}

// Write adds a message.
func (w *Writer) Write(x endpoint.Traced) error {
	peer, address := "", x.Remote.String()
	if !x.Peer.IsZero() {
		peer = x.Peer.String()
	}
	if x.Remote == (endpoint.Address{}) {
		address = ""
	}
	if len(peer) > maxText || len(address) > maxText || len(x.Body) > maxMessage {
		return fmt.Errorf("trace: a message of %d octets is too large for the file", len(x.Body))
	}
	var head [headSize]byte
	if x.Out {
		head[0] |= flagOut
	}
	if x.Encrypted {
		head[0] |= flagEncrypted
	}
	binary.BigEndian.PutUint64(head[1:], uint64(x.Time.UnixNano()))
	binary.BigEndian.PutUint16(head[9:], uint16(len(peer)))
	binary.BigEndian.PutUint16(head[11:], uint16(len(address)))
	binary.BigEndian.PutUint32(head[13:], uint32(len(x.Body)))
	for _, part := range [...][]byte{head[:], []byte(peer), []byte(address), x.Body} {
		if _, err := w.w.Write(part); err != nil {
			return fmt.Errorf("trace: %w", err)
		}
	}
	return nil
}

// Flush writes what is still in memory.
func (w *Writer) Flush() error {
	if err := w.w.Flush(); err != nil {
		return fmt.Errorf("trace: %w", err)
	}
	return nil
}

// Reader reads a file.
type Reader struct{ r *bufio.Reader }

// NewReader looks at the beginning of a file. The error wraps [ErrFile] if it is another one.
func NewReader(r io.Reader) (*Reader, error) {
	b := bufio.NewReader(r)
	magic := make([]byte, len(fileMagic))
	if _, err := io.ReadFull(b, magic); err != nil || string(magic) != fileMagic {
		return nil, fmt.Errorf("trace: %w", ErrFile)
	}
	return &Reader{b}, nil
}

// Next returns the next message. The error is [io.EOF] at the end, and wraps [ErrFile] if the file is
// broken or was cut.
func (r *Reader) Next() (endpoint.Traced, error) {
	var head [headSize]byte
	switch _, err := io.ReadFull(r.r, head[:]); {
	case errors.Is(err, io.EOF):
		return endpoint.Traced{}, io.EOF
	case err != nil:
		return endpoint.Traced{}, fmt.Errorf("trace: %w: it was cut", ErrFile)
	}
	peer, address := int(binary.BigEndian.Uint16(head[9:])), int(binary.BigEndian.Uint16(head[11:]))
	size := int(binary.BigEndian.Uint32(head[13:]))
	if peer > maxText || address > maxText || size > maxMessage || head[0]&^(flagOut|flagEncrypted) != 0 {
		return endpoint.Traced{}, fmt.Errorf("trace: %w", ErrFile)
	}
	b, err := io.ReadAll(io.LimitReader(r.r, int64(peer+address+size)))
	if err != nil || len(b) != peer+address+size {
		return endpoint.Traced{}, fmt.Errorf("trace: %w: it was cut", ErrFile)
	}
	x := endpoint.Traced{
		Time: time.Unix(0, int64(binary.BigEndian.Uint64(head[1:]))), Out: head[0]&flagOut != 0, Encrypted: head[0]&flagEncrypted != 0,
		Body: b[peer+address:],
	}
	if peer > 0 {
		if x.Peer, err = id.ParsePeer(string(b[:peer])); err != nil {
			return endpoint.Traced{}, fmt.Errorf("trace: %w: %w", ErrFile, err)
		}
	}
	if address > 0 {
		if x.Remote, err = endpoint.ParseAddress(string(b[peer : peer+address])); err != nil {
			return endpoint.Traced{}, fmt.Errorf("trace: %w: %w", ErrFile, err)
		}
	}
	return x, nil
}
