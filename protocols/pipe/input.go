package pipe

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/message"
)

// Message is a message as it comes out of an input pipe. The message is the
// reader's own; its bodies may share memory and must not be changed.
type Message struct {
	*message.Message

	// From is who the message says it comes from: on a unicast pipe the peer
	// that the endpoint names, on a propagate pipe the one that the header of
	// the message names, which may be none. Unless Proven is set it is a claim
	// that any peer on the way can have made.
	From id.Peer

	// Proven says that the message came straight from that peer, over a link
	// on which it has proven its ID, or encrypted from end to end, or that it is
	// this peer's own. On a secure pipe it is always set.
	Proven bool
}

// ListenConfig configures an [Input]; the zero value is what [Service.Listen]
// takes.
type ListenConfig struct {
	// Queue and QueueBytes override those of [Config] unless zero.
	Queue      int
	QueueBytes int64

	// Accept decides about each message before it is queued; those it refuses
	// are dropped and counted. nil accepts all. It is called on the goroutine
	// that reads a link, possibly on several at once, and must not block.
	Accept func(Message) bool

	// Handle, unless nil, takes the messages instead of the queue, on the
	// goroutine that reads the link: in order, without hand-off, and holding up
	// everything else on that link until it returns. It may be called on
	// several goroutines at once.
	Handle func(Message)

	// Quiet pipes are not announced to the rendezvous. They suit pipes whose ID
	// is told to the other side directly, and which live shortly; peers that
	// ask this one for the pipe still learn that it is open.
	Quiet bool
}

// Input is the listening end of a pipe. Its methods are safe for concurrent
// use. Close it when done.
type Input struct {
	s      *Service
	adv    *advertisements.Pipe
	cfg    ListenConfig
	q      *queue
	remove func()
	wire   *wire // of a propagate pipe
	stats  inputCounters
	once   sync.Once

	latest atomic.Pointer[flow] // of which the last message was

	messages, octets atomic.Uint64 // what one sender may have under way

	mu     sync.Mutex
	flows  map[id.Peer]*flow
	cause  error   // why the input ended, if not by Close
	askers []asker // whom to tell when it closes, latest last
}

// asker is a peer that was told that the pipe is open.
type asker struct {
	peer  id.Peer
	query int32
}

type inputCounters struct{ received, refused, plain, duplicate atomic.Uint64 }

// InputStats counts what an [Input] got since it was opened.
type InputStats struct {
	Received          uint64 // messages that came in, duplicates excluded
	Taken             uint64 // of these, those the reader has got
	Waiting           int    // and those in the queue
	DroppedFull       uint64 // and those dropped because the queue was full
	DroppedRefused    uint64 // and those that Accept refused
	DroppedPlain      uint64 // messages of a secure pipe that did not come encrypted from end to end
	DroppedDuplicates uint64 // messages of a propagate pipe that came again
}

// Listen opens the input end of a pipe and announces it. ctx bounds the call,
// the input lives until its Close or that of the service.
//
// At most [Config.Queue] messages wait for the reader. Juxta peers that send on a
// unicast pipe are told how many more there is room for, and wait with the rest; each
// may send some before it is told. Original peers cannot be told: when the queue is
// full, the link that brings their next message is not read for [FullWait] at most,
// then the oldest message is dropped and counted. A full propagate pipe drops the
// oldest message at once.
//
// The error wraps [ErrTaken] if the pipe is open at this peer already,
// [ErrSecure] or [ErrType] if its type is not served, or [ErrClosed].
func (s *Service) Listen(ctx context.Context, adv *advertisements.Pipe) (*Input, error) {
	return s.ListenWith(ctx, adv, ListenConfig{})
}

