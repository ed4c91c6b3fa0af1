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
	space    chan struct{} // receives a token when in gets shorter
	done     chan struct{} // closed with closed

	mu      sync.Mutex
	in      []parcel
	started bool // Opened has returned
	running bool // deliver runs, or is over for good
	closed  bool // nothing more goes out, and nothing is delivered
	breaker *time.Timer
}

// parcel is a message under way, or the news that the other side has closed.
type parcel struct {
	at   time.Time
	body []byte
	end  bool
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
		case <-l.peer.done:
		case <-l.done:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// put hands a message to the other side, if there is room.
func (l *link) put(body []byte) (bool, error) {
	l.mu.Lock()
	closed := l.closed
	l.mu.Unlock()
	if closed {
		return false, endpoint.ErrLinkClosed
	}
	connected := l.connected()
	at := time.Now().Add(l.t.net.delay())
	p := l.peer
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.closed && connected:
		return false, endpoint.ErrLinkClosed
	case p.closed:
		return true, nil // on this shore nobody knows yet
	case len(p.in) >= maxInFlight:
		return false, nil
	}
	p.add(parcel{at: at, body: slices.Clone(body)})
	return true, nil
}

// add appends what comes; it does not overtake what came before. l.mu is held.
func (l *link) add(x parcel) {
	l.in = append(l.in, x)
	l.wake()
}

// connected reports whether no partition runs between the two sides.
func (l *link) connected() bool { return l.t.net.connected(l.t.name, l.peer.t.name) }

// start allows delivery; until then messages wait.
func (l *link) start() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.started = true
	l.wake()
}

// wake starts the delivering goroutine if there is something to do. l.mu is held.
func (l *link) wake() {
	if l.started && !l.running && (len(l.in) > 0 || l.closed) {
		l.running = true
		go l.deliver() // waited for through t.wg, which holds one count until finish
	}
}

// deliver runs while there is something to deliver and ends with the link.
func (l *link) deliver() {
	for {
		l.wait()
		x, ok, over := l.next()
		switch {
		case over:
			l.finish()
			return
		case !ok:
			return
		case x.end:
			l.shut()
			continue
		}
		select {
		case l.space <- struct{}{}:
		default:
		}
		if err := l.t.host.Receive(l, x.body); err != nil {
			_ = l.Close()
		}
	}
}

// wait waits until the first parcel is there or the link is closed.
func (l *link) wait() {
	l.mu.Lock()
	var d time.Duration
	if !l.closed && len(l.in) > 0 {
		d = time.Until(l.in[0].at)
	}
	l.mu.Unlock()
	if d > 0 {
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-l.done:
		}
	}
}

// next takes the first parcel. over says that the link is closed. ok is false
// when there is no parcel or a partition holds it up; deliver must then return,
// and what changes that starts it anew.
func (l *link) next() (x parcel, ok, over bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return parcel{}, false, true // running stays set: never again
	}
	if len(l.in) == 0 || !l.connected() {
		l.running = false
		return parcel{}, false, false
	}
	x = l.in[0]
	l.in[0] = parcel{}
	l.in = l.in[1:]
	return x, true, false
}

// finish runs once, as the last step of the delivering goroutine.
func (l *link) finish() {
	l.mu.Lock()
	if l.breaker != nil {
		l.breaker.Stop()
	}
	l.in = nil
	l.mu.Unlock()
	l.t.host.Closed(l)
	l.t.drop(l)
}

// shut ends this side and reports whether it was open.
func (l *link) shut() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false
	}
	l.closed = true
	close(l.done)
	l.wake()
	return true
}

// Close implements [endpoint.Link]: this side ends at once, the other when it
// has got what is under way.
func (l *link) Close() error {
	if !l.shut() {
		return nil
	}
	at := time.Now().Add(l.t.net.delay())
	p := l.peer
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed {
		p.add(parcel{at: at, end: true})
	}
	return nil
}

// ashore adapts the link to a changed shore line: across it, it breaks after a
// while; no longer across it, it goes on where it was held up.
func (l *link) ashore() {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closed:
	case l.connected():
		if l.breaker != nil {
			l.breaker.Stop()
			l.breaker = nil
		}
		l.wake()
	case l.breaker == nil:
		l.breaker = time.AfterFunc(BreakAfter, func() { _ = l.Close() })
	}
}
