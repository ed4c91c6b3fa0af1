package socket

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/protocols/pipe"
)

// The elements of datagrams, as JXSE 2.5 has them.
const (
	castNamespace = "JXTAMCAST"
	elemSource    = "SRCID" // peer ID of the sender
	elemDatagram  = "DATAGRAM"
)

// Datagram is what came on a [Multicast] socket.
type Datagram struct {
	Data []byte // the reader's own

	// From is the sender, a claim that any peer on the way can have made unless
	// Proven is set.
	From   id.Peer
	Proven bool // came straight over a link on which the peer has proven its ID, or is this peer's own
}

// Multicast sends datagrams to every peer of the group that has a socket on the same
// propagate pipe, this one included, and receives theirs; JXSE's JxtaMulticastSocket.
// Datagrams may be lost, and come in any order, but whole and once. Its methods are
// safe for concurrent use. Close it when done.
//
// Its addresses are of type [Addr]; only the peer counts.
type Multicast struct {
	s      *Service
	adv    *advertisements.Pipe
	in     *pipe.Input
	out    *pipe.Output
	rd, wr deadline

	mu     sync.Mutex
	closed bool
}

var _ net.PacketConn = (*Multicast)(nil)

// Multicast opens a socket on a propagate pipe. ctx bounds the call; the socket lives
// until its Close or that of the service. The error is a *[net.OpError] that wraps
// one of [pipe.Service.Listen].
func (s *Service) Multicast(ctx context.Context, adv *advertisements.Pipe) (*Multicast, error) {
	m, err := s.multicast(ctx, adv)
	if err != nil {
		return nil, opError("listen", nil, err)
	}
	s.mu.Lock()
	closed := s.closed
	if !closed {
		if s.casts == nil {
			s.casts = map[*Multicast]struct{}{}
		}
		s.casts[m] = struct{}{}
	}
	s.mu.Unlock()
	if closed {
		_ = m.Close()
		return nil, opError("listen", m.LocalAddr(), net.ErrClosed)
	}
	return m, nil
}

func (s *Service) multicast(ctx context.Context, adv *advertisements.Pipe) (*Multicast, error) {
	if adv == nil || adv.Type != advertisements.Propagate {
		return nil, fmt.Errorf("a propagate pipe is needed: %w", pipe.ErrType)
	}
	own := *adv
	m := &Multicast{s: s, adv: &own}
	var err error
	if m.in, err = s.pipes.ListenWith(ctx, adv, pipe.ListenConfig{Accept: m.accept}); err != nil {
		return nil, err
	}
	if m.out, err = s.pipes.Dial(ctx, adv); err != nil {
		m.in.Close()
		return nil, err
	}
	return m, nil
}

// datagram makes the message of a datagram.
func datagram(from id.Peer, p []byte) *message.Message {
	return message.New(message.Text(castNamespace, elemSource, from.String()), message.Bytes(castNamespace, elemDatagram, p))
}

// accept decides about a message that came on the pipe.
func (m *Multicast) accept(x pipe.Message) bool {
	_, ok := x.Get(castNamespace, elemDatagram)
	src, ok2 := x.Get(castNamespace, elemSource)
	if !ok || !ok2 || len(src.Body) > maxPeerID {
		m.s.stats.castMalformed.Add(1)
		return false
	}
	from, err := id.ParsePeer(src.Text())
	if err != nil {
		m.s.stats.castMalformed.Add(1)
		return false
	}
	if from != x.From && !x.From.IsZero() {
		m.s.stats.castForged.Add(1)
		return false
	}
	return true
}

// Receive returns the next datagram. The error is a *[net.OpError] that wraps ctx's
// cause or [net.ErrClosed].
func (m *Multicast) Receive(ctx context.Context) (Datagram, error) {
	d, _, err := m.receive(ctx)
	if err != nil {
		return Datagram{}, opError("read", m.LocalAddr(), err)
	}
	own := make([]byte, len(d.Data))
	copy(own, d.Data)
	d.Data = own
	return d, nil
}

