package pipe

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/message"
)

// Output is the sending end of a pipe. Its methods are safe for concurrent use.
// Close it when done.
//
// A unicast output is bound to one peer that listens. If that peer can no more
// be reached, says that it listens no more, or does not say that it does when
// asked (every 20 minutes while the pipe is in use, as JXSE does), the next
// message goes to another peer that listens; messages under way to the old one
// may be lost.
type Output struct {
	s     *Service
	adv   *advertisements.Pipe
	peers []id.Peer // who may listen; anybody if empty
	param string    // the pipe ID as the parameter of the service
	fixed bool      // bound for good
	bound atomic.Pointer[bond]
	used  atomic.Bool   // something was sent since the last verification
	sem   chan struct{} // holds a token while somebody looks for a peer
	ctx   context.Context
	end   context.CancelCauseFunc

	// Service.mu guards these.
	last      id.Peer   // the peer it is or was bound to
	prefer    id.Peer   // the peer to ask first, since only the link to it was lost
	checked   time.Time // when that was found or verified
	verifying bool
}

// bond is the binding of an output to a peer.
type bond struct {
	peer   id.Peer
	path   *endpoint.Path
	window atomic.Pointer[window] // nil as long as it is not known that the peer is Juxta
	once   sync.Once              // of leaving the window
}

// bond binds to a peer.
func (o *Output) bond(p id.Peer) *bond {
	return &bond{peer: p, path: o.s.scope.Path(p, pipeService, o.param, o.adv.Type == advertisements.UnicastSecure)}
}

// enter returns the window to the peer, nil if it is an original one.
func (o *Output) enter(b *bond) *window {
	if w := b.window.Load(); w != nil || !o.s.tellsLimits(b.peer) {
		return w
	}
	w := o.s.window(o.adv.ID, b.path)
	if !b.window.CompareAndSwap(nil, w) {
		w.leave()
		w = b.window.Load()
	}
	return w
}

// leave gives up the window to the peer.
func (b *bond) leave() {
	if b == nil {
		return
	}
	if w := b.window.Load(); w != nil {
		b.once.Do(w.leave)
	}
}

// tellsLimits reports whether a peer is known to be Juxta.
func (s *Service) tellsLimits(p id.Peer) bool {
	if l := s.ep.LinkTo(p); l != nil {
		return endpoint.IsJuxta(l)
	}
	return p.Provable()
}

// Dial opens the sending end of a pipe. For a unicast pipe it asks the group who
// listens, again and again, until a peer answers or ctx ends; the error is then
// a *[ResolveError]. A peer that listens itself gets its own messages. For a
// propagate pipe it asks nobody and returns at once.
//
// The error may also wrap [ErrSecure], [ErrType] or [ErrClosed].
func (s *Service) Dial(ctx context.Context, adv *advertisements.Pipe) (*Output, error) {
	return s.DialPeers(ctx, adv)
}

// DialPeers is [Service.Dial] with named peers: those to which a unicast pipe
// may lead, those to which alone the messages of a propagate pipe go. Without
// peers it is Dial.
func (s *Service) DialPeers(ctx context.Context, adv *advertisements.Pipe, peers ...id.Peer) (*Output, error) {
	o, err := s.output(adv, peers)
	if err != nil || adv.Type == advertisements.Propagate {
		return o, err
	}
	if _, err := o.bind(ctx); err != nil {
		o.Close()
		return nil, err
	}
	return o, nil
}

// Bind opens the sending end of a unicast pipe of which it is known where it is
// open, without asking. The output stays with that peer for good: when it cannot
// be reached, sending fails.
func (s *Service) Bind(adv *advertisements.Pipe, peer id.Peer) (*Output, error) {
	o, err := s.output(adv, []id.Peer{peer})
	if err != nil {
		return nil, err
	}
	if adv.Type == advertisements.Propagate || peer.IsZero() {
		o.Close()
		return nil, fmt.Errorf("pipe: bind %s: %w: a unicast pipe and a peer are needed", label(adv), ErrType)
	}
	o.fixed = true
	o.bound.Store(o.bond(peer))
	return o, nil
}

