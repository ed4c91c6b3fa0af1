package bench

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"sync/atomic"
	"time"
)

// Messages to many. The subscribers write to one pipe how far they are, which the
// publisher reads as its input: nobody stands between them, so that what is measured
// is the way of the messages and not that of the counts.

const (
	// lateAfter is when messages that have not come count as lost.
	lateAfter = 5 * time.Second

	// settleFor is how long it is quiet before the first message: what the subscribers
	// have said of themselves must have arrived.
	settleFor = time.Second

	// publishedAtOnce is how many messages the publisher sends before it looks again
	// what has been received.
	publishedAtOnce = 8
)

// fanOut starts the publisher and the subscribers, one after the other.
func fanOut(ctx context.Context, j job, length time.Duration) (Result, error) {
	counts, out, err := os.Pipe()
	if err != nil {
		return Result{}, err
	}
	defer func() { _ = out.Close() }()
	j.Part = "serve"
	publisher, err := beginBetween(ctx, j, counts, nil)
	_ = counts.Close() // the publisher has it
	if err != nil {
		return Result{}, err
	}
	defer publisher.end()
	r, err := publisher.report(ctx, childPatience)
	if err != nil {
		return Result{}, err
	}
	j.Part, j.Addr = "send", r.Addr
	var all []*child
	defer func() {
		for _, s := range all {
			s.end()
		}
	}()
	for j.Who = range j.Subscribers {
		s, err := beginBetween(ctx, j, nil, out)
		if err != nil {
			return Result{}, err
		}
		all = append(all, s)
		if _, err := publisher.report(ctx, childPatience); err != nil { // that this one is ready
			return Result{}, fmt.Errorf("a subscriber: %w", err)
		}
	}
	select {
	case <-time.After(settleFor):
	case <-ctx.Done():
		return Result{}, context.Cause(ctx)
	}
	if _, err := io.WriteString(out, lineGo+"\n"); err != nil {
		return Result{}, err
	}
	if _, err := publisher.report(ctx, length); err != nil { // that it has ended
		return Result{}, err
	}
	for _, s := range all {
		_ = s.in.Close() // it says then what it has got, and ends
	}
	if r, err = publisher.report(ctx, childPatience); err != nil {
		return Result{}, err
	}
	return *r.Result, nil
}

// What subscribers write to the publisher, a line each, beside reports: "c" and who has
// got how many messages and how many of them not in turn; and in the end "e" with the
// same and the microseconds it took a message.
const (
	lineGo    = "go"
	lineCount = 'c'
	lineEnd   = 'e'
)

// subscribe counts what comes, and tells the publisher now and then.
func (w *worker) subscribe() error {
	var next, disorder, first atomic.Uint64
	counts := quietly(os.Stdout)
	w.out = json.NewEncoder(counts)
	every := uint64(max(w.job.Window/4, 1))
	var line []byte
	tell := func(b []byte, kind byte) []byte {
		b = append(b[:0], kind)
		for _, n := range [...]uint64{uint64(w.job.Who), next.Load(), disorder.Load()} {
			b = strconv.AppendUint(append(b, ' '), n, 10)
		}
		return b
	}
	err := w.c.Subscribe(w.job.Addr, w.opt(), func(b []byte) {
		n, _, err := numberOf(b)
		at := next.Load()
		if err != nil || n != at {
			disorder.Add(1)
			at = max(at, n)
		}
		if at == 0 {
			first.Store(uint64(cpuTime() * 1e6))
		}
		next.Store(at + 1)
		if (at+1)%every == 0 {
			line = append(tell(line, lineCount), '\n')
			_, _ = counts.Write(line) // the publisher may have ended
		}
	})
	if err != nil {
		return err
	}
	w.say(report{Ready: true})
	w.wait()
	b := append(tell(nil, lineEnd), ' ')
	b = strconv.AppendFloat(b, (cpuTime()*1e6-float64(first.Load()))/float64(max(next.Load(), 1)), 'f', 3, 64)
	_, err = counts.Write(append(b, '\n'))
	return err
}

// heard is what the publisher has heard of its subscribers.
type heard struct {
	lines    *bufio.Scanner
	got      []uint64 // by each
	disorder []uint64
	cpu      []float64 // in the end
}

