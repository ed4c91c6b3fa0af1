package secure

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/juxta-p2p/juxta/core/message"
)

// rules are what differs between a stream to Juxta and one to JXSE.
type rules struct {
	java        bool
	window      int // octets taken before they are read, after the handshake
	ahead       uint32
	block       int // octets of a block sent
	inFlight    int // blocks
	probes      int
	probeLeast  time.Duration
	congestion  int
	acksReading bool // blocks are acknowledged when they are read, not when they come
}

var juxtaRules = rules{
	window: window, ahead: maxAhead, block: blockSize, inFlight: maxInFlight,
	probes: probes, probeLeast: leastProbe, congestion: firstCongestion,
}

var javaRules = rules{
	java: true, window: javaWindow, ahead: javaAhead, block: javaBlock, inFlight: javaInFlight,
	probes: javaProbes, probeLeast: javaProbe, congestion: mostCongestion, acksReading: true,
}

// stream makes a reliable stream of octets out of messages that may be lost, come
// twice or in another order, in the framing of JXSE: numbered blocks, acknowledged
// in sequence and selectively. It is the [net.Conn] under TLS.
//
// What arrives is put in by arrived and acknowledged, which never wait. One
// goroutine, run, sends everything: blocks, repetitions and acknowledgements.
type stream struct {
	rules
	id     uint64 // tells connections between two peers apart; zero with JXSE
	send   func(context.Context, *message.Message) error
	fatal  func(error) bool // whether a failure to send the first block is the end
	shared *shared
	count  *counters
	wake   chan struct{} // holds a token while run may have something to do
	ctx    context.Context
	cancel context.CancelCauseFunc

	mu       sync.Mutex
	readable sync.Cond
	writable sync.Cond
	moved    chan struct{} // closed when something was acknowledged; nil if nobody waits
	err      error         // why the stream is over
	heard    bool          // something came
	keyed    bool          // seals are made and checked
	sealing  hash.Hash     // of own acknowledgements
	checking hash.Hash     // of those of the other side
	in       arriving
	out      outgoing
}

func newStream(r rules, id uint64, sh *shared, count *counters, send func(context.Context, *message.Message) error) *stream {
	st := &stream{rules: r, id: id, send: send, shared: sh, count: count, wake: make(chan struct{}, 1)}
	st.readable.L, st.writable.L = &st.mu, &st.mu
	st.ctx, st.cancel = context.WithCancelCause(context.Background())
	st.in.init(st)
	st.out.init(st)
	return st
}

// fail ends the stream; later calls change nothing.
func (st *stream) fail(err error) {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.failLocked(err)
}

func (st *stream) failLocked(err error) {
	if st.err != nil {
		return
	}
	st.err = err
	st.readable.Broadcast()
	st.writable.Broadcast()
	st.signalMoved()
	st.in.release()
	st.cancel(err)
}

func (st *stream) signalMoved() {
	if st.moved != nil {
		close(st.moved)
		st.moved = nil
	}
}

func (st *stream) wakeUp() {
	select {
	case st.wake <- struct{}{}:
	default:
	}
}

// seal begins to seal own acknowledgements and to ask seals of the other side, and
// opens the window: the handshake is over. What was written before may still be
// acknowledged without seal, since the other side may not have the keys yet.
func (st *stream) seal(own, other []byte) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if own != nil {
		st.keyed = true
		st.sealing, st.checking = hmac.New(sha256.New, own), hmac.New(sha256.New, other)
		st.out.boundary = st.out.written
	}
	st.in.open()
	st.wakeUp()
}

// sum is the seal of an acknowledgement.
func (st *stream) sum(h hash.Hash, limit uint64, body []byte) []byte {
	h.Reset()
	var b [16]byte
	binary.BigEndian.PutUint64(b[:], st.id)
	binary.BigEndian.PutUint64(b[8:], limit)
	h.Write(b[:])
	h.Write(body)
	return h.Sum(nil)[:sealSize]
}

