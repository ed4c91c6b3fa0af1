package reliable

import "time"

// receiver is the state of one direction at the side that receives: which blocks are
// held for the reader and what the other side has to be told. Like sender, it has
// no input, output, clock or lock of its own.
type receiver struct {
	mode   Mode
	giveUp time.Duration

	// Blocks that are held lie in the ring by number.
	ring  []inBlock
	taken uint64 // last number the reader has taken
	whole uint64 // last number up to which all have come
	top   uint64 // highest number that has come
	held  int    // blocks
	cost  int    // of the blocks held
	fin   uint64 // number of the end, if it has come

	// The window of mode Juxta, in octets of the flow; mode Java only bounds cost.
	window   int
	through  func() bool // see Config.Through
	grow     bool
	consumed uint64 // offset behind what the reader has taken
	arrived  uint64 // offset behind what came whole
	granted  uint64 // offset last told
	told     uint64 // consumed, when last told

	// How long the round trip takes, seen from here: from telling an offset until
	// something comes that was not allowed before.
	mark   uint64 // what was allowed before; zero if nothing is measured
	markAt time.Duration
	trip   time.Duration
	lap    uint64 // consumed, when the window was last considered
	lapAt  time.Duration

	ackBy   time.Duration // when to acknowledge at the latest
	lastAck time.Duration
	dirty   bool          // something came since the last acknowledgement
	hole    time.Duration // since when the next block is missing while others are held

	received, octets, duplicates, refused, acks uint64
}

// inBlock is a block that is held.
type inBlock struct {
	body []byte
	from *parcel // nil if its memory is not released
	here bool
	last bool // the end
}

func newReceiver(cfg Config) receiver {
	r := receiver{mode: cfg.Mode, giveUp: cfg.GiveUp, window: cfg.ReceiveBytes, ackBy: never, lastAck: -reAck, hole: never, granted: firstWindow, through: cfg.Through}
	switch {
	case r.mode == Java && r.window <= 0:
		r.window = heldJava
	case r.mode == Java:
	case r.window <= 0:
		r.window, r.grow = startWindow, true
	default:
		r.window = max(r.window, firstWindow)
	}
	return r
}

func (r *receiver) at(n uint64) *inBlock { return &r.ring[n&uint64(len(r.ring)-1)] }

// has reports whether block n is held.
func (r *receiver) has(n uint64) bool { return n > r.taken && n <= r.top && r.at(n).here }

// ahead is how far a block may be ahead of the reader. A Juxta sender cannot be
// further, as each block uses up blockCost of the window at least.
func (r *receiver) ahead() uint64 {
	if r.mode == Java {
		return maxAhead
	}
	return uint64(r.window)/blockCost + 2
}

// full reports whether no block may be held but the one the reader needs next.
func (r *receiver) full() bool {
	return r.cost >= r.window || r.mode == Java && r.held >= maxHeld
}

// put takes a block that came, and reports whether it is held.
func (r *receiver) put(n uint64, body []byte, last bool, now time.Duration) (held bool) {
	switch {
	case n <= r.taken, r.has(n):
		r.duplicates++
		r.hurry(now)
		return false
	case n-r.taken > r.ahead(), n != r.taken+1 && r.full(), r.fin != 0 && n > r.fin, last && n < r.top:
		r.refused++
		return false
	}
	if need := n - r.taken; need > uint64(len(r.ring)) {
		size := max(minRing, len(r.ring))
		for uint64(size) < need {
			size *= 2
		}
		ring := make([]inBlock, size)
		for k := r.taken + 1; k <= r.top; k++ {
			ring[k&uint64(size-1)] = *r.at(k)
		}
		r.ring = ring
	}
	*r.at(n) = inBlock{body: body, here: true, last: last}
	r.top = max(r.top, n)
	r.held++
	r.cost += len(body) + blockCost
	r.received++
	r.octets += uint64(len(body))
	if last {
		r.fin = n
	}
	inOrder := n == r.whole+1
	for r.has(r.whole + 1) {
		if r.mark != 0 && r.arrived >= r.mark { // it begins where it could not before
			r.measured(now - r.markAt)
			r.mark = 0
		}
		r.whole++
		r.arrived += uint64(len(r.at(r.whole).body)) + blockCost
	}
	r.dirty = true
	if r.mode == Java {
		r.watchHole(now)
		return true
	}
	switch {
	case !inOrder, r.whole != n, last: // a hole is there, or filled
		r.hurry(now)
	case n == 1: // tell the real window soon
		r.ackBy = now
	default:
		r.ackBy = min(r.ackBy, now+ackDelay)
	}
	return true
}

