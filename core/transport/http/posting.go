package http

import (
	"bytes"
	"context"
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
	q      *queue
	ctx    context.Context
	cancel context.CancelFunc
	once   sync.Once
	loops  sync.WaitGroup
}

// post makes a link to a server that was pinged.
func (t *Transport) post(addr endpoint.Address, p pinged) (*posting, error) {
	host, _, _ := addr.HostPort()
	l := &posting{t: t, addr: addr, peer: p.peer, ip: host, q: newQueue(t.cfg.MaxMessage)}
	l.ctx, l.cancel = context.WithCancel(t.ctx)
	t.mu.Lock()
	if t.closed {
		t.mu.Unlock()
		l.cancel()
		return nil, endpoint.ErrClosed
	}
	t.posting[l] = struct{}{}
	t.wg.Add(1)
	t.mu.Unlock()
	if err := t.host.Opened(l); err != nil {
		l.cancel()
		t.mu.Lock()
		delete(t.posting, l)
		t.mu.Unlock()
		t.wg.Done()
		return nil, err
	}
	l.loops.Add(2)
	go func() { defer l.loops.Done(); l.send() }()
	go func() { defer l.loops.Done(); l.receive() }()
	go func() { // waited for through t.wg
		defer t.wg.Done()
		l.loops.Wait()
		t.mu.Lock()
		delete(t.posting, l)
		t.mu.Unlock()
		t.host.Closed(l)
	}()
	return l, nil
}

// send posts what is queued.
func (l *posting) send() {
	for {
		body, err := l.q.first(l.ctx)
		if err != nil {
			return
		}
		for try := 1; ; try++ {
			if err = l.postOne(body); err == nil {
				break
			}
			l.t.stats.failed.Add(1)
			if try >= attempts || l.ctx.Err() != nil || !rest(l.ctx, retryFirst) {
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
	req, err := nethttp.NewRequestWithContext(ctx, nethttp.MethodPost, "http://"+l.addr.Host+"/", bytes.NewReader(body))
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
		return fmt.Errorf("the server answers %s", resp.Status)
	}
	return nil
}

// receive polls, until it fails several times in a row.
func (l *posting) receive() {
	for failures := 0; l.ctx.Err() == nil; {
		began := time.Now()
		n, err := l.pollOnce()
		switch {
		case errors.Is(err, errGone):
			l.fail(fmt.Errorf("%w: the other side has closed it", endpoint.ErrLinkClosed))
			return
		case errors.Is(err, message.ErrFormat):
			l.t.stats.badFrame.Add(1)
			l.fail(err)
			return
		case err != nil:
			l.t.stats.failed.Add(1)
			if failures++; failures >= attempts {
				l.fail(fmt.Errorf("polling fails: %w", plain(err)))
				return
			}
		default:
			failures = 0
		}
		if n == 0 && !rest(l.ctx, pollAgain-time.Since(began)) {
			return
		}
	}
}

// pollOnce makes one poll, and returns how many messages came.
func (l *posting) pollOnce() (n int, err error) {
	ctx, cancel := context.WithTimeout(l.ctx, maxPollWait+requestTimeout)
	defer cancel()
	most := maxPollWait.Milliseconds()
	url := fmt.Sprintf("http://%s/%s?%d,%d,%s", l.addr.Host, l.t.host.Peer.Unique(), most, most, l.addr)
	req, err := nethttp.NewRequestWithContext(ctx, nethttp.MethodGet, url, nil)
	if err != nil {
		return 0, err
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
	case nethttp.StatusGone:
		return 0, errGone
	default:
		return 0, fmt.Errorf("the server answers %s", resp.Status)
	}
	r := message.NewReader(resp.Body)
	for {
		body, err := r.Next()
		switch {
		case errors.Is(err, io.EOF):
			return n, nil
		case err != nil:
			return n, err
		}
		if len(body) > l.t.cfg.MaxMessage {
			return n, fmt.Errorf("%w: longer than the limit", message.ErrFormat)
		}
		n++
		if l.ctx.Err() != nil {
			return n, l.ctx.Err()
		}
		if err := l.t.host.Receive(l, body); err != nil {
			return n, errors.Join(message.ErrFormat, err)
		}
	}
}

// fail closes the link for a reason.
func (l *posting) fail(err error) {
	l.once.Do(func() {
		lost, _ := l.q.end(err)
		l.t.stats.lost.Add(uint64(lost))
		l.cancel()
	})
}

func (l *posting) drain() {
	ctx, cancel := context.WithTimeout(l.ctx, lingerFor/10)
	defer cancel()
	l.q.empty(ctx)
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
	l.drain()
	l.fail(endpoint.ErrLinkClosed)
	return nil
}

var _ endpoint.Link = (*posting)(nil)
