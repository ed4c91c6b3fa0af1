package reliable

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/juxta-p2p/juxta/core/message"
)

// TestMemoryIsKept: the memory of a block is used again once it is acknowledged, and
// not while Send still has it. Released memory is overwritten in these tests.
func TestMemoryIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, size := range []int{50, 10000, 60000} { // shared memory, its own, another size
			var c *Conn
			var bodies [][]byte // of messages whose Send has not returned
			gate := make(chan struct{})
			c = New(Config{Mode: Juxta, Send: func(_ context.Context, m *message.Message) error {
				for e := range m.All() {
					if e.Type == typeBlock {
						bodies = append(bodies, e.Body)
					}
				}
				<-gate
				return nil
			}})
			c.Take(made(nameWin, "", []byte{0, 0, 0, 0, 1, 0, 0, 0}))
			want := fill(1, size)
			if err := c.WriteBlock(context.Background(), want); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			c.Take(ackBody(Juxta, 1)) // while it is being sent
			if c.Stats().Kept != 0 {
				t.Fatalf("%+v", c.Stats())
			}
			var more [][]byte
			for i := range 20 { // would use the memory
				more = append(more, fill(2+i, size))
				if err := c.WriteBlock(context.Background(), more[i]); err != nil {
					t.Fatal(err)
				}
			}
			if !bytes.Equal(bodies[0], want) {
				t.Fatalf("%d octets: memory of a block is used again while it is being sent", size)
			}
			gate <- struct{}{}
			synctest.Wait()
			if size > slabBlock && bytes.Equal(bodies[0], want) {
				t.Errorf("%d octets: memory is not released", size)
			}
			// What is not acknowledged stays, whatever is acknowledged besides.
			go func() {
				for range gate {
				}
			}()
			close(gate)
			synctest.Wait()
			c.Take(ackBody(Juxta, 5, span{8, 12}, span{15, 15}))
			synctest.Wait()
			bodies = nil
			c.Moved()
			synctest.Wait()
			var kept [][]byte
			for n := 2; n <= 21; n++ {
				if n > 5 && (n < 8 || n > 12) && n != 15 {
					kept = append(kept, more[n-2])
				}
			}
			if len(bodies) == 0 || !slices.EqualFunc(bodies, kept[:len(bodies)], bytes.Equal) {
				t.Errorf("%d octets: %d blocks repeated, or their content differs", size, len(bodies))
			}
			c.Close()
		}
	})
}

// TestAcksAreFew: a Juxta receiver acknowledges by the window, not by the block, at the
// latest after 25 ms, and along with blocks of its own.
func TestAcksAreFew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := context.Background()
		a, b, _, _ := link(t, Config{Mode: Juxta, ReceiveBytes: startWindow}, 1)
		begin := time.Now()
		if err := transfer(a, b, sizes(5000, func(int) int { return 4000 }), time.Minute); err != nil {
			t.Fatal(err)
		}
		// The window passes each round trip of 2 ms, not each ackDelay.
		if d := time.Since(begin); d > 5000*4064/startWindow*3*time.Millisecond {
			t.Errorf("took %v", d)
		}
		if n := b.Stats().AcksSent; n > 5000*4064/(startWindow/4)+5 {
			t.Errorf("%d acknowledgements for 5000 blocks", n)
		}
		// A single block, read or not: after the delay.
		for _, read := range []bool{true, false} {
			if err := a.WriteBlock(ctx, []byte("x")); err != nil {
				t.Fatal(err)
			}
			if read {
				if _, err := b.ReadBlock(ctx); err != nil {
					t.Fatal(err)
				}
			}
			time.Sleep(ackDelay)
			if a.Stats().Kept != 1 {
				t.Error("acknowledged at once")
			}
			time.Sleep(3 * time.Millisecond)
			if a.Stats().Kept != 0 {
				t.Error("not acknowledged after the delay")
			}
		}
		if _, err := b.ReadBlock(ctx); err != nil {
			t.Fatal(err)
		}
		// Question and answer: no message but these.
		ab, ba := b.Stats().AcksSent, a.Stats().AcksSent
		for range 100 {
			for _, d := range [][2]*Conn{{a, b}, {b, a}} {
				if err := d[0].WriteBlock(ctx, []byte("x")); err != nil {
					t.Fatal(err)
				}
				if _, err := d[1].ReadBlock(ctx); err != nil {
					t.Fatal(err)
				}
			}
		}
		if n := b.Stats(); n.Sent != 100 || n.AcksSent-ab > 101 {
			t.Errorf("%d acknowledgements", n.AcksSent-ab)
		}
		if n := a.Stats(); n.AcksSent-ba > 101 {
			t.Errorf("%d acknowledgements", n.AcksSent-ba)
		}
		// Flush does not wait for the delay.
		if err := a.WriteBlock(ctx, []byte("x")); err != nil {
			t.Fatal(err)
		}
		begin = time.Now()
		if err := a.Flush(ctx); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(begin); d > 5*time.Millisecond {
			t.Errorf("Flush took %v", d)
		}
	})
}

