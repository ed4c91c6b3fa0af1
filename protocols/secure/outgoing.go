package secure

import (
	"math"
	"slices"
	"time"
)

// block is a part of the stream that was sent and is not acknowledged in sequence.
type block struct {
	number uint32
	end    uint64 // octets of the stream up to its end
	data   []byte // nil once it is acknowledged selectively
	first  time.Time
	sent   time.Time
	order  uint64 // of its latest transmission among all
	tries  int
	flying bool // sent, and neither acknowledged nor held for lost
	lost   bool // to be sent again
}

// outgoing is the sending half of a stream; its mutex guards it. Loss detection
// follows RFC 9002: by the order of transmissions, not of numbers, so that a
// repetition that is lost is found as fast as any other.
type outgoing struct {
	st       *stream
	buffer   []byte // of what was written
	head     int    // where in it begins what is not yet in a block
	written  uint64 // octets
	cut      uint64 // octets in blocks
	acked    uint64 // octets acknowledged without gap
	boundary uint64 // octets that may be acknowledged without seal
	credit   uint64 // octets that the other side is ready to take
	blocks   []*block
	next     uint32 // number of the next block
	order    uint64
	lostN    int // blocks to be sent again

	flying     int // octets
	flyingN    int // blocks
	congestion int
	threshold  int
	recovery   time.Time // what was sent before does not count as a new loss

	known       bool // the round trip time is
	rtt, rttVar time.Duration
	rttLeast    time.Duration
	rttLatest   time.Duration
	highest     uint64 // the latest transmission of which is known that it came
	probed      int    // probes in a row without answer
	lossAt      time.Time
	lastSent    time.Time
	lastHeard   time.Time // an acknowledgement that brought something
	repeats     uint64
}

func (out *outgoing) init(st *stream) {
	out.st, out.next, out.order = st, 1, 1
	out.rtt, out.rttVar = firstRTT, firstRTT/2
	out.congestion, out.threshold = st.congestion, math.MaxInt
	out.boundary = math.MaxUint64
	out.credit = math.MaxUint64
	if !st.java {
		out.credit = handshakeWindow
	}
}

// unsent is how many octets are not yet in a block.
func (out *outgoing) unsent() int { return len(out.buffer) - out.head }

// write adds octets to the stream.
func (out *outgoing) write(b []byte) {
	if out.head > 0 && len(out.buffer)+len(b) > cap(out.buffer) {
		out.buffer = append(out.buffer[:0], out.buffer[out.head:]...)
		out.head = 0
	}
	out.buffer = append(out.buffer, b...)
	out.written += uint64(len(b))
}

// allow moves the limit of the other side; it never goes back.
func (out *outgoing) allow(limit uint64) { out.credit = max(out.credit, limit) }

// acknowledged takes an acknowledgement. One that is not authentic counts only for
// what was written before seals were asked for.
func (out *outgoing) acknowledged(a *ack, authentic bool) {
	c := out.st.count
	top := a.upTo
	if n := len(a.selective); n > 0 {
		top = a.selective[n-1]
	}
	if top >= out.next {
		c.badAcks.Add(1)
		return
	}
	now := time.Now()
	news, congested := 0, out.flying+out.st.block >= out.congestion
	count := func(b *block) {
		if b.data == nil || !authentic && b.end > out.boundary {
			return
		}
		news += len(b.data)
		out.came(b, now)
	}
	for _, b := range out.blocks {
		if b.number > a.upTo {
			break
		}
		count(b)
	}
	if len(out.blocks) > 0 {
		base := out.blocks[0].number
		for _, n := range a.selective {
			if n >= base {
				count(out.blocks[n-base])
			}
		}
	}
	gone := 0
	for gone < len(out.blocks) && out.blocks[gone].data == nil && out.blocks[gone].number <= a.upTo {
		out.acked = out.blocks[gone].end
		gone++
	}
	if gone > 0 {
		clear(out.blocks[:gone])
		if out.blocks = out.blocks[gone:]; len(out.blocks) == 0 {
			out.blocks = nil
			if out.unsent() == 0 {
				out.buffer = nil // memory is for those who use it
			}
		}
		out.st.signalMoved()
	}
	if news > 0 {
		out.lastHeard, out.probed = now, 0
		if congested {
			out.grow(news)
		}
	}
	out.detect(now)
}

// came notes that a block has arrived.
func (out *outgoing) came(b *block, now time.Time) {
	took := now.Sub(b.sent)
	switch {
	case b.tries == 1:
		out.measure(took)
		out.highest = max(out.highest, b.order)
	case took >= out.rttLeast: // else it was an earlier transmission that came
		out.highest = max(out.highest, b.order)
	}
	if b.flying {
		out.flying -= len(b.data)
		out.flyingN--
	}
	if b.lost {
		out.lostN--
	}
	b.flying, b.lost, b.data = false, false, nil
}

