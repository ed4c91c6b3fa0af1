package srdi

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/juxta-p2p/juxta/core/id"
)

// outbox sends index messages to other rendezvous: in order to each of them, to
// a few at the same time, and not faster than they read. What is for the same
// holder under the same key travels together as long as it waits. It has
// goroutines only while there is anything to send. The zero value is ready for
// use with a Keeper.
type outbox struct {
	k *Keeper

	mu     sync.Mutex
	lines  map[id.Peer]*line
	ready  []*line // to be served, the next one first
	active int
	queued int           // entries
	room   chan struct{} // closed when there is room again; nil if nobody waits
}

// line is what waits for one rendezvous.
type line struct {
	to      id.Peer
	queue   []*parcel // the next one first
	parcels map[parcelKey]*parcel
	state   lineState
	timer   *time.Timer
	credit  float64 // octets that may be sent at once
	counted time.Time
}

type lineState uint8

const (
	idle   lineState = iota // nothing to send
	paused                  // until the timer fires
	ready                   // in outbox.ready
	busy                    // sending
)

// parcel is what goes into one message, or several if it has grown.
type parcel struct {
	key     parcelKey
	entries []Entry
	tried   int
}

type parcelKey struct {
	holder  id.Peer
	primary string
}

// put adds entries for a rendezvous; it never waits. It reports false, and takes
// none, if too much is waiting.
func (o *outbox) put(to, holder id.Peer, primary string, entries []Entry) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.queued+len(entries) > maxQueued {
		return false
	}
	l := o.lines[to]
	if l == nil {
		if o.lines == nil {
			o.lines = map[id.Peer]*line{}
		}
		l = &line{to: to, credit: sendBurst, counted: time.Now()}
		o.lines[to] = l
	}
	o.queued += len(entries)
	key := parcelKey{holder, primary}
	if p := l.parcels[key]; p != nil {
		p.entries = append(p.entries, entries...)
	} else {
		if l.parcels == nil {
			l.parcels = map[parcelKey]*parcel{}
		}
		p = &parcel{key: key, entries: slices.Clone(entries)}
		l.parcels[key] = p
		l.queue = append(l.queue, p)
	}
	if l.state == idle {
		o.schedule(l, 0)
	}
	return true
}

// schedule has a line served after a while. o.mu is held.
func (o *outbox) schedule(l *line, wait time.Duration) {
	now := time.Now()
	l.credit = min(sendBurst, l.credit+now.Sub(l.counted).Seconds()*sendRate)
	l.counted = now
	if l.credit < 0 {
		wait = max(wait, time.Duration(-l.credit/sendRate*float64(time.Second)))
	}
	if wait <= 0 {
		l.state = ready
		o.ready = append(o.ready, l)
		o.dispatch()
		return
	}
	l.state = paused
	l.timer = time.AfterFunc(wait, func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		if l.state == paused {
			l.state = ready
			o.ready = append(o.ready, l)
			o.dispatch()
		}
	})
}

// dispatch serves lines, as many as may be at the same time. o.mu is held.
func (o *outbox) dispatch() {
	for o.active < underWay && len(o.ready) > 0 {
		l := o.ready[0]
		if !o.k.goTask(func(ctx context.Context) { o.serve(ctx, l) }) {
			return // closing
		}
		o.ready[0] = nil // not to be kept alive by the array
		o.ready = o.ready[1:]
		l.state = busy
		o.active++
	}
}

// serve sends the first message of a line.
func (o *outbox) serve(ctx context.Context, l *line) {
	o.mu.Lock()
	if len(l.queue) == 0 { // cleared meanwhile
		o.done(l, 0)
		o.mu.Unlock()
		return
	}
	p := l.queue[0]
	now := latest(p.entries)
	first := Split(now)[0]
	part := &parcel{key: p.key, entries: first, tried: p.tried}
	o.queued -= len(p.entries) - (len(now) - len(first))
	if p.entries, p.tried = now[len(first):], 0; len(p.entries) == 0 {
		l.queue[0] = nil // not to be kept alive by the array
		l.queue = l.queue[1:]
		delete(l.parcels, p.key)
	}
	o.mu.Unlock()

	octets, err := o.k.send(ctx, l.to, part)

	o.mu.Lock()
	defer o.mu.Unlock()
	l.credit -= float64(octets)
	wait := time.Duration(0)
	if err != nil {
		if part.tried++; part.tried < attempts && ctx.Err() == nil && o.k.cfg.inView(l.to) {
			o.again(l, part)
			wait = tryAgain
		} else {
			o.k.stats.unsent.Add(uint64(len(part.entries)))
		}
	}
	o.done(l, wait)
}

// again puts back what could not be sent, before what came meanwhile. o.mu is
// held.
func (o *outbox) again(l *line, part *parcel) {
	o.queued += len(part.entries)
	if p := l.parcels[part.key]; p != nil {
		part.entries = append(slices.Clone(part.entries), p.entries...)
		l.queue = slices.DeleteFunc(l.queue, func(q *parcel) bool { return q == p })
	}
	if l.parcels == nil {
		l.parcels = map[parcelKey]*parcel{}
	}
	l.parcels[part.key] = part
	l.queue = slices.Insert(l.queue, 0, part)
}

// done ends a turn of a line. o.mu is held.
func (o *outbox) done(l *line, wait time.Duration) {
	o.active--
	if len(l.queue) > 0 {
		o.schedule(l, wait)
	} else {
		l.state, l.parcels = idle, nil
		if len(o.lines) > maxIdle {
			delete(o.lines, l.to)
		}
	}
	o.dispatch()
	if o.room != nil && o.queued < roomy {
		close(o.room)
		o.room = nil
	}
}

// wait returns when fewer than so many entries are waiting; it reports false if
// ctx ended.
func (o *outbox) wait(ctx context.Context, fewer int) bool {
	for {
		o.mu.Lock()
		if o.queued < fewer && (fewer > 1 || o.active == 0) {
			o.mu.Unlock()
			return ctx.Err() == nil
		}
		if o.room == nil {
			o.room = make(chan struct{})
		}
		room := o.room
		o.mu.Unlock()
		select {
		case <-room:
		case <-ctx.Done():
			return false
		}
	}
}

// clear forgets what waits and returns how many entries that were.
func (o *outbox) clear() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	n := o.queued
	for _, l := range o.lines {
		l.queue, l.parcels = nil, nil
		if l.timer != nil {
			l.timer.Stop()
		}
		if l.state == paused {
			l.state = idle
		}
		if l.state == idle {
			delete(o.lines, l.to)
		}
	}
	o.queued = 0
	if o.room != nil {
		close(o.room)
		o.room = nil
	}
	return n
}

// latest keeps of entries with the same name and value the last one, in the
// place of the first.
func latest(entries []Entry) []Entry {
	type key struct{ name, value string }
	at := make(map[key]int, len(entries))
	out := entries[:0]
	for _, e := range entries {
		k := key{e.Name, e.Value}
		if i, ok := at[k]; ok {
			out[i] = e
			continue
		}
		at[k] = len(out)
		out = append(out, e)
	}
	return out
}