// TestWindowGrows on a long way with a fast reader, and only then; on a short one through
// others less.
func TestWindowGrows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, c := range []struct {
			name  string
			cfg   Config
			pause time.Duration
			delay time.Duration
			want  int
		}{
			{"fast", Config{}, 0, 50 * time.Millisecond, maxWindow},
			{"slow", Config{}, 50 * time.Millisecond, 50 * time.Millisecond, startWindow},
			{"fixed", Config{ReceiveBytes: 300000}, 0, 50 * time.Millisecond, 300000},
			{"small", Config{ReceiveBytes: 1}, 0, 50 * time.Millisecond, firstWindow},
			{"short", Config{}, 0, time.Millisecond, maxWindow},
			{"short, through others", Config{Through: func() bool { return true }}, 0, time.Millisecond, throughWindow},
			{"long, through others", Config{Through: func() bool { return true }}, 0, 50 * time.Millisecond, maxWindow},
			{"fixed, through others", Config{Through: func() bool { return true }, ReceiveBytes: 3 << 20}, 0, time.Millisecond, 3 << 20},
		} {
			c.cfg.Mode = Juxta
			a, b, ab, ba := link(t, c.cfg, 1)
			ab.delay, ba.delay = c.delay, c.delay
			n := 100
			if c.want >= throughWindow {
				n = 700
			}
			var wg sync.WaitGroup
			wg.Go(func() {
				for range n {
					if err := a.WriteBlock(context.Background(), fill(1, 32<<10)); err != nil {
						t.Error(err)
					}
				}
			})
			begin := time.Now()
			for range n {
				if _, err := b.ReadBlock(context.Background()); err != nil {
					t.Fatal(err)
				}
				time.Sleep(c.pause)
			}
			wg.Wait()
			if w := b.Stats().ReceiveWindow; w != c.want {
				t.Errorf("%s: window %d after %v", c.name, w, time.Since(begin))
			}
			if r := a.Stats().Repeated; r != 0 {
				t.Errorf("%s: %d repeated", c.name, r)
			}
		}
	})
}

// TestOneLostJuxta: the blocks behind it show that it is lost; behind the last one,
// silence does.
func TestOneLostJuxta(t *testing.T) {
	for _, c := range []struct {
		lost   int
		within time.Duration
	}{{1, 50 * time.Millisecond}, {50, 50 * time.Millisecond}, {100, 1100 * time.Millisecond}} {
		synctest.Test(t, func(t *testing.T) {
			a, b, ab, _ := link(t, Config{Mode: Juxta}, 1)
			ab.drop = once(c.lost)
			begin := time.Now()
			if err := transfer(a, b, sizes(100, func(int) int { return 3000 }), time.Minute); err != nil {
				t.Fatal(err)
			}
			if d := time.Since(begin); d > c.within {
				t.Errorf("block %d lost: took %v", c.lost, d)
			}
		})
	}
}

// TestWriters: many at once, waiting for room, keep their blocks whole; each one's
// order is kept.
func TestWriters(t *testing.T) {
	for _, mode := range bothModes {
		synctest.Test(t, func(t *testing.T) {
			a, b, _, _ := link(t, Config{Mode: mode, SendBytes: 5000}, 1)
			var wg sync.WaitGroup
			for w := range 10 {
				wg.Go(func() {
					for i := range 50 {
						if err := a.WriteBlock(context.Background(), bytes.Repeat([]byte{byte(w), byte(i)}, 500)); err != nil {
							t.Error(err)
						}
					}
				})
			}
			var next [10]byte
			for range 500 {
				got, err := b.ReadBlock(context.Background())
				if err != nil {
					t.Fatal(err)
				}
				if got[1] != next[got[0]] || !bytes.Equal(got, bytes.Repeat(got[:2], 500)) {
					t.Fatalf("block %d of writer %d, want %d", got[1], got[0], next[got[0]])
				}
				next[got[0]]++
			}
			wg.Wait()
		})
	}
}