// measure takes a sample of the round trip time; RFC 6298.
func (out *outgoing) measure(d time.Duration) {
	out.rttLatest = d
	if !out.known {
		out.known, out.rtt, out.rttVar, out.rttLeast = true, d, d/2, d
		return
	}
	out.rttLeast = min(out.rttLeast, d)
	out.rttVar += ((out.rtt - d).Abs() - out.rttVar) / 4
	out.rtt += (d - out.rtt) / 8
}

// grow opens the congestion window after octets have come.
func (out *outgoing) grow(octets int) {
	if out.congestion < out.threshold {
		out.congestion += octets
	} else {
		out.congestion += max(1, out.st.block*octets/out.congestion)
	}
	out.congestion = min(out.congestion, mostCongestion)
}

// detect finds blocks that are lost, and when to look again.
func (out *outgoing) detect(now time.Time) {
	out.lossAt = time.Time{}
	late := max(out.rtt, out.rttLatest) * lossTimes / 8
	for _, b := range out.blocks {
		if !b.flying || b.order > out.highest {
			continue
		}
		due := b.sent.Add(late)
		if b.order+lossGap > out.highest && due.After(now) {
			if out.lossAt.IsZero() || due.Before(out.lossAt) {
				out.lossAt = due
			}
			continue
		}
		out.lose(b)
		if b.sent.After(out.recovery) {
			out.recovery = now
			out.threshold = max(out.congestion/2, leastCongestion)
			out.congestion = out.threshold
		}
	}
}

// lose has a block sent again.
func (out *outgoing) lose(b *block) {
	if b.flying {
		out.flying -= len(b.data)
		out.flyingN--
	}
	if !b.lost {
		out.lostN++
	}
	b.flying, b.lost = false, true
}

// patience is how long to wait for an acknowledgement before a probe.
func (out *outgoing) patience() time.Duration {
	d := max(out.rtt+4*out.rttVar, out.st.probeLeast)
	for range out.probed {
		if d *= 2; d >= mostProbe {
			return mostProbe
		}
	}
	return min(d, mostProbe)
}

// probeAt is when something is sent again although nothing was heard.
func (out *outgoing) probeAt() time.Time {
	last := out.lastSent
	if out.lastHeard.After(last) {
		last = out.lastHeard
	}
	return last.Add(out.patience())
}

// probe gives the oldest blocks up.
func (out *outgoing) probe() {
	out.probed++
	if out.probed > 2 {
		out.threshold = max(out.congestion/2, leastCongestion)
		out.congestion = leastCongestion
	}
	left := out.st.probes
	for _, b := range out.blocks {
		if b.flying {
			out.lose(b)
			if left--; left == 0 {
				return
			}
		}
	}
}

// pick returns the block to be sent now, a lost one first.
func (out *outgoing) pick(now time.Time) *block {
	if out.lostN > 0 {
		for _, b := range out.blocks {
			if b.lost {
				if out.flying > 0 && out.flying+len(b.data) > out.congestion {
					return nil
				}
				return b
			}
		}
	}
	n := min(out.unsent(), out.st.block)
	if out.cut < out.boundary && out.boundary-out.cut < uint64(n) {
		n = int(out.boundary - out.cut)
	}
	if out.credit < out.cut+uint64(n) {
		if n = int(out.credit - min(out.cut, out.credit)); n < out.st.block && out.flying > 0 {
			return nil // there will be more room at once
		}
	}
	switch {
	case n == 0, out.next == maxNumber:
		return nil
	case out.flying > 0 && out.flying+n > out.congestion, len(out.blocks) >= out.st.inFlight:
		return nil
	case n < out.st.block/2 && out.flyingN >= nagleAfter:
		return nil
	}
	b := &block{number: out.next, first: now}
	b.data = slices.Clone(out.buffer[out.head : out.head+n])
	if out.head += n; out.head == len(out.buffer) {
		out.buffer, out.head = out.buffer[:0], 0
	}
	out.cut += uint64(n)
	b.end = out.cut
	out.next++
	out.blocks = append(out.blocks, b)
	out.st.writable.Signal()
	return b
}

// launch notes that a block is being sent.
func (out *outgoing) launch(b *block, now time.Time) {
	if b.lost {
		out.lostN--
	}
	if b.tries > 0 {
		out.repeats++
		out.st.count.repeats.Add(1)
	}
	b.lost, b.flying, b.sent, b.order = false, true, now, out.order
	b.tries++
	out.order++
	out.flying += len(b.data)
	out.flyingN++
	out.lastSent = now
}

// blocked reports whether only the other side's window keeps anything back.
func (out *outgoing) blocked() bool {
	return out.unsent() > 0 && len(out.blocks) == 0 && out.credit <= out.cut
}
