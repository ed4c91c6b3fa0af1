package jxsetest_test

import (
	"bufio"
	"bytes"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/core/transport/framing"
)

// Where a jxtarel message names its namespace and the type of its first element.
const lossyProlog = 128

// lossyHold is the longest that a frame is held back to be overtaken.
const lossyHold = 20 * time.Millisecond

// frameKind tells the frames of the reliability layer from others.
type frameKind int

const (
	otherFrame frameKind = iota
	blockFrame
	ackFrame
)

func kindOf(frame []byte) frameKind {
	prolog := frame[:min(len(frame), lossyProlog)]
	switch {
	case !bytes.Contains(prolog, []byte("jxtarel")):
		return otherFrame
	case bytes.Contains(prolog, []byte("application/x-jxta-reliable-block")):
		return blockFrame
	default:
		return ackFrame
	}
}

// fate is what becomes of a frame.
type fate int

const (
	passFrame fate = iota
	loseFrame
	holdFrame // until the next one has passed
)

// lossyWay is one direction of a [lossy] proxy.
type lossyWay struct {
	mu     sync.Mutex
	decide func(frameKind) fate // nil passes all
	held   []byte
	heldTo net.Conn
	timer  *time.Timer

	blocks, acks, lost, reordered, octets atomic.Int64
}

// rule sets what becomes of the frames of the reliability layer. It is called for
// no others, and not concurrently.
func (w *lossyWay) rule(decide func(frameKind) fate) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.decide = decide
	w.blocks.Store(0)
	w.acks.Store(0)
	w.lost.Store(0)
	w.reordered.Store(0)
}

// chance is a rule that loses and holds back that share of all frames.
func chance(seed uint64, lose, hold float64) func(frameKind) fate {
	rnd := rand.New(rand.NewPCG(seed, seed))
	return func(frameKind) fate {
		switch x := rnd.Float64(); {
		case x < lose:
			return loseFrame
		case x < lose+hold:
			return holdFrame
		}
		return passFrame
	}
}

// loseBlock is a rule that loses the n-th block alone, and tells when.
func loseBlock(n int, when *atomic.Int64) func(frameKind) fate {
	seen := 0
	return func(k frameKind) fate {
		if k != blockFrame {
			return passFrame
		}
		if seen++; seen != n {
			return passFrame
		}
		when.Store(time.Now().UnixNano())
		return loseFrame
	}
}

// pass sends a frame on, or not.
func (w *lossyWay) pass(out net.Conn, frame []byte, k frameKind) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	verdict := passFrame
	if k != otherFrame {
		if k == blockFrame {
			w.blocks.Add(1)
		} else {
			w.acks.Add(1)
		}
		if w.decide != nil {
			verdict = w.decide(k)
		}
	}
	switch {
	case verdict == loseFrame:
		w.lost.Add(1)
		return nil
	case verdict == holdFrame && w.held == nil:
		w.reordered.Add(1)
		w.held, w.heldTo = frame, out
		w.timer = time.AfterFunc(lossyHold, func() {
			w.mu.Lock()
			defer w.mu.Unlock()
			_ = w.release()
		})
		return nil
	}
	if err := w.write(out, frame); err != nil {
		return err
	}
	if k == otherFrame {
		return nil
	}
	return w.release()
}

// release sends the frame that was held back. The caller holds w.mu.
func (w *lossyWay) release() error {
	if w.held == nil {
		return nil
	}
	frame := w.held
	w.held = nil
	w.timer.Stop()
	return w.write(w.heldTo, frame)
}

func (w *lossyWay) write(out net.Conn, frame []byte) error {
	w.octets.Add(int64(len(frame)))
	b := net.Buffers{framing.AppendHeader(nil, len(frame)), frame}
	_, err := b.WriteTo(out)
	return err
}

// pump carries the frames of one side behind its welcome.
func (w *lossyWay) pump(out, in net.Conn) {
	defer func() { _ = out.Close() }()
	r := bufio.NewReaderSize(in, 64<<10)
	line, err := r.ReadSlice('\n')
	if err != nil {
		return
	}
	if _, err := out.Write(line); err != nil {
		return
	}
	for {
		h, err := framing.ReadHeader(r)
		if err != nil || h.Length > message.MaxSize {
			return
		}
		frame := make([]byte, h.Length)
		if _, err := io.ReadFull(r, frame); err != nil {
			return
		}
		if w.pass(out, frame, kindOf(frame)) != nil {
			return
		}
	}
}

// lossy stands between a Juxta peer that dials and a Java peer, and has a rule
// for the frames of the reliability layer in each direction.
type lossy struct {
	addr           string // what to dial instead of the Java peer
	toJava, toGo   *lossyWay
	ln             net.Listener
	wg             sync.WaitGroup
	mu             sync.Mutex
	conns          []net.Conn
	accepted, fail atomic.Int64
}

// between starts a proxy in front of a Java peer. All connections share the rules.
func between(t *testing.T, j *javaPeer) *lossy {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	x := &lossy{addr: "tcp://" + ln.Addr().String(), ln: ln, toJava: &lossyWay{}, toGo: &lossyWay{}}
	target := strings.TrimPrefix(j.addr, "tcp://")
	x.wg.Go(func() {
		for {
			from, err := ln.Accept()
			if err != nil {
				return
			}
			x.accepted.Add(1)
			to, err := net.Dial("tcp", target)
			if err != nil {
				x.fail.Add(1)
				_ = from.Close()
				continue
			}
			x.mu.Lock()
			x.conns = append(x.conns, from, to)
			x.mu.Unlock()
			x.wg.Go(func() { x.toJava.pump(to, from) })
			x.wg.Go(func() { x.toGo.pump(from, to) })
		}
	})
	t.Cleanup(func() {
		_ = ln.Close()
		x.cut()
		x.wg.Wait()
	})
	return x
}

// cut breaks the connections.
func (x *lossy) cut() {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, c := range x.conns {
		_ = c.Close()
	}
	x.conns = nil
}
