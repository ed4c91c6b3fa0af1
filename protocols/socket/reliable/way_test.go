package reliable

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/juxta-p2p/juxta/core/message"
	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

func TestMain(m *testing.M) {
	message.Poison(true) // who reads released memory reads rubbish
	goleak.VerifyTestMain(m)
}

// way carries messages in one direction, badly.
type way struct {
	to *Conn

	mu        sync.Mutex
	rnd       *rand.Rand
	loss, dup float64       // chances
	delay     time.Duration // at least
	spread    time.Duration // more, by chance: messages overtake each other
	down      bool          // everything is lost
	fails     bool          // Send fails
	drop      func(*message.Message) bool
	sent      int

	arriving sync.Mutex // held while one arrives
	queue    [][]byte   // messages under way in order, if there is no spread
}

func (w *way) send(_ context.Context, m *message.Message) error {
	wire, err := m.MarshalBinary() // a copy
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sent++
	if w.fails {
		return errors.New("no way")
	}
	if w.down || w.rnd.Float64() < w.loss || w.drop != nil && w.drop(m) {
		return nil
	}
	copies := 1
	if w.rnd.Float64() < w.dup {
		copies = 2
	}
	for range copies {
		if w.spread > 0 {
			time.AfterFunc(w.delay+time.Duration(w.rnd.Int64N(int64(w.spread))), func() { w.arrive(wire) })
			continue
		}
		w.queue = append(w.queue, wire)
		time.AfterFunc(w.delay, w.arriveInOrder)
	}
	return nil
}

// count returns how many messages were sent.
func (w *way) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.sent
}

func (w *way) arriveInOrder() {
	w.arriving.Lock()
	defer w.arriving.Unlock()
	w.mu.Lock()
	wire := w.queue[0]
	w.queue = w.queue[1:]
	w.mu.Unlock()
	w.arrive(wire)
}

func (w *way) arrive(wire []byte) {
	got, err := message.Decode(wire)
	if err != nil {
		panic(err)
	}
	w.to.Take(got)
}

// with changes the way.
func (w *way) with(f func(*way)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f(w)
}

// link makes two Conns and the ways between them.
func link(tb testing.TB, cfg Config, seed uint64) (a, b *Conn, ab, ba *way) {
	tb.Helper()
	ab = &way{rnd: rand.New(rand.NewPCG(seed, 1)), delay: time.Millisecond}
	ba = &way{rnd: rand.New(rand.NewPCG(seed, 2)), delay: time.Millisecond}
	ca, cb := cfg, cfg
	ca.Send, cb.Send = ab.send, ba.send
	a, b = New(ca), New(cb)
	ab.to, ba.to = b, a
	tb.Cleanup(func() { a.Close(); b.Close() })
	return a, b, ab, ba
}

// fill makes a block that tells its number and length.
func fill(n, size int) []byte {
	b := make([]byte, max(size, 8))
	binary.BigEndian.PutUint64(b, uint64(n))
	for i := 8; i < len(b); {
		i += copy(b[i:], pattern[n%251:])
	}
	return b
}

// pattern is what blocks are filled with.
var pattern = func() []byte {
	p := make([]byte, 64<<10)
	for i := range p {
		p[i] = byte(i % 251)
	}
	return p
}()

// transfer writes blocks of the sizes to a and reads them from b.
func transfer(a, b *Conn, sizes []int, within time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	wrote := make(chan error, 1)
	go func() {
		for i, size := range sizes {
			block := fill(i, size)
			if err := a.WriteBlock(ctx, block); err != nil {
				wrote <- fmt.Errorf("write %d: %w", i, err)
				return
			}
			clear(block) // it is copied
		}
		wrote <- a.Flush(ctx)
	}()
	var err error
	for i, size := range sizes {
		var got []byte
		if got, err = b.ReadBlock(ctx); err != nil {
			err = fmt.Errorf("read %d: %w", i, err)
			cancel()
			break
		}
		if !bytes.Equal(got, fill(i, size)) {
			err = fmt.Errorf("block %d differs", i)
			cancel()
			break
		}
	}
	return errors.Join(err, <-wrote)
}

func sizes(n int, size func(i int) int) []int {
	s := make([]int, n)
	for i := range s {
		s[i] = size(i)
	}
	return s
}

