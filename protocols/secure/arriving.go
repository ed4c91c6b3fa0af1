package secure

import (
	"maps"
	"slices"
	"time"
)

// arriving is the receiving half of a stream; its mutex guards it.
type arriving struct {
	st       *stream
	next     uint32            // number of the block that is to come next
	ahead    map[uint32][]byte // blocks that came before their turn
	ready    [][]byte          // blocks to be read
	held     int               // octets in both
	borrowed int               // octets of them that are not guaranteed
	window   int
	taken    uint64 // octets read
	blocks   uint32 // blocks read
	limit    uint64 // what the other side was told, or is about to be
	told     uint64 // what it was told last
	due      bool   // an acknowledgement is to be sent
	remind   time.Time
}

func (in *arriving) init(st *stream) {
	in.st, in.next, in.ahead = st, 1, map[uint32][]byte{}
	in.window = min(handshakeWindow, st.window)
	in.limit = uint64(in.window)
	in.told = in.limit
}

// open takes more than during the handshake.
func (in *arriving) open() {
	in.window = in.st.window
	in.raise()
	in.due = true
}

// raise moves the limit on with the reader.
func (in *arriving) raise() { in.limit = max(in.limit, in.taken+uint64(in.window)) }

// arrived takes a block.
func (in *arriving) arrived(n uint32, data []byte) {
	c := in.st.count
	switch {
	case n < in.next:
		c.duplicates.Add(1)
		in.due = true
		return
	case n-in.next > in.st.ahead:
		c.ahead.Add(1)
		return
	case in.ahead[n] != nil:
		c.duplicates.Add(1)
		in.due = true
		return
	case !in.room(n, len(data)):
		c.noRoom.Add(1)
		in.due = true
		return
	}
	in.held += len(data)
	if n != in.next {
		in.ahead[n] = data
		in.due = true // the gap is pointed out at once
		if in.st.java && in.remind.IsZero() {
			in.remind = time.Now().Add(remindEvery)
		}
		return
	}
	for data != nil {
		in.ready = append(in.ready, data)
		in.next++
		data = in.ahead[in.next]
		delete(in.ahead, in.next)
	}
	in.remind = time.Time{}
	if in.st.java && len(in.ahead) > 0 {
		in.remind = time.Now().Add(remindEvery)
	}
	if !in.st.acksReading {
		in.due = true
	}
	in.st.readable.Signal()
}

// room reports whether a block can be kept, and takes the memory. The one that the
// reader waits for always can.
func (in *arriving) room(n uint32, size int) bool {
	if n == in.next && len(in.ready) == 0 {
		return true
	}
	held := in.held + size
	if held > in.window {
		return false
	}
	if more := held - guaranteed - in.borrowed; more > 0 {
		if !in.st.shared.take(more) {
			return false
		}
		in.borrowed += more
	}
	return true
}

// read moves octets to the reader.
func (in *arriving) read(b []byte) int {
	n := 0
	for n < len(b) && len(in.ready) > 0 {
		k := copy(b[n:], in.ready[0])
		n += k
		if in.ready[0] = in.ready[0][k:]; len(in.ready[0]) == 0 {
			in.ready[0] = nil
			in.ready = in.ready[1:]
			in.blocks++
			if in.st.acksReading {
				in.due = true
			}
		}
	}
	in.held -= n
	in.taken += uint64(n)
	if spare := in.borrowed - max(0, in.held-guaranteed); spare > 0 {
		in.st.shared.give(spare)
		in.borrowed -= spare
	}
	in.raise()
	if in.limit-in.told >= uint64(in.window)/4 {
		in.due = true
	}
	if in.due {
		in.st.wakeUp()
	}
	return n
}

// release gives the memory back.
func (in *arriving) release() {
	in.st.shared.give(in.borrowed)
	in.borrowed = 0
	in.ahead = map[uint32][]byte{}
}

// ack is what the other side is to know.
func (in *arriving) ack() ack {
	a := ack{upTo: in.next - 1}
	if in.st.acksReading {
		a.upTo = in.blocks
		for n := in.blocks + 1; n < in.next && len(a.selective) < maxSelective; n++ {
			a.selective = append(a.selective, n)
		}
	}
	list := slices.Sorted(maps.Keys(in.ahead))
	a.selective = append(a.selective, list[:min(len(list), maxSelective-len(a.selective))]...)
	return a
}