// ListenWith is [Service.Listen] with other than the usual settings.
func (s *Service) ListenWith(ctx context.Context, adv *advertisements.Pipe, cfg ListenConfig) (*Input, error) {
	if err := s.check("listen on", adv); err != nil {
		return nil, err
	}
	if err := context.Cause(ctx); err != nil {
		return nil, fmt.Errorf("pipe: listen on %s: %w", label(adv), err)
	}
	if err := s.permitted("listen on " + label(adv)); err != nil {
		return nil, err
	}
	if cfg.Queue <= 0 {
		cfg.Queue = s.cfg.Queue
	}
	if cfg.QueueBytes <= 0 {
		cfg.QueueBytes = s.cfg.QueueBytes
	}
	own := *adv
	in := &Input{s: s, adv: &own, cfg: cfg, q: newQueue(cfg.Queue, cfg.QueueBytes, &s.stats.inputFull), remove: func() {}}
	if err := s.open(in); err != nil {
		return nil, fmt.Errorf("pipe: listen on %s: %w", label(adv), err)
	}
	if !cfg.Quiet {
		ctx, cancel := context.WithTimeout(ctx, announceWait)
		defer cancel()
		s.announce(ctx, []*Input{in}, forever)
	}
	return in, nil
}

// open registers the input.
func (s *Service) open(in *Input) error {
	handle := in.receive
	if in.adv.Type == advertisements.Propagate {
		handle = in.receiveDirected
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return ErrClosed
	case s.inputs[in.adv.ID] != nil:
		return ErrTaken
	}
	remove, err := s.scope.Handle(pipeService, in.adv.ID.String(), handle)
	if errors.Is(err, endpoint.ErrTaken) {
		return ErrTaken
	}
	if err != nil {
		return err
	}
	in.remove = remove
	if in.adv.Type == advertisements.Propagate {
		in.wire = s.pin(in.adv.ID)
	}
	if s.inputs == nil {
		s.inputs = map[id.Pipe]*Input{}
	}
	s.inputs[in.adv.ID] = in
	for _, x := range s.searches {
		if x.pipe.ID == in.adv.ID {
			x.wakeUp()
		}
	}
	return nil
}

// Pipe returns the advertisement of the pipe; it must not be changed.
func (in *Input) Pipe() *advertisements.Pipe { return in.adv }

// Receive returns the next message, or ctx's cause, or an error that wraps
// [ErrClosed]. With [ListenConfig.Handle] there never is one.
func (in *Input) Receive(ctx context.Context) (Message, error) {
	m, err := in.q.take(ctx)
	if cause := in.ended(); errors.Is(err, ErrClosed) && cause != nil {
		return Message{}, cause
	}
	if err != nil {
		return Message{}, fmt.Errorf("pipe: receive on %s: %w", label(in.adv), err)
	}
	return m, nil
}

// ended returns why the input ended if it was not by its own Close.
func (in *Input) ended() error {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.cause
}

// Messages yields the messages as they come, until ctx ends or the input is
// closed, both of which are normal ends without error. If the service is closed
// under the reader, an error that wraps [ErrClosed] is the last thing yielded.
// Breaking out of the loop loses nothing; a later loop goes on.
func (in *Input) Messages(ctx context.Context) iter.Seq2[Message, error] {
	return func(yield func(Message, error) bool) {
		for {
			m, err := in.q.take(ctx)
			if err != nil {
				if cause := in.ended(); errors.Is(err, ErrClosed) && cause != nil {
					yield(Message{}, cause)
				}
				return
			}
			if !yield(m, nil) {
				return
			}
		}
	}
}

// Stats returns the counters.
func (in *Input) Stats() InputStats {
	st := InputStats{
		Received: in.stats.received.Load(), DroppedRefused: in.stats.refused.Load(),
		DroppedPlain: in.stats.plain.Load(), DroppedDuplicates: in.stats.duplicate.Load(),
	}
	in.q.mu.Lock()
	defer in.q.mu.Unlock()
	st.Taken, st.Waiting, st.DroppedFull = in.q.taken, in.q.n, in.q.dropped
	return st
}

