package http

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	nethttp "net/http"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/juxta-p2p/juxta/core/endpoint"
)

// What a tunnel is made of. A POST brings octets to the server, and its answer says
// up to which place it has them; a GET fetches octets from a place on, which
// confirms those before. Each may be repeated. An answer to a GET ends as soon as
// it has octets, since proxies may keep an answer until it is complete.
//
//	POST /juxta/<name>?<place of the first octet>[,end|,broken]
//	GET  /juxta/<name>?<place>,<milliseconds to wait>,<a number for caches>
const (
	tunnelPath   = "/juxta/"
	tunnelType   = "application/x-juxta-stream"
	tunnelEnd    = "end"         // nothing follows this body
	tunnelBroken = "broken"      // what is missing does not come any more
	offerName    = "Juxta"       // of the header in the answer to a ping
	offerValue   = "stream"      // that says that tunnels are served
	placeName    = "Juxta-Place" // of the header with the place of the first octet of an answer, or of the next one wanted
	endName      = "Juxta-End"   // set: nothing follows this answer
)

// side is the dialling end of a tunnel.
type side struct {
	*conn
	t    *Transport
	url  string
	ctx  context.Context
	stop context.CancelFunc
	done chan struct{} // closed when run has ended

	most int           // octets of a request; belongs to send
	wait time.Duration // of a request for octets; belongs to fetch
}

// statusError is an answer with another status than wanted.
type statusError struct {
	code   int
	status string
}

// Error implements error.
func (e *statusError) Error() string { return "the server answers " + e.status }

// tunnel opens a tunnel to a server and starts the requests that feed it.
func (t *Transport) tunnel(addr endpoint.Address, local, remote net.Addr) (*side, error) {
	var name [16]byte
	_, _ = rand.Read(name[:]) // it never fails
	s := &side{
		conn: newConn(local, remote), t: t, url: "http://" + addr.Host + tunnelPath + hex.EncodeToString(name[:]),
		done: make(chan struct{}), most: tunnelChunk, wait: t.times.wait,
	}
	s.ctx, s.stop = context.WithCancel(t.ctx)
	s.onClose = func() { time.AfterFunc(lingerFor, s.stop) }
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		s.stop()
		return nil, endpoint.ErrClosed
	}
	t.sides[s] = struct{}{}
	t.wg.Go(func() {
		s.run()
		t.mu.Lock()
		defer t.mu.Unlock()
		delete(t.sides, s)
		close(s.done)
	})
	return s, nil
}

// run carries the tunnel until it ends.
func (s *side) run() {
	defer context.AfterFunc(s.ctx, func() { s.fail(net.ErrClosed) })()
	complete := false
	var both sync.WaitGroup
	both.Go(func() { complete = s.send(); s.stop() })
	both.Go(s.fetch)
	both.Wait()
	s.fail(net.ErrClosed)
	if !complete {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(s.ctx), lingerFor)
		defer cancel()
		_, _ = s.post(ctx, part{}, tunnelBroken)
	}
}

// finished waits until the tunnel has ended, or the time is over.
func (s *side) finished(by time.Time) {
	timer := time.NewTimer(time.Until(by))
	defer timer.Stop()
	select {
	case <-s.done:
	case <-timer.C:
	}
}

// send posts what is written, and reports whether the server has all of it, and
// knows.
func (s *side) send() bool {
	open := false
	for r := s.retry(); ; {
		p := s.next(s.ctx, time.Time{}, s.most)
		if err := s.dead(); err != nil || s.ctx.Err() != nil {
			return errors.Is(err, errGone)
		}
		word := ""
		if p.end {
			word = tunnelEnd
		}
		ctx, cancel := context.WithTimeout(s.ctx, requestTimeout)
		got, err := s.post(ctx, p, word)
		cancel()
		if err == nil {
			err = s.confirmed(got)
		}
		var status *statusError
		long := errors.As(err, &status) && status.code == nethttp.StatusRequestEntityTooLarge && s.most > tunnelPost
		switch {
		case err == nil && p.end && got == p.at+int64(p.size):
			return true
		case err == nil:
			open = true
			r = s.retry()
		case long:
			s.most /= 2
		case status != nil && !open: // a proxy that does not let this kind of request through, as a rule
			s.fail(s.refusal(status))
			return false
		case !r.again(err):
			s.fail(err)
			return errors.Is(err, errGone)
		}
	}
}

// refusal is the error of an answer that refuses a request: that of the proxy, if
// there is one and it is likely its answer.
func (s *side) refusal(status *statusError) error {
	req, err := nethttp.NewRequest(nethttp.MethodPost, s.url, nil)
	if err != nil {
		return status
	}
	if proxy, err := s.t.cfg.Proxy(req); err == nil && proxy != nil && fromProxy(status.code) {
		return &ProxyError{Proxy: proxy.Host, Status: status.code}
	}
	return status
}

