package http

import (
	"bytes"
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

// serve answers every request.
func (t *Transport) serve(w nethttp.ResponseWriter, r *nethttp.Request) {
	switch {
	case len(r.RequestURI) > maxURL:
		t.refuse(w, nethttp.StatusRequestURITooLong)
	case r.Header.Get("Origin") != "":
		// A page in somebody's browser has nothing to do here.
		t.refuse(w, nethttp.StatusForbidden)
	case r.Method != nethttp.MethodGet && r.Method != nethttp.MethodHead && r.Method != nethttp.MethodPost:
		t.refuse(w, nethttp.StatusMethodNotAllowed)
	case strings.HasPrefix(r.URL.Path, tunnelPath) && !t.cfg.Original:
		t.serveTunnel(w, r)
	case r.URL.Path == "/" && r.Method != nethttp.MethodPost:
		t.answerPing(w)
	default:
		t.serveMessages(w, r)
	}
}

func (t *Transport) refuse(w nethttp.ResponseWriter, status int) {
	t.stats.bad.Add(1)
	nethttp.Error(w, nethttp.StatusText(status), status)
}

// answerPing tells who this is, as JXSE does, and that tunnels are served.
func (t *Transport) answerPing(w nethttp.ResponseWriter) {
	text := t.host.Peer.Unique()
	w.Header().Set("Content-Type", "text/plain;charset=UTF-8")
	w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	if !t.cfg.Original {
		w.Header().Set(offerName, offerValue)
	}
	_, _ = io.WriteString(w, text)
}

// serveMessages takes the message of a POST, and lets messages out if the request
// is a poll.
func (t *Transport) serveMessages(w nethttp.ResponseWriter, r *nethttp.Request) {
	q, isPoll := parsePoll(r.URL.Path, r.URL.RawQuery)
	var link *polled
	if isPoll {
		p, err := id.ParsePeerUnique(q.peer)
		if err != nil {
			t.refuse(w, nethttp.StatusBadRequest)
			return
		}
		var status int
		if link, status = t.pollLink(p, q, r); link == nil {
			t.stats.refused.Add(1)
			nethttp.Error(w, nethttp.StatusText(status), status)
			return
		}
	}
	if r.Method == nethttp.MethodPost && !t.takePost(w, r, link) {
		return
	}
	switch {
	case isPoll:
		link.serve(w, r, q)
	default:
		w.Header().Set("Content-Length", "0")
		w.WriteHeader(nethttp.StatusOK)
	}
}

// takePost takes the message in the body of a request. If it cannot be taken it
// answers, and reports false.
func (t *Transport) takePost(w nethttp.ResponseWriter, r *nethttp.Request, link *polled) bool {
	if kind := r.Header.Get("Content-Type"); kind != "" {
		if base, _, err := mime.ParseMediaType(kind); err != nil || base != messageType {
			t.refuse(w, nethttp.StatusBadRequest)
			return false
		}
	}
	body, err := io.ReadAll(nethttp.MaxBytesReader(w, r.Body, int64(t.cfg.MaxMessage)))
	if err != nil {
		t.refuse(w, nethttp.StatusRequestEntityTooLarge)
		return false
	}
	one, err := message.NewReader(bytes.NewReader(body)).Next()
	if err != nil {
		t.refuse(w, nethttp.StatusBadRequest)
		return false
	}
	if link == nil {
		if link, err = t.sender(one, originOf(r.RemoteAddr)); err != nil {
			t.stats.refused.Add(1)
			nethttp.Error(w, err.Error(), nethttp.StatusForbidden)
			return false
		}
	}
	if err := t.deliver(link, one); err != nil {
		t.stats.badFrame.Add(1)
		t.refuse(w, nethttp.StatusBadRequest)
		return false
	}
	t.stats.posts.Add(1)
	return true
}

// deliver hands a message to the host, those of one link one after the other.
func (t *Transport) deliver(link *polled, body []byte) error {
	if link == nil {
		return t.host.Receive(nil, body)
	}
	link.receiving.Lock()
	defer link.receiving.Unlock()
	if link.dead() {
		return endpoint.ErrLinkClosed
	}
	if err := t.host.Receive(link, body); err != nil {
		link.fail(err)
		return err
	}
	return nil
}

// sender finds the link of the peer that says in a posted message that it sent it.
// There may be none: an original peer may post before it polls.
func (t *Transport) sender(body []byte, ip string) (*polled, error) {
	m, err := message.Decode(bytes.Clone(body))
	if err != nil {
		return nil, err
	}
	e, _ := m.Get(message.Platform, "EndpointSourceAddress")
	a, err := endpoint.ParseAddress(string(e.Body))
	if err != nil {
		return nil, err
	}
	p, ok := a.Peer()
	if !ok {
		return nil, nil
	}
	if err := t.admitted(p); err != nil {
		t.stats.unproven.Add(1)
		return nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for k, l := range t.polled {
		if k.peer == p && l.ip == ip {
			return l, nil
		}
	}
	return nil, nil
}

// poll is what the address of a poll says.
type poll struct {
	peer            string // unique value of the client's ID
	response, extra time.Duration
	single          bool   // one message at most
	wait            bool   // wait for the first
	dest            string // the address the client dialled
}

// parsePoll reads "/<peer>?<response>,<extra>,<dest>". It reports false if it is
// not a poll, as JXSE has it: without a destination.
func parsePoll(path, query string) (p poll, ok bool) {
	p.peer = strings.TrimPrefix(path, "/")
	part := strings.SplitN(query, ",", 3)
	if p.peer == "" || strings.Contains(p.peer, "/") || len(part) < 3 || part[2] == "" {
		return poll{}, false
	}
	p.response, p.wait = pollTime(part[0])
	var more bool
	p.extra, more = pollTime(part[1])
	p.single, p.dest = !more, part[2]
	return p, true
}

// pollTime reads a time of a poll, in milliseconds. Zero, and too much, mean the
// most; what is negative or no number means that there is none to wait.
func pollTime(s string) (time.Duration, bool) {
	n, err := strconv.ParseInt(s, 10, 32)
	switch {
	case err != nil || n < 0 || len(s) > 9:
		return 0, false
	case n == 0 || n > maxPollWait.Milliseconds():
		return maxPollWait, true
	}
	return time.Duration(n) * time.Millisecond, true
}
