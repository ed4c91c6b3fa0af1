package content

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/juxta-p2p/juxta/protocols/socket"
)

// Why a connection to a holder ends.
var (
	errLie     = errors.New("what it gives does not have the hash")
	errNotHere = errors.New("it does not have the content")
	errRest    = errors.New("nothing is wanted")
)

// fetchFrom asks a holder for chunks until it is given up or the swarm closes. It
// reports whether the holder gave what it cannot have.
func (w *swarm) fetchFrom(h Holder) (lied bool) {
	for try := 0; ; {
		began := w.gifts(h)
		err := w.session(h)
		if w.gifts(h) > began {
			try = 0
		}
		switch {
		case w.ctx.Err() != nil:
			return false
		case errors.Is(err, errRest):
			if !w.awaitWork() {
				return false
			}
			continue
		case errors.Is(err, errLie):
			w.s.stats.lies.Add(1)
			w.s.log.Warn("a holder is dropped", "holder", h.Peer.Short(), "id", w.id, "error", err)
			return true
		case errors.Is(err, errNotHere):
			return false
		}
		w.s.stats.faults.Add(1)
		w.s.log.Debug("a holder has failed", "holder", h.Peer.Short(), "id", w.id, "error", err)
		if try++; try == maxTries {
			return false
		}
		select {
		case <-w.ctx.Done():
			return false
		case <-time.After(tryAgain << (try - 1)):
		}
	}
}

func (w *swarm) gifts(h Holder) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.holders[h.Peer].given
}

// awaitWork waits until a chunk is wanted; it reports false when the swarm closes.
func (w *swarm) awaitWork() bool {
	for {
		w.mu.Lock()
		wanted, changed := len(w.jobs) > 0, w.changed
		w.mu.Unlock()
		if wanted {
			return true
		}
		select {
		case <-w.ctx.Done():
			return false
		case <-changed:
		}
	}
}

// dial opens a connection to a holder, which closes with ctx.
func (s *Service) dial(ctx context.Context, h Holder) (c *socket.Conn, done func(), err error) {
	// A pipe may be advertised by anybody; who listens is the holder, and only it
	// is dialled.
	c, err = s.g.Sockets().DialWith(ctx, h.Pipe, socket.DialConfig{Peer: h.Peer, Timeout: dialWait})
	if err != nil {
		return nil, nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = c.Close() })
	done = func() { stop(); _ = c.Close() }
	_ = c.SetDeadline(time.Now().Add(silence))
	if _, err := c.Write([]byte(greeting)); err != nil {
		done()
		return nil, nil, err
	}
	return c, done, nil
}

// pending is a request under way.
type pending struct {
	number int
	at     time.Time
}

// session asks over one connection, several requests at a time, and returns why
// that ended.
func (w *swarm) session(h Holder) error {
	c, done, err := w.s.dial(w.ctx, h)
	if err != nil {
		return err
	}
	defer done()
	var under []pending
	defer func() {
		numbers := make([]int, len(under))
		for i, p := range under {
			numbers[i] = p.number
		}
		w.release(h.Peer, numbers...)
	}()
	alive := func() { _ = c.SetDeadline(time.Now().Add(silence)) }
	pace := time.Duration(0) // mean time for a chunk
	last := time.Now()
	for {
		if len(under) < window {
			n, again, changed, ok := w.next(h.Peer, len(under) == 0, pace)
			if ok {
				under = append(under, pending{n, time.Now()})
				alive()
				if _, err := c.Write(w.request(n).encode()); err != nil {
					return err
				}
				continue
			}
			if len(under) == 0 {
				if !w.idle(again, changed) {
					return errRest
				}
				last = time.Now()
				continue
			}
		}
		first := under[0]
		status, body, err := readAnswer(c, w.request(first.number), alive)
		switch {
		case errors.Is(err, ErrMalformed) || errors.Is(err, ErrLimit):
			w.s.stats.malformed.Add(1)
			return fmt.Errorf("%w: %w", errLie, err)
		case err != nil:
			return err
		case status != given:
			return errNotHere
		case !w.fits(first.number, body):
			return errLie
		}
		const weight = 4
		pace += (time.Since(last) - pace) / weight
		last = time.Now()
		under = under[1:]
		w.deliver(h.Peer, first.number, body)
	}
}

// idle waits for something to do; it reports false when the connection should be
// closed, since nothing is wanted.
func (w *swarm) idle(again time.Duration, changed <-chan struct{}) bool {
	timer := time.NewTimer(again)
	defer timer.Stop()
	select {
	case <-w.ctx.Done():
		return false
	case <-changed:
		return true
	case <-timer.C:
		return again < lingers
	}
}

func (w *swarm) request(n int) request {
	if n == theManifest {
		return request{what: askManifest, id: w.id}
	}
	return request{what: askChunk, id: w.id, number: uint32(n)}
}

// ask puts one request to a peer, over a connection of its own, or several in a
// row as long as more says so.
func (s *Service) ask(ctx context.Context, h Holder, r request, more func(status byte, body []byte) (next bool)) error {
	c, done, err := s.dial(ctx, h)
	if err != nil {
		return err
	}
	defer done()
	alive := func() { _ = c.SetDeadline(time.Now().Add(silence)) }
	for {
		alive()
		if _, err := c.Write(r.encode()); err != nil {
			return err
		}
		status, body, err := readAnswer(c, r, alive)
		if err != nil {
			return err
		}
		if !more(status, body) {
			return nil
		}
		r.number++
	}
}
