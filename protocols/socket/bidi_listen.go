package socket

import (
	"context"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/xmldoc"
	"github.com/juxta-p2p/juxta/protocols/pipe"
)

// BidiRequest is what a listener knows of a peer that dials.
type BidiRequest struct {
	Peer       id.Peer
	Proven     bool        // came over a link on which the peer has proven its ID, or encrypted from end to end
	Credential xmldoc.Node // zero if it showed none; not verified
	Reliable   bool
	Juxta      bool // it is no Java peer
}

// BidiListenConfig says how to listen on a bidirectional pipe. The zero value is
// what [Service.ListenBidi] takes.
type BidiListenConfig struct {
	// Backlog bounds the pipes that wait to be accepted; who dials beyond is
	// refused. Zero means 50, as in JXSE.
	Backlog int

	// Check decides about each request; an error refuses it, and is told to
	// nobody. nil accepts all. It may take its time, but ctx ends after 15 s. It is
	// called on several goroutines.
	Check func(ctx context.Context, r BidiRequest) error

	// Credential is shown to the peers that dial; JXSE demands one on secure
	// pipes. Zero means none.
	Credential xmldoc.Node

	// GiveUp is as in [BidiConfig].
	GiveUp time.Duration
}

// ServerPipe accepts bidirectional pipes, JXSE's JxtaServerPipe. Its methods are
// safe for concurrent use. Close it when done.
type ServerPipe struct {
	s     *Service
	adv   *advertisements.Pipe
	cfg   BidiListenConfig
	in    *pipe.Input
	ctx   context.Context // ends with the listener
	end   context.CancelCauseFunc
	ready chan *BidiPipe
	stats serverPipeCounters
	once  sync.Once
	wg    sync.WaitGroup

	mu      sync.Mutex
	closed  bool
	opening map[id.Peer]int // requests being answered
	total   int             // their sum, and the pipes that wait to be accepted
	waiting int
}

type serverPipeCounters struct{ accepted, malformed, refused, full, busy, failed atomic.Uint64 }

// ServerPipeStats counts what a [ServerPipe] did.
type ServerPipeStats struct {
	Accepted         uint64 // pipes handed out
	Waiting          int    // pipes that wait to be
	Refused          uint64 // requests that Check refused
	DroppedMalformed uint64 // requests that cannot be read or contradict themselves
	DroppedFull      uint64 // requests beyond the backlog
	DroppedBusy      uint64 // requests beyond what is answered at a time
	Failed           uint64 // requests whose answer could not be sent
}

// Stats returns the counters.
func (l *ServerPipe) Stats() ServerPipeStats {
	l.mu.Lock()
	waiting := l.waiting
	l.mu.Unlock()
	c := &l.stats
	return ServerPipeStats{
		Accepted: c.accepted.Load(), Waiting: waiting, Refused: c.refused.Load(), DroppedMalformed: c.malformed.Load(),
		DroppedFull: c.full.Load(), DroppedBusy: c.busy.Load(), Failed: c.failed.Load(),
	}
}

// ListenBidi accepts bidirectional pipes on a unicast or secure pipe, which it
// announces. ctx bounds the call; the listener lives until its Close or that of
// the service. The error is as that of [pipe.Service.Listen].
func (s *Service) ListenBidi(ctx context.Context, adv *advertisements.Pipe) (*ServerPipe, error) {
	return s.ListenBidiWith(ctx, adv, BidiListenConfig{})
}

// ListenBidiWith is [Service.ListenBidi] with other than the usual settings.
func (s *Service) ListenBidiWith(ctx context.Context, adv *advertisements.Pipe, cfg BidiListenConfig) (*ServerPipe, error) {
	if cfg.Backlog <= 0 {
		cfg.Backlog = bidiBacklog
	}
	own := *adv
	l := &ServerPipe{s: s, adv: &own, cfg: cfg, ready: make(chan *BidiPipe, cfg.Backlog), opening: map[id.Peer]int{}}
	if adv.Type == advertisements.Propagate {
		return nil, l.errorf("listen on", pipe.ErrType)
	}
	l.ctx, l.end = context.WithCancelCause(context.Background())
	if err := s.bidi.addServer(l); err != nil {
		return nil, l.errorf("listen on", err)
	}
	in, err := s.pipes.ListenWith(ctx, adv, pipe.ListenConfig{Handle: l.request})
	if err != nil {
		l.end(err)
		s.bidi.removeServer(l)
		return nil, l.errorf("listen on", err)
	}
	l.mu.Lock()
	l.in = in
	closed := l.closed
	l.mu.Unlock()
	if closed {
		in.Close()
		return nil, l.errorf("listen on", net.ErrClosed)
	}
	return l, nil
}

// Pipe returns the advertisement of the pipe; it must not be changed.
func (l *ServerPipe) Pipe() *advertisements.Pipe { return l.adv }

