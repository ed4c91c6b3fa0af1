package reliable

import (
	"time"

	"github.com/juxta-p2p/juxta/core/message"
)

// sender is the state of one direction at the side that sends: which blocks are kept,
// which may go, which are lost. It does no input or output and has no clock: times
// are durations since the Conn was made. The caller locks.
type sender struct {
	mode    Mode
	maxKept int // octets; see Config.SendBytes
	giveUp  time.Duration

	// Blocks base to end-1 are kept in the ring, those below next have been sent.
	ring            []outBlock
	base, next, end uint64
	highest         uint64 // number that can be given
	kept            int    // octets kept, with what they cost
	underWay        int    // sent, not acknowledged
	gaps            int    // acknowledged, but not removed since older ones are not
	ended           bool   // the last block is the end

	repeats    int    // blocks to send again
	repeatFrom uint64 // none below this

	// Order of transmissions; that of the latest three that were acknowledged tells
	// what must have been lost.
	order  uint64
	latest [3]uint64

	// What the other side allows.
	limit     uint64 // mode Juxta: offset below which blocks may begin
	offset    uint64 // behind the last block
	window    int    // mode Java: blocks
	maxWindow int
	free      int // mode Java: room of the other side, as JXSE reckons

	heard    time.Duration // last acknowledgement of any content
	progress time.Duration // last acknowledgement of a block
	since    time.Duration // do not count silence before this
	blocked  time.Duration // since when there is no room; never if there is
	trip     time.Duration // smoothed round trip; zero if not known
	jitter   time.Duration
	backoff  uint
	ask      bool // an acknowledgement is wanted at once
	asked    bool // a writer that waits for room has asked

	sent, repeated, octets, acks, badAcks, probes uint64
}

// outBlock is a block that is kept.
type outBlock struct {
	body  []byte
	mem   *message.Memory // in which body lies; nil if nowhere
	start uint64          // offset in the flow
	first time.Duration   // first time it was sent
	at    time.Duration   // last time
	order uint64          // of the last transmission
	tries uint32
	last  bool // the end
	acked bool
	again bool // to be sent again
}

func newSender(cfg Config) sender {
	s := sender{
		mode: cfg.Mode, maxKept: cfg.SendBytes, giveUp: cfg.GiveUp,
		base: 1, next: 1, end: 1, repeatFrom: 1, highest: lastJava,
		limit: firstWindow, window: min(javaFirstWindow, cfg.Window), maxWindow: cfg.Window, free: javaQueue,
		blocked: never,
	}
	if cfg.Mode == Juxta {
		s.highest = lastJuxta
	}
	return s
}

func (s *sender) at(n uint64) *outBlock { return &s.ring[n&uint64(len(s.ring)-1)] }

// hasRoom reports whether a block of n octets may be kept.
func (s *sender) hasRoom(n int) bool {
	return s.base == s.end || s.kept+n+blockCost <= s.maxKept
}

// push keeps a block. The caller has checked for room and numbers.
func (s *sender) push(body []byte, mem *message.Memory, last bool) {
	if held := int(s.end - s.base); held == len(s.ring) {
		ring := make([]outBlock, max(minRing, 2*held))
		for n := s.base; n != s.end; n++ {
			ring[n&uint64(len(ring)-1)] = *s.at(n)
		}
		s.ring = ring
	}
	*s.at(s.end) = outBlock{body: body, mem: mem, start: s.offset, last: last}
	s.end++
	s.offset += uint64(len(body)) + blockCost
	s.kept += len(body) + blockCost
	s.ended = s.ended || last
}

// mayAdvance reports whether the next new block may go.
func (s *sender) mayAdvance() bool {
	if s.next == s.end {
		return false
	}
	if s.mode == Juxta {
		return s.at(s.next).start < s.limit
	}
	// JXSE waits while more than this are unacknowledged.
	return s.underWay <= max(0, min(s.window, 2*s.free)) && s.next-s.base < maxUnderWay
}

// ready reports whether there is anything to send.
func (s *sender) ready() bool { return s.repeats > 0 || s.ask || s.mayAdvance() }

