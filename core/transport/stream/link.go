package stream

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/transport/framing"
)

// link is one connection after its welcomes. It implements [endpoint.Link].
type link struct {
	s        *Set
	c        net.Conn
	in       *patient
	br       *bufio.Reader // reads from in
	peer     id.Peer
	local    endpoint.Address
	remote   endpoint.Address
	asked    endpoint.Address // what the dialler says it was asked to reach
	dialed   bool
	juxta    bool   // the other side is Juxta, as its welcome tells a dialler
	ip       string // of the other side
	onClosed func() // may be nil
	vec      vector // belongs to the writer

	mu       sync.Mutex
	writing  bool          // somebody writes or is about to: the writer
	rested   time.Time     // when writing last ended
	queue    *frames       // behind the write in flight; nil if empty
	space    chan struct{} // receives a token when there is room in queue
	idle     chan struct{} // closed when writing ends, if somebody waits
	err      error         // why the link is closed
	closed   chan struct{} // closed when err is set
	flushers sync.WaitGroup
}

// mark is what a Juxta acceptor writes behind the dialler's address in its
// welcome. JXSE reads it as a service name and does not look at it.
const mark = "juxta"

// handshake exchanges the welcome lines; target is zero for an accepted
// connection. It ends with ctx, whose cause is then the error.
func (s *Set) handshake(ctx context.Context, c net.Conn, target endpoint.Address) (*link, error) {
	deadline := time.Now().Add(s.times.Welcome)
	if d, ok := ctx.Deadline(); ok && d.Before(deadline) {
		deadline = d
	}
	_ = c.SetDeadline(deadline)
	stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })
	defer stop()

	l := &link{
		s: s, c: c, in: &patient{c: c, silence: s.times.Read}, local: s.cfg.Local(c), dialed: !target.IsZero(),
		ip: origin(c), space: make(chan struct{}, 1), closed: make(chan struct{}),
	}
	l.br = bufio.NewReaderSize(l.in, readBuffer)
	mine := framing.Welcome{Dest: target.Base(), Public: l.local, Peer: s.host.Peer}
	if !l.dialed {
		mine.Dest = endpoint.Address{Protocol: s.cfg.Protocol, Host: c.RemoteAddr().String(), Service: mark, Param: "1"}
	}
	_, err := c.Write(mine.AppendTo(nil))
	if err != nil && ctx.Err() == nil {
		return nil, fmt.Errorf("sending the welcome: %w", reason(err))
	}
	var theirs framing.Welcome
	if err == nil {
		theirs, err = framing.ReadWelcome(l.br)
	}
	switch {
	case err != nil && ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case errors.Is(err, os.ErrDeadlineExceeded):
		s.stats.badWelcome.Add(1)
		return nil, errSilent
	case err != nil:
		s.stats.badWelcome.Add(1)
		return nil, err
	case !stop():
		return nil, context.Cause(ctx) // it may still be about to set the deadline
	}
	_ = c.SetDeadline(time.Time{})
	l.peer = theirs.Peer
	l.remote, l.asked = theirs.Public, theirs.Dest
	if l.dialed {
		l.asked = target
		l.remote = target.Base()
		l.juxta = theirs.Dest.Service == mark
	}
	return l, nil
}

var errSilent = errors.New("the other side sent no welcome in time")

func (l *link) Peer() id.Peer            { return l.peer }
func (l *link) Proven() bool             { return false } // plain JXTA proves nothing
func (l *link) Local() endpoint.Address  { return l.local }
func (l *link) Remote() endpoint.Address { return l.remote }
func (l *link) Outgoing() bool           { return l.dialed }
func (l *link) Origin() string           { return l.ip }

// Dialled is for [endpoint.Dialled].
func (l *link) Dialled() endpoint.Address { return l.asked }

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
	if l.queue != nil {
		l.s.stats.lost.Add(uint64(l.queue.n))
		l.queue = nil
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
