// Package xfer sends files to users of other shells and takes theirs, in the way
// of the xfer command of the original JXTA Shell: a file goes as messages of one
// block each, over whatever carries messages, and nobody answers.
//
// A [Block] is one message, [Send] cuts a file into them, and a [Receiver] puts
// files together in a folder. How the messages travel is the business of the
// caller. Files come unasked from strangers, so their names are reduced, nothing
// is overwritten, and all has bounds; whether they are what they should be nobody
// can tell: package content is the better way between Juxta peers.
package xfer

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/juxta-p2p/juxta/core/message"
)

const (
	// NamePrefix stands before the name of a user in that of the pipe advertisement by
	// which others find it.
	NamePrefix = "JxtaXferUserName."

	// Service is the endpoint service of users that listen without a pipe; its parameter
	// is the name of the user.
	Service = "jxtaxfer"

	// Anonymous is the user that sends if none is named.
	Anonymous = "Anonymous"
)

// The elements of a message. The colon belongs to the name: they are in the empty
// namespace.
const (
	elementInfo       = "JxtaXfer:Fileinfo"
	elementIdentifier = "JxtaXfer:Identifier"
	elementSequence   = "JxtaXfer:Sequence"
	elementData       = "JxtaXfer:Data"

	infoVersion = 2
)

var (
	// ErrFormat: a message is not one of a file, or beyond the bounds.
	ErrFormat = errors.New("xfer: malformed message")

	// ErrTooLarge: a file has more octets or blocks than may be.
	ErrTooLarge = errors.New("xfer: the file is too large")
)

// Info is what the first message of a file says of it.
type Info struct {
	Peer       string        // ID of the sender, which it says itself
	User       string        // and the name of its user, [Anonymous] if it has none
	Pipe       string        // advertisement of that user's pipe as XML; may be empty
	PipeLife   time.Duration // for how long it may be kept, in whole milliseconds
	Identifier string        // tells the files of a sender apart
	Name       string        // of the file; as read it may be anything, see [PlainName]
	Size       int64         // in octets
	Block      int64         // octets of each message but the last
}

// blocks returns in how many messages the file comes, one for an empty file, and
// checks what of it can be checked.
func (i *Info) blocks() (int, error) {
	switch {
	case i.Identifier == "" || len(i.Identifier) > maxIdentifier || len(i.Name) > maxName || len(i.Pipe) > maxAdv:
		return 0, fmt.Errorf("%w: a text is missing, or too long", ErrFormat)
	case i.Size < 0 || i.Block <= 0:
		return 0, fmt.Errorf("%w: %d octets in blocks of %d", ErrFormat, i.Size, i.Block)
	case i.Size > MaxSize:
		return 0, fmt.Errorf("%w: %d octets, %d may be", ErrTooLarge, i.Size, int64(MaxSize))
	case i.Block > MaxBlock && i.Size > MaxBlock:
		return 0, fmt.Errorf("%w: blocks of %d octets, %d may be", ErrTooLarge, i.Block, MaxBlock)
	}
	n := (i.Size-1)/i.Block + 1
	if i.Size == 0 {
		n = 1
	}
	if n > MaxBlocks {
		return 0, fmt.Errorf("%w: %d blocks, %d may be", ErrTooLarge, n, MaxBlocks)
	}
	return int(n), nil
}

// length returns how many octets a block has.
func (i *Info) length(sequence int) int64 {
	return min(i.Block, i.Size-int64(sequence)*i.Block)
}

// Block is one message of a file.
type Block struct {
	Identifier string
	Sequence   int // from 0
	Data       []byte
	Info       *Info // in the first one only
}

// Message returns the block as a message, which shares Data. Texts of the Info that
// are longer than 65,535 octets are cut off.
func (b *Block) Message() *message.Message {
	m := message.New()
	if b.Info != nil {
		m.Add(message.Bytes("", elementInfo, b.Info.append(nil)))
	}
	return m.Add(message.Text("", elementIdentifier, b.Identifier),
		message.Text("", elementSequence, strconv.Itoa(b.Sequence)),
		message.Bytes("", elementData, b.Data))
}