// pick returns the number of the block to send now and takes note that it is sent.
func (s *sender) pick(now time.Duration) (uint64, bool) {
	n := s.next
	if s.repeats > 0 {
		for n = s.repeatFrom; !s.at(n).again; n++ {
		}
		s.repeatFrom = n + 1
		s.repeats--
	} else if s.mayAdvance() {
		s.next++
		s.underWay++
	} else {
		return 0, false
	}
	b := s.at(n)
	if b.tries == 0 {
		b.first = now
		s.sent++
		s.octets += uint64(len(b.body))
	} else {
		s.repeated++
	}
	b.again = false
	b.tries++
	b.at = now
	s.order++
	b.order = s.order
	s.free-- // as JXSE reckons
	return n, true
}

// left takes note that Send is done with block n, or has failed on it.
func (s *sender) left(n uint64, now time.Duration, failed bool) {
	if n < s.base || s.at(n).acked {
		return
	}
	if failed {
		s.repeat(n)
		return
	}
	s.at(n).at = now
}

// repeat marks a block that was sent to be sent again.
func (s *sender) repeat(n uint64) {
	b := s.at(n)
	if b.acked || b.again {
		return
	}
	b.again = true
	if s.repeats == 0 || n < s.repeatFrom {
		s.repeatFrom = n
	}
	s.repeats++
}

// moved marks all that is unacknowledged to be sent again.
func (s *sender) moved(now time.Duration) {
	for n := s.base; n != s.next; n++ {
		s.repeat(n)
	}
	s.backoff = 0
	s.since = now
	s.ask = s.mode == Juxta && s.waits() // what was told may be lost too
}

// acknowledged takes an acknowledgement and reports whether it removed anything.
func (s *sender) acknowledged(a acknowledgement, now time.Duration) bool {
	if a.upTo >= s.next { // of what was never sent
		s.badAcks++
		return false
	}
	s.acks++
	s.heard = now
	s.asked = false
	sample, sampled := time.Duration(0), uint64(0)
	settled := false
	settle := func(n uint64) {
		b := s.at(n)
		if b.acked {
			return
		}
		settled = true
		if b.tries == 1 && b.order > sampled {
			sample, sampled = now-b.at, b.order
		}
		s.settle(b)
	}
	for n := s.base; n <= a.upTo; n++ {
		settle(n)
	}
	low := s.base
	for _, r := range a.listed {
		if r.last >= s.next {
			s.badAcks++
			r.last = s.next - 1
		}
		for n := max(r.first, low); n <= r.last; n++ {
			settle(n)
		}
		low = max(low, r.last+1)
	}
	if s.mode == Java {
		s.free = max(0, javaQueue-a.count)
	}
	if !settled {
		return false
	}
	s.progress = now
	s.backoff = 0
	if sampled != 0 {
		s.measured(sample)
	}
	if s.mode == Java && s.window < s.maxWindow {
		s.window++
	}
	s.trim()
	s.findLost(now)
	return true
}

// settle takes note that a block has arrived.
func (s *sender) settle(b *outBlock) {
	b.acked = true
	if b.again {
		b.again = false
		s.repeats--
	}
	s.underWay--
	s.gaps++
	s.kept -= len(b.body) + blockCost
	if b.mem != nil {
		b.mem.Release()
	}
	b.body, b.mem = nil, nil
	switch o := b.order; {
	case o > s.latest[0]:
		s.latest = [3]uint64{o, s.latest[0], s.latest[1]}
	case o > s.latest[1]:
		s.latest = [3]uint64{s.latest[0], o, s.latest[1]}
	case o > s.latest[2]:
		s.latest[2] = o
	}
}

// trim removes what is acknowledged at the old end.
func (s *sender) trim() {
	for s.base != s.next && s.at(s.base).acked {
		s.base++
		s.gaps--
	}
	s.repeatFrom = max(s.repeatFrom, s.base)
	if s.base == s.end && len(s.ring) > keepRing {
		s.ring = nil
	}
}

// measured takes a sample of the round trip; RFC 6298.
func (s *sender) measured(d time.Duration) {
	d = max(d, time.Microsecond)
	if s.trip == 0 {
		s.trip, s.jitter = d, d/2
		return
	}
	s.jitter += ((s.trip - d).Abs() - s.jitter) / 4
	s.trip += (d - s.trip) / 8
}

