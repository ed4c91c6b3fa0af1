package http

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	nethttp "net/http"
	"strconv"
	"strings"
	"time"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/message"
)

// messageType is the MIME type of messages.
const messageType = "application/x-jxta-msg"

// Headers that Juxta clients add where they speak as JXSE does: a name of the link,
// of which there may be several between two peers, and an address of the client.
const (
	linkName   = "Juxta-Link"
	clientName = "Juxta-Address"
)

// serve answers every request.
func (t *Transport) serve(w nethttp.ResponseWriter, r *nethttp.Request) {
	if !t.enter() {
		t.refuse(w, nethttp.StatusServiceUnavailable)
		return
	}
	defer t.wg.Done()
	rc := nethttp.NewResponseController(w)
	t.answerSoon(rc)
	defer func() { // what is left of the answer is written now, after what is left of the body was read
		_ = rc.SetReadDeadline(time.Now().Add(t.times.silence))
		t.answerSoon(rc)
	}()
	switch {
	case len(r.RequestURI) > maxURL:
		t.refuse(w, nethttp.StatusRequestURITooLong)
	case r.Header.Get("Origin") != "" || r.Header.Get("Sec-Fetch-Site") != "":
		// A page in somebody's browser has nothing to do here.
		t.refuse(w, nethttp.StatusForbidden)
	case r.Method != nethttp.MethodGet && r.Method != nethttp.MethodHead && r.Method != nethttp.MethodPost:
		w.Header().Set("Allow", "GET, HEAD, POST")
		t.refuse(w, nethttp.StatusMethodNotAllowed)
	case strings.HasPrefix(r.URL.Path, tunnelPath) && !t.cfg.Original:
		t.serveTunnel(w, r)
	case r.URL.Path == "/" && r.Method != nethttp.MethodPost:
		t.answerPing(w, r)
	default:
		t.serveMessages(w, r)
	}
}

// refuse turns down what is no request of JXTA.
func (t *Transport) refuse(w nethttp.ResponseWriter, status int) {
	t.stats.bad.Add(1)
	nethttp.Error(w, nethttp.StatusText(status), status)
}

// answerSoon bounds the time for what is written next of an answer.
func (t *Transport) answerSoon(rc *nethttp.ResponseController) {
	_ = rc.SetWriteDeadline(time.Now().Add(t.times.answer))
}

// answerPing tells who this is, as JXSE does, and that tunnels are served. Who asks
// is about to open a link, and may have closed one.
func (t *Transport) answerPing(w nethttp.ResponseWriter, r *nethttp.Request) {
	t.forgive(originOf(r.RemoteAddr))
	text := t.host.Peer.Unique()
	w.Header().Set("Content-Type", "text/plain;charset=UTF-8")
	w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	if !t.cfg.Original {
		w.Header().Set(offerName, offerValue)
	}
	_, _ = io.WriteString(w, text)
}

// serveMessages takes the message of a POST, and lets messages out if the request
// is a poll. What is neither is answered empty, as by JXSE.
func (t *Transport) serveMessages(w nethttp.ResponseWriter, r *nethttp.Request) {
	if t.host.RequireSecure {
		t.stats.unproven.Add(1)
		nethttp.Error(w, errInsecure.Error(), nethttp.StatusForbidden)
		return
	}
	name := r.Header.Get(linkName)
	q, err := parsePoll(r.URL.Path, r.URL.RawQuery)
	if err != nil && !errors.Is(err, errNoPoll) || len(name) > maxName || r.Method == nethttp.MethodHead {
		t.refuse(w, nethttp.StatusBadRequest)
		return
	}
	var link *polled
	if err == nil {
		var status int
		if link, status = t.pollLink(q, name, r); link == nil {
			t.stats.refused.Add(1)
			nethttp.Error(w, nethttp.StatusText(status), status)
			return
		}
	}
	if r.Method == nethttp.MethodPost && !t.takePost(w, r, link, name) {
		return
	}
	if link != nil {
		link.serve(w, r, q)
		return
	}
	w.Header().Set("Content-Length", "0")
	w.WriteHeader(nethttp.StatusOK)
}

// takePost takes the message in the body of a request. If it cannot be taken it
// answers, and reports false.
func (t *Transport) takePost(w nethttp.ResponseWriter, r *nethttp.Request, link *polled, name string) bool {
	if kind := r.Header.Get("Content-Type"); kind != "" {
		if base, _, err := mime.ParseMediaType(kind); err != nil || base != messageType {
			t.refuse(w, nethttp.StatusBadRequest)
			return false
		}
	}
	in := t.bodyOf(w, r, t.cfg.MaxMessage)
	body, err := io.ReadAll(in)
	in.end()
	var long *nethttp.MaxBytesError
	switch {
	case errors.As(err, &long):
		t.refuse(w, nethttp.StatusRequestEntityTooLarge)
		return false
	case err != nil || len(body) == 0:
		t.refuse(w, nethttp.StatusBadRequest)
		return false
	}
	ip := originOf(r.RemoteAddr)
	if link == nil {
		link, err = t.sender(r.Context(), body, name, ip)
	}
	if err != nil {
		if errors.Is(err, endpoint.ErrUnproven) {
			t.stats.unproven.Add(1)
			nethttp.Error(w, err.Error(), nethttp.StatusForbidden)
			return false
		}
		t.refuse(w, nethttp.StatusBadRequest)
		return false
	}
	if link == nil {
		err = t.host.Receive(nil, body)
	} else {
		err = link.deliver(r.Context(), body)
	}
	switch {
	case errors.Is(err, endpoint.ErrLinkClosed):
		nethttp.Error(w, err.Error(), nethttp.StatusGone)
		return false
	case err != nil:
		t.stats.badFrame.Add(1)
		t.offend(ip, "malformed messages")
		t.refuse(w, nethttp.StatusBadRequest)
		return false
	}
	t.stats.posts.Add(1)
	return true
}