// next reads lines until one says that something has happened: all have got more messages
// than before, or a subscriber is ready, or has ended, or it is time to begin.
func (h *heard) next() (what byte, least uint64, err error) {
	before := slices.Min(h.got)
	for h.lines.Scan() {
		b := h.lines.Bytes()
		switch {
		case string(b) == lineGo:
			return 'g', before, nil
		case len(b) > 0 && b[0] == '{':
			var r report
			if err := json.Unmarshal(b, &r); err != nil {
				return 0, before, err
			}
			if r.Error != "" {
				return 0, before, errors.New(r.Error)
			}
			return '{', before, nil
		}
		kind := h.count(b)
		if kind == 0 {
			return 0, before, fmt.Errorf("bench: a subscriber said %q", b)
		}
		if least = slices.Min(h.got); least > before || kind == lineEnd {
			return kind, least, nil
		}
	}
	return 0, before, io.EOF
}

// count takes a line of counts, and returns of which kind it is, 0 if it is none.
func (h *heard) count(b []byte) byte {
	var n [3]uint64
	parts := bytes.Fields(b)
	if len(parts) < 1+len(n) {
		return 0
	}
	for i := range n {
		var err error
		if n[i], err = strconv.ParseUint(string(parts[1+i]), 10, 64); err != nil {
			return 0
		}
	}
	if n[0] >= uint64(len(h.got)) {
		return 0
	}
	h.got[n[0]], h.disorder[n[0]] = n[1], n[2]
	if b[0] == lineEnd && len(parts) > 1+len(n) {
		h.cpu[n[0]], _ = strconv.ParseFloat(string(parts[1+len(n)]), 64)
	}
	return b[0]
}

// publish sends as long as no more than a window of messages is under way to the
// slowest subscriber.
func (w *worker) publish() error {
	addr, publish, flush, err := w.c.Publish(w.job.Subscribers, w.opt())
	if err != nil {
		return err
	}
	w.say(report{Addr: addr})
	many := w.job.Subscribers
	h := &heard{
		lines: bufio.NewScanner(quietly(os.Stdin)),
		got:   make([]uint64, many), disorder: make([]uint64, many), cpu: make([]float64, many),
	}
	for {
		what, _, err := h.next()
		switch {
		case errors.Is(err, io.EOF):
			return nil // the parent is gone
		case err != nil:
			return err
		case what == '{':
			w.say(report{Ready: true})
			continue
		}
		break
	}
	got, ended := make(chan uint64, 1), make(chan error, 1)
	go func() { // ends with the process
		for left := many; left > 0; {
			what, least, err := h.next()
			if err != nil {
				ended <- err
				return
			}
			if what == lineEnd {
				left--
				continue
			}
			select {
			case <-got:
			default:
			}
			got <- least
		}
		ended <- nil
	}()
	r, err := w.publishAll(publish, flush, got, ended)
	if err != nil {
		return err
	}
	w.say(report{Ready: true})
	if err := <-ended; err != nil {
		return err
	}
	for i := range many {
		r.Disorder += h.disorder[i]
		r.ReceiveCP += h.cpu[i] / float64(many)
	}
	w.say(report{Result: &r})
	return nil
}

func (w *worker) publishAll(publish func([]byte) error, flush func() error, got <-chan uint64, ended chan error) (r Result, err error) {
	b := make([]byte, max(w.job.Size, seqSize))
	window := uint64(w.job.Window)
	begun := time.Now()
	var all, n, warmAt, warmGot uint64
	var warmed time.Time
	cpu := 0.0
	for {
		now := time.Now()
		since := now.Sub(begun).Seconds()
		if warmed.IsZero() && since >= w.job.WarmUp {
			warmed, warmAt, warmGot, cpu = now, n, all, cpuTime()
		}
		if since >= w.job.Seconds+w.job.WarmUp {
			r.Count, r.Rate = all-warmGot, float64(all-warmGot)/now.Sub(warmed).Seconds()
			r.SendCPU = (cpuTime() - cpu) * 1e6 / float64(max(n-warmAt, 1))
			return r, nil
		}
		if n-all < window {
			for range min(window-(n-all), publishedAtOnce) {
				number(b, n, 0)
				if err := publish(b); err != nil {
					return r, err
				}
				n++
			}
			select {
			case all = <-got:
			default:
			}
			continue
		}
		if flush != nil {
			if err := flush(); err != nil {
				return r, err
			}
		}
		select {
		case all = <-got:
		case err := <-ended:
			return r, fmt.Errorf("bench: the subscribers have ended: %w", err)
		case <-time.After(lateAfter):
			return r, fmt.Errorf("bench: %d messages of %d were not received by all within %v", n-all, n, lateAfter)
		}
	}
}
