package bench

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"time"
)

// The workloads.
const (
	OneWay    = "one-way"    // messages from one process to another
	RoundTrip = "round-trip" // a message there and back
	Mixed     = "mixed"      // the same beside a bulk transfer between the same two processes
	Stream    = "stream"     // octets
	Open      = "open"       // opening and closing streams
	FanOut    = "fan-out"    // messages from one process to ten
	Start     = "start"      // a whole process, until it is ready
)

const (
	maxSize   = 8 << 20
	seqSize   = 16 // number and mark at the front of a message
	markEnd   = 1
	bulkSize  = 64 << 10
	readEvery = 64 // messages between two looks at the clock
)

// job is what a child process is to do.
type job struct {
	Contestant, Work, Part, Addr, Home string
	Size, Window, Subscribers, Who     int
	Seconds                            float64
	WarmUp                             float64
}

// Result is what was measured of one contestant in one round.
type Result struct {
	Rate      float64 `json:"rate,omitempty"`       // messages a second; of streams MB/s
	Count     uint64  `json:"count,omitempty"`      // messages, or octets of a stream
	Lost      uint64  `json:"lost,omitempty"`       // messages
	Disorder  uint64  `json:"disorder,omitempty"`   // messages that came before or after their turn
	P50       float64 `json:"p50_us,omitempty"`     // microseconds
	P99       float64 `json:"p99_us,omitempty"`     // microseconds
	SendCPU   float64 `json:"send_cpu_us"`          // microseconds a message
	ReceiveCP float64 `json:"receive_cpu_us"`       // microseconds a message
	Memory    float64 `json:"memory_mib,omitempty"` // resident, at rest
	Error     string  `json:"error,omitempty"`
}

// report is a line that a child writes.
type report struct {
	Addr   string  `json:",omitempty"`
	Ready  bool    `json:",omitempty"`
	Result *Result `json:",omitempty"`
	Error  string  `json:",omitempty"`
}

// childVariable tells a program by its environment that it is to work.
const childVariable = "JUXTA_BENCH"

// Child works and ends the process, if the process was started by [Main]; otherwise it
// does nothing. It must be the first thing that main does. more are contestants beside
// those of this package.
func Child(more ...Contestant) {
	text := os.Getenv(childVariable)
	if text == "" {
		return
	}
	var j job
	w := &worker{out: json.NewEncoder(os.Stdout)}
	err := json.Unmarshal([]byte(text), &j)
	if err == nil {
		w.job = j
		i := slices.IndexFunc(all(more), func(c Contestant) bool { return c.Name == j.Contestant })
		if i < 0 {
			err = fmt.Errorf("bench: no contestant is called %q", j.Contestant)
		} else {
			w.c = all(more)[i]
			err = w.work()
		}
	}
	if err != nil {
		w.say(report{Error: err.Error()})
		os.Exit(1)
	}
	os.Exit(0)
}

// worker is a child process.
type worker struct {
	job job
	c   Contestant
	mu  sync.Mutex
	out *json.Encoder
}

func (w *worker) say(r report) {
	w.mu.Lock()
	defer w.mu.Unlock()
	_ = w.out.Encode(r) // the parent may be gone
}

// wait returns when the parent closes the input, which is also when it is gone.
func (w *worker) wait() { _, _ = io.Copy(io.Discard, os.Stdin) }

func (w *worker) opt() Options {
	return Options{Size: w.job.Size, Inline: w.job.Work == RoundTrip || w.job.Work == Mixed}
}

func (w *worker) work() error {
	serve := w.job.Part == "serve"
	switch w.job.Work {
	case OneWay, RoundTrip, Mixed:
		if serve {
			return w.serveMessages()
		}
		return w.sendMessages()
	case Stream, Open:
		if serve {
			return w.serveStreams()
		}
		return w.sendStreams()
	case FanOut:
		if serve {
			return w.publish()
		}
		return w.subscribe()
	case Start:
		if serve {
			addr, err := w.c.Serve(w.opt())
			if err == nil {
				w.say(report{Addr: addr})
				w.wait()
			}
			return err
		}
		if err := w.c.Start(w.job.Addr, w.job.Home); err != nil {
			return err
		}
		w.say(report{Ready: true})
		w.wait()
		return nil
	}
	return fmt.Errorf("bench: no such workload: %q", w.job.Work)
}

