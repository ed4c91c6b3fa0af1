package reliable

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/juxta-p2p/juxta/core/message"
)

// javaPeer behaves like the reliability layer of JXSE 2.5, both directions, as far
// as its other side can see.
type javaPeer struct {
	send func(*message.Message)

	mu    sync.Mutex
	event chan struct{} // closed and made anew for notifyAll

	// ReliableInputStream
	queue   []javaBlock
	taken   int32
	reAckAt time.Time

	// ReliableOutputStream
	kept           []javaKept
	number         int32
	window, free   int
	trip           time.Duration // its average; RTO is 50 s at least anyway
	maxWindow      int
	repeatedBlocks int
	broken         bool
}

type javaBlock struct {
	n    int32
	body []byte
	told bool
}

type javaKept struct {
	n        int32
	m        *message.Message
	at, sent time.Time
	marked   bool
}

func newJavaPeer(maxWindow int) *javaPeer {
	return &javaPeer{event: make(chan struct{}), window: 2, free: 100, maxWindow: maxWindow, trip: 10 * time.Second}
}

func (j *javaPeer) notify() {
	close(j.event)
	j.event = make(chan struct{})
}

// wait is Object.wait: it gives the lock away.
func (j *javaPeer) wait(d time.Duration) {
	ch := j.event
	j.mu.Unlock()
	select {
	case <-ch:
	case <-time.After(d):
	}
	j.mu.Lock()
}

// receive takes a message.
func (j *javaPeer) receive(m *message.Message) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for e := range m.All() {
		if e.Type == typeAck {
			j.acknowledged(e.Body)
		}
	}
	for e := range m.All() {
		if e.Type != typeBlock {
			continue
		}
		v, err := strconv.ParseInt(e.Name, 10, 32)
		if err != nil {
			continue
		}
		n := int32(v)
		if n <= j.taken {
			break // the rest of the message is forgotten
		}
		i, dup := slices.BinarySearchFunc(j.queue, n, func(b javaBlock, n int32) int { return int(b.n - n) })
		if dup {
			break
		}
		j.queue = slices.Insert(j.queue, i, javaBlock{n: n, body: e.Body})
		j.notify()
	}
}

// read returns the next block; it acknowledges as JXSE does.
func (j *javaPeer) read() []byte {
	j.mu.Lock()
	want := j.taken + 1
	for len(j.queue) == 0 || j.queue[0].n != want {
		if len(j.queue) == 0 {
			j.wait(time.Second)
			j.reAckAt = time.Now().Add(time.Second)
			continue
		}
		if time.Now().After(j.reAckAt) {
			j.ack(want - 1)
			j.reAckAt = time.Now().Add(time.Second)
		}
		j.wait(time.Second)
	}
	b := j.queue[0].body
	j.queue = j.queue[1:]
	j.reAckAt = time.Time{}
	j.ack(want)
	j.taken = want
	j.mu.Unlock()
	return b
}

// ack acknowledges; each number is listed once.
func (j *javaPeer) ack(upTo int32) {
	body := binary.BigEndian.AppendUint32(nil, uint32(upTo))
	for i := range j.queue {
		if b := &j.queue[i]; b.n > upTo && !b.told && len(body) <= 400 {
			body = binary.BigEndian.AppendUint32(body, uint32(b.n))
			b.told = true
		}
	}
	m := message.New(message.Element{Namespace: namespace, Name: nameAck, Type: typeAck, Body: body})
	j.mu.Unlock()
	j.send(m)
	j.mu.Lock()
}

// write sends a block.
func (j *javaPeer) write(b []byte) error {
	j.mu.Lock()
	for len(j.kept) > min(j.window, 2*j.free) {
		j.wait(time.Second)
		if j.broken {
			j.mu.Unlock()
			return fmt.Errorf("broken")
		}
	}
	j.number++
	m := message.New(message.Element{Namespace: namespace, Name: strconv.Itoa(int(j.number)), Type: typeBlock, Body: b})
	j.kept = append(j.kept, javaKept{n: j.number, m: m, at: time.Now(), sent: time.Now()})
	j.mu.Unlock()
	j.send(m)
	j.mu.Lock()
	j.free--
	j.mu.Unlock()
	return nil
}