// ParseBlock reads a message. The error wraps [ErrFormat] or [ErrTooLarge]. Data
// shares memory with the message.
func ParseBlock(m *message.Message) (*Block, error) {
	identifier, okIdentifier := m.Get("", elementIdentifier)
	sequence, okSequence := m.Get("", elementSequence)
	data, okData := m.Get("", elementData)
	if !okIdentifier || !okSequence || !okData {
		return nil, fmt.Errorf("%w: an element is missing", ErrFormat)
	}
	if len(identifier.Body) == 0 || len(identifier.Body) > maxIdentifier {
		return nil, fmt.Errorf("%w: an identifier of %d octets", ErrFormat, len(identifier.Body))
	}
	const maxDigits = 10
	n, err := strconv.Atoi(strings.TrimSpace(sequence.Text()))
	if err != nil || n < 0 || n >= MaxBlocks || len(sequence.Body) > maxDigits {
		return nil, fmt.Errorf("%w: the sequence number", ErrFormat)
	}
	b := &Block{Identifier: identifier.Text(), Sequence: n, Data: data.Body}
	if info, ok := m.Get("", elementInfo); ok {
		if b.Info, err = parseInfo(info.Body); err != nil {
			return nil, err
		}
		if b.Info.Identifier != b.Identifier {
			return nil, fmt.Errorf("%w: two identifiers", ErrFormat)
		}
		if _, err := b.Info.blocks(); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// append writes the Info as Java's DataOutputStream does.
func (i *Info) append(b []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, infoVersion)
	for _, s := range []string{i.Peer, i.User, i.Pipe} {
		b = appendText(b, s)
	}
	b = binary.BigEndian.AppendUint64(b, uint64(i.PipeLife.Milliseconds()))
	b = appendText(appendText(b, i.Identifier), i.Name)
	b = binary.BigEndian.AppendUint64(b, uint64(i.Size))
	return binary.BigEndian.AppendUint64(b, uint64(i.Block))
}

func parseInfo(b []byte) (*Info, error) {
	if len(b) > maxInfo {
		return nil, fmt.Errorf("%w: %d octets of information", ErrFormat, len(b))
	}
	r := reader{b: b}
	if v := r.number(4); r.err == nil && v != infoVersion {
		return nil, fmt.Errorf("%w: version %d", ErrFormat, v)
	}
	i := &Info{Peer: r.text(), User: r.text(), Pipe: r.text()}
	life := int64(r.number(8))
	i.Identifier, i.Name = r.text(), r.text()
	i.Size, i.Block = int64(r.number(8)), int64(r.number(8))
	if r.err != nil {
		return nil, r.err
	}
	const longest = int64(time.Duration(1<<63-1) / time.Millisecond)
	i.PipeLife = time.Duration(min(max(life, 0), longest)) * time.Millisecond // Java's "for ever" is longer
	return i, nil
}

// reader reads what Java's DataOutputStream has written. The first error stays.
type reader struct {
	b   []byte
	err error
}

func (r *reader) take(n int) []byte {
	if r.err == nil && n > len(r.b) {
		r.err = fmt.Errorf("%w: the information is cut", ErrFormat)
	}
	if r.err != nil {
		return make([]byte, min(n, 8))
	}
	taken := r.b[:n]
	r.b = r.b[n:]
	return taken
}

func (r *reader) number(octets int) uint64 {
	var n uint64
	for _, o := range r.take(octets) {
		n = n<<8 | uint64(o)
	}
	return n
}

func (r *reader) text() string {
	n := int(r.number(2))
	if r.err != nil {
		return ""
	}
	return parseText(r.take(n))
}

// maxText is what the length of a text can tell.
const maxText = 1<<16 - 1

// appendText writes a text in the modified UTF-8 of Java: characters beyond 16 bits as
// two surrogates of three octets each, NUL as two octets.
func appendText(b []byte, s string) []byte {
	at := len(b)
	b = append(b, 0, 0)
	for _, u := range utf16.Encode([]rune(s)) {
		var c [3]byte
		n := 0
		switch {
		case u != 0 && u < 0x80:
			c[0], n = byte(u), 1
		case u < 0x800:
			c[0], c[1], n = 0xC0|byte(u>>6), 0x80|byte(u&0x3F), 2
		default:
			c[0], c[1], c[2], n = 0xE0|byte(u>>12), 0x80|byte(u>>6&0x3F), 0x80|byte(u&0x3F), 3
		}
		if len(b)-at-2+n > maxText {
			break
		}
		b = append(b, c[:n]...)
	}
	binary.BigEndian.PutUint16(b[at:], uint16(len(b)-at-2))
	return b
}

// parseText reads modified UTF-8. What is wrong becomes U+FFFD.
func parseText(b []byte) string {
	var units []uint16
	for i := 0; i < len(b); {
		tail := func(n int) bool {
			if i+n >= len(b) {
				return false
			}
			for _, o := range b[i+1 : i+1+n] {
				if o&0xC0 != 0x80 {
					return false
				}
			}
			return true
		}
		switch o := b[i]; {
		case o < 0x80:
			units = append(units, uint16(o))
			i++
		case o&0xE0 == 0xC0 && tail(1):
			units = append(units, uint16(o&0x1F)<<6|uint16(b[i+1]&0x3F))
			i += 2
		case o&0xF0 == 0xE0 && tail(2):
			units = append(units, uint16(o&0x0F)<<12|uint16(b[i+1]&0x3F)<<6|uint16(b[i+2]&0x3F))
			i += 3
		default:
			units = append(units, utf8.RuneError)
			i++
		}
	}
	return string(utf16.Decode(units))
}