// number writes the number of a message and whether it is the last.
func number(b []byte, n uint64, mark uint64) {
	binary.BigEndian.PutUint64(b, n)
	binary.BigEndian.PutUint64(b[8:], mark)
}

func numberOf(b []byte) (n, mark uint64, err error) {
	if len(b) < seqSize {
		return 0, 0, errors.New("bench: a message without a number")
	}
	return binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:]), nil
}

// serveMessages takes conversations: what is numbered from 0 is counted, and answered
// at the end; what has the mark of an echo is sent back.
func (w *worker) serveMessages() error {
	addr, accept, err := w.c.Listen(w.opt())
	if err != nil {
		return err
	}
	w.say(report{Addr: addr})
	go func() { // lives as long as the process
		for {
			c, err := accept()
			if err != nil {
				return
			}
			go func() {
				if err := w.converse(c); err != nil && !errors.Is(err, io.EOF) {
					w.say(report{Error: err.Error()})
				}
			}()
		}
	}()
	w.wait()
	return nil
}

const markEcho = 2

func (w *worker) converse(c Conn) error {
	if h, ok := c.(Handler); ok && w.opt().Inline {
		h.Handle(func(b []byte) {
			if _, mark, err := numberOf(b); err == nil && mark == markEcho {
				if err := c.Send(b); err != nil {
					w.say(report{Error: err.Error()})
				}
			}
		})
		return nil
	}
	var count, next, disorder uint64
	var first, last time.Time
	var cpu float64
	warm := time.Duration(w.job.WarmUp * float64(time.Second))
	var begun time.Time
	for {
		b, err := c.Receive()
		if err != nil {
			return err
		}
		n, mark, err := numberOf(b)
		if err != nil {
			return err
		}
		switch mark {
		case markEcho:
			if err := c.Send(b); err != nil {
				return err
			}
			if err := c.Flush(); err != nil {
				return err
			}
			continue
		case markEnd:
			r := Result{Count: count, Disorder: disorder, Lost: n - min(n, next)}
			if d := last.Sub(first).Seconds(); d > 0 {
				r.Rate = float64(count) / d
				r.ReceiveCP = (cpuTime() - cpu) * 1e6 / float64(max(count, 1))
			}
			text, err := json.Marshal(r)
			if err != nil {
				return err
			}
			answer := make([]byte, seqSize+len(text))
			number(answer, 0, markEnd)
			copy(answer[seqSize:], text)
			if err := c.Send(answer); err != nil {
				return err
			}
			if err := c.Flush(); err != nil {
				return err
			}
			continue
		}
		if n != next {
			disorder++
		}
		next = max(next, n+1)
		if next%readEvery != 0 {
			if !first.IsZero() {
				count++
			}
			continue
		}
		now := time.Now()
		switch {
		case begun.IsZero():
			begun = now
		case first.IsZero() && now.Sub(begun) >= warm:
			first, cpu = now, cpuTime()
		case !first.IsZero():
			count++
			last = now
		}
	}
}

// sendMessages is the other side.
func (w *worker) sendMessages() error {
	c, err := w.c.Dial(w.job.Addr, w.opt())
	if err != nil {
		return err
	}
	var r Result
	length := time.Duration((w.job.Seconds + w.job.WarmUp) * float64(time.Second))
	warm := time.Duration(w.job.WarmUp * float64(time.Second))
	switch w.job.Work {
	case OneWay:
		r, err = w.flood(c, length, warm)
	case Mixed:
		var bulk Conn
		if bulk, err = w.c.Dial(w.job.Addr, w.opt()); err != nil {
			return err
		}
		stop := make(chan struct{})
		failed := make(chan error, 1)
		go func() {
			b := make([]byte, bulkSize)
			for n := uint64(0); ; n++ {
				select {
				case <-stop:
					failed <- nil
					return
				default:
				}
				number(b, n, 0)
				if err := bulk.Send(b); err != nil {
					failed <- err
					return
				}
			}
		}()
		r, err = w.pingPong(c, length, warm)
		close(stop)
		if err == nil {
			err = <-failed
		}
	default:
		r, err = w.pingPong(c, length, warm)
	}
	if err != nil {
		return err
	}
	w.say(report{Result: &r})
	return nil
}

