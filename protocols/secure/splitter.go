package secure

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/juxta-p2p/juxta/core/message"
)

// splitter cuts a stream of messages of version 0, one behind the other, at their
// ends. The message itself tells where that is, and nothing else does.
type splitter struct {
	r   *bufio.Reader
	buf []byte
	max int
}

func newSplitter(r io.Reader) *splitter {
	return &splitter{r: bufio.NewReaderSize(r, readBuffer), max: message.MaxSize}
}

// Flags of an element that tell what follows.
const (
	flagType      = 0x01
	flagSignature = 0x04
)

var errFormat = fmt.Errorf("in the stream: %w", message.ErrFormat)

// next returns the octets of the next message, which are the caller's own. The
// error is io.EOF at the end of the stream between two messages; after any error
// the stream cannot be read on.
func (s *splitter) next() ([]byte, error) {
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
	if spaces > message.MaxNamespaces {
		return nil, errFormat
	}
	for range spaces {
		if err := s.text(message.MaxName); err != nil {
			return nil, err
		}
	}
	b, err := s.take(2)
	if err != nil {
		return nil, err
	}
	count := int(binary.BigEndian.Uint16(b))
	if count > message.MaxElements {
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
func (s *splitter) element() (signed bool, err error) {
	b, err := s.take(len("jxel") + 1 + 1)
	if err != nil {
		return false, err
	}
	if string(b[:4]) != "jxel" {
		return false, errFormat
	}
	flags := b[5]
	if err := s.text(message.MaxName); err != nil {
		return false, err
	}
	if flags&flagType != 0 {
		if err := s.text(message.MaxType); err != nil {
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
func (s *splitter) text(most int) error {
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
// there. It reserves no more than readAhead before they came.
func (s *splitter) take(n int) ([]byte, error) {
	if len(s.buf)+n > s.max {
		return nil, fmt.Errorf("in the stream: %w: more than %d octets", message.ErrFormat, s.max)
	}
	start := len(s.buf)
	for left := n; left > 0; {
		part := min(left, readAhead)
		if free := cap(s.buf) - len(s.buf); free < part {
			grown := make([]byte, len(s.buf), max(2*cap(s.buf), len(s.buf)+max(part, 256)))
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
