package endpoint

import (
	"slices"
	"time"

	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/message"
)

// Traced is a message that this peer has sent or received over a link, as it was on the wire.
type Traced struct {
	Time      time.Time
	Out       bool    // sent
	Peer      id.Peer // the other side of the link; zero for a datagram
	Remote    Address // of the link
	Encrypted bool    // nobody could read it on the link
	Body      []byte  // the encoded message, without the frame around it; the receiver's own
}

// tap is one who looks at all messages.
type tap struct{ f func(Traced) }

// Tap calls f for every message that is sent or received over a link from now on, until stop is
// called: also those that go astray, and those passed on for others. Messages that the peer sends
// to itself, or to the whole neighbourhood, are not among them. f is called on the way of the message and must not
// wait; it may be called from several goroutines. As long as nobody taps, it costs nothing.
func (e *Endpoint) Tap(f func(Traced)) (stop func()) {
	x := &tap{f}
	e.lmu.Lock()
	defer e.lmu.Unlock()
	e.setTaps(append(slices.Clip(e.allTaps()), x))
	return func() {
		e.lmu.Lock()
		defer e.lmu.Unlock()
		e.setTaps(slices.DeleteFunc(slices.Clone(e.allTaps()), func(t *tap) bool { return t == x }))
	}
}

func (e *Endpoint) allTaps() []*tap {
	if all := e.taps.Load(); all != nil {
		return *all
	}
	return nil
}

func (e *Endpoint) setTaps(all []*tap) {
	if len(all) == 0 {
		e.taps.Store(nil)
		return
	}
	e.taps.Store(&all)
}

// tapOut shows a message that was sent with a tail.
func (e *Endpoint) tapOut(taps []*tap, l Link, msg *message.Message, tail message.Tail) {
	body, err := msg.AppendWith(nil, tail)
	if err != nil {
		return // it was not sent either
	}
	e.tapped(taps, l, body, true)
}

// tapped shows a message. body is given away.
func (e *Endpoint) tapped(taps []*tap, l Link, body []byte, out bool) {
	x := Traced{Time: time.Now(), Out: out, Body: body}
	if l != nil {
		x.Peer, x.Remote, x.Encrypted = l.Peer(), l.Remote(), Encrypted(l)
	}
	for i, t := range taps {
		if i > 0 {
			x.Body = slices.Clone(body)
		}
		t.f(x)
	}
}
