// Package socket gives connections over pipes to programs that know package net:
// streams as [net.Conn] and [net.Listener], datagrams to everybody who listens on a
// propagate pipe as [net.PacketConn], and whole messages both ways as a
// [BidiPipe].
//
// A connection is dialled by the advertisement of a pipe, wherever the peer is that
// listens on it and whatever relays are in between:
//
//	l, err := group.Sockets().Listen(ctx, adv)   // at one peer
//	c, err := group.Sockets().Dial(ctx, adv)     // at another
//
// A stream brings every octet once and in order. It survives the loss of a link as
// long as the router finds another way to the peer within a minute; then it breaks,
// and Read and Write say why. Deadlines and errors are those of package net:
// [os.ErrDeadlineExceeded], [net.ErrClosed], [io.EOF], in a *[net.OpError].
//
// It speaks the sockets of JXSE 2.5 (JxtaSocket, JxtaServerSocket,
// JxtaMulticastSocket, JxtaBiDiPipe, JxtaServerPipe). Two Juxta peers find out in
// the handshake that they are such, and use windows, acknowledgements in bulk and
// half-close, of which JXSE has none.
package socket

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/protocols/pipe"
)

// Errors of streams. A refused dial wraps [ErrRefused], and writing to a connection
// that the other side has closed [ErrHungUp].
var (
	// ErrHalfClose: CloseWrite could not tell the other side, which is no Juxta
	// peer, or the connection is unreliable; only Close tells it.
	ErrHalfClose = fmt.Errorf("the other side cannot be told that no more will be written: %w", errors.ErrUnsupported)

	// ErrGone: the peer cannot be reached any more, or has lost the connection,
	// as after a restart.
	ErrGone = errors.New("the peer is gone")

	// ErrTooLarge: a datagram is larger than 64 KiB.
	ErrTooLarge = errors.New("the datagram is too large")
)

// Config configures a [Service]. It is copied.
type Config struct {
	// Scope is the endpoint in the group. Required.
	Scope endpoint.Scope

	// Pipes finds who listens. Required.
	Pipes *pipe.Service

	// Self returns the own peer advertisement, by which the other side reaches
	// this peer; it must not be changed afterwards. Required.
	Self func() *advertisements.Peer

	// Learn is called with the route of a peer that dials or answers. nil ignores
	// it. It must not block.
	Learn func(*advertisements.Route)

	// Secure says that the endpoint has a way that is encrypted from end to end,
	// so that pipes of type [advertisements.UnicastSecure] can be used. Without it
	// they are refused with [pipe.ErrSecure].
	Secure bool

	// Logger may be nil.
	Logger *slog.Logger
}

// Service opens sockets in one group. Its methods are safe for concurrent use.
// Close it when done, before the pipe service.
type Service struct {
	scope  endpoint.Scope
	ep     *endpoint.Endpoint
	pipes  *pipe.Service
	self   func() *advertisements.Peer
	learn  func(*advertisements.Route)
	secure bool
	group  id.Group
	log    *slog.Logger
	ctx    context.Context
	cancel context.CancelCauseFunc
	wg     sync.WaitGroup
	undo   []func()
	stats  counters
	seed   maphash.Seed

	control [lanes]lane // messages that do not wait for anything
	doc     atomic.Pointer[document]
	bidi    bidis

	mu        sync.Mutex
	closed    bool
	listeners map[*Listener]struct{}
	casts     map[*Multicast]struct{}
	byLocal   map[id.Pipe]*Conn              // those that dial, are connected, or are being closed, by the own end
	byEnd     map[Addr]*Conn                 // by their other end
	listening map[id.Pipe]int                // listeners by pipe
	byPeer    map[id.Peer]map[*Conn]struct{} // likewise
	minded    map[id.Peer]*mind              // peers to which the way has changed
	known     map[id.Pipe]id.Peer            // who listened
	answering map[Addr]struct{}              // the other ends of requests being answered
	opening   map[id.Peer]int                // requests being answered
	sayings   map[string]*saying             // by their document
	halfOpen  int                            // their sum
}

// document is the own peer advertisement as it is sent.
type document struct {
	adv *advertisements.Peer
	b   []byte
}

type counters struct {
	dialled, accepted, failedDials, refusedFull, refusedChecked, refusedKind atomic.Uint64
	halfOpen, peerHalfOpen, malformed, foreign, plain, loose, unanswered     atomic.Uint64
	unsentControl, resetsSent, resets, moved, lost                           atomic.Uint64
	castSent, castReceived, castMalformed, castForged                        atomic.Uint64
}

// Stats counts what a service did since it was made.
type Stats struct {
	Open     int // connections, those included that are being closed
	HalfOpen int // requests that are being answered

	Dialled  uint64 // connections opened from here
	Accepted uint64 // and from elsewhere

	FailedDials     uint64
	RefusedFull     uint64 // requests refused since too many connections waited to be accepted
	RefusedChecked  uint64 // and since the check of the listener failed
	RefusedKind     uint64 // and since they were for an unreliable connection
	UnsentAnswers   uint64 // to requests
	DroppedHalfOpen uint64 // requests beyond what is answered at a time
	DroppedOfPeer   uint64 // and those beyond what is answered one peer at a time

	DroppedMalformed uint64 // requests and answers that cannot be read or contradict themselves
	DroppedForeign   uint64 // messages of a peer that is not at the other end
	DroppedPlain     uint64 // messages on secure pipes that did not come encrypted from end to end
	DroppedOverflow  uint64 // elements of unreliable connections beyond what waits for the reader

	UnsentControl  uint64 // messages about connections that could not be sent
	ResetsSent     uint64 // peers told that a connection is not open here
	ResetsReceived uint64
	Moved          uint64 // times that a connection began to send again since the way had changed
	Lost           uint64 // connections that broke

	DatagramsSent             uint64 // of multicast sockets
	DatagramsReceived         uint64
	DatagramsDroppedMalformed uint64
	DatagramsDroppedForged    uint64 // in the name of another peer than the one they came from
}

