package bench

import (
	"encoding/json"
	"errors"
	"io"
	"time"
)

// serveStreams reads streams to their end, and says how much came.
func (w *worker) serveStreams() error {
	addr, accept, err := w.c.ListenStream(w.opt())
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
				if err := w.drain(c); err != nil {
					w.say(report{Error: err.Error()})
				}
			}()
		}
	}()
	w.wait()
	return nil
}

// drain reads a stream of blocks, each with its number in front, until the mark of the
// end, and answers with the result.
func (w *worker) drain(c io.ReadWriteCloser) error {
	defer func() { _ = c.Close() }()
	b := make([]byte, bulkSize)
	var r Result
	var first time.Time
	var cpu float64
	begun := time.Now()
	warm := time.Duration(w.job.WarmUp * float64(time.Second))
	for n := uint64(0); ; n++ {
		if _, err := io.ReadFull(c, b); err != nil {
			if n == 0 && errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		got, mark, err := numberOf(b)
		if err != nil {
			return err
		}
		if got != n {
			r.Disorder++
		}
		if mark == markEnd {
			break
		}
		switch {
		case !first.IsZero():
			r.Count += uint64(len(b))
		case time.Since(begun) >= warm:
			first, cpu = time.Now(), cpuTime()
		}
	}
	r.Rate = float64(r.Count) / 1e6 / time.Since(first).Seconds()
	r.ReceiveCP = (cpuTime() - cpu) * 1e6 / float64(max(r.Count/bulkSize, 1))
	return json.NewEncoder(c).Encode(r)
}

func (w *worker) sendStreams() error {
	dial, err := w.c.DialStream(w.job.Addr, w.opt())
	if err != nil {
		return err
	}
	if w.job.Work == Open {
		var took []float64
		for begun := time.Now(); time.Since(begun).Seconds() < w.job.Seconds; {
			at := time.Now()
			c, err := dial()
			if err != nil {
				return err
			}
			took = append(took, float64(time.Since(at))/1e3)
			if err := c.Close(); err != nil {
				return err
			}
		}
		r := latencies(took)
		w.say(report{Result: &r})
		return nil
	}
	c, err := dial()
	if err != nil {
		return err
	}
	b := make([]byte, bulkSize)
	begun := time.Now()
	n, cpu, warmAt := uint64(0), 0.0, uint64(0)
	for ; ; n++ {
		since := time.Since(begun).Seconds()
		if warmAt == 0 && since >= w.job.WarmUp && n > 0 {
			cpu, warmAt = cpuTime(), n
		}
		if since >= w.job.Seconds+w.job.WarmUp {
			break
		}
		number(b, n, 0)
		if _, err := c.Write(b); err != nil {
			return err
		}
	}
	used := (cpuTime() - cpu) * 1e6 / float64(max(n-warmAt, 1))
	number(b, n, markEnd)
	if _, err := c.Write(b); err != nil {
		return err
	}
	var r Result
	if err := json.NewDecoder(c).Decode(&r); err != nil {
		return err
	}
	r.SendCPU = used
	w.say(report{Result: &r})
	return c.Close()
}
