package pipe

import (
	"context"
	"encoding/binary"
	"hash/maphash"
	"sync"
	"sync/atomic"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/message"
)

// flow is the receiving side of flow control: the messages of one peer on an input
// pipe, counted as the sender counts them.
type flow struct {
	in    *Input
	peer  id.Peer
	epoch uint32
	path  *endpoint.Path // of notices

	came, cameBytes atomic.Uint64 // messages
	done, doneBytes atomic.Uint64 // of these, those not in the queue any more
	told, toldBytes atomic.Uint64 // the limits that the sender knows
	due             atomic.Bool   // a notice is about to be sent

	mu      sync.Mutex
	became  []outcomes // not yet told
	history []outcome  // of the last numbers, a ring; nil if there are none
	first   uint64     // number that came, 0 as long as none has
	highest uint64     // number
	late    bool       // messages had been sent before the sender was remembered
	since   uint64     // tell all from here on; 0 for none
	until   uint64     // the last one that was sent before the sender asked
}

// flowOf returns the flow of a peer, nil if it has not asked for one.
func (in *Input) flowOf(p id.Peer) *flow {
	if f := in.latest.Load(); f != nil && f.peer == p {
		return f
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	f := in.flows[p]
	if f != nil {
		in.latest.Store(f)
	}
	return f
}

// asked takes the question of a sender, which says where it stands.
func (in *Input) asked(p id.Peer, a ask) *flow {
	in.mu.Lock()
	f := in.flows[p]
	if f == nil || f.epoch != a.epoch {
		if f == nil && len(in.flows) >= maxFlows {
			for q := range in.flows { // any; who is forgotten asks again
				delete(in.flows, q)
				in.s.stats.flowsForgotten.Add(1)
				break
			}
		}
		f = &flow{in: in, peer: p, epoch: a.epoch, path: in.s.scope.Path(p, noticeService, "", false)}
		f.late = a.sent > 0
		f.came.Store(a.sent)
		f.done.Store(a.sent)
		f.cameBytes.Store(a.bytes)
		f.doneBytes.Store(a.bytes)
		f.told.Store(a.sent + firstMessages)
		f.toldBytes.Store(a.bytes + firstBytes)
		if in.flows == nil {
			in.flows = map[id.Peer]*flow{}
		}
		in.flows[p] = f
		in.share()
		in.latest.Store(f)
	}
	in.mu.Unlock()
	// What was sent before and has not come is lost.
	if lost := a.sent - f.came.Load(); a.sent > f.came.Load() {
		f.came.Add(lost)
		f.done.Add(lost)
	}
	if lost := a.bytes - f.cameBytes.Load(); a.bytes > f.cameBytes.Load() {
		f.cameBytes.Add(lost)
		f.doneBytes.Add(lost)
	}
	if a.since > 0 {
		f.mu.Lock()
		f.since, f.until = a.since, a.until
		f.mu.Unlock()
	}
	f.notify()
	return f
}

// share fits what a sender may have under way to how many there are: an equal share
// of the queue. in.mu is held.
func (in *Input) share() {
	n := max(len(in.flows), 1)
	in.messages.Store(max(uint64(in.cfg.Queue/n), firstMessages))
	in.octets.Store(max(uint64(in.cfg.QueueBytes)/uint64(n), firstBytes))
}

// counted counts a message that has come. It reports whether the sender was free to
// send it.
func (f *flow) counted(n uint64) bool {
	came, bytes := f.came.Add(1), f.cameBytes.Add(n)
	// A single message may be larger than the window.
	return came <= f.told.Load() && (bytes <= f.toldBytes.Load() || came == f.done.Load()+1)
}

// left counts a message that is not in the queue any more, and tells the sender when
// there is much to tell.
func (f *flow) left(n uint64) {
	done, bytes := f.done.Add(1), f.doneBytes.Add(n)
	if f.due.Load() {
		return
	}
	messages, octets := f.in.messages.Load(), f.in.octets.Load()
	if done+messages-f.told.Load() >= messages/noticePart || bytes+octets-f.toldBytes.Load() >= octets/noticePart {
		f.notify()
	}
}

// settle notes what became of a message that is to be reported.
func (f *flow) settle(number uint64, what outcome) {
	f.mu.Lock()
	if f.history == nil {
		f.history = make([]outcome, maxReported)
	}
	if f.first == 0 {
		f.first = number
	}
	if number > f.highest {
		for n := max(f.highest, number-min(number, maxReported)) + 1; n < number; n++ {
			f.history[n%maxReported] = unseen
		}
		f.highest = number
	}
	if f.highest-number < maxReported {
		f.history[number%maxReported] = what
	}
	tell := what != waiting
	if tell {
		last := len(f.became) - 1
		switch {
		case last >= 0 && f.became[last].what == what && f.became[last].first+uint64(f.became[last].count) == number &&
			f.became[last].count < maxReported:
			f.became[last].count++
		case len(f.became) < maxRanges:
			f.became = append(f.became, outcomes{number, 1, what})
		default: // the sender will ask
		}
	}
	f.mu.Unlock()
	if tell {
		f.notify()
	}
}

// notify has a notice sent, on a goroutine of the service.
func (f *flow) notify() {
	if f.due.Swap(true) {
		return
	}
	s := f.in.s
	if !s.notices[maphash.Comparable(s.seed, f.peer)%lanes].put(s, f.tell) {
		f.due.Store(false) // the sender will ask
	}
}

// tell sends a notice.
func (f *flow) tell() {
	f.due.Store(false) // what happens from here on is told next time
	messages, octets := f.in.messages.Load(), f.in.octets.Load()
	n := notice{
		epoch: f.epoch, pipe: f.in.adv.ID, done: f.done.Load(),
		limit: f.done.Load() + messages, bytes: f.doneBytes.Load() + octets,
	}
	f.mu.Lock()
	n.became, f.became = f.became, nil
	if f.since > 0 {
		n.became = append(n.became, f.all(f.since)...)
		if len(n.became) > maxRanges {
			n.became = n.became[:maxRanges]
		}
		f.since = 0
	}
	f.mu.Unlock()
	// Counted from here: the sender may send before Send has returned.
	for old := f.told.Load(); old < n.limit && !f.told.CompareAndSwap(old, n.limit); old = f.told.Load() {
	}
	for old := f.toldBytes.Load(); old < n.bytes && !f.toldBytes.CompareAndSwap(old, n.bytes); old = f.toldBytes.Load() {
	}
	ctx, cancel := context.WithTimeout(endpoint.KnownWays(f.in.s.ctx), noticeWait)
	defer cancel()
	if err := f.path.Send(ctx, n.message()); err != nil {
		f.in.s.stats.unsentNotices.Add(1)
		f.in.s.log.Debug("telling a sender how much it may send", "peer", f.peer.Short(), "error", err)
	}
}

// all is what became of the messages from a number on. f.mu is held.
func (f *flow) all(since uint64) (list []outcomes) {
	add := func(n uint64, count uint32, what outcome) {
		if last := len(list) - 1; last >= 0 && list[last].what == what {
			list[last].count += count
		} else {
			list = append(list, outcomes{n, count, what})
		}
	}
	oldest := since
	if f.highest >= maxReported {
		oldest = max(since, f.highest-maxReported+1)
	}
	for n := oldest; n <= f.highest && len(list) < maxRanges-1; n++ {
		switch {
		case f.late && n < f.first:
			add(n, 1, unknown)
		default:
			add(n, 1, f.history[n%maxReported])
		}
	}
	if f.late && f.first == 0 {
		return []outcomes{{since, maxReported, unknown}}
	}
	if first := max(since, f.highest+1); len(list) < maxRanges-1 && f.until >= first {
		list = append(list, outcomes{first, uint32(min(f.until-first+1, maxReported)), unseen})
	}
	return list
}

// accounted takes out of a message what is for flow control. It reports false if
// nothing else was in it.
func (in *Input) accounted(x endpoint.Incoming) (c credit, ok bool) {
	msg := x.Message
	c.flow = in.flowOf(x.From)
	if e, ok := msg.Get(message.Platform, elemAsk); ok {
		a, sound := readAsk(e.Body)
		msg.Remove(message.Platform, elemAsk)
		switch {
		case !sound:
			in.s.stats.malformed.Add(1)
		case x.From != in.s.self && !x.From.IsZero():
			c.flow = in.asked(x.From, a)
		}
		if msg.Len() == 0 {
			return c, false
		}
	}
	if c.flow == nil {
		return c, true
	}
	if e, ok := msg.Get(message.Platform, elemTrack); ok {
		if len(e.Body) == trackSize {
			c.number = min(binary.BigEndian.Uint64(e.Body), maxCounter)
		}
		msg.Remove(message.Platform, elemTrack)
	}
	c.weight = weight(msg)
	c.free = c.flow.counted(c.weight)
	if c.number > 0 {
		c.flow.settle(c.number, waiting)
	}
	return c, true
}

// credit is what a message counts for in the flow it came with.
type credit struct {
	flow   *flow // nil if there is none
	weight uint64
	number uint64 // to be reported; 0 if not
	free   bool   // the sender was free to send it
}

// leave is called when the message has gone to the reader, or was dropped.
func (c credit) leave(what outcome) {
	if c.flow != nil {
		c.flow.left(c.weight)
		if c.number > 0 {
			c.flow.settle(c.number, what)
		}
	}
}