// flood sends for a while and asks what has come.
func (w *worker) flood(c Conn, length, warm time.Duration) (Result, error) {
	b := make([]byte, max(w.job.Size, seqSize))
	begun := time.Now()
	cpu, warmAt := 0.0, uint64(0)
	n := uint64(0)
	for ; ; n++ {
		if n%readEvery == 0 {
			since := time.Since(begun)
			if warmAt == 0 && since >= warm && n > 0 {
				cpu, warmAt = cpuTime(), n
			}
			if since >= length {
				break
			}
		}
		number(b, n, 0)
		if err := c.Send(b); err != nil {
			return Result{}, err
		}
	}
	used := (cpuTime() - cpu) * 1e6 / float64(max(n-warmAt, 1))
	number(b, n, markEnd)
	if err := c.Send(b[:seqSize]); err != nil {
		return Result{}, err
	}
	if err := c.Flush(); err != nil {
		return Result{}, err
	}
	answer, err := c.Receive()
	if err != nil {
		return Result{}, err
	}
	var r Result
	if err := json.Unmarshal(answer[seqSize:], &r); err != nil {
		return Result{}, err
	}
	r.SendCPU = used
	return r, nil
}

// pingPong sends a message there and back.
func (w *worker) pingPong(c Conn, length, warm time.Duration) (Result, error) {
	b := make([]byte, max(w.job.Size, seqSize))
	var took []float64
	begun := time.Now()
	if h, ok := c.(Handler); ok && w.opt().Inline {
		return handled(c, h, b, begun, length, warm)
	}
	for n := uint64(0); ; n++ {
		at := time.Now()
		if at.Sub(begun) >= length {
			break
		}
		number(b, n, markEcho)
		if err := c.Send(b); err != nil {
			return Result{}, err
		}
		if err := c.Flush(); err != nil {
			return Result{}, err
		}
		back, err := c.Receive()
		if err != nil {
			return Result{}, err
		}
		if got, _, err := numberOf(back); err != nil || got != n || len(back) != len(b) {
			return Result{}, fmt.Errorf("bench: another message came back: %d for %d, %v", got, n, err)
		}
		if at.Sub(begun) >= warm {
			took = append(took, float64(time.Since(at))/1e3)
		}
	}
	return latencies(took), nil
}

// handled is pingPong where each answer is handled, and the next message sent, where
// it comes in.
func handled(c Conn, h Handler, b []byte, begun time.Time, length, warm time.Duration) (Result, error) {
	var took []float64
	var n uint64
	at := begun
	done := make(chan error, 1)
	h.Handle(func(back []byte) {
		got, _, err := numberOf(back)
		now := time.Now()
		switch {
		case err != nil || got != n || len(back) != len(b):
			done <- fmt.Errorf("bench: another message came back: %d for %d, %v", got, n, err)
			return
		case now.Sub(begun) >= length:
			done <- nil
			return
		case now.Sub(begun) >= warm:
			took = append(took, float64(now.Sub(at))/1e3)
		}
		n, at = n+1, now
		number(b, n, markEcho)
		if err := c.Send(b); err != nil {
			done <- err
		}
	})
	number(b, n, markEcho)
	if err := c.Send(b); err != nil {
		return Result{}, err
	}
	select {
	case err := <-done:
		return latencies(took), err
	case <-time.After(length + lateAfter):
		return Result{}, errors.New("bench: no answer came any more")
	}
}

func latencies(took []float64) Result {
	if len(took) == 0 {
		return Result{Error: "nothing was measured"}
	}
	slices.Sort(took)
	return Result{Count: uint64(len(took)), P50: took[len(took)/2], P99: took[len(took)*99/100]}
}