// output makes and registers an output.
func (s *Service) output(adv *advertisements.Pipe, peers []id.Peer) (*Output, error) {
	if err := s.check("dial", adv); err != nil {
		return nil, err
	}
	if err := s.permitted("dial " + label(adv)); err != nil {
		return nil, err
	}
	if len(peers) > maxPeers {
		return nil, fmt.Errorf("pipe: dial %s: %d peers named, the most is %d", label(adv), len(peers), maxPeers)
	}
	own := *adv
	o := &Output{
		s: s, adv: &own, peers: slices.Clone(peers), param: adv.ID.String(),
		sem: make(chan struct{}, 1),
	}
	o.ctx, o.end = context.WithCancelCause(s.ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		o.end(ErrClosed)
		return nil, fmt.Errorf("pipe: dial %s: %w", label(adv), ErrClosed)
	}
	if s.outputs == nil {
		s.outputs = map[id.Pipe]map[*Output]struct{}{}
	}
	if s.outputs[own.ID] == nil {
		s.outputs[own.ID] = map[*Output]struct{}{}
	}
	s.outputs[own.ID][o] = struct{}{}
	if own.Type != advertisements.Propagate && !s.minding {
		s.minding = true
		s.wg.Go(s.upkeep)
	}
	return o, nil
}

// Pipe returns the advertisement of the pipe; it must not be changed.
func (o *Output) Pipe() *advertisements.Pipe { return o.adv }

// Peer returns the peer to which a unicast output is bound now; it is zero while
// the output looks for another one, and for propagate pipes.
func (o *Output) Peer() id.Peer {
	if b := o.bound.Load(); b != nil {
		return b.peer
	}
	return id.Peer{}
}

// Close ends the output and every Send that waits. It is idempotent.
func (o *Output) Close() {
	o.end(ErrClosed)
	o.bound.Load().leave()
	s := o.s
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.outputs[o.adv.ID], o)
	if len(s.outputs[o.adv.ID]) == 0 {
		delete(s.outputs, o.adv.ID)
	}
}

// Send sends a message, which is not changed and may be reused when Send
// returns. Messages sent from one goroutine arrive in that order.
//
// A nil error means that the message is on its way, not that it arrived. On a
// unicast pipe Send waits while the link is busy; if the peer cannot be reached
// it looks for another one that listens and sends the message there. Both last
// until ctx ends at the most. On a propagate pipe the message goes to everybody
// of the group who listens, this peer included; each gets it once. Send fails
// with [ErrNobody] if there is no way to anybody.
//
// The error may also wrap [ErrClosed], [ErrNoListener] (a *[ResolveError]) or
// one of package endpoint.
func (o *Output) Send(ctx context.Context, msg *message.Message) error {
	return o.send(ctx, msg, nil)
}

// SendReported is Send on a unicast pipe, and calls report, once, when it is known
// what became of the message: with nil when the reader at the other end has taken it,
// else with an error that wraps [ErrDropped], [ErrLost] or [ErrUnconfirmed]. Report is
// called on a goroutine of the service and must not block. When SendReported itself
// fails, report is not called.
//
// At most 4096 messages to one peer wait for their report; then SendReported waits.
// The other side must be Juxta, else the error wraps [ErrNoReports].
func (o *Output) SendReported(ctx context.Context, msg *message.Message, report func(error)) error {
	if o.adv.Type == advertisements.Propagate {
		return fmt.Errorf("pipe: send on %s: %w: nobody reports what became of a message to many", label(o.adv), ErrType)
	}
	return o.send(ctx, msg, report)
}