var bothModes = []Mode{Java, Juxta}

func TestBadWays(t *testing.T) {
	for _, mode := range bothModes {
		for _, c := range []struct {
			name   string
			make   func(*way)
			blocks int
			within time.Duration
		}{
			{"good", func(*way) {}, 2000, 20 * time.Second},
			{"long", func(w *way) { w.delay = 300 * time.Millisecond }, 400, 60 * time.Second},
			{"loss 1 in 100", func(w *way) { w.loss = 0.01 }, 2000, 200 * time.Second},
			{"loss 1 in 5", func(w *way) { w.loss = 0.2 }, 300, 300 * time.Second},
			{"doubles", func(w *way) { w.dup = 0.5 }, 1000, 20 * time.Second},
			{"disorder", func(w *way) { w.spread = 40 * time.Millisecond }, 1000, 60 * time.Second},
			{"everything", func(w *way) {
				w.loss, w.dup, w.spread = 0.1, 0.1, 100*time.Millisecond
			}, 300, 300 * time.Second},
		} {
			t.Run(fmt.Sprint(mode, " ", c.name), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					a, b, ab, ba := link(t, Config{Mode: mode}, 7)
					c.make(ab)
					c.make(ba)
					begin := time.Now()
					err := transfer(a, b, sizes(c.blocks, func(i int) int { return i * 37 % 9000 }), c.within)
					if err != nil {
						t.Errorf("%v\nfrom %+v\nto   %+v", err, a.Stats(), b.Stats())
					}
					st := a.Stats()
					t.Logf("%v, %d sent, %d repeated, %d acks, trip %v", time.Since(begin), st.Sent, st.Repeated, st.AcksReceived, st.RoundTrip)
					if c.name == "good" && st.Repeated != 0 {
						t.Errorf("%d blocks repeated for nothing", st.Repeated)
					}
				})
			})
		}
	}
}

// TestOutage: nothing passes for 30 s, in both directions, with both sides sending.
func TestOutage(t *testing.T) {
	for _, mode := range bothModes {
		t.Run(mode.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, b, ab, ba := link(t, Config{Mode: mode}, 3)
				var errs [2]error
				var wg sync.WaitGroup
				const blocks = 400
				all := sizes(blocks, func(i int) int { return 10000 })
				ab.delay, ba.delay = 15*time.Millisecond, 15*time.Millisecond
				for i, c := range [][2]*Conn{{a, b}, {b, a}} {
					wg.Go(func() { errs[i] = transfer(c[0], c[1], all, 5*time.Minute) })
				}
				time.Sleep(20 * time.Millisecond)
				for _, w := range []*way{ab, ba} {
					w.with(func(w *way) { w.down = true })
				}
				time.Sleep(30 * time.Second)
				before := a.Stats()
				if before.AcknowledgedTo == blocks {
					t.Fatal("nothing was left for the outage")
				}
				for _, w := range []*way{ab, ba} {
					w.with(func(w *way) { w.down = false })
				}
				time.Sleep(mostPatience + time.Second)
				if st := a.Stats(); st.AcknowledgedTo == before.AcknowledgedTo {
					t.Errorf("not recovered 5 s after the outage: %+v", st)
				}
				wg.Wait()
				if err := errors.Join(errs[:]...); err != nil {
					t.Errorf("%v\na %+v\nb %+v", err, a.Stats(), b.Stats())
				}
				// While nothing passed, only probes were sent.
				if before.Repeated > 40 {
					t.Errorf("%d blocks repeated during the outage", before.Repeated)
				}
			})
		})
	}
}

// TestMoved: after an outage that somebody has noticed, all is sent again at once.
func TestMoved(t *testing.T) {
	for _, mode := range bothModes {
		t.Run(mode.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, b, ab, _ := link(t, Config{Mode: mode}, 3)
				ab.down = true
				done := make(chan error)
				go func() { done <- transfer(a, b, sizes(3, func(int) int { return 100 }), time.Minute) }()
				time.Sleep(100 * time.Millisecond)
				ab.with(func(w *way) { w.down = false })
				begin := time.Now()
				a.Moved()
				b.Moved()
				if err := <-done; err != nil {
					t.Fatal(err)
				}
				if d := time.Since(begin); d > 40*time.Millisecond {
					t.Errorf("took %v", d)
				}
				if st := a.Stats(); st.Repeated != 3 || st.Moves != 1 {
					t.Errorf("%+v", st)
				}
			})
		})
	}
}

