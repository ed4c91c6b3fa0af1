package socket

import (
	"context"
	"errors"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/xmldoc"
	"github.com/juxta-p2p/juxta/protocols/pipe"
	"github.com/juxta-p2p/juxta/protocols/socket/reliable"
)

// BidiConfig says how to dial a bidirectional pipe. The zero value is what
// [Service.DialBidi] takes.
type BidiConfig struct {
	// Peer is the only one to dial. Zero means any peer that listens.
	Peer id.Peer

	// Credential is shown to the peer that listens; JXSE demands one on secure
	// pipes. Zero means none.
	Credential xmldoc.Node

	// Unreliable leaves out the reliability layer: see [BidiPipe].
	Unreliable bool

	// Timeout bounds the dialling, together with the context. Zero means 15 s,
	// as in JXSE.
	Timeout time.Duration

	// GiveUp is how long messages of a reliable pipe are repeated without any
	// acknowledgement before it breaks. Zero means 60 s, as in JXSE.
	GiveUp time.Duration
}

// DialBidi connects to a peer that listens on the pipe with [Service.ListenBidi]
// or JXSE's JxtaServerPipe. ctx bounds the call, and 15 s do; the pipe lives until
// its Close or that of the service.
//
// The error wraps [pipe.ErrNoListener] if no peer was found that listens,
// [ErrRefused] if it does not accept, or [pipe.ErrType] if the pipe is neither
// unicast nor secure.
func (s *Service) DialBidi(ctx context.Context, adv *advertisements.Pipe) (*BidiPipe, error) {
	return s.DialBidiWith(ctx, adv, BidiConfig{})
}

// DialBidiWith is [Service.DialBidi] with other than the usual settings.
func (s *Service) DialBidiWith(ctx context.Context, adv *advertisements.Pipe, cfg BidiConfig) (*BidiPipe, error) {
	if cfg.Timeout <= 0 {
		cfg.Timeout = bidiDialWait
	}
	ctx, cancel := context.WithTimeout(ctx, cfg.Timeout)
	defer cancel()
	p, err := s.newBidi(ctx, adv, bidiTerms{plain: cfg.Unreliable, asked: cfg.Peer, giveUp: cfg.GiveUp})
	if err != nil {
		return nil, err
	}
	if err := p.dial(ctx, cfg); err != nil {
		p.drop(err)
		return nil, p.errorf("dial", err)
	}
	return p, nil
}

// newBidi makes an end of a bidirectional pipe, with a pipe of its own to
// receive from.
func (s *Service) newBidi(ctx context.Context, adv *advertisements.Pipe, terms bidiTerms) (*BidiPipe, error) {
	own := *adv
	p := &BidiPipe{s: s, adv: &own, bidiTerms: terms, dialled: make(chan error, 1), closed: make(chan struct{})}
	if adv.Type == advertisements.Propagate {
		return nil, p.errorf("open", pipe.ErrType)
	}
	p.ctx, p.end = context.WithCancelCause(context.Background())
	p.reading, p.unread = context.WithCancel(context.Background())
	cfg := pipe.ListenConfig{Quiet: true}
	if p.plain {
		cfg.Accept = p.accepts
	} else {
		cfg.Handle = p.receive
	}
	var err error
	if p.in, err = s.pipes.ListenWith(ctx, &advertisements.Pipe{ID: id.NewPipe(s.group), Type: adv.Type, Name: adv.Name}, cfg); err != nil {
		p.drop(err)
		return nil, p.errorf("open", err)
	}
	if err := s.bidi.add(p); err != nil {
		p.drop(err)
		return nil, p.errorf("open", err)
	}
	return p, nil
}

// accepts decides about the messages of an unreliable pipe.
func (p *BidiPipe) accepts(m pipe.Message) bool {
	p.mu.Lock()
	peer := p.peer
	p.mu.Unlock()
	if peer.IsZero() {
		return p.answered(m)
	}
	if m.From != peer {
		p.stats.foreign.Add(1)
		return false
	}
	return true
}

// dial finds the peer that listens and shakes hands with it.
func (p *BidiPipe) dial(ctx context.Context, cfg BidiConfig) error {
	hello := &bidiHello{
		Credential: cfg.Credential, Pipe: p.in.Pipe(), Peer: p.s.self(), Reliable: !p.plain, Juxta: true,
	}
	m, err := hello.message()
	if err != nil {
		return err
	}
	var peers []id.Peer
	if !cfg.Peer.IsZero() {
		peers = []id.Peer{cfg.Peer}
	}
	server, err := p.s.pipes.DialPeers(ctx, p.adv, peers...)
	if err != nil {
		return err
	}
	defer server.Close()
	if err := server.Send(ctx, m); err != nil {
		return err
	}
	select {
	case err := <-p.dialled:
		return err
	case <-p.ctx.Done():
		return context.Cause(p.ctx)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// answered looks whether a message is the answer of the listener, and if so
// completes the pipe: what comes next may be data already. It does not block. A
// message that is something else, or comes from another peer than asked for, is
// passed over. It always returns false.
func (p *BidiPipe) answered(m pipe.Message) bool {
	h, err := readBidiHello(m.Message, true)
	switch {
	case errors.Is(err, errBidiForeign):
		p.stats.foreign.Add(1)
		return false
	case err == nil && !p.asked.IsZero() && m.From != p.asked:
		p.stats.foreign.Add(1)
		return false
	case err == nil && h.Refused:
		err = ErrRefused
	case err == nil && h.Overrides && h.Reliable == p.plain:
		err = errBidiOverride
	}
	if err = p.take(h, m, err); err != errBidiTwice {
		p.dialled <- err // has room, since there is one answer
	}
	return false
}

// take takes the first answer, and completes the pipe unless there is an error.
func (p *BidiPipe) take(h *bidiHello, m pipe.Message, err error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.answer {
		p.stats.foreign.Add(1)
		return errBidiTwice
	}
	p.answer = true
	if err != nil {
		return err
	}
	return p.bind(h, m)
}

// bind completes the pipe with what the other side has said. The caller holds
// p.mu, or has not handed out p.
func (p *BidiPipe) bind(h *bidiHello, m pipe.Message) error {
	switch {
	case h.Peer.ID != m.From:
		return errBidiOther
	case h.Pipe.Type != p.adv.Type:
		return errBidiType
	}
	if r, ok := h.Peer.Route(); ok {
		p.s.learn(r)
	}
	p.peer, p.proven, p.juxta, p.credential = h.Peer.ID, m.Proven, h.Juxta, h.Credential
	if p.plain {
		var err error
		p.out, err = p.s.pipes.Bind(h.Pipe, h.Peer.ID)
		return err
	}
	p.path = p.s.scope.Path(h.Peer.ID, pipeService, h.Pipe.ID.String(), p.adv.Type == advertisements.UnicastSecure)
	mode := reliable.Java
	if h.Juxta {
		mode = reliable.Juxta
	}
	p.rel.Store(reliable.New(reliable.Config{
		Mode: mode, Send: p.carry, Window: bidiWindow, GiveUp: p.giveUp, Logger: p.s.log,
	}))
	return p.s.bidi.bound(p)
}
