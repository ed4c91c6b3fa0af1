package http

import (
	"context"
	"fmt"
	nethttp "net/http"
	"strconv"
	"sync"
	"time"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
)

// pollKey names the link of a client that polls: a client that asks for another
// service, such as a relay's, gets another link, and so does who goes by the same ID
// elsewhere.
type pollKey struct {
	peer id.Peer
	dest endpoint.Address
	ip   string
	name string // that a Juxta client gives it
}

// polled is the accepting side of a link with an original peer: it posts, and polls
// for what goes to it. It implements [endpoint.Link].
type polled struct {
	t      *Transport
	key    pollKey
	asked  endpoint.Address
	remote endpoint.Address
	q      *queue
	since  time.Time
	turn   chan struct{} // holds a token while a message is delivered
	over   chan struct{} // closed when the link is
	opened chan struct{} // closed when Opened has returned
	ok     bool          // and has taken the link; read after opened

	mu     sync.Mutex
	gone   *time.Timer // closes the link when no poll comes any more
	now    *poller     // the poll that is waiting; nil if none
	broken bool        // the client did not wait for the end of the last answer
	ended  bool
}

// poller is a poll that is being answered.
type poller struct {
	cancel context.CancelFunc
	done   chan struct{}
}

var errUnpolled = fmt.Errorf("%w: the other side does not poll any more", endpoint.ErrLinkClosed)

// pollLink returns the link of a client that polls, and makes it if it is new; or
// the status that tells the client why there is none.
func (t *Transport) pollLink(q poll, name string, r *nethttp.Request) (*polled, int) {
	if err := t.admitted(q.peer); err != nil {
		t.stats.unproven.Add(1)
		return nil, nethttp.StatusForbidden
	}
	key := pollKey{q.peer, q.dest, originOf(r.RemoteAddr), name}
	remote := nowhere
	if a, err := endpoint.ParseAddress(r.Header.Get(clientName)); err == nil && a.Protocol == Protocol {
		remote = a.Base()
	}
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
	old := t.polled[key]
	if old != nil && !old.anew() {
		t.mu.Unlock()
		<-old.opened
		if !old.ok {
			return nil, nethttp.StatusForbidden
		}
		return old, 0
	}
	if old == nil && !t.trusted(key.ip) {
		old = t.oldest(key)
	}
	if t.closed || len(t.polled) >= maxAll || old == nil && !t.trusted(key.ip) && t.polledFrom(key.ip) >= t.cfg.MaxPerHost/2 {
		t.mu.Unlock()
		t.offend(key.ip, "polls")
		return nil, nethttp.StatusServiceUnavailable
	}
	l := &polled{
		t: t, key: key, asked: q.dest, remote: remote, q: newQueue(t.cfg.MaxMessage), since: now,
		turn: make(chan struct{}, 1), over: make(chan struct{}), opened: make(chan struct{}),
	}
	l.gone = time.AfterFunc(t.times.gone, func() { l.fail(errUnpolled) })
	t.polled[key] = l
	t.wg.Add(1) // until Closed was called
	t.mu.Unlock()
	t.stats.polls.Add(1)
	err := t.host.Opened(l)
	l.ok = err == nil
	close(l.opened)
	if old != nil {
		old.fail(endpoint.ErrLinkClosed)
	}
	if err != nil {
		l.refused(err)
		return nil, nethttp.StatusForbidden
	}
	t.mu.Lock()
	close(t.news)
	t.news = make(chan struct{})
	t.mu.Unlock()
	return l, 0
}

// anew reports whether a poll begins a new link in the place of this one: the client
// asks a service, as with each new messenger of JXSE, and has given the last poll
// up. Then the service must hear of it.
func (l *polled) anew() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ended || l.key.name == "" && l.asked.Service != "" && (l.broken || l.now != nil)
}

// oldest is the oldest link of a client that has too many; nil if it has not. t.mu
// is held.
func (t *Transport) oldest(k pollKey) *polled {
	n := 0
	var oldest *polled
	for x, l := range t.polled {
		if x.peer != k.peer || x.ip != k.ip {
			continue
		}
		if n++; oldest == nil || l.since.Before(oldest.since) {
			oldest = l
		}
	}
	if n < maxPerPeer {
		return nil
	}
	return oldest
}

// polledFrom counts the polling clients of an IP address. t.mu is held.
func (t *Transport) polledFrom(ip string) int {
	n := 0
	for k := range t.polled {
		if k.ip == ip {
			n++
		}
	}
	return n
}

// forgive lets clients at an IP address open links like those that were closed.
func (t *Transport) forgive(ip string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for k := range t.refused {
		if k.ip == ip && k.name == "" {
			delete(t.refused, k)
		}
	}
}