// TestSendFails: what could not be sent is sent later.
func TestSendFails(t *testing.T) {
	for _, mode := range bothModes {
		t.Run(mode.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, b, ab, ba := link(t, Config{Mode: mode}, 3)
				ab.fails, ba.fails = true, true
				done := make(chan error)
				go func() { done <- transfer(a, b, sizes(200, func(int) int { return 100 }), 90*time.Second) }()
				time.Sleep(20 * time.Second)
				if st := a.Stats(); st.SendErrors == 0 || st.SendErrors > 40 {
					t.Errorf("%d errors of Send in 20 s", st.SendErrors)
				}
				ab.with(func(w *way) { w.fails = false })
				time.Sleep(3 * time.Second)
				ba.with(func(w *way) { w.fails = false })
				if err := <-done; err != nil {
					t.Fatalf("%v\n%+v\n%+v", err, a.Stats(), b.Stats())
				}
			})
		})
	}
}

// TestGiveUp: a Conn breaks 60 s after the last progress, and says so to everybody.
func TestGiveUp(t *testing.T) {
	for _, mode := range bothModes {
		t.Run(mode.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, b, ab, _ := link(t, Config{Mode: mode, SendBytes: 1000}, 3)
				ctx := context.Background()
				if err := b.WriteBlock(ctx, fill(0, 10)); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				time.Sleep(2 * time.Millisecond)
				ab.with(func(w *way) { w.down = true })
				begin := time.Now()
				if err := a.WriteBlock(ctx, fill(0, 900)); err != nil {
					t.Fatal(err)
				}
				errs := make(chan error, 3)
				go func() { errs <- a.WriteBlock(ctx, fill(0, 900)) }()
				go func() { errs <- a.Flush(ctx) }()
				for range 2 {
					if err := <-errs; err != ErrGaveUp {
						t.Error(err)
					}
				}
				if d := time.Since(begin); d < 60*time.Second || d > 61*time.Second {
					t.Errorf("gave up after %v", d)
				}
				<-a.Done()
				// What had come can still be read.
				if got, err := a.ReadBlock(ctx); err != nil || !bytes.Equal(got, fill(0, 10)) {
					t.Error(got, err)
				}
				if _, err := a.ReadBlock(ctx); err != ErrGaveUp {
					t.Error(err)
				}
			})
		})
	}
}

// TestSlowReader: a reader that pauses long does not break a Conn of mode Juxta, and
// is not sent more than the window.
func TestSlowReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, ab, ba := link(t, Config{Mode: Juxta}, 3)
		done := make(chan error)
		go func() {
			for i := range 100 {
				if err := a.WriteBlock(context.Background(), fill(i, 20000)); err != nil {
					done <- err
					return
				}
			}
			done <- a.Flush(context.Background())
		}()
		time.Sleep(10 * time.Minute)
		if st := b.Stats(); st.HeldOctets < startWindow || st.HeldOctets > startWindow+20064 || st.Refused != 0 {
			t.Errorf("%+v", st)
		}
		if st := a.Stats(); st.Repeated > 0 {
			t.Errorf("%d blocks repeated", st.Repeated)
		}
		if n := ab.count(); n > 10*60 {
			t.Errorf("%d messages", n)
		}
		// The announcement that there is room again gets lost.
		ba.with(func(w *way) { w.drop = func(m *message.Message) bool { w.drop = nil; return true } })
		for i := range 100 {
			if got, err := b.ReadBlock(context.Background()); err != nil || !bytes.Equal(got, fill(i, 20000)) {
				t.Fatal(i, err)
			}
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	})
}

