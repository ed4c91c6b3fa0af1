// Package remote is a shell on another peer: a host that runs the lines of those it lets in,
// and the client that sends them. Who may come, over which connection, and which
// commands there are is for the caller to say; this package bounds everything else.
//
// Both sides send frames over a connection that is encrypted and on which each knows who the
// other is: one octet that tells the kind, four with the length of what follows, big-endian,
// and that. The client begins with a hello, the host with a welcome or a refusal. Then the client
// sends a line, and when the host has sent the status of it the next one; in between the
// host sends output, and the client may interrupt. Both ping every two seconds.
package remote

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// version is that of the frames, in the hello.
const version = 1

// kind is what a frame is.
type kind byte

const (
	kindHello     kind = 'H' // client: version, flags, columns (2 octets)
	kindLine      kind = 'L' // client: a line of the language
	kindInterrupt kind = 'I' // client: end what runs
	kindPing      kind = 'P' // both: nothing

	kindWelcome kind = 'W' // host: who it is and what can be done, a text
	kindRefused kind = 'R' // host: why it hangs up, a text
	kindOut     kind = 'O' // host: results
	kindErr     kind = 'E' // host: notices and errors
	kindStatus  kind = 'S' // host: status (4 octets), whether the session has ended, prompt
)

const (
	headSize   = 5
	helloSize  = 4
	statusSize = 5

	flagTerminal = 1
)

// most is how long frames of a kind may be; kinds that are not known must be empty.
func (k kind) most() int {
	switch k {
	case kindHello:
		return helloSize
	case kindLine:
		return MaxLine
	case kindWelcome, kindRefused:
		return maxWords
	case kindStatus:
		return statusSize + maxWords
	case kindOut, kindErr:
		return maxChunk
	}
	return 0
}

// errTooLong is the error of a frame that is longer than its kind may be.
var errTooLong = errors.New("too long")

type frame struct {
	kind kind
	body []byte
}

// wire sends and reads frames. Sending is safe for concurrent use, and one goroutine reads.
type wire struct {
	conn   net.Conn
	turn   chan struct{} // holds a value while somebody writes
	broken error         // of a write that may have sent half a frame; for whose turn it is
}

func newWire(conn net.Conn) *wire { return &wire{conn: conn, turn: make(chan struct{}, 1)} }

func (w *wire) send(k kind, body []byte) error {
	b := make([]byte, headSize, headSize+len(body))
	b[0] = byte(k)
	binary.BigEndian.PutUint32(b[1:], uint32(len(body)))
	w.turn <- struct{}{}
	defer func() { <-w.turn }()
	if w.broken == nil {
		w.broken = w.conn.SetWriteDeadline(time.Now().Add(writeWithin))
	}
	if w.broken == nil {
		_, w.broken = w.conn.Write(append(b, body...))
	}
	return w.broken
}

// last sends the last frame. If the other side takes nothing, the connection is closed a
// little later.
func (w *wire) last(k kind, body []byte) {
	timer := time.AfterFunc(lastWithin, func() { _ = w.conn.Close() })
	defer timer.Stop()
	_ = w.send(k, body) // who has gone need not know
}

// read returns the next frame. The error wraps errTooLong with the frame's kind known, or
// is that of the connection, a timeout if the other side says nothing for too long.
func (w *wire) read(within time.Duration) (frame, error) {
	if err := w.conn.SetReadDeadline(time.Now().Add(within)); err != nil {
		return frame{}, err
	}
	var head [headSize]byte
	if _, err := io.ReadFull(w.conn, head[:]); err != nil {
		return frame{}, err
	}
	f := frame{kind: kind(head[0])}
	n := binary.BigEndian.Uint32(head[1:])
	if int64(n) > int64(f.kind.most()) {
		return f, fmt.Errorf("remote: a frame %q of %d octets: %w", rune(f.kind), n, errTooLong)
	}
	f.body = make([]byte, n)
	_, err := io.ReadFull(w.conn, f.body)
	return f, err
}

// ping says every now and then that this side is there, until done.
func (w *wire) ping(done <-chan struct{}) {
	tick := time.NewTicker(pingEvery)
	defer tick.Stop()
	for {
		select {
		case <-done:
			return
		case <-tick.C:
			if w.send(kindPing, nil) != nil {
				return // the reader notices, too
			}
		}
	}
}

// clip cuts a text to what may be said.
func clip(s string) []byte { return []byte(s[:min(len(s), maxWords)]) }
