package endpoint

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// ErrSelf is the cause when an address turns out to be this very peer's.
var ErrSelf = errors.New("the address is this peer's own")

// dialCall is one attempt that several callers wait for.
type dialCall struct {
	done   chan struct{}
	link   Link  // set before done is closed
	err    error // likewise
	cancel context.CancelCauseFunc
	wait   int // how many callers wait; Endpoint.lmu guards it
}

// Dial returns a link to the address: an open one that was dialled under the
// same address, the one another caller is just opening, or a new one. ctx
// bounds the wait, and ends the attempt if nobody else waits for it. The error
// is a *[DialError], or wraps [ErrClosed].
func (e *Endpoint) Dial(ctx context.Context, addr Address) (Link, error) {
	addr = addr.Base()
	at := placeOf(addr)
	e.lmu.Lock()
	if e.closed {
		e.lmu.Unlock()
		return nil, fmt.Errorf("endpoint: dial %s: %w", addr, ErrClosed)
	}
	for _, c := range slices.Backward(e.dialled) {
		if c.at == at {
			e.lmu.Unlock()
			return c.Link, nil
		}
	}
	call := e.dialing[at]
	if call == nil {
		t := e.transport(addr.Protocol)
		if t == nil {
			e.lmu.Unlock()
			e.stats.failedDials.Add(1)
			return nil, &DialError{Addr: addr, Phase: PhaseAddress, Err: ErrNoTransport}
		}
		attempt, cancel := context.WithCancelCause(e.ctx)
		call = &dialCall{done: make(chan struct{}), cancel: cancel}
		if e.dialing == nil {
			e.dialing = map[place]*dialCall{}
		}
		e.dialing[at] = call
		e.wg.Go(func() { e.dial(attempt, t, addr, call) })
	}
	call.wait++
	e.lmu.Unlock()
	select {
	case <-call.done:
		return call.link, call.err
	case <-ctx.Done():
	}
	e.lmu.Lock()
	if call.wait--; call.wait == 0 {
		call.cancel(context.Cause(ctx))
		e.forget(at, call) // who comes now begins anew
	}
	e.lmu.Unlock()
	return nil, &DialError{Addr: addr, Phase: PhaseConnect, Err: context.Cause(ctx)}
}

// DialNew opens a link of its own to the address, whatever links there are, and
// tells the other side the service that addr may name. Relay clients ask so for
// their lease. The error is a *[DialError], or wraps [ErrClosed].
func (e *Endpoint) DialNew(ctx context.Context, addr Address) (Link, error) {
	if e.ctx.Err() != nil {
		return nil, fmt.Errorf("endpoint: dial %s: %w", addr.Base(), ErrClosed)
	}
	t := e.transport(addr.Protocol)
	if t == nil {
		e.stats.failedDials.Add(1)
		return nil, &DialError{Addr: addr, Phase: PhaseAddress, Err: ErrNoTransport}
	}
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	l, err := t.Dial(ctx, addr)
	if err != nil {
		e.stats.failedDials.Add(1)
	}
	return l, err
}

// Punch opens a link through address translators, for which the other side tries
// the same at the same moment towards addr of this side; see [Puncher].
func (e *Endpoint) Punch(ctx context.Context, addr Address, lead bool) (Link, error) {
	p, ok := e.transport(addr.Protocol).(Puncher)
	if !ok {
		return nil, &DialError{Addr: addr, Phase: PhaseAddress, Err: ErrNoTransport}
	}
	return p.Punch(ctx, addr, lead)
}

// dial is the attempt itself.
func (e *Endpoint) dial(ctx context.Context, t Transport, addr Address, call *dialCall) {
	defer call.cancel(nil)
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	l, err := t.Dial(ctx, addr)
	if errors.Is(err, ErrSelf) {
		err = &DialError{Addr: addr, Phase: PhaseIdentity, Err: ErrSelf}
	}
	e.lmu.Lock()
	e.forget(placeOf(addr), call)
	e.lmu.Unlock()
	if err != nil {
		var r *Refusal
		if errors.As(err, &r) && !r.Ours {
			e.refused.add(*r)
		}
		call.err = err
		e.stats.failedDials.Add(1)
		e.log.Debug("dialling failed", "address", addr.String(), "error", err)
	} else {
		call.link = l
	}
	close(call.done)
}

// forget takes an attempt off the list. lmu is held.
func (e *Endpoint) forget(at place, call *dialCall) {
	if e.dialing[at] == call {
		delete(e.dialing, at)
	}
	if len(e.dialing) == 0 {
		e.dialing = nil // a map keeps its memory
	}
}

func (e *Endpoint) transport(protocol string) Transport {
	e.tmu.RLock()
	defer e.tmu.RUnlock()
	for _, t := range e.transports {
		if Carries(t, protocol) {
			return t
		}
	}
	return nil
}

// Serves reports whether a transport dials addresses of this protocol.
func (e *Endpoint) Serves(protocol string) bool { return e.transport(protocol) != nil }
