package message

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Reader cuts a stream of messages of version 0, one behind the other, at their
// ends, as they stand in answers of HTTP and inside end-to-end TLS. The message
// itself tells where it ends, and nothing else does. It is not safe for concurrent
// use.
type Reader struct {
	r   *bufio.Reader
	buf []byte
	max int
}

// NewReader makes a reader of messages from r, which it may read beyond the last
// message returned.
func NewReader(r io.Reader) *Reader {
	return &Reader{r: bufio.NewReaderSize(r, streamBuffer), max: MaxSize}
}

var errFormat = fmt.Errorf("in the stream: %w", ErrFormat)

// Next returns the octets of the next message, which are the caller's own. The
// error is io.EOF at the end of the stream between two messages; after any error
// the stream cannot be read on.
func (s *Reader) Next() ([]byte, error) {
	s.buf = nil
	head, err := s.take(len("jxmg") + 1 + 2)
	if err != nil {
		if len(s.buf) == 0 && errors.Is(err, io.ErrUnexpectedEOF) {
			err = io.EOF
		}
		return nil, err
	}
	if string(head[:5]) != "jxmg\x00" {
		return nil, errFormat
	}
	spaces := int(binary.BigEndian.Uint16(head[5:]))
	if spaces > MaxNamespaces {
		return nil, errFormat
	}
	for range spaces {
		if err := s.text(MaxName); err != nil {
			return nil, err
		}
	}
	b, err := s.take(2)
	if err != nil {
		return nil, err
	}
	count := int(binary.BigEndian.Uint16(b))
	if count > MaxElements {
		return nil, errFormat
	}
	for range count {
		signed, err := s.element()
		if err != nil {
			return nil, err
		}
		if !signed {
			continue
		}
		if again, err := s.element(); err != nil {
			return nil, err
		} else if again {
			return nil, errFormat
		}
	}
	return s.buf, nil
}

// element passes one element and reports whether its signature follows.
func (s *Reader) element() (signed bool, err error) {
	b, err := s.take(len("jxel") + 1 + 1)
	if err != nil {
		return false, err
	}
	if string(b[:4]) != "jxel" {
		return false, errFormat
	}
	flags := b[5]
	if err := s.text(MaxName); err != nil {
		return false, err
	}
	if flags&flagType != 0 {
		if err := s.text(MaxType); err != nil {
			return false, err
		}
	}
	if b, err = s.take(4); err != nil {
		return false, err
	}
	n := binary.BigEndian.Uint32(b)
	if uint64(n) > uint64(s.max) {
		return false, errFormat
	}
	_, err = s.take(int(n))
	return flags&flagSignature != 0, err
}

// text passes a string with its length.
func (s *Reader) text(most int) error {
	b, err := s.take(2)
	if err != nil {
		return err
	}
	n := int(binary.BigEndian.Uint16(b))
	if n > most {
		return errFormat
	}
	_, err = s.take(n)
	return err
}

// take moves n octets of the stream behind those of the message, and returns them
// there. It reserves no more than streamAhead before they came.
func (s *Reader) take(n int) ([]byte, error) {
	if len(s.buf)+n > s.max {
		return nil, fmt.Errorf("in the stream: %w: more than %d octets", ErrFormat, s.max)
	}
	start := len(s.buf)
	for left := n; left > 0; {
		part := min(left, streamAhead)
		if free := cap(s.buf) - len(s.buf); free < part {
			grown := make([]byte, len(s.buf), len(s.buf)+part+max(len(s.buf)/2, streamSpare))
			copy(grown, s.buf)
			s.buf = grown
		}
		at := len(s.buf)
		got, err := io.ReadFull(s.r, s.buf[at:at+part])
		s.buf = s.buf[:at+got]
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
		left -= part
	}
	return s.buf[start : start+n], nil
}