// TestPrefix: whatever the way does, what is read is what was written, up to some
// point; and all of it if the way works in the end.
func TestPrefix(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		mode := rapid.SampledFrom(bothModes).Draw(rt, "mode")
		seed := rapid.Uint64().Draw(rt, "seed")
		loss := rapid.Float64Range(0, 0.6).Draw(rt, "loss")
		dup := rapid.Float64Range(0, 0.5).Draw(rt, "dup")
		delay := rapid.Int64Range(0, int64(2*time.Second)).Draw(rt, "delay")
		spread := rapid.Int64Range(0, int64(time.Second)).Draw(rt, "spread")
		lens := rapid.SliceOfN(rapid.OneOf(rapid.IntRange(8, 200), rapid.IntRange(8, 70000)), 1, 60).Draw(rt, "sizes")
		bad := time.Duration(rapid.IntRange(0, 50).Draw(rt, "bad seconds")) * time.Second
		moves := rapid.IntRange(0, 3).Draw(rt, "moves")
		down := rapid.Bool().Draw(rt, "outage")
		var err error
		synctest.Test(t, func(t *testing.T) {
			// It need not give up while nothing passes for long.
			a, b, ab, ba := link(t, Config{Mode: mode, GiveUp: 20 * time.Minute, SendBytes: 300000, ReceiveBytes: 1}, seed)
			for _, w := range []*way{ab, ba} {
				w.loss, w.dup, w.delay, w.spread = loss, dup, time.Duration(delay), time.Duration(spread)
			}
			done := make(chan error)
			go func() { done <- transfer(a, b, lens, time.Hour) }()
			for range moves {
				time.Sleep(bad / 4)
				for _, w := range []*way{ab, ba} {
					w.with(func(w *way) { w.down = down && !w.down })
				}
				a.Moved()
				b.Moved()
			}
			for _, w := range []*way{ab, ba} {
				w.with(func(w *way) { w.down, w.loss, w.spread = false, 0, 0 })
			}
			if err = <-done; err != nil {
				err = fmt.Errorf("%w\nfrom %+v\nto   %+v", err, a.Stats(), b.Stats())
			}
			// Nothing comes behind it.
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			if got, rerr := b.ReadBlock(ctx); !errors.Is(rerr, context.DeadlineExceeded) && err == nil {
				err = fmt.Errorf("read %d octets more, %v", len(got), rerr)
			}
		})
		if err != nil {
			rt.Fatal(err)
		}
	})
}

// TestRest: a Conn that has nothing to do does nothing.
func TestRest(t *testing.T) {
	for _, mode := range bothModes {
		t.Run(mode.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, b, ab, ba := link(t, Config{Mode: mode}, 3)
				if err := transfer(a, b, sizes(10, func(int) int { return 1000 }), time.Minute); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Minute)
				n := ab.count() + ba.count()
				for _, c := range []*Conn{a, b} {
					c.mu.Lock()
					if c.timerAt != never || c.pumping || c.slab != nil || c.out.kept != 0 {
						t.Errorf("timer %v, pumping %v, slab %v, kept %d", c.timerAt, c.pumping, c.slab != nil, c.out.kept)
					}
					c.mu.Unlock()
				}
				time.Sleep(time.Hour)
				if ab.count()+ba.count() != n {
					t.Error("messages at rest")
				}
			})
		})
	}
}

func TestEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := context.Background()
		a, b, ab, ba := link(t, Config{Mode: Juxta}, 11)
		ab.loss, ba.loss, ab.spread = 0.3, 0.3, time.Second
		for i := range 50 {
			if err := a.WriteBlock(ctx, fill(i, 100)); err != nil {
				t.Fatal(err)
			}
		}
		for range 2 {
			if err := a.CloseWrite(ctx); err != nil {
				t.Fatal(err)
			}
		}
		if err := a.WriteBlock(ctx, fill(0, 1)); err != ErrClosed {
			t.Error(err)
		}
		for i := range 50 {
			if got, err := b.ReadBlock(ctx); err != nil || !bytes.Equal(got, fill(i, 100)) {
				t.Fatal(i, got, err)
			}
		}
		for range 2 {
			if _, err := b.ReadBlock(ctx); err != io.EOF {
				t.Error(err)
			}
		}
		if err := a.Flush(ctx); err != nil {
			t.Error(err)
		}
		// The other direction goes on.
		if err := transfer(b, a, sizes(20, func(int) int { return 100 }), time.Hour); err != nil {
			t.Error(err)
		}
	})
}