// take takes what a message from the other side holds.
func (st *stream) take(p *packet) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.err != nil {
		return
	}
	st.heard = true
	if p.repeat {
		st.count.repeatsSeen.Add(1)
	}
	if p.acked {
		authentic := !st.keyed
		if st.keyed && p.tag.seal != nil {
			authentic = hmac.Equal(p.tag.seal, st.sum(st.checking, p.tag.limit, p.ackBody))
			if !authentic {
				st.count.forged.Add(1)
			}
		}
		st.out.acknowledged(&p.ack, authentic)
		if p.tag.limited && authentic {
			st.out.allow(p.tag.limit)
		}
	} else if p.tag.limited && !st.keyed {
		st.out.allow(p.tag.limit)
	}
	for i := range p.blocks {
		st.in.arrived(p.blocks[i].number, p.blocks[i].data)
	}
	if p.tag.kind == kindAsk && p.tagged {
		st.in.due = true
	}
	st.wakeUp()
}

// Read implements [net.Conn].
func (st *stream) Read(b []byte) (int, error) {
	st.mu.Lock()
	defer st.mu.Unlock()
	for len(st.in.ready) == 0 {
		if st.err != nil {
			return 0, st.err
		}
		if len(b) == 0 {
			return 0, nil
		}
		st.readable.Wait()
	}
	return st.in.read(b), nil
}

// Write implements [net.Conn]; it waits while too much is unsent.
func (st *stream) Write(b []byte) (int, error) {
	st.mu.Lock()
	defer st.mu.Unlock()
	for st.out.unsent() >= maxUnsent && st.err == nil {
		st.writable.Wait()
	}
	if st.err != nil {
		return 0, st.err
	}
	st.out.write(b)
	st.wakeUp()
	return len(b), nil
}

// written returns how many octets were written.
func (st *stream) writtenSoFar() uint64 {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.out.written
}

// ackedSoFar returns how many of them are acknowledged without gap.
func (st *stream) ackedSoFar() uint64 {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.out.acked
}

// number returns how many blocks were made.
func (st *stream) number() uint32 {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.out.next - 1
}

// await waits until so many octets are acknowledged.
func (st *stream) await(ctx context.Context, octets uint64) error {
	for {
		st.mu.Lock()
		acked, err := st.out.acked, st.err
		if st.moved == nil && err == nil {
			st.moved = make(chan struct{})
		}
		moved := st.moved
		st.mu.Unlock()
		switch {
		case acked >= octets:
			return nil
		case err != nil:
			return err
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// Close implements [net.Conn].
func (st *stream) Close() error { st.fail(net.ErrClosed); return nil }

// streamAddr is the address of both ends of a stream, of which TLS has no use.
type streamAddr struct{}

func (streamAddr) Network() string { return space }
func (streamAddr) String() string  { return space }

// LocalAddr implements [net.Conn].
func (st *stream) LocalAddr() net.Addr { return streamAddr{} }

// RemoteAddr implements [net.Conn].
func (st *stream) RemoteAddr() net.Addr { return streamAddr{} }

// SetDeadline implements [net.Conn]. A stream has no deadlines, since one would be
// the end of a TLS connection; it ends by fail instead.
func (st *stream) SetDeadline(time.Time) error { return nil }

// SetReadDeadline implements [net.Conn]; see SetDeadline.
func (st *stream) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline implements [net.Conn]; see SetDeadline.
func (st *stream) SetWriteDeadline(time.Time) error { return nil }

// shared is the memory for what came and is not read, which connections take from
// beyond what is guaranteed to each.
type shared struct{ free atomic.Int64 }

func newShared(n int64) *shared {
	s := new(shared)
	s.free.Store(n)
	return s
}

func (s *shared) take(n int) bool {
	if s.free.Add(-int64(n)) >= 0 {
		return true
	}
	s.free.Add(int64(n))
	return false
}

func (s *shared) give(n int) { s.free.Add(int64(n)) }