// Stats returns the counters.
func (s *Service) Stats() Stats {
	c := &s.stats
	s.mu.Lock()
	open, half := len(s.byLocal), s.halfOpen
	s.mu.Unlock()
	return Stats{
		Open: open, HalfOpen: half, Dialled: c.dialled.Load(), Accepted: c.accepted.Load(),
		FailedDials: c.failedDials.Load(), RefusedFull: c.refusedFull.Load(), RefusedChecked: c.refusedChecked.Load(),
		RefusedKind: c.refusedKind.Load(), UnsentAnswers: c.unanswered.Load(),
		DroppedHalfOpen: c.halfOpen.Load(), DroppedOfPeer: c.peerHalfOpen.Load(),
		DroppedMalformed: c.malformed.Load(), DroppedForeign: c.foreign.Load(), DroppedPlain: c.plain.Load(),
		DroppedOverflow: c.loose.Load(), UnsentControl: c.unsentControl.Load(),
		ResetsSent: c.resetsSent.Load(), ResetsReceived: c.resets.Load(), Moved: c.moved.Load(), Lost: c.lost.Load(),
		DatagramsSent: c.castSent.Load(), DatagramsReceived: c.castReceived.Load(),
		DatagramsDroppedMalformed: c.castMalformed.Load(), DatagramsDroppedForged: c.castForged.Load(),
	}
}

// New starts the service.
func New(cfg Config) (*Service, error) {
	if cfg.Pipes == nil || cfg.Self == nil {
		return nil, errors.New("socket: Config.Pipes or Config.Self is not set")
	}
	if cfg.Learn == nil {
		cfg.Learn = func(*advertisements.Route) {}
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Service{
		scope: cfg.Scope, ep: cfg.Scope.Endpoint(), pipes: cfg.Pipes, self: cfg.Self, learn: cfg.Learn,
		secure: cfg.Secure, group: cfg.Scope.Group(), log: cfg.Logger, seed: maphash.MakeSeed(),
	}
	s.ctx, s.cancel = context.WithCancelCause(context.Background())
	remove, err := s.scope.Handle(noteService, "", s.noteCame)
	if err != nil {
		s.cancel(net.ErrClosed)
		return nil, fmt.Errorf("socket: %w", err)
	}
	s.undo = append(s.undo, remove, s.ep.Watch(s.linkChanged))
	return s, nil
}

// Close closes every listener and connection and returns when no goroutine of the
// service is left. What was written has a second to arrive. It is idempotent.
func (s *Service) Close() {
	s.mu.Lock()
	first := !s.closed
	s.closed = true
	var closing []interface{ Close() error }
	for l := range s.listeners {
		closing = append(closing, l)
	}
	for m := range s.casts {
		closing = append(closing, m)
	}
	var conns []*Conn
	for _, c := range s.byLocal {
		conns = append(conns, c)
	}
	s.mu.Unlock()
	if !first {
		s.wg.Wait()
		return
	}
	ctx, cancel := context.WithTimeout(s.ctx, goodbyeWait)
	var wg sync.WaitGroup
	for _, x := range closing {
		wg.Go(func() { _ = x.Close() })
	}
	for _, c := range conns {
		wg.Go(func() { c.closeNow(ctx) })
	}
	wg.Go(s.bidi.close)
	wg.Wait()
	cancel()
	for _, f := range s.undo {
		f()
	}
	s.cancel(net.ErrClosed)
	s.wg.Wait()
}

// goTask runs f on a goroutine that Close waits for. It reports false when the
// service is closed.
func (s *Service) goTask(f func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.wg.Go(f)
	return true
}

// check refuses advertisements that streams cannot use.
func (s *Service) check(adv *advertisements.Pipe) error {
	switch {
	case adv == nil || adv.ID.IsZero():
		return fmt.Errorf("the advertisement names no pipe: %w", pipe.ErrType)
	case adv.Type == advertisements.UnicastSecure && !s.secure:
		return pipe.ErrSecure
	case adv.Type != advertisements.Unicast && adv.Type != advertisements.UnicastSecure:
		return fmt.Errorf("%w: %q", pipe.ErrType, adv.Type)
	}
	return nil
}

// document returns the own peer advertisement and its text.
func (s *Service) document() (*document, error) {
	adv := s.self()
	if d := s.doc.Load(); d != nil && d.adv == adv {
		return d, nil
	}
	b, err := advertisements.Marshal(adv)
	if err != nil {
		return nil, err
	}
	d := &document{adv, b}
	s.doc.Store(d)
	return d, nil
}

// opError makes an error as package net has them.
func opError(op string, addr net.Addr, err error) error {
	return &net.OpError{Op: op, Net: network, Addr: addr, Err: err}
}
