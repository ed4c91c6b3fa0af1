package http

import (
	"context"
	"encoding/hex"
	"errors"
	"net"
	nethttp "net/http"
	"strconv"
	"strings"
	"time"
)

// session is the accepting end of a tunnel.
type session struct {
	*conn
	ip   string
	done chan struct{} // closed when the link is

	// older, guarded by mu of conn, ends the answer to the request for octets before
	// this one, of which the other side thinks that it is lost.
	older context.CancelFunc
}

// tunnelQuery is what the address of a tunnel's request says.
type tunnelQuery struct {
	name string
	at   int64
	word string        // of a POST
	wait time.Duration // of a GET
}

// parseTunnel reads path and query of a request; see the constants.
func parseTunnel(path, query string) (q tunnelQuery, ok bool) {
	q.name = strings.TrimPrefix(path, tunnelPath)
	if b, err := hex.DecodeString(q.name); err != nil || len(b) != 16 {
		return tunnelQuery{}, false
	}
	first, second, more := strings.Cut(query, ",")
	var err error
	if q.at, err = strconv.ParseInt(first, 10, 64); err != nil || q.at < 0 {
		return tunnelQuery{}, false
	}
	if !more || second == tunnelEnd || second == tunnelBroken {
		q.word = second
		return q, true
	}
	second, _, _ = strings.Cut(second, ",")
	ms, err := strconv.ParseUint(second, 10, 31)
	if err != nil {
		return tunnelQuery{}, false
	}
	q.wait = min(time.Duration(ms)*time.Millisecond, tunnelWait)
	return q, true
}

// serveTunnel serves the requests of tunnels.
func (t *Transport) serveTunnel(w nethttp.ResponseWriter, r *nethttp.Request) {
	q, ok := parseTunnel(r.URL.Path, r.URL.RawQuery)
	posts := r.Method == nethttp.MethodPost
	if !ok || posts && r.Header.Get("Content-Type") != tunnelType || r.Method == nethttp.MethodHead {
		t.refuse(w, nethttp.StatusBadRequest)
		return
	}
	s, status := t.session(q, r)
	if s == nil {
		nethttp.Error(w, nethttp.StatusText(status), status)
		return
	}
	w.Header().Set("Content-Type", tunnelType)
	w.Header().Set("Cache-Control", "no-store")
	if posts {
		t.takeOctets(w, r, s, q)
		return
	}
	t.giveOctets(w, r, s, q)
}

// session returns the tunnel of a name, and makes it if its first request asks for
// it, which may be either kind.
func (t *Transport) session(q tunnelQuery, r *nethttp.Request) (*session, int) {
	ip := originOf(r.RemoteAddr)
	t.mu.Lock()
	s, status := t.sessions[q.name], 0
	switch {
	case s != nil:
	case q.at != 0 || q.word != "":
		status = nethttp.StatusNotFound
	case t.closed:
		status = nethttp.StatusGone
	case len(t.sessions) >= maxAll || !t.trusted(ip) && t.sessionsOf(ip) >= t.cfg.MaxPerHost:
		status = nethttp.StatusServiceUnavailable
	default:
		s = &session{conn: newConn(localOf(r), addrOf(r.RemoteAddr)), ip: ip, done: make(chan struct{})}
		s.onClose = func() { close(s.done) }
		t.sessions[q.name] = s
		t.stats.tunnels.Add(1)
		t.wg.Go(func() { t.carry(q.name, s) })
	}
	t.mu.Unlock()
	if status == nethttp.StatusServiceUnavailable {
		t.stats.refused.Add(1)
		t.offend(ip, "tunnels")
	}
	return s, status
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
	if _, err := t.set.Accepted(t.ctx, s, nil); err != nil {
		t.host.Logger.Debug("incoming tunnel ended early", "from", s.ip, "error", err)
	}
	tick := time.NewTicker(tunnelGone / 4)
	defer tick.Stop()
	for open := true; open; {
		select {
		case <-s.done:
			open = false
		case <-tick.C:
			if s.silent() > tunnelGone {
				s.fail(errSilent) // which ends the link
			}
		}
	}
	s.drained(time.Now().Add(lingerFor))
	s.fail(net.ErrClosed)
	t.mu.Lock()
	delete(t.sessions, name)
	t.mu.Unlock()
}

// takeOctets serves a POST.
func (t *Transport) takeOctets(w nethttp.ResponseWriter, r *nethttp.Request, s *session, q tunnelQuery) {
	if q.word == tunnelBroken {
		s.fail(errBroken)
	}
	body := t.bodyOf(w, r, tunnelChunk)
	got, err := s.takeAll(q.at, body, time.Now().Add(requestTimeout/2))
	body.end()
	var long *nethttp.MaxBytesError
	switch dead := s.dead(); {
	case errors.Is(err, errGap):
		s.fail(err)
		nethttp.Error(w, err.Error(), nethttp.StatusGone)
		return
	case dead != nil:
		nethttp.Error(w, dead.Error(), nethttp.StatusGone)
		return
	case errors.As(err, &long):
		nethttp.Error(w, "the body is too long", nethttp.StatusRequestEntityTooLarge)
		return
	case err != nil:
		nethttp.Error(w, "the body is broken", nethttp.StatusBadRequest)
		return
	}
	if q.word == tunnelEnd && got == q.at+body.n {
		s.ends(got)
	}
	w.Header().Set(placeName, strconv.FormatInt(got, 10))
	w.Header().Set("Content-Length", "0")
	w.WriteHeader(nethttp.StatusOK)
}

// giveOctets serves a GET: it sends octets, when there are any.
func (t *Transport) giveOctets(w nethttp.ResponseWriter, r *nethttp.Request, s *session, q tunnelQuery) {
	if err := s.confirmed(q.at); err != nil {
		s.fail(err)
		nethttp.Error(w, err.Error(), nethttp.StatusGone)
		return
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	s.mu.Lock()
	older := s.older
	s.older = cancel
	s.mu.Unlock()
	if older != nil {
		older()
	}
	p := s.next(ctx, time.Now().Add(q.wait), tunnelChunk)
	if err := s.dead(); err != nil {
		nethttp.Error(w, err.Error(), nethttp.StatusGone)
		return
	}
	if ctx.Err() != nil {
		p = part{at: p.at} // the request after this one gets it
	}
	w.Header().Set(placeName, strconv.FormatInt(p.at, 10))
	if p.end {
		w.Header().Set(endName, "1")
	}
	w.Header().Set("Content-Length", strconv.Itoa(p.size))
	t.answerSoon(nethttp.NewResponseController(w))
	w.WriteHeader(nethttp.StatusOK)
	for _, b := range p.body {
		if _, err := w.Write(b); err != nil {
			return
		}
	}
}
