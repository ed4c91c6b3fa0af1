package socket

import (
	"context"
	"net"
	"sync"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/xmldoc"
	"github.com/juxta-p2p/juxta/protocols/pipe"
)

// Request is what a listener knows of a peer that dials.
type Request struct {
	Peer       id.Peer
	Proven     bool        // came over a link on which the peer has proven its ID, or encrypted from end to end
	Credential xmldoc.Node // zero if it showed none; not verified
	Reliable   bool
	Juxta      bool // it is no Java peer
}

// ListenConfig says how to listen. The zero value is what [Service.Listen] takes.
type ListenConfig struct {
	// Backlog bounds the connections that wait to be accepted; who dials beyond is
	// refused. Zero means 50, as in JXSE.
	Backlog int

	// Check decides about each request; an error refuses it, and is told to
	// nobody. nil accepts all. It may take its time, but ctx ends after 15 s, and with the listener, whose Close waits
	// for it. It is
	// called on several goroutines.
	Check func(ctx context.Context, r Request) error

	// Credential is shown to the peers that dial; JXSE demands one on secure
	// pipes. Zero means none.
	Credential xmldoc.Node

	// ReliableOnly refuses connections on which octets may be lost. Without it the
	// dialler chooses, as in JXSE, and [Conn.Reliable] tells.
	ReliableOnly bool
}

// Listener accepts streams, JXSE's JxtaServerSocket. Its methods are safe for
// concurrent use. Close it when done.
type Listener struct {
	s     *Service
	adv   *advertisements.Pipe
	cfg   ListenConfig
	ready chan *Conn
	limit deadline
	ctx   context.Context // ends with the listener
	end   context.CancelCauseFunc
	wg    sync.WaitGroup

	mu      sync.Mutex
	in      *pipe.Input
	closed  bool
	waiting int // connections that are, or will be, in ready
}

var _ net.Listener = (*Listener)(nil)

// Listen accepts streams on a unicast or secure pipe, which it announces. ctx bounds
// the call; the listener lives until its Close or that of the service. The error is
// a *[net.OpError] that wraps one of [pipe.Service.Listen].
func (s *Service) Listen(ctx context.Context, adv *advertisements.Pipe) (*Listener, error) {
	return s.ListenWith(ctx, adv, ListenConfig{})
}

// ListenWith is [Service.Listen] with other than the usual settings.
func (s *Service) ListenWith(ctx context.Context, adv *advertisements.Pipe, cfg ListenConfig) (*Listener, error) {
	if err := s.check(adv); err != nil {
		return nil, opError("listen", nil, err)
	}
	if cfg.Backlog <= 0 {
		cfg.Backlog = defaultBacklog
	}
	own := *adv
	l := &Listener{s: s, adv: &own, cfg: cfg, ready: make(chan *Conn, cfg.Backlog)}
	l.ctx, l.end = context.WithCancelCause(s.ctx)
	s.mu.Lock()
	closed := s.closed
	if !closed {
		if s.listeners == nil {
			s.listeners, s.listening = map[*Listener]struct{}{}, map[id.Pipe]int{}
		}
		s.listeners[l] = struct{}{}
		s.listening[adv.ID]++
	}
	s.mu.Unlock()
	if closed {
		l.end(net.ErrClosed)
		return nil, opError("listen", l.Addr(), net.ErrClosed)
	}
	in, err := s.pipes.ListenWith(ctx, adv, pipe.ListenConfig{Handle: l.request})
	l.mu.Lock()
	l.in = in
	closed = l.closed
	l.mu.Unlock()
	switch {
	case err != nil:
		_ = l.Close()
		return nil, opError("listen", l.Addr(), err)
	case closed:
		in.Close()
		return nil, opError("listen", l.Addr(), net.ErrClosed)
	}
	return l, nil
}

// Addr returns the [Addr] of the listener.
func (l *Listener) Addr() net.Addr { return Addr{l.s.scope.Peer(), l.adv.ID} }

// Pipe returns the advertisement of the pipe; it must not be changed.
func (l *Listener) Pipe() *advertisements.Pipe { return l.adv }

// Accept implements [net.Listener]. The connection is a *[Conn] whose handshake is
// complete.
func (l *Listener) Accept() (net.Conn, error) {
	c, err := l.AcceptConn(l.limit.wait())
	if err != nil {
		return nil, err
	}
	return c, nil
}

// AcceptConn is Accept until ctx ends.
func (l *Listener) AcceptConn(ctx context.Context) (*Conn, error) {
	err := ctx.Err()
	if err == nil {
		select {
		case c := <-l.ready:
			l.left()
			l.s.stats.accepted.Add(1)
			return c, nil
		case <-l.ctx.Done():
		case <-ctx.Done():
			err = context.Cause(ctx)
		}
	}
	if l.ctx.Err() != nil {
		err = net.ErrClosed
	}
	return nil, opError("accept", l.Addr(), err)
}

// SetDeadline sets when Accept fails with [os.ErrDeadlineExceeded]; the zero time
// means never.
func (l *Listener) SetDeadline(t time.Time) error {
	l.limit.set(t)
	if l.ctx.Err() != nil {
		return opError("set", l.Addr(), net.ErrClosed)
	}
	return nil
}

