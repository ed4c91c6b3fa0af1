package http

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	nethttp "net/http"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/juxta-p2p/juxta/core/endpoint"
)

// What a tunnel is made of. A POST brings octets to the server, whose answer says
// up to which place it has them; a GET fetches octets from a place on, which
// confirms those before.
const (
	tunnelPath = "/juxta/"
	tunnelType = "application/x-juxta-stream"
	offerName  = "Juxta"       // of the header in the answer to a ping
	offerValue = "stream"      // that says that tunnels are served
	placeName  = "Juxta-Place" // of the first octet of a body, or of the next one wanted
	endName    = "Juxta-End"   // set: nothing follows this body
)

// side is the dialling end of a tunnel.
type side struct {
	*conn
	t    *Transport
	url  string
	ctx  context.Context
	stop context.CancelFunc
}

// tunnel opens a tunnel to a server and starts the requests that feed it.
func (t *Transport) tunnel(addr endpoint.Address, local, remote net.Addr) (*side, error) {
	var session [16]byte
	_, _ = rand.Read(session[:]) // it never fails
	s := &side{conn: newConn(local, remote), t: t, url: "http://" + addr.Host + tunnelPath + hex.EncodeToString(session[:])}
	s.ctx, s.stop = context.WithCancel(t.ctx)
	s.onClose = func() { time.AfterFunc(lingerFor, s.stop) }
	if !t.work(s.run) {
		s.stop()
		return nil, endpoint.ErrClosed
	}
	return s, nil
}

// run carries the tunnel until it ends.
func (s *side) run() {
	defer s.stop()
	var both sync.WaitGroup
	first := make(chan struct{})
	both.Go(func() { s.send(first) })
	both.Go(func() {
		select {
		case <-first: // the server knows the tunnel now
		case <-s.ctx.Done():
		}
		s.fetch()
	})
	both.Wait()
	s.fail(net.ErrClosed)
}

// send posts what is written.
func (s *side) send(first chan struct{}) {
	opened := sync.OnceFunc(func() { close(first) })
	defer opened()
	var buf []byte
	pause, failures := retryFirst, 0
	began := time.Now()
	for s.ctx.Err() == nil {
		at, b, end := s.next(time.Now().Add(tunnelWait), buf)
		buf = b
		if err, _ := s.state(); err != nil {
			return
		}
		got, err := s.post(at, b, end)
		failures++
		if err == nil {
			opened()
			began, pause, failures = time.Now(), retryFirst, 0
			if err = s.confirmed(got); err == nil && end && got == at+int64(len(b)) {
				s.stop() // all is said
				return
			}
		}
		switch {
		case err == nil:
		case hopeless(err, failures, began):
			s.fail(err)
			s.stop()
			return
		default:
			if !rest(s.ctx, pause) {
				return
			}
			pause = min(2*pause, retryMost)
		}
	}
}

// post sends octets and returns up to which place the server has them.
func (s *side) post(at int64, b []byte, end bool) (int64, error) {
	ctx, cancel := context.WithTimeout(s.ctx, requestTimeout)
	defer cancel()
	req, err := nethttp.NewRequestWithContext(ctx, nethttp.MethodPost, s.url, bytes.NewReader(b))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Content-Type", tunnelType)
	req.Header.Set(placeName, strconv.FormatInt(at, 10))
	if end {
		req.Header.Set(endName, "1")
	}
	resp, err := s.t.client.Do(req)
	if err != nil {
		return 0, err
	}
	defer discard(resp)
	return place(resp)
}

// place reads the place in an answer of the server.
func place(resp *nethttp.Response) (int64, error) {
	switch resp.StatusCode {
	case nethttp.StatusOK:
	case nethttp.StatusNotFound, nethttp.StatusGone:
		return 0, errGone
	default:
		return 0, fmt.Errorf("the server answers %s", resp.Status)
	}
	n, err := strconv.ParseInt(resp.Header.Get(placeName), 10, 64)
	if err != nil || n < 0 {
		return 0, errGap
	}
	return n, nil
}

// fetch gets what the server writes.
func (s *side) fetch() {
	pause, failures := retryFirst, 0
	began := time.Now()
	for s.ctx.Err() == nil {
		if err, _ := s.state(); err != nil {
			return
		}
		s.mu.Lock()
		at := s.inAt
		s.mu.Unlock()
		end, err := s.get(at)
		failures++
		switch {
		case err == nil:
			began, pause, failures = time.Now(), retryFirst, 0
			if end {
				return
			}
		case hopeless(err, failures, began):
			s.fail(err)
			s.stop()
			return
		default:
			if !rest(s.ctx, pause) {
				return
			}
			pause = min(2*pause, retryMost)
		}
	}
}

// get makes one request for octets.
func (s *side) get(at int64) (end bool, err error) {
	ctx, cancel := context.WithTimeout(s.ctx, tunnelWait+requestTimeout)
	defer cancel()
	req, err := nethttp.NewRequestWithContext(ctx, nethttp.MethodGet, s.url, nil)
	if err != nil {
		return false, err
	}
	req.Header.Set(placeName, strconv.FormatInt(at, 10))
	resp, err := s.t.client.Do(req)
	if err != nil {
		return false, err
	}
	defer discard(resp)
	from, err := place(resp)
	if err != nil {
		return false, err
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, tunnelChunk+1))
	end = resp.Header.Get(endName) != "" && err == nil
	if len(b) > tunnelChunk {
		return false, errGap
	}
	if _, took := s.took(from, b, end, time.Time{}); took != nil {
		return false, took
	}
	return end, err
}