// hurry has something acknowledged as soon as may be.
func (r *receiver) hurry(now time.Duration) {
	gap := ackGap
	if r.mode == Java {
		gap = reAck
	}
	r.dirty = true
	r.ackBy = min(r.ackBy, max(now, r.lastAck+gap))
}

// watchHole keeps the time since which the reader's next block is missing in mode
// Java, and has that told.
func (r *receiver) watchHole(now time.Duration) {
	switch {
	case r.held == 0 || r.has(r.taken+1):
		r.hole = never
	case r.hole == never:
		r.hole = now
		r.hurry(now)
	}
}

// take returns the reader's next block.
func (r *receiver) take(now time.Duration) (b inBlock, ok bool) {
	if r.whole == r.taken {
		return inBlock{}, false
	}
	r.taken++
	slot := r.at(r.taken)
	b, *slot = *slot, inBlock{}
	r.held--
	r.cost -= len(b.body) + blockCost
	r.consumed += uint64(len(b.body)) + blockCost
	if r.held == 0 && len(r.ring) > keepRing {
		r.ring, r.top = nil, r.taken
	}
	if r.mode == Java {
		r.dirty = true
		r.ackBy = now
		r.watchHole(now)
		return b, true
	}
	r.consider(now)
	if r.consumed-r.told >= uint64(r.window)/4 {
		r.dirty = true
		r.ackBy = now
	}
	return b, true
}

// measured takes a sample of the round trip as seen from here, which is too long if
// the sender made a pause. So shorter ones count at once.
func (r *receiver) measured(d time.Duration) {
	d = min(max(d, leastTrip), mostTrip)
	if r.trip == 0 || d < r.trip {
		r.trip = d
		return
	}
	r.trip += (d - r.trip) / 8
}

// consider doubles the window if the reader has taken all of it within two round trips:
// then it is the window that keeps the sender back.
func (r *receiver) consider(now time.Duration) {
	if !r.grow || r.consumed-r.lap < uint64(r.window) {
		return
	}
	if r.trip != 0 && now-r.lapAt <= 2*r.trip {
		r.window = max(r.window, min(2*r.window, r.most()))
	}
	r.lap, r.lapAt = r.consumed, now
}

// most is how large the window may get by itself.
func (r *receiver) most() int {
	if r.through != nil && r.trip < quickTrip && r.through() {
		return throughWindow
	}
	return maxWindow
}

// due reports whether an acknowledgement must go now.
func (r *receiver) due(now time.Duration) bool { return r.ackBy <= now }

// tell returns what to acknowledge, using list as memory, and takes note that it is
// told. Mode Java acknowledges what was taken and lists what is held, each time: JXSE
// lists each number once, so that a lost acknowledgement costs it a repetition.
func (r *receiver) tell(now time.Duration, list []span) (upTo uint64, listed []span) {
	listed = list[:0]
	upTo = r.whole
	if r.mode == Java {
		upTo = r.taken
	}
	octets := 0
	for n := upTo + 1; n <= r.top && r.held > 0; n++ {
		b := r.at(n)
		if !b.here {
			continue
		}
		if octets += len(b.body); r.mode == Java && octets > r.window/listedShare {
			break
		}
		if i := len(listed) - 1; i >= 0 && listed[i].last == n-1 {
			listed[i].last = n
			continue
		}
		if len(listed) == maxRanges {
			break
		}
		listed = append(listed, span{n, n})
	}
	r.acks++
	r.dirty = false
	r.lastAck = now
	r.ackBy = never
	if r.mode == Java {
		if r.hole != never && now-r.hole < r.giveUp {
			r.ackBy = now + reAck
		}
		return upTo, listed
	}
	if r.mark == 0 {
		r.mark, r.markAt = r.granted, now
	}
	r.granted = max(r.granted, r.consumed+uint64(r.window))
	r.told = r.consumed
	return upTo, listed
}

// drop forgets what is held.
func (r *receiver) drop() {
	r.ring, r.held, r.cost, r.top, r.whole = nil, 0, 0, r.taken, r.taken
	r.ackBy = never
}
