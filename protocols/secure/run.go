package secure

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/juxta-p2p/juxta/core/message"
)

// ErrUnanswered is why a connection fails when the other side has not acknowledged
// something for four minutes.
var ErrUnanswered = errors.New("the other side does not answer")

// run sends whatever is to be sent until the stream is over.
func (st *stream) run() {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	var retry time.Time
	var failures int
	var try attempt
	defer try.stop()
	for {
		if d := time.Until(retry); d > 0 && !st.pause(d) {
			return
		}
		now := time.Now()
		m, b, wait := st.step(now)
		if m == nil {
			timer.Reset(wait)
			select {
			case <-st.wake:
			case <-timer.C:
			case <-st.ctx.Done():
				return
			}
			continue
		}
		err := st.send(try.context(st.ctx, now), m)
		if err == nil {
			failures = 0
			continue
		}
		if st.ctx.Err() != nil {
			return
		}
		st.unsent(b, err)
		retry = time.Now().Add(min(firstRetry<<min(failures, 10), mostRetry))
		failures++
		try.stop()
	}
}

// attempt is the context of sending one message, and of those after it as long as
// there is some time left.
type attempt struct {
	ctx    context.Context
	cancel context.CancelFunc
	end    time.Time
}

func (a *attempt) context(ctx context.Context, now time.Time) context.Context {
	if a.end.Sub(now) < sendWait/2 {
		a.stop()
		a.ctx, a.cancel = context.WithTimeout(ctx, sendWait)
		a.end = now.Add(sendWait)
	}
	return a.ctx
}

func (a *attempt) stop() {
	if a.cancel != nil {
		a.cancel()
	}
	a.end = time.Time{}
}

// pause waits a moment after a failure; what comes meanwhile changes nothing.
func (st *stream) pause(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-st.ctx.Done():
		return false
	}
}

// unsent takes back a message that could not be sent.
func (st *stream) unsent(b *block, err error) {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.count.unsent.Add(1)
	if b == nil {
		st.in.due = true
	} else if b.flying {
		st.out.lose(b)
	}
	if !st.heard && st.fatal != nil && st.fatal(err) {
		st.failLocked(err)
	}
}

// step returns the message to be sent now, with the block in it if there is one,
// or how long there is none.
func (st *stream) step(now time.Time) (*message.Message, *block, time.Duration) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.err != nil {
		return nil, nil, time.Hour
	}
	out, in := &st.out, &st.in
	if len(out.blocks) > 0 && now.Sub(out.blocks[0].first) >= giveUp {
		st.failLocked(fmt.Errorf("%w for %v", ErrUnanswered, giveUp))
		return nil, nil, time.Hour
	}
	if !out.lossAt.IsZero() && !now.Before(out.lossAt) {
		out.detect(now)
	}
	ask := false
	if !now.Before(out.probeAt()) {
		switch {
		case out.flyingN > 0:
			out.probe()
		case out.blocked():
			out.probed++
			out.lastSent = now
			ask = true
		}
	}
	if !in.remind.IsZero() && !now.Before(in.remind) {
		in.remind, in.due = now.Add(remindEvery), true
	}
	if b := out.pick(now); b != nil {
		repeat := b.tries > 0
		out.launch(b, now)
		n := numbered{b.number, b.data}
		m := message.New(n.element())
		if repeat {
			m.Add(message.Text(space, nameRetry, textRetry))
		}
		if st.java {
			return m, b, 0
		}
		t := tag{id: st.id}
		if b.number == 1 {
			t.limit, t.limited = in.limit, true
		}
		if in.due {
			m.Add(st.acknowledge(&t))
		}
		return m.Add(t.element()), b, 0
	}
	if in.due {
		if st.java {
			return message.New(st.acknowledge(nil)), nil, 0
		}
		t := tag{id: st.id}
		e := st.acknowledge(&t)
		return message.New(e, t.element()), nil, 0
	}
	if ask {
		t := tag{kind: kindAsk, id: st.id}
		return message.New(t.element()), nil, 0
	}
	return nil, nil, st.idle(now)
}

// lastAck sends an acknowledgement now, before the stream is ended.
func (st *stream) lastAck(ctx context.Context) {
	st.mu.Lock()
	t := tag{id: st.id}
	e := st.acknowledge(&t)
	st.mu.Unlock()
	if err := st.send(ctx, message.New(e, t.element())); err != nil {
		st.count.unsent.Add(1)
	}
}

// acknowledge makes the acknowledgement that is due, and completes the tag.
func (st *stream) acknowledge(t *tag) message.Element {
	st.in.due = false
	a := st.in.ack()
	body := a.body()
	if t != nil {
		t.limit, t.limited = st.in.limit, true
		st.in.told = st.in.limit
		if st.keyed {
			t.seal = st.sum(st.sealing, t.limit, body)
		}
	}
	st.count.acksSent.Add(1)
	return message.Element{Namespace: space, Name: nameAck, Type: typeAck, Body: body}
}

// idle returns how long there is nothing to do unless something happens.
func (st *stream) idle(now time.Time) time.Duration {
	out, in := &st.out, &st.in
	next := now.Add(time.Hour)
	sooner := func(t time.Time) {
		if !t.IsZero() && t.Before(next) {
			next = t
		}
	}
	sooner(out.lossAt)
	if out.flyingN > 0 || out.blocked() {
		sooner(out.probeAt())
	}
	if len(out.blocks) > 0 {
		sooner(out.blocks[0].first.Add(giveUp))
	}
	sooner(in.remind)
	return max(next.Sub(now), time.Microsecond)
}