// hopeless reports whether repeating a request is of no use: the server does not
// know the tunnel, or is not there any more since several attempts.
func hopeless(err error, failures int, since time.Time) bool {
	return errors.Is(err, errGone) || errors.Is(err, errGap) || time.Since(since) > tunnelGone ||
		failures >= refusals && errors.Is(err, syscall.ECONNREFUSED)
}

// rest pauses, and reports whether ctx still lives.
func rest(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
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

// session is the accepting end of a tunnel.
type session struct {
	*conn
	ip      string
	posting sync.Mutex // one POST at a time
	getting sync.Mutex // one GET at a time
}

// serveTunnel serves the requests of tunnels.
func (t *Transport) serveTunnel(w nethttp.ResponseWriter, r *nethttp.Request) {
	name := strings.TrimPrefix(r.URL.Path, tunnelPath)
	at, err := strconv.ParseInt(r.Header.Get(placeName), 10, 64)
	if b, bad := hex.DecodeString(name); bad != nil || len(b) != 16 || err != nil || at < 0 {
		nethttp.Error(w, "not a tunnel", nethttp.StatusBadRequest)
		return
	}
	s, status := t.session(name, r, at)
	if s == nil {
		nethttp.Error(w, nethttp.StatusText(status), status)
		return
	}
	w.Header().Set("Content-Type", tunnelType)
	w.Header().Set("Cache-Control", "no-store")
	if r.Method == nethttp.MethodPost {
		s.posting.Lock()
		defer s.posting.Unlock()
		b, err := io.ReadAll(nethttp.MaxBytesReader(w, r.Body, tunnelChunk))
		if err != nil {
			nethttp.Error(w, "the body is broken or too long", nethttp.StatusBadRequest)
			return
		}
		got, err := s.took(at, b, r.Header.Get(endName) != "", time.Now().Add(requestTimeout/2))
		if err != nil {
			nethttp.Error(w, err.Error(), nethttp.StatusGone)
			s.fail(err)
			return
		}
		w.Header().Set(placeName, strconv.FormatInt(got, 10))
		w.Header().Set("Content-Length", "0")
		w.WriteHeader(nethttp.StatusOK)
		return
	}
	if err := s.confirmed(at); err != nil {
		nethttp.Error(w, err.Error(), nethttp.StatusGone)
		s.fail(err)
		return
	}
	s.getting.Lock()
	defer s.getting.Unlock()
	stop := context.AfterFunc(r.Context(), func() { s.mu.Lock(); s.wake(); s.mu.Unlock() })
	defer stop()
	place, b, end := s.next(time.Now().Add(tunnelWait), nil)
	w.Header().Set(placeName, strconv.FormatInt(place, 10))
	if end {
		w.Header().Set(endName, "1")
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(b)))
	w.WriteHeader(nethttp.StatusOK)
	_, err = w.Write(b)
	if end && err == nil && len(b) == 0 {
		s.fail(net.ErrClosed) // the other side has everything, and knows
	}
}

// session returns the tunnel of a name, and makes it if a first POST asks for it.
func (t *Transport) session(name string, r *nethttp.Request, at int64) (*session, int) {
	ip := originOf(r.RemoteAddr)
	t.mu.Lock()
	defer t.mu.Unlock()
	if s := t.sessions[name]; s != nil {
		return s, 0
	}
	switch {
	case r.Method != nethttp.MethodPost || at != 0 || r.Header.Get("Content-Type") != tunnelType:
		return nil, nethttp.StatusNotFound
	case t.closed:
		return nil, nethttp.StatusGone
	case len(t.sessions) >= maxAll || !t.trusted(ip) && t.sessionsOf(ip) >= maxPerHost:
		t.stats.refused.Add(1)
		t.offend(ip, "tunnels")
		return nil, nethttp.StatusServiceUnavailable
	}
	s := &session{conn: newConn(t.localOf(r), addrOf(r.RemoteAddr)), ip: ip}
	t.sessions[name] = s
	t.stats.tunnels.Add(1)
	t.wg.Go(func() { t.carry(name, s) })
	return s, 0
}

// sessionsOf counts the tunnels of an IP address. t.mu is held.
func (t *Transport) sessionsOf(ip string) int {
	n := 0
	for _, s := range t.sessions {
		if s.ip == ip {
			n++
		}
	}
	return n
}

// carry makes a link of an accepted tunnel and sees to its end.
func (t *Transport) carry(name string, s *session) {
	done := make(chan struct{})
	s.onClose = sync.OnceFunc(func() { close(done) })
	if _, err := t.set.Accepted(t.ctx, s, nil); err != nil {
		t.host.Logger.Debug("incoming tunnel ended early", "from", s.ip, "error", err)
	}
	tick := time.NewTicker(tunnelGone / 4)
	defer tick.Stop()
	for open := true; open; {
		select {
		case <-done:
			open = false
		case <-tick.C:
			if err, silent := s.state(); err != nil || silent > tunnelGone {
				s.fail(errSilent)
				open = false
			}
		}
	}
	s.drained(time.Now().Add(lingerFor))
	s.ended(time.Now().Add(lingerFor))
	t.mu.Lock()
	delete(t.sessions, name)
	t.mu.Unlock()
}

// ended waits until the other side knows of the end, or the time is over.
func (c *conn) ended(by time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.err == nil && !c.inEnd && !over(by) {
		c.wait(by)
	}
}