var errSource = errors.New("the message does not say which peer it comes from")

// sender finds the link on which a posted message comes: the one of that name, or
// of the peer that the message says it comes from. An original peer posts and begins
// to poll at the same time, so it waits a moment for the link. If there is none,
// the message counts as a datagram.
func (t *Transport) sender(ctx context.Context, body []byte, name, ip string) (*polled, error) {
	var p id.Peer
	if name == "" {
		m, err := message.Decode(body)
		if err != nil {
			return nil, err
		}
		e, _ := m.Get(message.Platform, "EndpointSourceAddress")
		a, err := endpoint.ParseAddress(string(e.Body))
		if err != nil {
			return nil, err
		}
		var ok bool
		if p, ok = a.Peer(); !ok {
			return nil, errSource
		}
		if err := t.admitted(p); err != nil {
			return nil, err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, t.times.early)
	defer cancel()
	for {
		t.mu.Lock()
		var best *polled
		for k, l := range t.polled {
			if k.ip == ip && k.name == name && (name != "" || k.peer == p) && (best == nil || best.asked.Service != "" && l.asked.Service == "") {
				best = l
			}
		}
		news := t.news
		t.mu.Unlock()
		if best != nil {
			<-best.opened
			return best, nil
		}
		select {
		case <-news:
			continue
		case <-ctx.Done():
		}
		if name != "" {
			return nil, endpoint.ErrLinkClosed
		}
		return nil, nil
	}
}

// body is the body of a request, for which there is a bounded time.
type body struct {
	io.Reader
	rc    *nethttp.ResponseController
	begun time.Time
	n     int64         // octets read
	quiet time.Duration // the longest without one
}

func (t *Transport) bodyOf(w nethttp.ResponseWriter, r *nethttp.Request, most int) *body {
	return &body{
		Reader: nethttp.MaxBytesReader(w, r.Body, int64(most)), rc: nethttp.NewResponseController(w), begun: time.Now(),
		quiet: t.times.silence,
	}
}

// Read implements io.Reader.
func (b *body) Read(p []byte) (int, error) {
	by := b.begun.Add(b.quiet + time.Duration(b.n)*time.Second/minRate)
	if silent := time.Now().Add(b.quiet); silent.Before(by) {
		by = silent
	}
	_ = b.rc.SetReadDeadline(by)
	n, err := b.Reader.Read(p)
	b.n += int64(n)
	return n, err
}

// end lifts the bound: the connection is watched while the request is answered.
func (b *body) end() { _ = b.rc.SetReadDeadline(time.Time{}) }

// poll is what the address of a poll says.
type poll struct {
	peer            id.Peer
	response, extra time.Duration
	single          bool // one message at most
	dest            endpoint.Address
}

var errNoPoll = errors.New("not a poll")

// parsePoll reads "/<peer>?<response>,<extra>,<dest>". The error is errNoPoll if it
// is not a poll, as JXSE has it: without a destination.
func parsePoll(path, query string) (p poll, err error) {
	peer := strings.Trim(path, "/")
	part := strings.SplitN(query, ",", 3)
	if peer == "" || len(part) < 3 || part[2] == "" {
		return poll{}, errNoPoll
	}
	if p.peer, err = id.ParsePeerUnique(peer); err != nil {
		return poll{}, fmt.Errorf("the client of a poll: %w", err)
	}
	if p.dest, err = endpoint.ParseAddress(part[2]); err != nil {
		return poll{}, fmt.Errorf("the destination of a poll: %w", err)
	}
	waits, more := false, false
	if p.response, waits = pollTime(part[0]); !waits {
		p.response = 0
	}
	p.extra, more = pollTime(part[1])
	p.single = !more
	return p, nil
}

// maxDigits bounds a time of a poll in octets.
const maxDigits = 9

// pollTime reads a time of a poll, in milliseconds. Zero, and too much, mean the
// most; what is negative or no number means that there is none to wait.
func pollTime(s string) (time.Duration, bool) {
	if len(s) > maxDigits {
		return 0, false
	}
	n, err := strconv.ParseUint(s, 10, 32)
	switch {
	case err != nil:
		return 0, false
	case n == 0 || n > uint64(answerWait.Milliseconds()):
		return answerWait, true
	}
	return time.Duration(n) * time.Millisecond, true
}