// serve answers a poll: with what waits, and what comes until its time is over, or
// the client polls again.
func (l *polled) serve(w nethttp.ResponseWriter, r *nethttp.Request, q poll) {
	began := time.Now()
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	me := &poller{cancel, make(chan struct{})}
	defer close(me.done)
	l.mu.Lock()
	before := l.now
	l.now = me
	l.gone.Stop()
	l.mu.Unlock()
	defer func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.now != me {
			return
		}
		if l.now = nil; !l.ended {
			l.broken = r.Context().Err() != nil
			l.gone.Reset(l.t.times.gone)
		}
	}()
	if before != nil { // only one takes from the queue
		before.cancel()
		<-before.done
	}
	rc := nethttp.NewResponseController(w)
	until, sent := began.Add(q.response), false
	for {
		body, err := l.q.first(ctx, until)
		switch {
		case err == nil:
		case sent || r.Context().Err() != nil:
			return
		case l.dead():
			nethttp.Error(w, err.Error(), nethttp.StatusGone)
			return
		default:
			w.WriteHeader(nethttp.StatusNoContent) // without a length, at which JXSE would stop polling
			return
		}
		if !sent {
			w.Header().Set("Content-Type", messageType)
		}
		if q.single {
			w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		}
		l.t.answerSoon(rc)
		if _, err := w.Write(body); err != nil {
			return // the next poll gets it
		}
		if err := rc.Flush(); err != nil {
			return
		}
		l.q.taken()
		if q.single {
			return
		}
		sent, until = true, began.Add(q.extra)
	}
}

// deliver hands a message to the host, after those that came before. When the link
// is closed it returns, even if the host still looks at the message.
func (l *polled) deliver(ctx context.Context, body []byte) error {
	select {
	case l.turn <- struct{}{}:
	case <-l.over:
		return endpoint.ErrLinkClosed
	case <-ctx.Done():
		return context.Cause(ctx) // the client has given it up, and may repeat it
	}
	if !l.ok || l.dead() {
		<-l.turn
		return endpoint.ErrLinkClosed
	}
	result := make(chan error, 1)
	l.t.wg.Go(func() { // the request of the caller holds wg
		err := l.t.host.Receive(l, body)
		<-l.turn
		if err != nil {
			l.refuse(err)
		}
		result <- err
	})
	select {
	case err := <-result:
		return err
	case <-l.over:
	}
	select {
	case err := <-result:
		return err
	default:
		return endpoint.ErrLinkClosed
	}
}

func (l *polled) dead() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ended
}

// finish ends the link for a reason, and reports whether it is the first one.
func (l *polled) finish(err error, refuse bool) bool {
	l.mu.Lock()
	if l.ended {
		l.mu.Unlock()
		return false
	}
	l.ended = true
	close(l.over)
	l.gone.Stop()
	l.mu.Unlock()
	l.t.stats.lost.Add(uint64(l.q.end(err)))
	t := l.t
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.polled[l.key] == l {
		delete(t.polled, l.key)
	}
	if refuse && len(t.refused) < maxAll {
		t.refused[l.key] = time.Now().Add(t.times.refuse)
	}
	return true
}

// refused ends a link that the host has not taken.
func (l *polled) refused(err error) {
	if l.finish(err, true) {
		l.t.wg.Done()
	}
}

// fail closes the link for a reason; the first one stays.
func (l *polled) fail(err error) { l.close(err, false) }

// refuse closes the link, of which the client is told when it polls.
func (l *polled) refuse(err error) { l.close(err, true) }

func (l *polled) close(err error, refuse bool) {
	if !l.finish(err, refuse) {
		return
	}
	go func() { // on its own, since a handler may close the link; waited for through t.wg
		defer l.t.wg.Done()
		<-l.opened
		l.turn <- struct{}{} // after the last message
		if l.ok {
			l.t.host.Closed(l)
		}
	}()
}

func (l *polled) Peer() id.Peer            { return l.key.peer }
func (l *polled) Proven() bool             { return false }
func (l *polled) Local() endpoint.Address  { return endpoint.PeerAddress(l.t.host.Peer, "", "") }
func (l *polled) Remote() endpoint.Address { return l.remote }
func (l *polled) Outgoing() bool           { return false }
func (l *polled) Origin() string           { return l.key.ip }

// Dialled is for [endpoint.Dialled].
func (l *polled) Dialled() endpoint.Address { return l.asked }

// Send implements [endpoint.Link]: the message waits for a poll.
func (l *polled) Send(ctx context.Context, body []byte) error { return l.q.put(ctx, body) }

// Close implements [endpoint.Link]. The client has a moment to poll for what is
// queued.
func (l *polled) Close() error {
	l.q.drain(time.Now().Add(drainFor))
	l.refuse(endpoint.ErrLinkClosed)
	return nil
}

var _ endpoint.Link = (*polled)(nil)
