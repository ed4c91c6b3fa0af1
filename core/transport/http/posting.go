package http

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	nethttp "net/http"
	"sync"
	"time"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/message"
)

// posting is the dialling side of a link with an original peer: it posts messages
// one after the other, and polls for those in the other direction. It implements
// [endpoint.Link].
type posting struct {
	t      *Transport
	addr   endpoint.Address
	peer   id.Peer
	ip     string
	name   string
	q      *queue
	ctx    context.Context
	cancel context.CancelFunc
	once   sync.Once
}

// post makes a link to a server that was pinged.
func (t *Transport) post(addr endpoint.Address, p pinged) (*posting, error) {
	var name [8]byte
	_, _ = rand.Read(name[:]) // it never fails
	l := &posting{
		t: t, addr: addr, peer: p.peer, ip: originOf(p.remote.String()), name: hex.EncodeToString(name[:]),
		q: newQueue(t.cfg.MaxMessage),
	}
	l.ctx, l.cancel = context.WithCancel(t.ctx)
	t.mu.Lock()
	if t.closed {
		t.mu.Unlock()
		l.cancel()
		return nil, endpoint.ErrClosed
	}
	t.posting[l] = struct{}{}
	t.wg.Add(1) // until Closed was called
	t.mu.Unlock()
	if err := t.host.Opened(l); err != nil {
		l.fail(err)
		l.forget()
		return nil, err
	}
	go func() { // waited for through t.wg
		var both sync.WaitGroup
		both.Go(l.send)
		both.Go(l.receive)
		both.Wait()
		t.host.Closed(l)
		l.forget()
	}()
	return l, nil
}

func (l *posting) forget() {
	l.t.mu.Lock()
	delete(l.t.posting, l)
	l.t.mu.Unlock()
	l.t.wg.Done()
}

// request makes a request of the link.
func (l *posting) request(ctx context.Context, method, tail string, body io.Reader) (*nethttp.Request, error) {
	req, err := nethttp.NewRequestWithContext(ctx, method, "http://"+l.addr.Host+"/"+tail, body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("User-Agent", userAgent)
	req.Header.Set(linkName, l.name)
	return req, nil
}

// send posts what is queued. As in JXSE, a message is posted again if no answer came,
// so that it may come twice; but not if the server did not want it.
func (l *posting) send() {
	for {
		body, err := l.q.first(l.ctx, time.Time{})
		if err != nil {
			return
		}
		for try := 1; ; try++ {
			if err = l.postOne(body); err == nil {
				break
			}
			l.t.stats.failed.Add(1)
			var status *statusError
			if errors.As(err, &status) || try >= attempts || !rest(l.ctx, retryFirst) {
				l.fail(fmt.Errorf("a message could not be posted: %w", plain(err)))
				return
			}
		}
		l.q.taken()
	}
}

func (l *posting) postOne(body []byte) error {
	ctx, cancel := context.WithTimeout(l.ctx, requestTimeout)
	defer cancel()
	req, err := l.request(ctx, nethttp.MethodPost, "", bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", messageType)
	resp, err := l.t.client.Do(req)
	if err != nil {
		return err
	}
	defer discard(resp)
	if resp.StatusCode != nethttp.StatusOK {
		return &statusError{resp.StatusCode, resp.Status}
	}
	return nil
}

// receive polls, until it fails several times in a row.
func (l *posting) receive() {
	for failures := 0; l.ctx.Err() == nil; {
		began := time.Now()
		n, err := l.pollOnce()
		switch {
		case l.ctx.Err() != nil:
			return
		case errors.Is(err, errGone):
			l.fail(fmt.Errorf("%w: the other side has closed it", endpoint.ErrLinkClosed))
			return
		case errors.Is(err, message.ErrFormat), errors.Is(err, errUnwanted):
			l.t.stats.badFrame.Add(1)
			l.fail(err)
			return
		case err != nil && time.Since(began) > l.t.times.again && !errors.Is(err, context.DeadlineExceeded):
			l.t.stats.failed.Add(1) // somebody between does not let polls wait for so long
			failures = 0
		case err != nil:
			l.t.stats.failed.Add(1)
			if failures++; failures >= attempts {
				l.fail(fmt.Errorf("polling fails: %w", plain(err)))
				return
			}
		default:
			failures = 0
		}
		if n == 0 && !rest(l.ctx, l.t.times.again-time.Since(began)) {
			return
		}
	}
}

var errUnwanted = errors.New("what came was no message")

// pollOnce makes one poll, and returns how many messages came.
func (l *posting) pollOnce() (n int, err error) {
	ctx, cancel := context.WithTimeout(l.ctx, maxPollWait+requestTimeout)
	defer cancel()
	req, err := l.request(ctx, nethttp.MethodGet, l.t.host.Peer.Unique(), nil)
	if err != nil {
		return 0, err
	}
	most := maxPollWait.Milliseconds()
	req.URL.RawQuery = fmt.Sprintf("%d,%d,%s", most, most, l.addr)
	req.Header.Set("Cache-Control", "no-cache")
	if own := l.t.Addresses(); len(own) > 0 {
		req.Header.Set(clientName, own[0].String())
	}
	resp, err := l.t.client.Do(req)
	if err != nil {
		return 0, err
	}
	defer discard(resp)
	switch resp.StatusCode {
	case nethttp.StatusOK:
	case nethttp.StatusNoContent:
		return 0, nil
	case nethttp.StatusGone, nethttp.StatusForbidden:
		return 0, errGone
	default:
		return 0, &statusError{resp.StatusCode, resp.Status}
	}
	r := message.NewReader(resp.Body)
	for ; ; n++ {
		body, err := r.Next()
		switch {
		case errors.Is(err, io.EOF):
			return n, nil
		case err != nil:
			return n, err
		case len(body) > l.t.cfg.MaxMessage:
			return n, fmt.Errorf("%w: %d octets, the limit is %d", errUnwanted, len(body), l.t.cfg.MaxMessage)
		case l.ctx.Err() != nil:
			return n, l.ctx.Err()
		}
		if err := l.t.host.Receive(l, body); err != nil {
			return n, fmt.Errorf("%w: %w", errUnwanted, err)
		}
	}
}

// fail closes the link for a reason.
func (l *posting) fail(err error) {
	l.once.Do(func() {
		l.t.stats.lost.Add(uint64(l.q.end(err)))
		l.cancel()
	})
}

func (l *posting) Peer() id.Peer            { return l.peer }
func (l *posting) Proven() bool             { return false }
func (l *posting) Local() endpoint.Address  { return endpoint.PeerAddress(l.t.host.Peer, "", "") }
func (l *posting) Remote() endpoint.Address { return l.addr.Base() }
func (l *posting) Outgoing() bool           { return true }
func (l *posting) Origin() string           { return l.ip }

// Send implements [endpoint.Link].
func (l *posting) Send(ctx context.Context, body []byte) error { return l.q.put(ctx, body) }

// Close implements [endpoint.Link]. What is queued is still posted, for a moment.
func (l *posting) Close() error {
	l.q.drain(time.Now().Add(drainFor))
	l.fail(endpoint.ErrLinkClosed)
	return nil
}

var _ endpoint.Link = (*posting)(nil)