// Accept returns the next pipe, whose handshake is complete. The error is ctx's
// cause, or wraps [net.ErrClosed].
func (l *ServerPipe) Accept(ctx context.Context) (*BidiPipe, error) {
	select {
	case p := <-l.ready:
		l.mu.Lock()
		l.waiting--
		l.mu.Unlock()
		l.stats.accepted.Add(1)
		return p, nil
	case <-l.ctx.Done():
		return nil, l.errorf("accept on", context.Cause(l.ctx))
	case <-ctx.Done():
		return nil, l.errorf("accept on", context.Cause(ctx))
	}
}

// Close ends listening, and closes the pipes that were not accepted; those that
// were live on. It is idempotent.
func (l *ServerPipe) Close() error {
	l.once.Do(func() {
		l.mu.Lock()
		l.closed = true
		in := l.in
		l.mu.Unlock()
		l.end(net.ErrClosed)
		if in != nil {
			in.Close()
		}
		l.wg.Wait()
		var wg sync.WaitGroup
		for len(l.ready) > 0 {
			p := <-l.ready
			wg.Go(func() { _ = p.Close() })
		}
		wg.Wait()
		l.s.bidi.removeServer(l)
	})
	return nil
}

// request takes a message on the server pipe; it does not block.
func (l *ServerPipe) request(m pipe.Message) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	if l.total >= maxBidiOpening || l.opening[m.From] >= maxBidiPeerOpening {
		l.stats.busy.Add(1)
		return
	}
	l.total++
	l.opening[m.From]++
	l.wg.Go(func() { l.open(m) })
}

// open answers a request, and queues the pipe for Accept.
func (l *ServerPipe) open(m pipe.Message) {
	defer func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.total--
		if l.opening[m.From]--; l.opening[m.From] == 0 {
			delete(l.opening, m.From)
		}
	}()
	h, err := readBidiHello(m.Message, false)
	if err == nil && h.Peer.ID != m.From {
		err = errBidiOther
	}
	if err == nil && h.Pipe.Type != l.adv.Type {
		err = errBidiType
	}
	if err != nil {
		l.stats.malformed.Add(1)
		l.s.log.Debug("bidirectional pipe: bad request", "peer", m.From, "err", err)
		return
	}
	ctx, cancel := context.WithTimeout(l.ctx, bidiAcceptWait)
	defer cancel()
	if l.cfg.Check != nil {
		err := l.cfg.Check(ctx, BidiRequest{Peer: m.From, Proven: m.Proven, Credential: h.Credential, Reliable: h.Reliable, Juxta: h.Juxta})
		if err != nil {
			l.stats.refused.Add(1)
			l.refuse(ctx, h)
			return
		}
	}
	if !l.reserve() {
		l.stats.full.Add(1)
		l.refuse(ctx, h)
		return
	}
	p, err := l.answer(ctx, h, m)
	if err != nil {
		l.mu.Lock()
		l.waiting--
		l.mu.Unlock()
		l.stats.failed.Add(1)
		l.s.log.Debug("bidirectional pipe: answer failed", "peer", m.From, "err", err)
		return
	}
	l.ready <- p // has room, since it was reserved
}

// reserve takes a place among the pipes that wait to be accepted.
func (l *ServerPipe) reserve() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.waiting >= l.cfg.Backlog {
		return false
	}
	l.waiting++
	return true
}

// answer opens the listener's end of a pipe and tells the dialler.
func (l *ServerPipe) answer(ctx context.Context, h *bidiHello, m pipe.Message) (*BidiPipe, error) {
	p, err := l.s.newBidi(ctx, l.adv, bidiTerms{plain: !h.Reliable, asked: m.From, giveUp: l.cfg.GiveUp})
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	p.answer = true
	err = p.bind(h, m)
	p.mu.Unlock()
	if err == nil {
		hello := &bidiHello{Answer: true, Credential: l.cfg.Credential, Pipe: p.in.Pipe(), Peer: l.s.self(), Juxta: h.Juxta}
		err = p.greet(ctx, hello)
	}
	if err != nil {
		p.drop(err)
		return nil, err
	}
	return p, nil
}

// refuse tells a Juxta dialler that it is not accepted. A Java peer would not
// understand, and waits in vain as it does at its own kind.
func (l *ServerPipe) refuse(ctx context.Context, h *bidiHello) {
	if !h.Juxta {
		return
	}
	if r, ok := h.Peer.Route(); ok {
		l.s.learn(r)
	}
	out, err := l.s.pipes.Bind(h.Pipe, h.Peer.ID)
	if err != nil {
		return
	}
	defer out.Close()
	if m, err := (&bidiHello{Answer: true, Refused: true}).message(); err == nil {
		_ = out.Send(ctx, m)
	}
}

// greet sends a message of the handshake to the other end.
func (p *BidiPipe) greet(ctx context.Context, h *bidiHello) error {
	m, err := h.message()
	if err != nil {
		return err
	}
	return p.say(ctx, m)
}

func (l *ServerPipe) errorf(what string, err error) error {
	return fmt.Errorf("socket: %s bidirectional pipe %q: %w", what, l.adv.Name, err)
}
