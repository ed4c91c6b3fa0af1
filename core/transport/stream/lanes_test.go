package stream

import (
	"encoding/binary"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/message"
)

// flowing is a message of a flow and its number there.
func flowing(flow uint8, n, size int) (*message.Message, message.Tail) {
	b := binary.BigEndian.AppendUint32([]byte{flow}, uint32(n))
	tail, err := message.AppendTail(nil, message.Text(message.Platform, "to", "there"))
	if err != nil {
		panic(err)
	}
	return message.New(message.Bytes("", "n", b), message.Bytes("", "data", make([]byte, size))), tail.WithFlow(flow)
}

// sendFlow sends a message of a flow.
func sendFlow(t *testing.T, l endpoint.Link, flow uint8, n, size int) {
	t.Helper()
	msg, tail := flowing(flow, n, size)
	if err := l.(endpoint.MessageSender).SendMessage(t.Context(), msg, tail); err != nil {
		t.Error(err)
	}
}

// flowOf tells of which flow a message is, and its number.
func flowOf(t *testing.T, body []byte) (uint8, int) {
	t.Helper()
	m, err := message.Decode(body)
	if err != nil {
		t.Fatal(err)
	}
	e, _ := m.Get("", "n")
	return e.Body[0], int(binary.BigEndian.Uint32(e.Body[1:]))
}

// TestFlows: what is small does not wait behind all that a bulk transfer has queued,
// and every flow keeps its order.
func TestFlows(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		l, r, _ := linked(t, h)
		const bulk, chat, many = 1, 2, 200
		for i := range many {
			sendFlow(t, l, bulk, i, 1<<10)
		}
		for i := range 3 {
			sendFlow(t, l, chat, i, 10)
		}
		var next [3]int
		for i := range many + 3 {
			flow, n := flowOf(t, r.frame())
			if n != next[flow] {
				t.Fatalf("message %d of flow %d is out of order", n, flow)
			}
			next[flow]++
			// The first was written inline, and then it is the turn of the bulk once.
			if flow == chat && i > 1+n+(startBatch+maxQuantum)>>10 {
				t.Errorf("message %d of the chat came behind %d others", n, i)
			}
		}
	})
}

// TestSlowFlows: on a slow connection what stands before a small message is not
// more than is written in a moment, however much is queued.
func TestSlowFlows(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		l, r, _ := linked(t, h)
		const bulk, chat, rate = 1, 2, 32 << 10 // octets a second
		stop := make(chan struct{})
		done := make(chan struct{})
		go func() {
			defer close(done)
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
					sendFlow(t, l, bulk, i, 4<<10)
				}
			}
		}()
		var said [20]atomic.Int64
		begun := time.Now()
		go func() {
			for i := range 20 {
				time.Sleep(time.Second)
				said[i].Store(int64(time.Since(begun)))
				sendFlow(t, l, chat, i, 100)
			}
			close(stop)
		}()
		var worst time.Duration
		for heard := 0; heard < 20; {
			b := r.frame()
			time.Sleep(time.Duration(len(b)) * time.Second / rate)
			if flow, n := flowOf(t, b); flow == chat {
				heard++
				if took := time.Since(begun) - time.Duration(said[n].Load()); n >= 10 { // by then the batch fits
					worst = max(worst, took)
				}
			}
		}
		if most := time.Second / 2; worst > most {
			t.Errorf("a small message took %v beside a transfer, want %v at most", worst, most)
		}
		for drained := false; !drained; {
			select {
			case <-done:
				drained = true
			default:
				_ = r.frame()
				synctest.Wait()
			}
		}
	})
}
