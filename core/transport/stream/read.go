package stream

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/core/transport/framing"
)

// read takes messages from the connection until it ends.
func (l *link) read() {
	defer l.s.wg.Done()
	err := l.readAll()
	l.fail(err)
	l.flushers.Wait()
	l.s.mu.Lock()
	delete(l.s.links, l)
	l.s.mu.Unlock()
	if l.onClosed != nil {
		l.onClosed()
	}
	l.s.host.Closed(l)
}

func (l *link) readAll() error {
	for {
		body, mem, err := l.readFrame()
		if err != nil {
			if !ended(err) {
				l.s.stats.badFrame.Add(1)
				l.offend("packages that are none")
				l.s.host.Logger.Debug("link closed", "peer", l.peer.Short(), "error", err)
			}
			return err
		}
		select {
		case <-l.closed:
			return net.ErrClosed // and what came before is no longer wanted
		default:
		}
		if l.s.host.ReceiveShared != nil {
			err = l.s.host.ReceiveShared(l, body, mem)
		} else {
			err = l.s.host.Receive(l, body) // which keeps it, so that the memory is not released
		}
		if err != nil {
			l.s.stats.badFrame.Add(1)
			l.s.host.Logger.Debug("link closed", "peer", l.peer.Short(), "error", err)
			return err
		}
	}
}

// ended reports whether reading failed because the connection did, and not for
// what came over it.
func ended(err error) bool {
	var op *net.OpError
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, net.ErrClosed):
		return true
	case !errors.As(err, &op), errors.Is(err, os.ErrDeadlineExceeded):
		return false
	}
	return op.Op != tlsLocal && op.Op != tlsRemote
}

// What crypto/tls calls the operation in its errors about malformed records.
const (
	tlsLocal  = "local error"
	tlsRemote = "remote error"
)

// patient reads from a connection, for ever between messages and for a bounded
// time inside one. It sets deadlines only when it has to ask the connection, so
// that messages which came together cost none.
type patient struct {
	c       net.Conn
	socket  *socket       // of c, nil if it is none
	silence time.Duration // the longest time without an octet inside a message
	inside  bool          // a message has begun
	extra   time.Duration // time for the message beside the first silence
	begun   time.Time     // when the first read inside the message began
	armed   bool          // a deadline is set
}

// Read implements io.Reader.
func (p *patient) Read(b []byte) (int, error) {
	p.arm()
	if p.socket != nil {
		return p.socket.read(b)
	}
	return p.c.Read(b)
}

// arm sets the deadline of the next read.
func (p *patient) arm() {
	switch {
	case p.inside:
		now := time.Now()
		if p.begun.IsZero() {
			p.begun = now
		}
		by, end := now.Add(p.silence), p.begun.Add(p.silence+p.extra)
		if end.Before(by) {
			by = end
		}
		_ = p.c.SetReadDeadline(by)
		p.armed = true
	case p.armed:
		_ = p.c.SetReadDeadline(time.Time{})
		p.armed = false
	}
}

// chunk is octets of a connection that were read before they were asked for.
type chunk [chunkSize]byte

// chunks holds chunks between reads: a link at rest has none.
var chunks = sync.Pool{New: func() any { return new(chunk) }}

// ahead reads as much of a connection as has come, for somebody who asks for little at a
// time, as TLS does. It holds memory only as long as something in it is left.
type ahead struct {
	in   *patient
	got  *chunk // nil if nothing is left
	r, w int    // what is left lies between
}

// Read implements io.Reader.
func (a *ahead) Read(b []byte) (n int, err error) {
	if a.got == nil {
		if a.in.socket == nil || len(b) == 0 {
			return a.in.Read(b)
		}
		a.in.arm()
		if a.got, a.w, err = a.in.socket.readChunk(); err != nil {
			return 0, err
		}
		a.r = 0
	}
	n = copy(b, a.got[a.r:a.w])
	if a.r += n; a.r == a.w {
		chunks.Put(a.got)
		a.got = nil
	}
	return n, nil
}

// inbox takes messages out of what comes over a connection. It reads into slabs,
// which the messages then share: a slab is never written where a message lies, and
// is used again when it and the messages in it are not used any more. Slabs grow
// with the traffic, so that a link at rest holds little.
type inbox struct {
	src  io.Reader
	mem  *message.Memory // the slab's
	slab []byte
	r, w int // what lies between is not read yet
	size int // of the next slab
}

// start begins with what is left in a buffered reader, and goes on with src.
func (x *inbox) start(left *bufio.Reader, src io.Reader) {
	x.src, x.size = src, minSlab
	if n := left.Buffered(); n > 0 {
		x.room(n)
		x.w, _ = io.ReadFull(left, x.slab[:n])
	}
}