// post sends octets and returns up to which place the server has them.
func (s *side) post(ctx context.Context, p part, word string) (int64, error) {
	url := s.url + "?" + strconv.FormatInt(p.at, 10)
	if word != "" {
		url += "," + word
	}
	req, err := nethttp.NewRequestWithContext(ctx, nethttp.MethodPost, url, nil)
	if err != nil {
		return 0, err
	}
	if p.size > 0 {
		req.ContentLength = int64(p.size)
		req.GetBody = func() (io.ReadCloser, error) { // again, if a connection has gone in the meantime
			b := slices.Clone(p.body)
			return io.NopCloser(&b), nil
		}
		if req.Body, err = req.GetBody(); err != nil {
			return 0, err
		}
	}
	req.Header.Set("Content-Type", tunnelType)
	resp, err := s.t.client.Do(req)
	if err != nil {
		return 0, err
	}
	defer discard(resp)
	return placeIn(resp)
}

// placeIn reads the place in an answer of the server.
func placeIn(resp *nethttp.Response) (int64, error) {
	switch resp.StatusCode {
	case nethttp.StatusOK:
	case nethttp.StatusNotFound, nethttp.StatusGone:
		return 0, errGone
	default:
		return 0, &statusError{resp.StatusCode, resp.Status}
	}
	n, err := strconv.ParseInt(resp.Header.Get(placeName), 10, 64)
	if err != nil || n < 0 {
		return 0, errors.New("somebody between answers for the server")
	}
	return n, nil
}

// fetch gets what the server writes.
func (s *side) fetch() {
	r := s.retry()
	for n := 0; s.ctx.Err() == nil; n++ {
		began, at := time.Now(), s.place()
		end, err := s.get(at, n)
		switch {
		case err == nil && end:
			return
		case err == nil, s.place() > at:
			r = s.retry()
			continue
		case s.ctx.Err() != nil:
			return
		}
		if took := time.Since(began); took < s.wait && took > tunnelWaitLeast {
			// Somebody between does not let an idle connection wait for so long.
			s.wait = max(min(took, s.wait)*3/4, min(tunnelWaitLeast, s.wait))
		}
		if !r.again(err) {
			s.fail(err)
			return
		}
	}
}

// get makes one request for octets.
func (s *side) get(at int64, n int) (end bool, err error) {
	ctx, cancel := context.WithTimeout(s.ctx, s.wait+requestTimeout)
	defer cancel()
	url := fmt.Sprintf("%s?%d,%d,%d", s.url, at, s.wait.Milliseconds(), n)
	req, err := nethttp.NewRequestWithContext(ctx, nethttp.MethodGet, url, nil)
	if err != nil {
		return false, err
	}
	req.Header.Set("Cache-Control", "no-store")
	resp, err := s.t.client.Do(req)
	if err != nil {
		return false, err
	}
	defer discard(resp)
	from, err := placeIn(resp)
	if err != nil {
		return false, err
	}
	upTo, err := s.takeAll(from, io.LimitReader(resp.Body, tunnelChunk), time.Time{})
	if err != nil || resp.Header.Get(endName) == "" {
		return false, err
	}
	s.ends(upTo)
	return true, nil
}

// takeAll takes octets as they come, and returns up to which place all is here.
func (c *conn) takeAll(at int64, r io.Reader, by time.Time) (upTo int64, err error) {
	buf := parts.Get().(*[tunnelPart]byte)
	defer parts.Put(buf)
	if upTo, err = c.took(at, nil, by); err != nil {
		return upTo, err
	}
	for {
		n, err := r.Read(buf[:])
		if n > 0 {
			got, bad := c.took(at, buf[:n], by)
			if upTo, at = got, at+int64(n); bad != nil || got < at {
				return upTo, bad
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return upTo, nil
		case err != nil:
			return upTo, err
		}
	}
}

var parts = sync.Pool{New: func() any { return new([tunnelPart]byte) }}

// retry decides about the repetition of requests.
type retry struct {
	s        *side
	began    time.Time
	pause    time.Duration
	failures int
}

func (s *side) retry() *retry { return &retry{s: s, began: time.Now(), pause: retryFirst} }

// again waits before a failed request is repeated. It reports false if that is of no
// use: the server does not know the tunnel, is not there any more since several
// attempts, or a proxy does not let it through.
func (r *retry) again(err error) bool {
	r.s.t.stats.failed.Add(1)
	r.failures++
	var status *statusError
	switch {
	case errors.Is(err, errGone), errors.Is(err, errGap), time.Since(r.began) > tunnelGone:
		return false
	case r.failures >= refusals && errors.Is(err, syscall.ECONNREFUSED):
		return false
	case errors.As(err, &status) && status.code < nethttp.StatusInternalServerError && status.code != nethttp.StatusRequestTimeout &&
		status.code != nethttp.StatusTooManyRequests:
		return false
	}
	ok := rest(r.s.ctx, r.pause)
	r.pause = min(2*r.pause, retryMost)
	return ok
}

// rest pauses, and reports whether ctx still lives.
func rest(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

// discard reads what is left of an answer, if it is little, so that the connection
// can be used again.
func discard(resp *nethttp.Response) {
	_, _ = io.CopyN(io.Discard, resp.Body, maxPing)
	_ = resp.Body.Close()
}