// receive returns the next datagram, in the memory of its message.
func (m *Multicast) receive(ctx context.Context) (Datagram, pipe.Message, error) {
	if ctx.Err() != nil {
		return Datagram{}, pipe.Message{}, context.Cause(ctx)
	}
	x, err := m.in.Receive(ctx)
	if err != nil {
		switch {
		case m.isClosed() || errors.Is(err, pipe.ErrClosed):
			err = net.ErrClosed
		case ctx.Err() != nil:
			err = context.Cause(ctx)
		}
		return Datagram{}, x, err
	}
	data, _ := x.Get(castNamespace, elemDatagram)
	from, err := id.ParsePeer(x.Text(castNamespace, elemSource))
	if err != nil {
		return Datagram{}, x, err
	}
	m.s.stats.castReceived.Add(1)
	return Datagram{Data: data.Body, From: from, Proven: x.Proven && x.From == from}, x, nil
}

// ReadFrom implements [net.PacketConn]. The address is an [Addr], and a claim; see
// [Multicast.Receive]. What does not fit into p is lost.
func (m *Multicast) ReadFrom(p []byte) (int, net.Addr, error) {
	d, x, err := m.receive(m.rd.wait())
	if err != nil {
		if m.isClosed() {
			err = net.ErrClosed
		}
		return 0, nil, opError("read", m.LocalAddr(), err)
	}
	n := copy(p, d.Data)
	x.Release()
	return n, Addr{d.From, m.adv.ID}, nil
}

// WriteTo implements [net.PacketConn]. The address is an [Addr] or nil; if it names a
// peer the datagram goes to that one alone, else to everybody. A datagram may have up
// to 64 KiB; the error wraps [ErrTooLarge] beyond, [pipe.ErrNobody] if there is no way
// to anybody, or tells why the named peer was not reached.
func (m *Multicast) WriteTo(p []byte, addr net.Addr) (int, error) {
	if err := m.writeTo(m.wr.wait(), p, addr); err != nil {
		return 0, opError("write", addr, err)
	}
	m.s.stats.castSent.Add(1)
	return len(p), nil
}

func (m *Multicast) writeTo(ctx context.Context, p []byte, addr net.Addr) error {
	var to id.Peer
	switch a := addr.(type) {
	case nil:
	case Addr:
		to = a.Peer
	case *Addr:
		to = a.Peer
	default:
		return fmt.Errorf("address of network %q", addr.Network())
	}
	if len(p) > maxDatagram {
		return fmt.Errorf("%w: %d octets", ErrTooLarge, len(p))
	}
	if m.isClosed() {
		return net.ErrClosed
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	out, err := m.out, error(nil)
	if !to.IsZero() {
		if out, err = m.s.pipes.DialPeers(ctx, m.adv, to); err != nil { // which asks nobody
			return err
		}
		defer out.Close()
	}
	err = out.Send(ctx, datagram(m.s.scope.Peer(), bytes.Clone(p))) // this peer gets it as it is
	switch {
	case err == nil:
		return nil
	case m.isClosed():
		return net.ErrClosed
	case ctx.Err() != nil:
		return os.ErrDeadlineExceeded
	}
	return err
}

func (m *Multicast) isClosed() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.closed
}

// LocalAddr returns the [Addr] of this peer on the pipe.
func (m *Multicast) LocalAddr() net.Addr { return Addr{m.s.scope.Peer(), m.adv.ID} }

// Everybody returns the [Addr] to which datagrams for all go.
func (m *Multicast) Everybody() net.Addr { return Addr{Pipe: m.adv.ID} }

// SetDeadline sets both deadlines.
func (m *Multicast) SetDeadline(t time.Time) error {
	m.rd.set(t)
	m.wr.set(t)
	return m.settable()
}

// SetReadDeadline sets when ReadFrom fails with [os.ErrDeadlineExceeded].
func (m *Multicast) SetReadDeadline(t time.Time) error {
	m.rd.set(t)
	return m.settable()
}

// SetWriteDeadline sets when WriteTo fails with [os.ErrDeadlineExceeded].
func (m *Multicast) SetWriteDeadline(t time.Time) error {
	m.wr.set(t)
	return m.settable()
}

func (m *Multicast) settable() error {
	if m.isClosed() {
		return opError("set", m.LocalAddr(), net.ErrClosed)
	}
	return nil
}

// Close closes the socket. Datagrams that were not read are dropped. It is idempotent.
func (m *Multicast) Close() error {
	m.mu.Lock()
	first := !m.closed
	m.closed = true
	m.mu.Unlock()
	if !first {
		return nil
	}
	m.rd.end()
	m.wr.end()
	m.in.Close()
	m.out.Close()
	m.s.mu.Lock()
	defer m.s.mu.Unlock()
	delete(m.s.casts, m)
	return nil
}