// room makes room for a message of need octets, which has begun at x.r.
func (x *inbox) room(need int) {
	if x.r == x.w && x.mem != nil && !x.mem.Shared() {
		x.r, x.w = 0, 0 // nobody can come to use it but through here
	}
	if x.w < len(x.slab) && x.r+need <= len(x.slab) {
		return
	}
	fresh := message.NewMemory(max(x.size, need))
	x.w = copy(fresh.Bytes(), x.slab[x.r:x.w])
	x.drop()
	x.mem, x.slab = fresh, fresh.Bytes()
}

// drop leaves the slab to the messages in it.
func (x *inbox) drop() {
	if x.mem != nil {
		x.mem.Release()
	}
	x.mem, x.slab, x.r = nil, nil, 0
}

// spent forgets what came of a long message, which has been copied. Where there
// is one more will follow, and its octets are better read to where they stay.
func (x *inbox) spent() {
	if x.size = minSlab; len(x.slab) > minSlab || x.mem.Shared() {
		x.drop()
	}
	x.r, x.w = 0, 0
}

// more reads once.
func (x *inbox) more() error {
	free := x.slab[x.w:]
	n, err := x.src.Read(free)
	for range maxEmptyReads {
		if n > 0 || err != nil {
			break
		}
		n, err = x.src.Read(free)
	}
	x.w += n
	switch {
	case n == len(free):
		x.size = min(2*x.size, maxSlab)
	case n < x.size/8:
		x.size = max(x.size/2, minSlab)
	}
	if n > 0 {
		return nil // an error will come again
	}
	if err == nil {
		return io.ErrNoProgress
	}
	return err
}

// readFrame reads one message. Between messages the other side may be silent
// for as long as it likes; inside one it may not.
// The caller becomes a user of mem, in which body lies; it is nil if the body is the
// caller's own.
func (l *link) readFrame() (body []byte, mem *message.Memory, err error) {
	x := &l.box
	begun := false
	for need := 1; ; {
		if have := x.slab[x.r:x.w]; len(have) >= need {
			h, rest, err := framing.ParseHeader(have)
			switch {
			case err == nil && h.Length > uint64(l.s.cfg.MaxMessage):
				return nil, nil, fmt.Errorf("stream: a message of %d octets is announced, the limit is %d", h.Length, l.s.cfg.MaxMessage)
			case err == nil:
				n, head := int(h.Length), len(have)-len(rest)
				if n <= len(rest) {
					x.r += head + n
					x.mem.Hold()
					return rest[:n:n], x.mem, nil
				}
				if !begun {
					begun = true
					l.begin()
				}
				l.in.extra = time.Duration(n) * time.Second / minRate
				if n > maxShared {
					defer x.spent()
					return l.readBody(n, rest)
				}
				need = head + n
			case errors.Is(err, io.ErrUnexpectedEOF):
				need = len(have) + 1
			default:
				return nil, nil, err
			}
		}
		if x.w > x.r {
			if !begun {
				begun = true
				l.begin()
			}
		} else {
			l.in.inside = false
		}
		x.room(need)
		if err := x.more(); err != nil {
			if errors.Is(err, io.EOF) && x.w > x.r {
				err = io.ErrUnexpectedEOF
			}
			return nil, nil, err
		}
		l.heard.Store(true)
	}
}

// begin notes that a message has begun and is not there to its end.
func (l *link) begin() { l.in.inside, l.in.extra, l.in.begun = true, 0, time.Time{} }

// readBody reads a long message, of which a part has come. It takes memory only
// for octets that came, but for maxAhead.
func (l *link) readBody(n int, part []byte) ([]byte, *message.Memory, error) {
	if n <= maxAhead {
		mem := message.NewMemory(n)
		body := mem.Bytes()[:n:n]
		if _, err := io.ReadFull(l.box.src, body[copy(body, part):]); err != nil {
			mem.Release()
			return nil, nil, unexpected(err)
		}
		return body, mem, nil
	}
	parts := make([]*[maxAhead]byte, 0, 8)
	defer func() {
		for _, p := range parts {
			portions.Put(p)
		}
	}()
	for left := n; left > 0; left -= maxAhead {
		p := portions.Get().(*[maxAhead]byte)
		parts = append(parts, p)
		have := copy(p[:], part)
		part = part[have:]
		if _, err := io.ReadFull(l.box.src, p[have:min(left, maxAhead)]); err != nil {
			return nil, nil, unexpected(err)
		}
	}
	body := make([]byte, 0, n)
	for _, p := range parts {
		body = append(body, p[:min(n-len(body), maxAhead)]...)
	}
	return body, nil, nil
}

// unexpected is the error for an end inside a message.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// portions holds the parts of long messages until all of them are there.
var portions = sync.Pool{New: func() any { return new([maxAhead]byte) }}