func (o *Output) send(ctx context.Context, msg *message.Message, report func(error)) error {
	if msg.Len() == 0 {
		return fmt.Errorf("pipe: send on %s: %w", label(o.adv), endpoint.ErrEmpty)
	}
	if o.adv.Type == advertisements.Propagate {
		if o.ctx.Err() != nil {
			return fmt.Errorf("pipe: send on %s: %w", label(o.adv), ErrClosed)
		}
		return o.s.sendWire(ctx, o, msg)
	}
	for moves := 0; ; moves++ {
		if o.ctx.Err() != nil {
			return fmt.Errorf("pipe: send on %s: %w", label(o.adv), ErrClosed)
		}
		b := o.bound.Load()
		if b == nil {
			var err error
			if b, err = o.bind(ctx); err != nil {
				return err
			}
		}
		err := o.sendTo(ctx, b, msg, report)
		if errors.Is(err, errMoved) {
			b.leave()
			continue
		}
		if errors.Is(err, errGone) && !o.fixed && moves < maxMoves {
			if o.bound.CompareAndSwap(b, nil) {
				b.leave()
			}
			continue
		}
		if err == nil {
			if !o.used.Load() {
				o.used.Store(true)
			}
			return nil
		}
		if o.fixed || moves >= maxMoves || ctx.Err() != nil || !movable(err) {
			return fmt.Errorf("pipe: send on %s: %w", label(o.adv), err)
		}
		o.s.log.Debug("pipe looks for another peer", "pipe", o.adv.ID.Short(), "peer", b.peer.Short(), "error", err)
		if o.bound.CompareAndSwap(b, nil) {
			b.leave()
		}
	}
}

// movable reports whether a failure is that of the peer or of the way to it.
func movable(err error) bool {
	return !errors.Is(err, endpoint.ErrEmpty) && !errors.Is(err, message.ErrTooLarge) && !errors.Is(err, endpoint.ErrClosed)
}

// sendTo gives the message to the peer it is bound to.
func (o *Output) sendTo(ctx context.Context, b *bond, msg *message.Message, report func(error)) error {
	s := o.s
	if b.peer == s.self {
		in := s.local(o.adv.ID, o.adv.Type)
		if in == nil || !in.takeOwn(ctx, msg) {
			if err := context.Cause(ctx); err != nil {
				return err
			}
			return ErrNoListener
		}
		if report != nil {
			report(nil)
		}
		return nil
	}
	if err := s.reached(b.peer); err != nil {
		return err
	}
	w := o.enter(b)
	if w == nil {
		if report != nil {
			return ErrNoReports
		}
		return o.sendOn(ctx, b, msg)
	}
	n := weight(msg)
	extra, number, alone, err := w.enter(ctx, n, report, o, b)
	if err != nil {
		return err
	}
	defer w.unlock(alone)
	if len(extra) > 0 {
		msg = msg.Clone().Add(extra...)
	}
	if err = o.sendOn(ctx, b, msg); err != nil && w.undo(n, number) {
		return err
	}
	return nil
}

// sendOn writes a message that may be sent.
func (o *Output) sendOn(ctx context.Context, b *bond, msg *message.Message) error {
	s := o.s
	if o.fixed || b.path.Direct() != nil {
		return b.path.Send(ctx, msg)
	}
	wait := reachWait
	if o.adv.Type == advertisements.UnicastSecure {
		wait = secureWait
	}
	for {
		short := patient(ctx, wait)
		err := b.path.Send(short, msg)
		short.stop()
		// If it took too long only because the link is busy there is a peer that
		// listens, and nothing but to wait.
		if err == nil || ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded) || s.ep.LinkTo(b.peer) == nil {
			return err
		}
	}
}