func (j *javaPeer) acknowledged(body []byte) {
	upTo := int32(binary.BigEndian.Uint32(body))
	var listed []int32
	for body = body[4:]; len(body) >= 4; body = body[4:] {
		listed = append(listed, int32(binary.BigEndian.Uint32(body)))
	}
	worst := time.Duration(-1)
	j.kept = slices.DeleteFunc(j.kept, func(k javaKept) bool {
		gone := k.n <= upTo || slices.Contains(listed, k.n)
		if gone && !k.marked {
			worst = max(worst, time.Since(k.at))
		}
		return gone
	})
	j.free = 100 - len(listed)
	if worst > 0 && j.window < j.maxWindow {
		j.window++
		j.trip = worst
	}
	j.notify()
}

// retransmit is the Retransmitter: every 50 s, what is older than that.
func (j *javaPeer) retransmit(stop <-chan struct{}) {
	const timeout = 50 * time.Second
	for {
		j.mu.Lock()
		ch := j.event
		j.mu.Unlock()
		select { // an acknowledgement wakes it too
		case <-ch:
		case <-time.After(timeout):
		case <-stop:
			return
		}
		j.mu.Lock()
		var again []*message.Message
		if len(j.kept) > 0 && time.Since(j.kept[0].at) >= timeout {
			if time.Since(j.kept[0].at) > 60*time.Second {
				j.broken = true
			}
			for i := range j.kept[:min(len(j.kept), j.window)] {
				k := &j.kept[i]
				limit := j.trip
				if !k.marked {
					limit = j.trip * 6 / 5
				}
				if time.Since(k.sent) >= limit {
					k.marked, k.sent = true, time.Now()
					again = append(again, k.m.Clone().Add(message.Text(namespace, nameRetry, retryText)))
				}
			}
			j.repeatedBlocks += len(again)
		}
		j.mu.Unlock()
		for _, m := range again {
			j.send(m)
		}
	}
}

// withJava wires a Conn to a javaPeer over ways that may drop messages.
func withJava(t *testing.T, cfg Config, delay time.Duration, dropOut, dropIn func(*message.Message) bool) (*Conn, *javaPeer) {
	j := newJavaPeer(20)
	type parcel struct {
		at time.Time
		m  *message.Message
	}
	out, in := make(chan parcel, 1000), make(chan parcel, 1000)
	carry := func(ch chan parcel, to func(*message.Message)) {
		for p := range ch {
			time.Sleep(time.Until(p.at))
			to(p.m)
		}
	}
	cfg.Send = func(_ context.Context, m *message.Message) error {
		b, err := m.MarshalBinary()
		if err != nil || dropOut != nil && dropOut(m) {
			return err
		}
		c, err := message.Decode(b)
		out <- parcel{time.Now().Add(delay), c}
		return err
	}
	c := New(cfg)
	j.send = func(m *message.Message) {
		if dropIn == nil || !dropIn(m) {
			in <- parcel{time.Now().Add(delay), m.Clone()}
		}
	}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() { carry(out, j.receive) })
	wg.Go(func() { carry(in, c.Take) })
	wg.Go(func() { j.retransmit(stop) })
	t.Cleanup(func() {
		c.Close()
		close(stop)
		close(out)
		close(in)
		wg.Wait()
	})
	return c, j
}

// once drops the first message that carries that block.
func once(n int) func(*message.Message) bool {
	done := false
	return func(m *message.Message) bool {
		_, ok := m.Get(namespace, strconv.Itoa(n))
		if !ok || done {
			return false
		}
		done = true
		return true
	}
}