// TestContexts: each call that waits ends with its context, and leaves no trace.
func TestContexts(t *testing.T) {
	for _, mode := range bothModes {
		synctest.Test(t, func(t *testing.T) {
			a, b, ab, _ := link(t, Config{Mode: mode, SendBytes: 1000, GiveUp: time.Hour}, 1)
			ab.down = true
			for _, c := range []*Conn{a, b} {
				ctx, cancel := context.WithTimeout(context.Background(), time.Second)
				defer cancel()
				if _, err := c.ReadBlock(ctx); !errors.Is(err, context.DeadlineExceeded) {
					t.Error(err)
				}
				// Nothing is written once ctx has ended.
				if err := c.WriteBlock(ctx, []byte("x")); !errors.Is(err, context.DeadlineExceeded) || c.Stats().Kept != 0 {
					t.Error(err)
				}
			}
			if err := a.WriteBlock(context.Background(), fill(0, 900)); err != nil {
				t.Fatal(err)
			}
			cause := errors.New("enough")
			ctx, cancel := context.WithCancelCause(context.Background())
			errs := make(chan error)
			for range 3 {
				go func() { errs <- a.WriteBlock(ctx, fill(9, 900)) }()
			}
			go func() { errs <- a.Flush(ctx) }()
			synctest.Wait()
			cancel(cause)
			for range 4 {
				if err := <-errs; err != cause {
					t.Error(err)
				}
			}
			ab.with(func(w *way) { w.down = false })
			a.Moved()
			for i := range 3 {
				if err := a.WriteBlock(context.Background(), fill(1+i, 900)); err != nil {
					t.Fatal(err)
				}
				if got, err := b.ReadBlock(context.Background()); err != nil || !bytes.Equal(got, fill(i, 900)) {
					t.Fatal(i, err)
				}
			}
		})
	}
}

// TestAbort: everybody gets the cause, and Close waits for Send.
func TestAbort(t *testing.T) {
	for _, mode := range bothModes {
		synctest.Test(t, func(t *testing.T) {
			inSend := false
			c := New(Config{Mode: mode, SendBytes: 100, Send: func(ctx context.Context, m *message.Message) error {
				inSend = true
				<-ctx.Done()
				time.Sleep(time.Second)
				inSend = false
				return ctx.Err()
			}})
			ctx := context.Background()
			if err := c.WriteBlock(ctx, fill(0, 100)); err != nil {
				t.Fatal(err)
			}
			c.Take(made("1", typeBlock, []byte("dropped")))
			c.Take(made("3", typeBlock, []byte("dropped")))
			c.mu.Lock()
			c.in.drop() // so that the reader waits
			c.mu.Unlock()
			errs := make(chan error)
			for range 2 {
				go func() { errs <- c.WriteBlock(ctx, fill(0, 100)) }()
				go func() { _, err := c.ReadBlock(ctx); errs <- err }()
				go func() { errs <- c.Flush(ctx) }()
			}
			synctest.Wait()
			if !inSend {
				t.Fatal("not in Send")
			}
			cause := errors.New("gone")
			c.Abort(cause)
			for range 6 {
				if err := <-errs; err != cause {
					t.Error(err)
				}
			}
			<-c.Done()
			c.Abort(errors.New("later"))
			for range 2 {
				if err := c.Close(); err != nil || inSend {
					t.Errorf("%v, in Send: %v", err, inSend)
				}
			}
			if _, err := c.ReadBlock(ctx); err != cause {
				t.Error(err)
			}
			if err := c.WriteBlock(ctx, []byte("x")); err != cause {
				t.Error(err)
			}
			if err := c.CloseWrite(ctx); mode == Juxta && err != cause {
				t.Error(err)
			}
			if c.Err() != cause || c.Stats().Kept != 0 {
				t.Errorf("%v %+v", c.Err(), c.Stats())
			}
			c.Take(made("2", typeBlock, nil))
			c.Moved()
			c.End()
		})
	}
}

// TestAbortInSend: Send may find out that it is over.
func TestAbortInSend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cause := errors.New("gone")
		var c *Conn
		c = New(Config{Send: func(context.Context, *message.Message) error { c.Abort(cause); return cause }})
		if err := c.WriteBlock(context.Background(), []byte("x")); err != nil {
			t.Fatal(err)
		}
		<-c.Done()
		if err := c.Flush(context.Background()); err != cause {
			t.Error(err)
		}
		c.Close()
	})
}

