package stream

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"

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
		body, err := l.readFrame()
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
		if err := l.s.host.Receive(l, body); err != nil {
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
	silence time.Duration // the longest time without an octet inside a message
	inside  bool          // a message has begun
	extra   time.Duration // time for the message beside the first silence
	begun   time.Time     // when the first read inside the message began
	armed   bool          // a deadline is set
}

// Read implements io.Reader.
func (p *patient) Read(b []byte) (int, error) {
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
	return p.c.Read(b)
}

// readFrame reads one message. Between messages the other side may be silent
// for as long as it likes; inside one it may not.
func (l *link) readFrame() ([]byte, error) {
	l.in.inside = false
	if _, err := l.br.Peek(1); err != nil {
		return nil, err
	}
	l.in.inside, l.in.extra, l.in.begun = true, 0, time.Time{}
	h, err := framing.ReadHeader(l.br)
	if err != nil {
		return nil, err
	}
	if h.Length > uint64(l.s.cfg.MaxMessage) {
		return nil, fmt.Errorf("stream: a message of %d octets is announced, the limit is %d", h.Length, l.s.cfg.MaxMessage)
	}
	n := int(h.Length)
	l.in.extra = time.Duration(n) * time.Second / minRate
	return l.readBody(n)
}

// readBody takes memory only for octets that came, but for maxAhead.
func (l *link) readBody(n int) ([]byte, error) {
	if n <= maxAhead {
		body := make([]byte, n)
		_, err := io.ReadFull(l.br, body)
		return body, err
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
		if _, err := io.ReadFull(l.br, p[:min(left, maxAhead)]); err != nil {
			return nil, err
		}
	}
	body := make([]byte, 0, n)
	for _, p := range parts {
		body = append(body, p[:min(n-len(body), maxAhead)]...)
	}
	return body, nil
}

// portions holds the parts of long messages until all of them are there.
var portions = sync.Pool{New: func() any { return new([maxAhead]byte) }}