// TestJavaLosesOne: whichever block gets lost on the way to a peer of JXSE, and whether
// the writer is fast or slow, it is there within a second.
func TestJavaLosesOne(t *testing.T) {
	for _, lost := range []int{1, 2, 3, 4, 10, 57, 99, 100} {
		for _, pause := range []time.Duration{0, 3 * time.Millisecond, 50 * time.Millisecond, 150 * time.Millisecond, 800 * time.Millisecond} {
			for _, delay := range []time.Duration{time.Millisecond, 50 * time.Millisecond} {
				t.Run(fmt.Sprint(lost, " ", pause, " ", delay), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						c, j := withJava(t, Config{}, delay, once(lost), nil)
						var wg sync.WaitGroup
						defer wg.Wait()
						wg.Go(func() {
							for i := 1; i <= 100; i++ {
								if err := c.WriteBlock(context.Background(), fill(i, 1000)); err != nil {
									t.Error(err)
								}
								time.Sleep(pause)
							}
						})
						last := time.Now()
						for i := 1; i <= 100; i++ {
							if got := j.read(); !bytes.Equal(got, fill(i, 1000)) {
								t.Fatalf("block %d differs", i)
							}
							if d := time.Since(last); d > time.Second+pause {
								t.Errorf("block %d came %v after the last", i, d)
							}
							last = time.Now()
						}
						if err := c.Flush(context.Background()); err != nil {
							t.Error(err)
						}
						st := c.Stats()
						if st.Repeated < 1 || st.Repeated > 3 {
							t.Errorf("%d repeated", st.Repeated)
						}
					})
				})
			}
		}
	}
}

// TestJavaWindow: as JXSE does, three blocks go at first, then one more with each
// acknowledgement of anything, up to 21.
func TestJavaWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c *Conn
		most := 0
		c, j := withJava(t, Config{}, time.Millisecond, func(*message.Message) bool {
			most = max(most, c.Stats().UnderWay)
			return false
		}, nil)
		const blocks = 1000
		for i := range blocks {
			if err := c.WriteBlock(context.Background(), fill(i, 100)); err != nil {
				t.Fatal(err)
			}
		}
		for i := range blocks {
			switch i {
			case 0:
				time.Sleep(100 * time.Millisecond)
				if n := c.Stats().UnderWay; n != 3 {
					t.Errorf("%d under way at first", n)
				}
			case 1:
				// The acknowledgement of the first listed the two that waited.
				time.Sleep(100 * time.Millisecond)
				if n := c.Stats().UnderWay; n != 4 {
					t.Errorf("%d under way after one acknowledgement", n)
				}
			}
			j.read()
		}
		if err := c.Flush(context.Background()); err != nil {
			t.Fatal(err)
		}
		if st := c.Stats(); st.SendWindow != 21 || most != 21 || st.Repeated > 3 {
			t.Errorf("most %d, %+v", most, st)
		}
	})
}

// TestJavaSends: a peer of JXSE sends; it fills its window without being repeated, and
// a lost block comes after its 50 s.
func TestJavaSends(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, j := withJava(t, Config{}, time.Millisecond, nil, once(30))
		go func() {
			for i := range 90 {
				if err := j.write(fill(i, 256<<10)); err != nil {
					t.Error(err)
					return
				}
			}
		}()
		// All that JXSE may have under way is held.
		time.Sleep(time.Second)
		if st := c.Stats(); st.Held < 3 || st.Refused != 0 {
			t.Errorf("%+v", st)
		}
		begin := time.Now()
		for i := range 90 {
			got, err := c.ReadBlock(context.Background())
			if err != nil || !bytes.Equal(got, fill(i, 256<<10)) {
				t.Fatal(i, err)
			}
		}
		if d := time.Since(begin); d < 49*time.Second || d > 53*time.Second {
			t.Errorf("took %v", d)
		}
		st := c.Stats()
		// Blocks that were not listed as held are repeated with the lost one.
		if st.Refused != 0 || j.repeatedBlocks > 21 {
			t.Errorf("%d repeated, %+v", j.repeatedBlocks, st)
		}
		// One acknowledgement a block at most, and one a second while the hole was there.
		if st.AcksSent < 60 || st.AcksSent > 145 {
			t.Errorf("%d acknowledgements", st.AcksSent)
		}
	})
}

// TestJavaLosesAck: JXSE repeats a block whose acknowledgement was lost, and is told
// again.
func TestJavaLosesAck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lost := false
		c, j := withJava(t, Config{}, time.Millisecond, func(m *message.Message) bool {
			l := !lost
			lost = true
			return l
		}, nil)
		if err := j.write(fill(1, 100)); err != nil {
			t.Fatal(err)
		}
		if _, err := c.ReadBlock(context.Background()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(55 * time.Second)
		j.mu.Lock()
		defer j.mu.Unlock()
		if len(j.kept) != 0 || j.broken || c.Stats().Duplicates != 1 {
			t.Errorf("%d kept, %+v", len(j.kept), c.Stats())
		}
	})
}
