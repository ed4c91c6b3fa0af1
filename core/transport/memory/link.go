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

	// keepQueue is how many parcels the queue of an empty link keeps room for.
	keepQueue = 2
)

// link is one side of a connection. in is what comes to this side.
type link struct {
	t        *Transport
	peer     *link
	remote   string // name of the host at the other side
	outgoing bool

	mu       sync.Mutex
	chance   chance // of what comes to this side
	in       []parcel
	taken    int           // how many parcels of in are gone
	timer    *time.Timer   // calls due; nil until there was something to wait for
	space    chan struct{} // closed when in gets shorter; nil if nobody waits
	done     chan struct{} // closed with closed; nil if nobody waits
	breaker  *time.Timer
	started  bool // Opened has returned
	running  bool // deliver runs, or is over for good
	armed    bool // timer is set
	closed   bool // nothing more goes out, and nothing is delivered
	finished bool
}

// parcel is a message under way, or the news that the other side has closed.
type parcel struct {
	at   time.Time
	body []byte
	end  bool
}

// newLinks makes the two sides of the which-th link that one host opened to the
// other.
func newLinks(from, to *Transport, which uint64) (a, b *link) {
	a = &link{t: from, remote: to.name, outgoing: true, chance: from.net.newChance(drawLink, to.name, from.name, 2*which)}
	b = &link{t: to, remote: from.name, chance: from.net.newChance(drawLink, from.name, to.name, 2*which+1)}
	a.peer, b.peer = b, a
	return a, b
}

func (l *link) Peer() id.Peer            { return l.peer.t.host.Peer }
func (l *link) Proven() bool             { return true }                                        // nobody can lie inside one process
func (l *link) Juxta() bool              { return !l.t.cfg.Original && !l.peer.t.cfg.Original } // see endpoint.IsJuxta
func (l *link) Encrypted() bool          { return true }                                        // see endpoint.Encrypted
func (l *link) Local() endpoint.Address  { return l.t.address() }
func (l *link) Remote() endpoint.Address { return endpoint.Address{Protocol: Protocol, Host: l.remote} }
func (l *link) Outgoing() bool           { return l.outgoing }
func (l *link) Origin() string           { return l.remote }

// Send implements [endpoint.Link].
func (l *link) Send(ctx context.Context, body []byte) error {
	for {
		done, err := l.open()
		if err != nil {
			return err
		}
		space, err := l.put(body)
		if space == nil {
			if tap := l.t.net.cfg.Tap; tap != nil && err == nil {
				tap(l.t.name, l.remote, body)
			}
			return err
		}
		if done == nil { // made only for those who wait
			if done = l.gone(); done == nil {
				return endpoint.ErrLinkClosed
			}
		}
		select {
		case <-space:
		case <-done:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// open fails if this side is closed. The channel may be nil.
func (l *link) open() (done chan struct{}, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, endpoint.ErrLinkClosed
	}
	return l.done, nil
}

// gone returns the channel that is closed with this side, or nil if it is.
func (l *link) gone() chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil
	}
	if l.done == nil {
		l.done = make(chan struct{})
	}
	return l.done
}

// put hands a message to the other side. If there is no room, it returns a
// channel that is closed when there may be some, or the other side has closed.
func (l *link) put(body []byte) (space chan struct{}, err error) {
	connected := l.connected()
	p := l.peer
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.closed && connected:
		return nil, endpoint.ErrLinkClosed
	case p.closed:
		return nil, nil // on this shore nobody knows yet
	case len(p.in)-p.taken >= maxInFlight:
		if p.space == nil {
			p.space = make(chan struct{})
		}
		return p.space, nil
	}
	p.add(parcel{body: slices.Clone(body)}, l.t.net.linkDelay(&p.chance))
	return nil, nil
}

// add appends what comes after a while; it does not overtake what came before.
// l.mu is held.
func (l *link) add(x parcel, after time.Duration) {
	x.at = time.Now().Add(after)
	if l.taken > 0 && len(l.in) == cap(l.in) {
		l.in = slices.Delete(l.in, 0, l.taken)
		l.taken = 0
	}
	l.in = append(l.in, x)
	l.wake()
}

// connected reports whether no partition runs between the two sides.
func (l *link) connected() bool { return l.t.net.connected(l.t.name, l.remote) }

// start allows delivery; until then messages wait.
func (l *link) start() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.started = true
	l.wake()
}

// wake sees to it that what comes is delivered when it is due. l.mu is held.
func (l *link) wake() {
	if !l.started || l.running {
		return
	}
	switch d := l.left(); {
	case d < 0:
	case d == 0:
		l.running = true
		go l.deliver() // waited for through t.wg, which holds one count until finish
	case l.armed: // for the first parcel, which stays the first
	case l.timer == nil:
		l.armed = true
		l.timer = time.AfterFunc(d, l.due)
	default:
		l.armed = true
		l.timer.Reset(d)
	}
}

// left returns how long until something is to be done; negative: nothing is.
// l.mu is held.
func (l *link) left() time.Duration {
	switch {
	case l.closed:
		return 0
	case l.taken == len(l.in):
		return -1
	}
	return max(time.Until(l.in[l.taken].at), 0)
}

// due runs when the timer does.
func (l *link) due() {
	l.mu.Lock()
	l.armed = false
	run := !l.running
	l.running = true
	l.mu.Unlock()
	if run {
		l.deliver()
	}
}

// deliver runs while there is something to deliver and ends with the link.
func (l *link) deliver() {
	for {
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
		if err := l.t.host.Receive(l, x.body); err != nil {
			_ = l.Close()
		}
	}
}

// next takes the first parcel. over says that the link is closed. ok is false
// when none is due or a partition holds it up; deliver must then return, and
// what changes that starts it anew.
func (l *link) next() (x parcel, ok, over bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.finished:
		return parcel{}, false, false
	case l.closed:
		l.finished = true
		return parcel{}, false, true // running stays set: never again
	case !l.connected():
		l.running = false
		return parcel{}, false, false
	}
	if l.left() != 0 {
		l.running = false
		l.wake()
		return parcel{}, false, false
	}
	x = l.in[l.taken]
	l.in[l.taken] = parcel{}
	if l.taken++; l.taken == len(l.in) {
		l.in, l.taken = l.in[:0], 0
		if cap(l.in) > keepQueue {
			l.in = nil
		}
	}
	l.makeRoom()
	return x, true, false
}

// makeRoom lets those who wait for room try again. l.mu is held.
func (l *link) makeRoom() {
	if l.space != nil {
		close(l.space)
		l.space = nil
	}
}

// finish runs once, as the last step of the delivering goroutine.
func (l *link) finish() {
	l.mu.Lock()
	for _, timer := range []*time.Timer{l.timer, l.breaker} {
		if timer != nil {
			timer.Stop()
		}
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
	if l.done != nil {
		close(l.done)
	}
	l.makeRoom()
	l.wake()
	return true
}

// Close implements [endpoint.Link]: this side ends at once, the other when it
// has got what is under way.
func (l *link) Close() error {
	if !l.shut() {
		return nil
	}
	p := l.peer
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed {
		p.add(parcel{end: true}, l.t.net.linkDelay(&p.chance))
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