// bind finds a peer for the output; one of several callers does it for all.
func (o *Output) bind(ctx context.Context) (*bond, error) {
	select {
	case o.sem <- struct{}{}:
	case <-o.ctx.Done():
		return nil, fmt.Errorf("pipe: %s: %w", label(o.adv), ErrClosed)
	case <-ctx.Done():
		return nil, fmt.Errorf("pipe: %s: %w", label(o.adv), context.Cause(ctx))
	}
	defer func() { <-o.sem }()
	if b := o.bound.Load(); b != nil {
		return b, nil
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(o.ctx, func() { cancel(ErrClosed) })()
	o.s.mu.Lock()
	how := manner{prefer: o.prefer}
	o.prefer = id.Peer{}
	o.s.mu.Unlock()
	p, err := o.s.resolve(ctx, o.adv, o.peers, how)
	if err != nil {
		return nil, err
	}
	return o.bindTo(p), nil
}

// bindTo binds the output to a peer that has said that it listens.
func (o *Output) bindTo(p id.Peer) *bond {
	b := o.bond(p)
	o.s.mu.Lock()
	if !o.last.IsZero() && o.last != p {
		o.s.stats.moves.Add(1)
	}
	o.last, o.checked = p, time.Now()
	o.s.mu.Unlock()
	o.bound.Store(b)
	return b
}

// unbind takes outputs off a peer that does not listen any more.
func (s *Service) unbind(p id.Pipe, t advertisements.PipeType, peer id.Peer) {
	var gone []*bond
	s.mu.Lock()
	for o := range s.outputs[p] {
		if b := o.bound.Load(); b != nil && b.peer == peer && o.adv.Type == t && !o.fixed && o.bound.CompareAndSwap(b, nil) {
			gone = append(gone, b)
		}
	}
	s.mu.Unlock()
	for _, b := range gone {
		b.leave()
	}
}

// linkChanged takes outputs off a peer to which the last link is gone. It may be
// alive, and is asked first, but what would still be sent to it over what the
// router remembers of the way might go nowhere.
func (s *Service) linkChanged(ev endpoint.LinkEvent) {
	if ev.Up || !ev.Last {
		return
	}
	peer := ev.Link.Peer()
	var gone []*bond
	s.mu.Lock()
	for _, set := range s.outputs {
		for o := range set {
			if b := o.bound.Load(); b != nil && b.peer == peer && !o.fixed {
				o.prefer = peer
				if o.bound.CompareAndSwap(b, nil) {
					gone = append(gone, b)
				}
			}
		}
	}
	s.mu.Unlock()
	for _, b := range gone {
		b.leave()
	}
}

// upkeep has the outputs verified that are due, as long as there are any.
func (s *Service) upkeep() {
	timer := time.NewTimer(upkeepEvery)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
			timer.Reset(upkeepEvery)
		case <-s.ctx.Done():
			return
		}
		now := time.Now()
		var due []*Output
		s.mu.Lock()
		if len(s.outputs) == 0 {
			s.minding = false
			s.mu.Unlock()
			return
		}
		for _, set := range s.outputs {
			for o := range set {
				b := o.bound.Load()
				if b == nil || o.fixed || o.verifying || b.peer == s.self || now.Sub(o.checked) < verifyEvery || !o.used.Swap(false) {
					continue
				}
				o.verifying = true
				due = append(due, o)
			}
		}
		s.mu.Unlock()
		for _, o := range due {
			s.goTask(o.verify)
		}
	}
}

// verify asks the peer whether it still listens. If it says no, or nothing, the
// output looks for another one; if there is none, the next message will look.
func (o *Output) verify() {
	s := o.s
	defer func() { s.mu.Lock(); o.verifying, o.checked = false, time.Now(); s.mu.Unlock() }()
	b := o.bound.Load()
	if b == nil {
		return
	}
	ctx, cancel := context.WithTimeout(s.ctx, verifyFor)
	defer cancel()
	_, err := s.resolve(ctx, o.adv, []id.Peer{b.peer}, manner{every: verifyAgain, giveUp: true})
	if err == nil || o.ctx.Err() != nil {
		return
	}
	s.log.Debug("pipe looks for another peer", "pipe", o.adv.ID.Short(), "peer", b.peer.Short(), "error", err)
	if o.bound.CompareAndSwap(b, nil) {
		b.leave()
	}
	ctx, cancel = context.WithTimeout(s.ctx, verifyFor)
	defer cancel()
	if _, err := o.bind(ctx); err != nil {
		s.log.Info("pipe has lost its peer", "pipe", o.adv.ID.Short(), "peer", b.peer.Short(), "error", err)
	}
}