// patience is how long to wait for an acknowledgement before anything is repeated.
func (s *sender) patience() time.Duration {
	if s.mode == Juxta {
		return min(max(juxtaPatience, 4*s.trip), mostPatience)
	}
	if s.trip == 0 {
		return javaFirstPatience
	}
	return min(max(javaLeastPatience, s.trip+4*s.jitter), mostPatience)
}

// findLost marks for repeating what was sent before something that has
// arrived: when three that were sent later did, or one did and it is overdue. On ways
// that keep the order, which all are while they stay the same, that is certain; but
// threads of JXSE overtake each other behind the way, so that a block is not held to be
// lost before javaSettle.
func (s *sender) findLost(now time.Duration) {
	if s.base == s.next || s.gaps == 0 && s.at(s.base).order > s.latest[0] {
		return
	}
	overdue, settled := now-s.patience(), now
	if s.mode == Java {
		settled -= javaSettle
	}
	for n := s.base; n != s.next; n++ {
		b := s.at(n)
		if !b.acked && (b.order < s.latest[2] && b.at <= settled || b.order < s.latest[0] && b.at <= overdue) {
			s.repeat(n)
		}
	}
}

// granted takes the offset below which blocks may begin.
func (s *sender) granted(limit uint64, now time.Duration) {
	s.heard = now
	s.limit = max(s.limit, limit)
}

// held takes note that Send took until now, so that what is under way is not late.
func (s *sender) held(now time.Duration) { s.since = now }

// quiet is the time from which on silence counts.
func (s *sender) quiet() time.Duration {
	if s.underWay == 0 { // no room
		return max(s.heard, s.blocked, s.since)
	}
	// JXSE acknowledges when its reader takes a block; only progress says that there is no
	// hole. Juxta peers tell holes.
	last := s.progress
	if s.mode == Juxta {
		last = s.heard
	}
	return max(s.at(s.base).at, last, s.since)
}

// wantRoom asks for an acknowledgement, once a round trip, if more might be written but
// nothing more may be kept. If it is the window that is too small, the other
// side tells of room unasked.
func (s *sender) wantRoom() {
	if s.mode == Juxta && !s.asked && (s.next == s.end || s.mayAdvance()) {
		s.ask, s.asked = true, true
	}
}

// waits reports whether something must come from the other side.
func (s *sender) waits() bool { return s.base != s.end }

// due returns when tick has something to do. If busy, something is just being sent.
func (s *sender) due(busy bool) time.Duration {
	switch {
	case !s.waits() || s.underWay == 0 && s.blocked == never:
		return never
	case busy || s.repeats > 0:
		return s.dead()
	}
	return min(s.quiet()+s.wait(), s.dead())
}

// wait is the patience, longer from time to time.
func (s *sender) wait() time.Duration {
	return min(s.patience()<<min(s.backoff, mostBackoff), mostPatience)
}

// dead returns when to give up, if something must come from the other side.
func (s *sender) dead() time.Duration {
	if s.underWay == 0 {
		return max(s.heard, s.blocked) + s.giveUp
	}
	return max(s.at(s.base).first, s.progress) + s.giveUp
}

// check keeps the time since which there is no room.
func (s *sender) check(now time.Duration) {
	switch {
	case s.underWay > 0 || s.next == s.end || s.mayAdvance():
		s.blocked = never
	case s.blocked == never:
		s.blocked = now
	}
}

// tick does what silence makes necessary, and reports whether it is time to give up. If
// busy, something is just being sent, and nothing is repeated.
func (s *sender) tick(now time.Duration, busy bool) (gone bool) {
	if now < s.due(busy) {
		return false
	}
	if now >= s.dead() {
		return true
	}
	s.backoff++
	s.probes++
	s.since = now
	if s.underWay > 0 {
		s.repeat(s.base)
	}
	s.ask = s.mode == Juxta
	return false
}

// drop forgets everything.
func (s *sender) drop() {
	for n := s.base; n != s.end; n++ {
		if b := s.at(n); b.mem != nil {
			b.mem.Release()
		}
	}
	s.ring, s.kept, s.underWay, s.gaps, s.repeats, s.ask = nil, 0, 0, 0, 0, false
	s.base, s.next, s.repeatFrom = s.end, s.end, s.end
}