func TestEndCalled(t *testing.T) {
	for _, mode := range bothModes {
		synctest.Test(t, func(t *testing.T) {
			ctx := context.Background()
			a, b, _, _ := link(t, Config{Mode: mode}, 1)
			for i := range 3 {
				if err := a.WriteBlock(ctx, fill(i, 10)); err != nil {
					t.Fatal(err)
				}
			}
			time.Sleep(10 * time.Millisecond)
			b.End()
			for i := range 3 {
				if got, err := b.ReadBlock(ctx); err != nil || !bytes.Equal(got, fill(i, 10)) {
					t.Error(got, err)
				}
			}
			if _, err := b.ReadBlock(ctx); err != io.EOF {
				t.Error(err)
			}
			b.Take(made("4", typeBlock, []byte("x")))
			if st := b.Stats(); st.Refused != 1 {
				t.Errorf("%+v", st)
			}
			// Readers that wait are told too, all of them.
			errs := make(chan error)
			for range 3 {
				go func() { _, err := a.ReadBlock(ctx); errs <- err }()
			}
			synctest.Wait()
			a.End()
			for range 3 {
				if err := <-errs; err != io.EOF {
					t.Error(err)
				}
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := context.Background()
		c, sent := spy(t, Config{})
		if err := c.WriteBlock(ctx, make([]byte, MaxBlock+1)); err != ErrTooLarge {
			t.Error(err)
		}
		if err := c.WriteBlock(ctx, nil); err != nil || len(sent()) != 0 {
			t.Error("an empty block is sent")
		}
		if err := c.CloseWrite(ctx); err != ErrNoHalf {
			t.Error(err)
		}
		if err := c.WriteBlock(ctx, make([]byte, MaxBlock)); err != nil { // beyond SendBytes
			t.Error(err)
		}
		if m := sent(); len(m) != 1 || len(m[0][0].Body) != MaxBlock {
			t.Errorf("%d messages", len(m))
		}
		c.Abort(nil)
		if err := c.WriteBlock(ctx, nil); !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
		var zero Config
		z := New(zero)
		defer z.Close()
		if err := z.WriteBlock(ctx, []byte("x")); err != nil {
			t.Error(err)
		}
		if err := z.Flush(ctx); err != ErrGaveUp {
			t.Error(err)
		}
	})
}

// TestTakeOver: a message is released when all of it was read and released, or nothing of it is
// kept, and not before. Released memory is overwritten in these tests.
func TestTakeOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := context.Background()
		arrive := func(c *Conn, names ...string) (raw []byte) {
			m := message.New()
			for _, n := range names {
				m.Add(message.Element{Namespace: namespace, Name: n, Type: typeBlock, Body: []byte("block " + n)})
			}
			mem := message.NewMemory(m.Size())
			raw, err := m.AppendTo(mem.Bytes()[:0])
			if err != nil {
				t.Fatal(err)
			}
			var d message.Decoder
			got, err := d.Decode(raw, mem)
			if err != nil {
				t.Fatal(err)
			}
			c.TakeOver(got)
			return raw
		}
		released := func(raw []byte) bool { return raw[0] != 'j' }
		for _, mode := range bothModes {
			c, _ := spy(t, Config{Mode: mode})
			first, second := arrive(c, "1", "2"), arrive(c, "4", "3", "2")
			double := arrive(c, "1", "3")
			if released(first) || released(second) || !released(double) {
				t.Fatal(released(first), released(second), released(double))
			}
			var blocks []Block
			for _, want := range []string{"block 1", "block 2", "block 3", "block 4"} {
				b, err := c.Receive(ctx)
				if err != nil || string(b.Body) != want {
					t.Fatalf("%q, %v", b.Body, err)
				}
				blocks = append(blocks, b)
			}
			for i, want := range [][2]bool{{false, false}, {true, false}, {true, false}, {true, true}} {
				blocks[i].Release()
				if got := [2]bool{released(first), released(second)}; got != want {
					t.Errorf("%v: after block %d: %v", mode, i+1, got)
				}
			}
			c.Close()
			if !released(arrive(c, "5")) {
				t.Error("kept after Close")
			}
		}
	})
}

