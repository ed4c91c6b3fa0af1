//go:build linux

package roadtest

import (
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const (
	// homeQueue is the buffer before the bottleneck of a road, in octets: that of an
	// ordinary router at home.
	homeQueue = 64 << 10

	// maxOnWay bounds the packets on a road, one way.
	maxOnWay = 1 << 14

	// maxPacket is the size of a packet that a TUN device may bring.
	maxPacket = 64 << 10
)

// conditions are how a road is, each way.
type conditions struct {
	Rate  int           // octets a second through the bottleneck
	Queue int           // octets that wait before it, those beyond are dropped; 0 is homeQueue
	Delay time.Duration // behind it
	Loss  float64       // the part of the packets that is lost behind it, by chance
	Seed  uint64        // of chance

	// Control is how TCP looks for its speed on this road; empty is cubic, the
	// usual one of Linux, which fills the queue before the bottleneck.
	Control string
}

// road carries the packets of two TUN devices to each other.
type road struct {
	ways [2]*way
	tuns [2]*os.File
	done chan struct{}
	wg   sync.WaitGroup
}

// way is one direction of a road.
type way struct {
	c    conditions
	down atomic.Bool
	in   chan packet

	// The reading goroutine owns these.
	chance *rand.Rand
	free   time.Time // when all that has been taken is through the bottleneck

	packets, octets              atomic.Int64 // that arrived
	queueDrops, lost, outageLost atomic.Int64 // packets that did not
	longest                      atomic.Int64 // wait before the bottleneck, in nanoseconds
}

// packet is an IP packet under way.
type packet struct {
	b    []byte
	at   time.Time // when it arrives
	lost bool
}

// newRoad connects two devices, which it closes with the test.
func newRoad(t *testing.T, a, b *os.File, c conditions) *road {
	if c.Queue == 0 {
		c.Queue = homeQueue
	}
	r := &road{tuns: [2]*os.File{a, b}, done: make(chan struct{})}
	for i := range r.ways {
		w := &way{c: c, in: make(chan packet, maxOnWay), chance: rand.New(rand.NewPCG(c.Seed, uint64(i)))}
		r.ways[i] = w
		r.wg.Go(func() { w.take(r.tuns[i]) })
		r.wg.Go(func() { w.bring(r.tuns[1-i], r.done) })
	}
	t.Cleanup(r.close)
	return r
}

func (r *road) close() {
	close(r.done)
	for _, f := range r.tuns {
		_ = f.Close()
	}
	r.wg.Wait()
}

// outage has the road drop everything, what is under way included, or ends that.
func (r *road) outage(on bool) {
	for _, w := range r.ways {
		w.down.Store(on)
	}
}

// take reads packets from a device, as they come, until it is closed.
func (w *way) take(from *os.File) {
	buf := make([]byte, maxPacket)
	for {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		w.one(append([]byte(nil), buf[:n]...), time.Now())
	}
}

// one decides about a packet.
func (w *way) one(b []byte, now time.Time) {
	if w.down.Load() {
		w.outageLost.Add(1)
		return
	}
	wait := max(w.free.Sub(now), 0)
	if int(wait.Seconds()*float64(w.c.Rate))+len(b) > w.c.Queue {
		w.queueDrops.Add(1)
		return
	}
	w.longest.Store(max(w.longest.Load(), int64(wait)))
	w.free = now.Add(wait + time.Duration(float64(len(b))/float64(w.c.Rate)*float64(time.Second)))
	select {
	case w.in <- packet{b: b, at: w.free.Add(w.c.Delay), lost: w.chance.Float64() < w.c.Loss}:
	default:
		w.queueDrops.Add(1)
	}
}

// bring writes packets to the other device when it is time.
func (w *way) bring(to *os.File, done chan struct{}) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-done:
			return
		case p := <-w.in:
			if wait := time.Until(p.at); wait > 0 {
				timer.Reset(wait)
				select {
				case <-timer.C:
				case <-done:
					return
				}
			}
			switch {
			case w.down.Load():
				w.outageLost.Add(1)
			case p.lost:
				w.lost.Add(1)
			default:
				if _, err := to.Write(p.b); err == nil {
					w.packets.Add(1)
					w.octets.Add(int64(len(p.b)))
				}
			}
		}
	}
}