// Close withdraws the pipe, tells the peers that have bound to it, and ends
// every Receive. Messages that were not received are dropped. It takes a second
// at most, and is idempotent.
func (in *Input) Close() {
	s := in.s
	s.mu.Lock()
	mine := s.inputs[in.adv.ID] == in
	if mine {
		delete(s.inputs, in.adv.ID)
	}
	s.mu.Unlock()
	in.end(nil)
	if !mine {
		return // closed already, by whomever
	}
	ctx, cancel := context.WithTimeout(s.ctx, goodbyeWait)
	defer cancel()
	if !in.cfg.Quiet {
		s.announce(ctx, []*Input{in}, 0)
	}
	in.dismiss(ctx)
}

// end closes the input locally.
func (in *Input) end(cause error) {
	in.once.Do(func() {
		in.remove()
		in.mu.Lock()
		in.cause = cause
		in.mu.Unlock()
		in.q.close()
		if in.wire != nil {
			in.s.unpin(in.wire)
		}
	})
}

// told notes that a peer was told that the pipe is open.
func (in *Input) told(p id.Peer, query int32) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.askers = slices.DeleteFunc(in.askers, func(a asker) bool { return a.peer == p })
	if len(in.askers) >= maxAskers {
		in.s.stats.askersForgotten.Add(1)
		in.askers = in.askers[1:]
	}
	in.askers = append(in.askers, asker{p, query})
}

// dismiss tells the peers that may have bound to the pipe that it is closed, as
// far as they are linked: it spares them to find out. JXSE peers do not mind.
func (in *Input) dismiss(ctx context.Context) {
	in.mu.Lock()
	list := in.askers
	in.askers = nil
	in.mu.Unlock()
	for _, a := range list {
		if in.s.ep.LinkTo(a.peer) != nil {
			in.s.respond(ctx, a.peer, a.query, in.adv.ID, in.adv.Type, nil)
		}
	}
}

// receive takes a message of a unicast pipe from the endpoint.
func (in *Input) receive(_ context.Context, x endpoint.Incoming) {
	if in.adv.Type == advertisements.UnicastSecure && !x.Secured && !private(x) {
		in.stats.plain.Add(1)
		in.s.stats.inputPlain.Add(1)
		return
	}
	if !in.s.admitted(x.From, x.Message) {
		return
	}
	c, ok := in.accounted(x)
	if !ok {
		return
	}
	m := Message{Message: x.Message, From: x.From, Proven: in.s.proven(x, x.From)}
	switch what := in.admit(m); {
	case what != waiting:
		c.leave(what)
	case c.free:
		in.q.putFree(m, c)
	default:
		in.q.putWait(m, c)
	}
}

// private reports whether a message came straight over a link to its originator on
// which nobody else can read.
func private(x endpoint.Incoming) bool {
	return x.Link != nil && x.Link.Peer() == x.From && endpoint.Private(x.Link)
}

// admit counts a message and returns what becomes of it: it is to be queued unless it
// was refused, or handled.
func (in *Input) admit(m Message) outcome {
	in.stats.received.Add(1)
	if in.cfg.Accept != nil && !in.cfg.Accept(m) {
		in.stats.refused.Add(1)
		in.s.stats.inputRefused.Add(1)
		return dropped
	}
	if in.cfg.Handle != nil {
		in.cfg.Handle(m)
		return delivered
	}
	return waiting
}

// proven reports whether a message comes from a peer for certain: straight over
// a link on which it has proven its ID, or from this peer, whose name in a
// message from elsewhere the endpoint and the router do not let pass.
func (s *Service) proven(x endpoint.Incoming, from id.Peer) bool {
	if x.Secured {
		return x.From == from
	}
	if x.Link == nil {
		return from == s.self && x.From == s.self
	}
	return x.Link.Proven() && x.Link.Peer() == from
}

// takeOwn takes a message of this peer itself; it waits for room. It reports
// false if ctx ended or the input was closed before.
func (in *Input) takeOwn(ctx context.Context, msg *message.Message) bool {
	m := Message{Message: msg.Clone(), From: in.s.self, Proven: true}
	return in.admit(m) != waiting || in.q.putBlock(ctx, queued{msg: m, size: int64(m.Size())})
}
