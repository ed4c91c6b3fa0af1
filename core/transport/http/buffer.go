package http

import "net"

// buffer holds octets of a stream in pieces, from the first not yet dropped. A place
// in a piece is written once, so that what peek returned may be read at any time
// later, also while others write. Apart from that it is not safe for concurrent use.
type buffer struct {
	pieces [][]byte
	size   int // octets in all
}

// write appends a copy of b.
func (f *buffer) write(b []byte) {
	f.size += len(b)
	for len(b) > 0 {
		last := len(f.pieces) - 1
		if last < 0 || len(f.pieces[last]) == cap(f.pieces[last]) {
			room := pieceMost
			if last < 0 { // most of the time little is under way
				room = min(max(len(b), pieceLeast), pieceMost)
			}
			f.pieces = append(f.pieces, make([]byte, 0, room))
			last++
		}
		p := f.pieces[last]
		n := min(len(b), cap(p)-len(p))
		f.pieces[last] = append(p, b[:n]...)
		b = b[n:]
	}
}

// read moves octets to b and returns how many.
func (f *buffer) read(b []byte) int {
	n := 0
	for n < len(b) && f.size > 0 {
		m := copy(b[n:], f.pieces[0])
		f.drop(m)
		n += m
	}
	return n
}

// peek returns the first n octets, or all if there are less.
func (f *buffer) peek(n int) net.Buffers {
	n = min(n, f.size)
	var all net.Buffers
	for _, p := range f.pieces {
		if n == 0 {
			break
		}
		m := min(n, len(p))
		all = append(all, p[:m:m])
		n -= m
	}
	return all
}

// drop forgets the first n octets, or all if there are less.
func (f *buffer) drop(n int) {
	n = min(n, f.size)
	f.size -= n
	for n > 0 {
		m := min(n, len(f.pieces[0]))
		f.pieces[0] = f.pieces[0][m:]
		n -= m
		if len(f.pieces[0]) > 0 {
			return
		}
		f.pieces[0] = nil
		f.pieces = f.pieces[1:]
	}
	if len(f.pieces) == 0 {
		f.pieces = nil
	}
}