// TestHeldUp: while Send waits, what is under way is not late.
func TestHeldUp(t *testing.T) {
	for _, mode := range bothModes {
		synctest.Test(t, func(t *testing.T) {
			var b *Conn
			wait := time.Duration(0)
			a := New(Config{Mode: mode, Send: func(_ context.Context, m *message.Message) error {
				// What was sent before is acknowledged only after this has gone.
				time.Sleep(wait)
				return deliver(m, b)
			}})
			defer a.Close()
			acks := make(chan *message.Message, 100)
			b = New(Config{Mode: mode, Send: func(_ context.Context, m *message.Message) error {
				octets, err := m.MarshalBinary() // m must not be kept
				if err != nil {
					return err
				}
				own, err := message.Decode(octets)
				acks <- own
				return err
			}})
			defer b.Close()
			for i := range 6 {
				wait = 0
				if i%2 == 1 {
					wait = 3 * time.Second
				}
				if err := a.WriteBlock(context.Background(), fill(i, 100)); err != nil {
					t.Fatal(err)
				}
				if _, err := b.ReadBlock(context.Background()); err != nil {
					t.Fatal(err)
				}
				time.Sleep(50 * time.Millisecond)
				if i%2 == 0 {
					continue
				}
				for len(acks) > 0 {
					a.Take(<-acks)
				}
			}
			if st := a.Stats(); st.Repeated != 0 || st.Sent != 6 {
				t.Errorf("%v: %+v", mode, st)
			}
		})
	}
}

// TestJavaRoom: what JXSE lists as waiting for its reader uses up the room it is
// thought to have.
func TestJavaRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, sent := spy(t, Config{Window: 50})
		for i := range 200 {
			if err := c.WriteBlock(context.Background(), fill(i, 10)); err != nil {
				t.Fatal(err)
			}
		}
		upTo := uint64(0)
		for range 60 {
			upTo = c.out.next - 1
			c.Take(ackBody(Java, upTo))
			synctest.Wait()
			if c.out.end-c.out.next < 60 {
				break
			}
		}
		sent()
		grown := c.Stats()
		if grown.SendWindow < 10 {
			t.Fatalf("%+v", grown)
		}
		// 98 numbers listed: there is room for two, and so for five under way.
		var listed []span
		for n := range uint64(98) {
			listed = append(listed, span{upTo + 1 + n%2, upTo + 1 + n%2})
		}
		c.Take(ackBody(Java, upTo, listed...))
		if st := c.Stats(); st.SendWindow != 5 {
			t.Errorf("%+v", st)
		}
		// All that is under way has come, and as many wait.
		for n := range listed {
			listed[n] = span{1, 1}
		}
		c.Take(ackBody(Java, c.out.next-1, listed...))
		synctest.Wait()
		if st := c.Stats(); st.UnderWay == 0 || st.UnderWay > 5 {
			t.Errorf("%+v", st)
		}
		c.Take(ackBody(Java, c.out.next-1))
		if st := c.Stats(); st.SendWindow < grown.SendWindow {
			t.Errorf("%+v", st)
		}
	})
}

// TestSmallBuffer: a writer that may keep little has it acknowledged soon.
func TestSmallBuffer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, _, _ := link(t, Config{Mode: Juxta, SendBytes: 3000}, 1)
		begin := time.Now()
		if err := transfer(a, b, sizes(100, func(int) int { return 1000 }), time.Minute); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(begin); d > 100*5*time.Millisecond {
			t.Errorf("took %v", d)
		}
	})
}

// TestFirstAck: the first block is acknowledged without delay, so that the sender
// learns of the real window.
func TestFirstAck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, _, _, _ := link(t, Config{Mode: Juxta}, 1)
		if err := a.WriteBlock(context.Background(), []byte("x")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(3 * time.Millisecond)
		if st := a.Stats(); st.Kept != 0 || st.SendWindow < startWindow-100 {
			t.Errorf("%+v", st)
		}
	})
}

// TestSlowIsAlive: blocks may be under way longer than GiveUp if others arrive.
func TestSlowIsAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, mode := range bothModes {
			c, _ := spy(t, Config{Mode: mode, GiveUp: 10 * time.Second})
			for i := range 3 {
				if err := c.WriteBlock(context.Background(), fill(i, 10)); err != nil {
					t.Fatal(err)
				}
			}
			for n := range uint64(3) {
				time.Sleep(6 * time.Second)
				c.Take(ackBody(mode, n+1))
			}
			if st := c.Stats(); c.Err() != nil || st.Kept != 0 {
				t.Errorf("%v: %v %+v", mode, c.Err(), st)
			}
		}
	})
}
