package stream

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
)

// link is one connection after its welcomes. It implements [endpoint.Link].
type link struct {
	s        *Set
	c        net.Conn
	in       *patient
	br       *bufio.Reader // of the handshake; reads from in, or from tls
	box      inbox         // after it
	peer     id.Peer
	local    endpoint.Address
	remote   endpoint.Address
	asked    endpoint.Address // what the dialler says it was asked to reach
	observed endpoint.Address // where the other side sees this one; may be zero
	dialed   bool
	juxta    bool      // the other side is Juxta, as its welcome tells
	proven   bool      // the other side holds the key of its ID
	private  bool      // nobody else can read what goes over the connection
	tls      *tls.Conn // over wire, if this package encrypts
	wire     *wire     // over c
	ip       string    // of the other side
	onClosed func()    // may be nil
	once     *atOnce   // belongs to the writer; nil if the connection is no socket
	unpaced  time.Time // belongs to the writer: when pacing turned out to be of no use
	speed    atomic.Uint32
	heard    atomic.Bool // something came since the last write began

	mu       sync.Mutex
	paced    *pace         // used by the writer; nil if the connection is not slow
	writing  bool          // somebody writes or is about to: the writer
	rested   time.Time     // when writing last ended
	delayed  bool          // the writer is Set.spread, later
	queue    lanes         // behind the write in flight
	sealed   *frames       // encrypted and not yet taken by the writer; nil if empty
	sealing  bool          // the writer is encrypting
	answers  int           // octets in sealed that the writer did not put there
	idle     chan struct{} // closed when writing ends, if somebody waits
	err      error         // why the link is closed
	closed   chan struct{} // closed when err is set
	flushers sync.WaitGroup
}

func (l *link) Peer() id.Peer            { return l.peer }
func (l *link) Proven() bool             { return l.proven }
func (l *link) Local() endpoint.Address  { return l.local }
func (l *link) Remote() endpoint.Address { return l.remote }
func (l *link) Outgoing() bool           { return l.dialed }
func (l *link) Origin() string           { return l.ip }

// Dialled is for [endpoint.Dialled].
func (l *link) Dialled() endpoint.Address { return l.asked }

// Observed is for [endpoint.Observed].
func (l *link) Observed() endpoint.Address { return l.observed }

// Juxta is for [endpoint.IsJuxta].
func (l *link) Juxta() bool { return l.juxta }

// Speed is for [endpoint.SpeedOf].
func (l *link) Speed() endpoint.Speed { return endpoint.Speed(l.speed.Load()) }

// Encrypted is for [endpoint.Encrypted].
func (l *link) Encrypted() bool { return l.private }

// FromListener reports whether the connection was dialled from the port that this
// peer listens on, so that an address translator maps both alike. Connections that
// know have the same method.
func (l *link) FromListener() bool {
	x, ok := l.c.(interface{ FromListener() bool })
	return ok && x.FromListener()
}

// closedError tells why a message cannot be sent any more.
func (l *link) closedError() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if errors.Is(l.err, endpoint.ErrLinkClosed) {
		return l.err
	}
	return fmt.Errorf("%w: %w", endpoint.ErrLinkClosed, l.err)
}

// fail closes the link for a reason; the first one stays.
func (l *link) fail(err error) {
	l.mu.Lock()
	if l.err != nil {
		l.mu.Unlock()
		return
	}
	l.err = err
	l.s.stats.lost.Add(uint64(l.queue.drop()))
	if l.sealed != nil {
		l.s.stats.lost.Add(uint64(l.sealed.n))
		l.sealed = nil
	}
	close(l.closed)
	l.mu.Unlock()
	_ = l.c.Close()
}

// Close implements [endpoint.Link]. What is queued is still written, for a
// moment; then the connection ends.
func (l *link) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), l.s.times.Drain)
	defer cancel()
	l.drain(ctx)
	return nil
}

// drain lets the write in flight and the queue behind it end, but no later than
// ctx, and closes the link.
func (l *link) drain(ctx context.Context) {
	l.mu.Lock()
	if l.writing && l.err == nil {
		if l.idle == nil {
			l.idle = make(chan struct{})
		}
		idle := l.idle
		l.mu.Unlock()
		select {
		case <-idle:
		case <-l.closed:
		case <-ctx.Done():
		}
	} else {
		l.mu.Unlock()
	}
	l.fail(endpoint.ErrLinkClosed)
}

// origin is the IP address at the other end, if there is one.
func origin(c net.Conn) string {
	if a, err := netip.ParseAddrPort(c.RemoteAddr().String()); err == nil {
		return a.Addr().Unmap().WithZone("").String()
	}
	return c.RemoteAddr().String()
}

// reason strips what repeats the address from an error of package net.
func reason(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Err
	}
	return err
}
