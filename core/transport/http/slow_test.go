package http

import (
	"bytes"
	"fmt"
	"io"
	nethttp "net/http"
	"strings"
	"testing"
	"time"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/message"
)

// impatient shortens what a host allows others: 100 ms for a head, for silence in a
// body, and to take an answer.
func impatient(h *host, _ *endpoint.Host) {
	h.times.head, h.times.silence, h.times.answer = 100*time.Millisecond, 100*time.Millisecond, 100*time.Millisecond
}

// trickle writes an octet now and then, until the other side does not want any more,
// and returns when that was.
func trickle(r *raw, s string) time.Duration {
	began := time.Now()
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		_, _ = io.Copy(io.Discard, r.br)
	}()
	every := time.NewTicker(10 * time.Millisecond)
	defer every.Stop()
	for i := 0; ; i++ {
		select {
		case <-closed:
			return time.Since(began)
		case <-every.C:
			_, _ = io.WriteString(r, s[i%len(s):i%len(s)+1])
		}
	}
}

// TestSlowHeads: who takes long for a head, or begins none, is cut off.
func TestSlowHeads(t *testing.T) {
	t.Parallel()
	h := listening(t, impatient)
	for name, begin := range map[string]string{"first request": "", "in the request": "GET / HTTP/1.1\r\nHost: "} {
		if d := trickle(connect(t, h.addr().Host).write(begin), "x"); d > limit/2 {
			t.Errorf("%s: cut off after %v", name, d)
		}
	}
	r := connect(t, h.addr().Host)
	if n, err := io.Copy(io.Discard, r); n != 0 || err != nil {
		t.Errorf("%d octets, %v", n, err)
	}
}

// TestSlowBodies: a body that stops coming, or comes in drops, is not waited for; and
// neither is that of a request which is refused.
func TestSlowBodies(t *testing.T) {
	t.Parallel()
	h := listening(t, impatient)
	tunnel := fmt.Sprintf("POST %s%032x?0 HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\nContent-Length: 10000\r\n\r\n", tunnelPath, 1, tunnelType)
	for name, head := range map[string]string{
		"message": "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10000\r\n\r\n",
		"tunnel":  tunnel,
		"refused": "POST / HTTP/1.1\r\nHost: x\r\nOrigin: null\r\nContent-Length: 10000\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			r := connect(t, h.addr().Host).write(head + "x")
			if _, err := io.Copy(io.Discard, r); err != nil {
				t.Errorf("nothing comes: %v", err)
			}
			if d := trickle(connect(t, h.addr().Host).write(head), "x"); d > limit/2 {
				t.Errorf("cut off after %v", d)
			}
		})
	}
}

// TestLongPollEndsWell: an answer that was kept waiting for longer than anybody may
// take for taking one has its end.
func TestLongPollEndsWell(t *testing.T) {
	t.Parallel()
	h := listening(t, impatient)
	req := strings.Replace(pollOf(them, "http://x:1"), "120000,120000", "300,300", 1)
	r := connect(t, h.addr().Host).write(req)
	l := next(t, h.opened)
	if s := r.status(); s != nethttp.StatusNoContent {
		t.Errorf("answered %d", s)
	}
	r.write(req)
	send(t, l, text(1, 10))
	resp := r.answer()
	b, err := io.ReadAll(resp.Body)
	if err != nil || !bytes.Equal(b, text(1, 10)) {
		t.Errorf("%d octets, %v", len(b), err)
	}
	r.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	if s := r.status(); s != nethttp.StatusOK {
		t.Errorf("the next request was answered %d", s)
	}
}

// TestAnswerNotTaken: a client that polls and reads nothing loses the connection;
// what it has not taken waits for its next poll.
func TestAnswerNotTaken(t *testing.T) {
	t.Parallel()
	h := listening(t, impatient)
	req := pollOf(them, "http://x:1")
	connect(t, h.addr().Host).write(req)
	l := next(t, h.opened)
	const n, size = 300, 100 << 10 // more than any buffer on the way
	sent := make(chan int)
	go func() {
		i := 0
		for ; i < n; i++ {
			if l.Send(t.Context(), text(i, size)) != nil {
				break
			}
		}
		sent <- i
	}()
	h.emptied(t)
	r := connect(t, h.addr().Host).write(req)
	in := message.NewReader(r.answer().Body)
	last := -1
	for last < n-1 {
		b, err := in.Next()
		if err != nil {
			t.Fatalf("after %d: %v", last, err)
		}
		m, err := message.Decode(b)
		if err != nil {
			t.Fatal(err)
		}
		e, _ := m.Get("test", "n")
		i := int(e.Body[0])<<8 | int(e.Body[1])
		if last >= 0 && i != last+1 {
			t.Fatalf("%d after %d", i, last)
		}
		last = i
	}
	if got := <-sent; got != n {
		t.Errorf("%d sent", got)
	}
}

// TestCloseWritesWhatIsQueued: what was sent before the transport of the dialling
// side closes arrives, and so does the end.
func TestCloseWritesWhatIsQueued(t *testing.T) {
	server := listening(t, proving(t))
	c := client(t, "", proving(t))
	l := c.dial(t, server.addr())
	back := next(t, server.opened)
	const n = 100
	for i := range n {
		send(t, l, text(i, 1000))
	}
	_ = c.Close()
	if next(t, server.closed) != back {
		t.Error("another link is closed")
	}
	if got := len(server.arrived); got != n {
		t.Errorf("%d of %d messages arrived", got, n)
	}
}

// emptied waits until no connection is open.
func (h *host) emptied(t *testing.T) {
	t.Helper()
	late := time.After(limit)
	every := time.NewTicker(time.Millisecond)
	defer every.Stop()
	for {
		h.mu.Lock()
		n := h.allConns
		h.mu.Unlock()
		if n == 0 {
			return
		}
		select {
		case <-every.C:
		case <-late:
			t.Fatalf("%d connections are still open", n)
		}
	}
}
