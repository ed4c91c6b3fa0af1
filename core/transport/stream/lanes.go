package stream

import (
	"cmp"
	"encoding/binary"
	"sync"
	"time"

	"github.com/juxta-p2p/juxta/core/transport/framing"
)

// frames are framed messages on their way to the connection. They come from a
// pool, so that a link at rest holds none.
type frames struct {
	b     []byte
	n     int    // how many messages
	whole []byte // b as it was before some of it was written; nil if nothing was
}

var framesPool = sync.Pool{New: func() any { return new(frames) }}

func (f *frames) add(body []byte) {
	f.b = append(framing.AppendHeader(f.b, len(body)), body...)
	f.n++
}

// wrote takes away what was written, of which the memory is not forgotten.
func (f *frames) wrote(n int) {
	if f.whole == nil {
		f.whole = f.b
	}
	f.b = f.b[n:]
}

func (f *frames) free() {
	if f.whole != nil {
		f.b, f.whole = f.whole, nil
	}
	if cap(f.b) <= maxPooled {
		f.b, f.n = f.b[:0], 0
		framesPool.Put(f)
	}
}

// lane is the messages of one or some flows that wait for the writer.
type lane struct {
	*frames               // nil if none wait
	off     int           // how much of them has been taken
	space   chan struct{} // receives a token when there is room again; nil if nobody ever waited
}

// size is how many octets wait.
func (a *lane) size() int {
	if a.frames == nil {
		return 0
	}
	return len(a.b) - a.off
}

// cut appends messages from the front of the lane to f, at least one, and no more
// octets than most if it is not the first.
func (a *lane) cut(f *frames, most int) {
	rest := a.b[a.off:]
	n, count := 0, 0
	for n < len(rest) {
		size := framing.HeaderSize + int(binary.BigEndian.Uint64(rest[n+framing.HeaderSize-9:]))
		if count > 0 && n+size > most {
			break
		}
		n, count = n+size, count+1
	}
	f.b = append(f.b, rest[:n]...)
	f.n += count
	a.off, a.frames.n = a.off+n, a.frames.n-count
	if n == len(rest) {
		a.frames.free()
		a.frames, a.off = nil, 0
	}
}

// lanes is what waits for the writer of a link: each flow in its own order, and all
// of them side by side, so that a bulk transfer does not stand before what is small.
type lanes struct {
	all   [laneCount]lane
	used  int // how many are not empty
	next  int // whose turn it is
	batch int // see atOnce; 0 before the connection has shown how fast it is
}

// of returns the lane of a flow.
func (q *lanes) of(flow uint8) *lane { return &q.all[flow%laneCount] }

// atOnce is how many octets are to be written at once while others wait.
func (q *lanes) atOnce() int { return cmp.Or(q.batch, startBatch) }

// most is how many octets may wait in a lane.
func (q *lanes) most() int {
	if q.atOnce() >= startBatch {
		return maxQueued
	}
	return laneBatches * q.batch
}

// waiter returns what receives a token when there is room in a lane.
func (a *lane) waiter() chan struct{} {
	if a.space == nil {
		a.space = make(chan struct{}, 1)
	}
	return a.space
}

// signal wakes one sender that waits for room in the lane.
func (a *lane) signal() {
	if a.space == nil {
		return
	}
	select {
	case a.space <- struct{}{}:
	default:
	}
}

// add appends a message to a lane.
func (q *lanes) add(a *lane, o *outgoing) error {
	if a.frames != nil {
		return o.addTo(a.frames)
	}
	f := framesPool.Get().(*frames)
	if err := o.addTo(f); err != nil {
		f.free()
		return err
	}
	a.frames = f
	q.used++
	return nil
}

// take returns what is to be written next, nil if nothing waits: a batch, of the
// lanes in turn.
func (q *lanes) take() *frames {
	if q.used == 0 {
		return nil
	}
	batch := q.atOnce()
	if q.used == 1 {
		for i := range q.all {
			a := &q.all[i]
			if a.frames != nil && a.off == 0 && len(a.b) <= batch {
				f := a.frames
				a.frames, q.used = nil, 0
				a.signal()
				return f
			}
		}
	}
	f := framesPool.Get().(*frames)
	for quantum := min(maxQuantum, batch); q.used > 0 && len(f.b) < batch; q.next = (q.next + 1) % laneCount {
		a := &q.all[q.next]
		if a.frames == nil {
			continue
		}
		a.cut(f, min(quantum, batch-len(f.b)))
		if a.frames == nil {
			q.used--
		}
		a.signal()
	}
	return f
}

// wrote fits the batch to how long writing one of that many octets took, and reports
// whether it took longer than slowBatch even for the least.
func (q *lanes) wrote(octets int, took time.Duration) (slow bool) {
	switch {
	case took > slowBatch:
		slow = time.Duration(octets)*slowBatch < took*(2*minBatch)
		q.batch = max(q.atOnce()/2, minBatch)
	case took < slowBatch/8 && octets >= q.atOnce()/2:
		q.batch = min(2*q.atOnce(), maxQueued)
	}
	return slow
}

// drop empties all lanes and returns how many messages were in them.
func (q *lanes) drop() (n int) {
	for i := range q.all {
		if a := &q.all[i]; a.frames != nil {
			n += a.frames.n
			a.frames, a.off = nil, 0
		}
	}
	q.used = 0
	return n
}