// Close ends listening, and closes the connections that were not accepted; those that
// were live on. It is idempotent.
func (l *Listener) Close() error {
	l.mu.Lock()
	first := !l.closed
	l.closed = true
	in := l.in
	l.mu.Unlock()
	if !first {
		return nil
	}
	l.end(net.ErrClosed)
	if in != nil {
		in.Close()
	}
	l.wg.Wait()
	for len(l.ready) > 0 {
		_ = (<-l.ready).Close()
	}
	s := l.s
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.listeners, l)
	if s.listening[l.adv.ID]--; s.listening[l.adv.ID] == 0 {
		delete(s.listening, l.adv.ID)
	}
	return nil
}

// request takes a message on the pipe of the listener; it does not wait for anything.
func (l *Listener) request(m pipe.Message) {
	s := l.s
	if _, ok := m.Get(namespace, elemRequest); !ok {
		s.stats.malformed.Add(1)
		return
	}
	if !s.admit(m.From) {
		return
	}
	l.mu.Lock()
	ok := !l.closed
	if ok {
		l.wg.Go(func() {
			defer s.dismiss(m.From)
			l.open(m)
		})
	}
	l.mu.Unlock()
	if !ok {
		s.dismiss(m.From)
	}
}

// admit counts a request that is to be answered, unless there are too many.
func (s *Service) admit(p id.Peer) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return false
	case s.opening[p] >= maxPeerHalfOpen:
		s.stats.peerHalfOpen.Add(1)
		return false
	case s.halfOpen >= maxHalfOpen:
		s.stats.halfOpen.Add(1)
		return false
	}
	if s.opening == nil {
		s.opening = map[id.Peer]int{}
	}
	s.opening[p]++
	s.halfOpen++
	return true
}

func (s *Service) dismiss(p id.Peer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.halfOpen--
	if s.opening[p]--; s.opening[p] == 0 {
		delete(s.opening, p)
	}
}

// open answers a request, and queues the connection for Accept.
func (l *Listener) open(m pipe.Message) {
	s := l.s
	h, err := s.read(m.Message, false, false)
	switch {
	case err != nil:
	case h.Peer.ID != m.From:
		err = errOtherPeer
	case h.Pipe.Type != l.adv.Type:
		err = errOtherType
	}
	if err != nil {
		s.stats.malformed.Add(1)
		s.log.Debug("request for a connection dropped", "from", m.From.Short(), "error", err)
		return
	}
	ctx, cancel := context.WithTimeout(l.ctx, acceptWait)
	defer cancel()
	at := Addr{m.From, h.Pipe.ID}
	s.mu.Lock()
	c := s.byEnd[at]
	_, busy := s.answering[at]
	if c == nil && !busy {
		if s.answering == nil {
			s.answering = map[Addr]struct{}{}
		}
		s.answering[at] = struct{}{}
	}
	s.mu.Unlock()
	switch {
	case busy: // it will get its answer
		return
	case c != nil: // the answer was lost, or is late
		if h.Juxta && c.adv.ID == l.adv.ID {
			_ = l.answer(ctx, c)
		}
		return
	}
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.answering, at)
	}()
	if l.cfg.ReliableOnly && !h.Stream {
		s.stats.refusedKind.Add(1)
		s.refuse(h, saysReliable)
		return
	}
	if l.cfg.Check != nil {
		err := l.cfg.Check(ctx, Request{Peer: m.From, Proven: m.Proven, Credential: h.Credential, Reliable: h.Stream, Juxta: h.Juxta})
		if err != nil {
			s.stats.refusedChecked.Add(1)
			s.log.Debug("request for a connection refused", "from", m.From.Short(), "error", err)
			s.refuse(h, saysChecked)
			return
		}
	}
	if !l.reserve() {
		s.stats.refusedFull.Add(1)
		s.refuse(h, saysFull)
		return
	}
	if c, err = l.connect(ctx, h, m); err != nil {
		l.left()
		s.stats.unanswered.Add(1)
		s.log.Debug("request for a connection not answered", "from", m.From.Short(), "error", err)
		return
	}
	l.ready <- c // has room, since it was reserved
}

// reserve takes a place among the connections that wait to be accepted.
func (l *Listener) reserve() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || l.waiting >= l.cfg.Backlog {
		return false
	}
	l.waiting++
	return true
}

// left gives the place back.
func (l *Listener) left() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiting--
}

// connect makes the listener's end of a connection and tells the dialler.
func (l *Listener) connect(ctx context.Context, h *hello, m pipe.Message) (*Conn, error) {
	s := l.s
	c, err := s.newConn(l.adv)
	if err != nil {
		return nil, err
	}
	s.learnOf(h)
	if err = c.connect(h, m.From, m.Proven); err == nil {
		err = l.answer(ctx, c)
	}
	if err != nil {
		_ = c.shut()
		c.drop(err)
		return nil, err
	}
	return c, nil
}

// answer tells the dialler of a connection.
func (l *Listener) answer(ctx context.Context, c *Conn) error {
	doc, err := l.s.document()
	if err != nil {
		return err
	}
	h := &hello{Answer: true, Credential: l.cfg.Credential, Pipe: c.pipe(), Peer: doc.adv, Stream: c.rel != nil, Juxta: c.juxta}
	m, err := h.message(doc.b)
	if err != nil {
		return err
	}
	return c.path.Send(ctx, m)
}

// refuse tells a Juxta dialler that it is not accepted. A Java peer would not
// understand, and waits in vain as it does at its own kind.
func (s *Service) refuse(h *hello, why string) {
	if !h.Juxta {
		return
	}
	m, err := (&hello{Answer: true, Refused: why}).message(nil)
	if err != nil {
		return
	}
	secure := h.Pipe.Type == advertisements.UnicastSecure
	if secure && !s.secure {
		return
	}
	s.learnOf(h)
	s.sendSoon(h, secure, m)
}
