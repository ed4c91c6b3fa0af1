package pipe

import (
	"encoding/binary"
	"errors"

	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/message"
)

// Between Juxta peers the two ends of a unicast pipe tell each other how much may be
// under way, and what became of messages. Both documents are fixed numbers, so that
// neither costs anything to read.
const (
	noticeService = "juxta.pipe"

	elemAsk    = "JuxtaAsk"    // in a message of the pipe: asks for a notice
	elemTrack  = "JuxtaTrack"  // in a message of the pipe: its number, to be reported
	elemNotice = "JuxtaNotice" // in a message to noticeService

	askSize    = 4 + 8 + 8 + 8 + 8
	trackSize  = 8
	noticeHead = 4 + 8 + 8 + 8
	rangeSize  = 8 + 4 + 1
)

// ask is what a sender says of itself: where in its messages it stands.
type ask struct {
	epoch       uint32 // of the sender's window; counters begin anew with it
	sent, bytes uint64 // before this message
	since       uint64 // the oldest number of which nothing is known; 0 if none is missing
	until       uint64 // and the last one that was sent
}

func (a ask) element() message.Element {
	b := make([]byte, 0, askSize)
	b = binary.BigEndian.AppendUint32(b, a.epoch)
	b = binary.BigEndian.AppendUint64(b, a.sent)
	b = binary.BigEndian.AppendUint64(b, a.bytes)
	b = binary.BigEndian.AppendUint64(b, a.since)
	b = binary.BigEndian.AppendUint64(b, a.until)
	return message.Bytes(message.Platform, elemAsk, b)
}

func readAsk(b []byte) (a ask, ok bool) {
	if len(b) != askSize {
		return a, false
	}
	a.epoch = binary.BigEndian.Uint32(b)
	a.sent, a.bytes, a.since = binary.BigEndian.Uint64(b[4:]), binary.BigEndian.Uint64(b[12:]), binary.BigEndian.Uint64(b[20:])
	a.until = binary.BigEndian.Uint64(b[28:])
	return a, a.sent <= maxCounter && a.bytes <= maxCounter && a.since <= maxCounter && a.until <= maxCounter
}

// outcome is what became of a message that is to be reported.
type outcome uint8

const (
	unseen    outcome = iota // has not come
	waiting                  // is in the queue
	delivered                // the reader has it
	dropped                  // was refused, or there was no room, or the input was closed
	unknown                  // came, if at all, before the other side was remembered
)

// outcomes are those of consecutive numbers.
type outcomes struct {
	first uint64
	count uint32
	what  outcome
}

// notice is what a receiver says to one sender of one pipe.
type notice struct {
	epoch        uint32
	limit, bytes uint64 // up to which the sender may send; a limit of 0 says that the pipe is not open here
	done         uint64 // messages that nobody waits with any more
	pipe         id.Pipe
	became       []outcomes
}

var errNotice = errors.New("pipe: malformed notice")

func (n notice) message() *message.Message {
	name := n.pipe.String()
	b := make([]byte, 0, noticeHead+len(n.became)*rangeSize+len(name))
	b = binary.BigEndian.AppendUint32(b, n.epoch)
	b = binary.BigEndian.AppendUint64(b, n.limit)
	b = binary.BigEndian.AppendUint64(b, n.bytes)
	b = binary.BigEndian.AppendUint64(b, n.done)
	b = append(b, byte(len(n.became)>>8), byte(len(n.became)))
	for _, o := range n.became {
		b = binary.BigEndian.AppendUint64(b, o.first)
		b = binary.BigEndian.AppendUint32(b, o.count)
		b = append(b, byte(o.what))
	}
	return message.New(message.Bytes(message.Platform, elemNotice, append(b, name...)))
}

func readNotice(b []byte) (n notice, err error) {
	if len(b) < noticeHead+2 {
		return n, errNotice
	}
	n.epoch, n.limit, n.bytes = binary.BigEndian.Uint32(b), binary.BigEndian.Uint64(b[4:]), binary.BigEndian.Uint64(b[12:])
	n.done = binary.BigEndian.Uint64(b[20:])
	count := int(binary.BigEndian.Uint16(b[noticeHead:]))
	b = b[noticeHead+2:]
	if count > maxRanges || count*rangeSize > len(b) || n.limit > maxCounter || n.bytes > maxCounter {
		return n, errNotice
	}
	for range count {
		o := outcomes{binary.BigEndian.Uint64(b), binary.BigEndian.Uint32(b[8:]), outcome(b[12])}
		if o.count == 0 || o.count > maxReported || o.first > maxCounter || o.what > unknown {
			return n, errNotice
		}
		n.became = append(n.became, o)
		b = b[rangeSize:]
	}
	n.pipe, err = id.ParsePipe(string(b))
	return n, err
}

// trackElement numbers a message of which the sender wants to know what became.
func trackElement(number uint64) message.Element {
	return message.Bytes(message.Platform, elemTrack, binary.BigEndian.AppendUint64(nil, number))
}

// weight is what a message counts for in a window: the same at both ends, whatever
// the platform adds on the way.
func weight(m *message.Message) uint64 {
	elements, octets := m.Payload()
	return uint64(elements*elementWeight + octets)
}
