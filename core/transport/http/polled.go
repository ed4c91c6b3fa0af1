package http

import (
	"context"
	"fmt"
	nethttp "net/http"
	"sync"
	"time"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
)

// pollKey names the link of a client that polls: a client that asks for another
// service, such as a relay's, gets another link.
type pollKey struct {
	peer id.Peer
	dest string
}

// polled is the accepting side of a link with an original peer: it posts, and polls
// for what goes to it. It implements [endpoint.Link].
type polled struct {
	t     *Transport
	key   pollKey
	asked endpoint.Address
	ip    string
	q     *queue

	receiving sync.Mutex // messages of several requests come one after the other

	mu     sync.Mutex
	opened chan struct{} // closed when Opened has returned
	ok     bool          // and has taken the link
	polls  int           // that are waiting
	gone   *time.Timer   // closes the link when no poll comes any more
	ended  bool
}

// pollLink returns the link of a client that polls, and makes it if it is new.
func (t *Transport) pollLink(p id.Peer, q poll, r *nethttp.Request) (*polled, int) {
	asked, err := endpoint.ParseAddress(q.dest)
	if err != nil {
		return nil, nethttp.StatusBadRequest
	}
	if err := t.admitted(p); err != nil {
		t.stats.unproven.Add(1)
		return nil, nethttp.StatusForbidden
	}
	ip := originOf(r.RemoteAddr)
	key := pollKey{p, asked.String()}
	t.mu.Lock()
	now := time.Now()
	for k, until := range t.refused {
		if now.After(until) {
			delete(t.refused, k)
		}
	}
	if _, no := t.refused[key]; no {
		t.mu.Unlock()
		return nil, nethttp.StatusGone
	}
	l := t.polled[key]
	if l != nil && l.ip != ip { // whoever claims the ID from elsewhere must wait until this one is gone
		t.mu.Unlock()
		return nil, nethttp.StatusConflict
	}
	if l != nil {
		t.mu.Unlock()
		<-l.opened
		if !l.ok {
			return nil, nethttp.StatusForbidden
		}
		return l, 0
	}
	n := 0
	for _, x := range t.polled {
		if x.ip == ip {
			n++
		}
	}
	if t.closed || len(t.polled) >= maxAll || !t.trusted(ip) && n >= maxPerHost {
		t.mu.Unlock()
		t.offend(ip, "polls")
		return nil, nethttp.StatusServiceUnavailable
	}
	l = &polled{t: t, key: key, asked: asked, ip: ip, q: newQueue(t.cfg.MaxMessage), opened: make(chan struct{})}
	l.gone = time.AfterFunc(pollGone, func() { l.fail(errNoPoll) })
	t.polled[key] = l
	t.wg.Add(1) // until Closed was called
	t.mu.Unlock()
	t.stats.polls.Add(1)
	err = t.host.Opened(l)
	l.ok = err == nil
	close(l.opened)
	if err != nil {
		t.mu.Lock()
		delete(t.polled, key)
		if len(t.refused) < maxAll {
			t.refused[key] = time.Now().Add(refuseFor)
		}
		t.mu.Unlock()
		l.gone.Stop()
		_, _ = l.q.end(err)
		t.wg.Done()
		return nil, nethttp.StatusForbidden
	}
	return l, 0
}

var errNoPoll = fmt.Errorf("%w: the other side does not poll any more", endpoint.ErrLinkClosed)

// serve answers a poll: with what waits, and what comes until its time is over.
func (l *polled) serve(w nethttp.ResponseWriter, r *nethttp.Request, q poll) {
	l.mu.Lock()
	l.polls++
	l.gone.Stop()
	l.mu.Unlock()
	defer func() {
		l.mu.Lock()
		if l.polls--; l.polls == 0 && !l.ended {
			l.gone.Reset(pollGone)
		}
		l.mu.Unlock()
	}()
	began := time.Now()
	wait := time.Duration(0)
	if q.wait {
		wait = q.response
	}
	flusher := nethttp.NewResponseController(w)
	sent := 0
	for {
		ctx, cancel := context.WithDeadline(r.Context(), began.Add(wait))
		body, err := l.q.first(ctx)
		cancel()
		switch {
		case r.Context().Err() != nil:
			return
		case err != nil && l.dead() && sent == 0:
			nethttp.Error(w, "the link is closed", nethttp.StatusGone)
			return
		case err != nil && sent == 0:
			w.WriteHeader(nethttp.StatusNoContent) // without a length, at which JXSE would stop polling
			return
		case err != nil:
			return
		}
		w.Header().Set("Content-Type", messageType)
		if q.single {
			w.Header().Set("Content-Length", fmt.Sprint(len(body)))
		}
		if _, err := w.Write(body); err != nil {
			return // the next poll gets it
		}
		if err := flusher.Flush(); err != nil {
			return
		}
		l.q.taken()
		if sent++; q.single {
			return
		}
		wait = q.extra
	}
}

func (l *polled) dead() bool { l.mu.Lock(); defer l.mu.Unlock(); return l.ended }

// fail closes the link for a reason; the first one stays.
func (l *polled) fail(err error) {
	l.mu.Lock()
	if l.ended {
		l.mu.Unlock()
		return
	}
	l.ended = true
	l.gone.Stop()
	l.mu.Unlock()
	lost, _ := l.q.end(err)
	l.t.stats.lost.Add(uint64(lost))
	l.t.mu.Lock()
	delete(l.t.polled, l.key)
	if len(l.t.refused) < maxAll {
		l.t.refused[l.key] = time.Now().Add(refuseFor)
	}
	l.t.mu.Unlock()
	go func() { // on its own, since a handler may close the link; waited for through t.wg
		defer l.t.wg.Done()
		l.receiving.Lock() // after the last message
		defer l.receiving.Unlock()
		l.t.host.Closed(l)
	}()
}

// drain gives the client a moment to poll for what is left.
func (l *polled) drain() {
	ctx, cancel := context.WithTimeout(l.t.ctx, lingerFor/10)
	defer cancel()
	l.q.empty(ctx)
}

func (l *polled) Peer() id.Peer            { return l.key.peer }
func (l *polled) Proven() bool             { return false }
func (l *polled) Local() endpoint.Address  { return endpoint.PeerAddress(l.t.host.Peer, "", "") }
func (l *polled) Remote() endpoint.Address { return nowhere }
func (l *polled) Outgoing() bool           { return false }
func (l *polled) Origin() string           { return l.ip }

// Dialled is for [endpoint.Dialled].
func (l *polled) Dialled() endpoint.Address { return l.asked }

// Send implements [endpoint.Link]: the message waits for a poll.
func (l *polled) Send(ctx context.Context, body []byte) error { return l.q.put(ctx, body) }

// Close implements [endpoint.Link].
func (l *polled) Close() error {
	l.drain()
	l.fail(endpoint.ErrLinkClosed)
	return nil
}

var _ endpoint.Link = (*polled)(nil)
