package memory

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
)

const (
	// BreakAfter is how long a link across a partition looks alive, as TCP
	// keep-alive would have it.
	BreakAfter = 30 * time.Second

	// maxInFlight bounds the messages of one direction that are under way or
	// not yet taken; senders wait.
	maxInFlight = 256
)

// link is one side of a connection. in is what comes to this side.
type link struct {
	t        *Transport
	peer     *link
	remote   endpoint.Address
	outgoing bool

	mu       sync.Mutex
	in       []parcel
	space    chan struct{} // receives a token when in gets shorter
	started  bool
	running  bool
	closed   bool // nothing more goes out, and nothing comes in
	ending   bool // the other side closed: deliver what is under way, then close
	done     chan struct{}
	lastTime time.Time
}

type parcel struct {
	at   time.Time
	body []byte
}

func newLink(t *Transport, remote endpoint.Address, outgoing bool) *link {
	return &link{t: t, remote: remote, outgoing: outgoing, space: make(chan struct{}, 1), done: make(chan struct{})}
}

func (l *link) Peer() id.Peer            { return l.peer.t.host.Peer }
func (l *link) Proven() bool             { return true } // nobody can lie inside one process
func (l *link) Remote() endpoint.Address { return l.remote }
func (l *link) Outgoing() bool           { return l.outgoing }
func (l *link) Origin() string           { return l.peer.t.name }

func (l *link) Local() endpoint.Address { return l.t.address() }

// Send implements [endpoint.Link].
func (l *link) Send(ctx context.Context, body []byte) error {
	for {
		ok, err := l.put(body)
		if ok || err != nil {
			return err
		}
		select {
		case <-l.peer.space:
		case <-l.done:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (l *link) put(body []byte) (bool, error) {
	l.mu.Lock()
	closed := l.closed
	l.mu.Unlock()
	if closed {
		return false, endpoint.ErrLinkClosed
	}
	if !l.t.net.connected(l.t.name, l.peer.t.name) {
		return true, nil // it vanishes on the way
	}
	at := time.Now().Add(l.t.net.delay())
	p := l.peer
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false, endpoint.ErrLinkClosed
	}
	if len(p.in) >= maxInFlight {
		return false, nil
	}
	if at.Before(p.lastTime) {
		at = p.lastTime
	}
	p.lastTime = at
	p.in = append(p.in, parcel{at, slices.Clone(body)})
	p.wake()
	return true, nil
}

// start allows delivery; until then messages wait.
func (l *link) start() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.started = true
	l.wake()
}

// wake starts the delivering goroutine if there is something to do. l.mu is held.
func (l *link) wake() {
	if l.started && !l.running && (len(l.in) > 0 || l.ending || l.closed) {
		l.running = true
		go l.deliver() // waited for through t.wg, which holds one count until finish
	}
}

func (l *link) deliver() {
	for {
		l.mu.Lock()
		if l.closed || (len(l.in) == 0 && l.ending) {
			l.closed = true
			l.mu.Unlock()
			l.finish()
			return
		}
		if len(l.in) == 0 {
			l.running = false
			l.mu.Unlock()
			return
		}
		next := l.in[0]
		l.mu.Unlock()
		if wait := time.Until(next.at); wait > 0 {
			timer := time.NewTimer(wait)
			select {
			case <-timer.C:
			case <-l.done:
				timer.Stop()
				continue
			}
		}
		l.mu.Lock()
		l.in[0].body = nil
		l.in = l.in[1:]
		l.mu.Unlock()
		select {
		case l.space <- struct{}{}:
		default:
		}
		if err := l.t.host.Receive(l, next.body); err != nil {
			_ = l.Close()
		}
	}
}

// finish runs once, as the last step of the delivering goroutine.
func (l *link) finish() {
	l.closeDone()
	l.t.host.Closed(l)
	l.t.drop(l)
}

func (l *link) closeDone() {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-l.done:
	default:
		close(l.done)
	}
}

// Close implements [endpoint.Link]: this side ends at once, the other when it
// has got what is under way.
func (l *link) Close() error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil
	}
	l.closed = true
	l.wake()
	l.mu.Unlock()
	l.closeDone()
	p := l.peer
	p.mu.Lock()
	p.ending = true
	p.wake()
	p.mu.Unlock()
	return nil
}

// breakLater ends both sides of a link across a partition.
func (l *link) breakLater() {
	time.AfterFunc(BreakAfter, func() {
		if !l.t.net.connected(l.t.name, l.peer.t.name) {
			_ = l.Close()
		}
	})
}
