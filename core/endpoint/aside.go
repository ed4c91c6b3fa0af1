package endpoint

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/juxta-p2p/juxta/core/message"
)

// asideService is named by who opens a link for bulk, beside the one that carries
// everything else, and in the message by which the peer at the other end of a link
// that cannot dial it asks for one.
const asideService = "juxta.aside"

const (
	// asideAgain is how long nobody tries or asks again to open a link for bulk to
	// a peer.
	asideAgain = time.Minute

	// asideWait bounds asking for one, and how long bulk waits for one behind the first
	// asideFree octets: those may be all there is.
	asideWait = 3 * time.Second
	asideFree = 16 << 10
)

// Speed is how fast a link has shown to be.
type Speed uint32

// The speeds of links.
const (
	Fast    Speed = iota // or nothing is known of it
	Untried              // it leads far, and nobody knows yet
	Slow                 // what is sent must take turns
)

// SpeedOf returns how fast a link has shown to be; a link that knows has the method
//
//	Speed() Speed
func SpeedOf(l Link) Speed {
	if x, ok := l.(interface{ Speed() Speed }); ok {
		return x.Speed()
	}
	return Fast
}

// Bulk says that what goes over the path is much, can wait, and is put in order again
// by the receiver, as the blocks of a stream: on a slow link it would hold up
// everything else, so that a second one to the same peer is opened for it, between
// Juxta peers that have proven their IDs to each other. If it cannot be had, the first
// one is used.
func (x *Path) Bulk() { x.bulk.Store(true) }

// Shares reports whether messages go straight over a link that may be slow and that
// others use too, who wait meanwhile: who has the choice sends small ones.
func (x *Path) Shares() bool {
	d := x.straight.Load()
	return d != nil && !d.c.aside && SpeedOf(d.c.Link) != Fast
}

// isAside reports whether a link is for bulk.
func isAside(l Link) bool {
	d, ok := l.(interface{ Dialled() Address }) // of both sides
	return ok && d.Dialled().Service == asideService
}

// asideTo returns the link for bulk to the peer of c, or nil.
func (e *Endpoint) asideTo(c *conn) *conn {
	e.lmu.RLock()
	defer e.lmu.RUnlock()
	for x := e.byPeer[c.Peer()]; x != nil; x = x.next {
		if x.aside && !x.leaving && Private(x.Link) {
			return x
		}
	}
	return nil
}

// lead lets octets of bulk pass that go over c, and sees to it that there soon is a link
// of their own. It waits for that behind the first ones, but only once: some peers
// cannot be dialled a second time.
func (e *Endpoint) lead(ctx context.Context, c *conn, octets int) {
	coming := e.want(c)
	if coming == nil || c.tried.Load() || c.free.Add(int64(octets)) <= asideFree {
		return
	}
	select {
	case <-coming:
	case <-ctx.Done():
	}
}

// want sees to it that there is a link for bulk beside c, in time. It returns what is
// closed when it is there, or none is to be expected; nil if that is so already.
func (e *Endpoint) want(c *conn) <-chan struct{} {
	now, last := e.now(), c.asked.Load()
	if last != 0 && now-last < int64(asideAgain) || !c.asked.CompareAndSwap(last, now) {
		if p := c.coming.Load(); p != nil {
			return *p
		}
		return nil
	}
	if !IsJuxta(c.Link) || !Private(c.Link) || e.asideTo(c) != nil {
		return nil
	}
	at := c.Remote().Base()
	if at.Protocol == "tcp" {
		at.Protocol = "tls" // the same port
	}
	if at.Protocol != "tls" {
		return nil
	}
	e.lmu.Lock()
	defer e.lmu.Unlock()
	if e.closed {
		return nil
	}
	coming := make(chan struct{})
	c.coming.Store(&coming)
	e.wg.Go(func() {
		ctx, cancel := context.WithTimeout(e.ctx, asideWait)
		defer cancel()
		defer func() { c.tried.Store(true); c.coming.Store(nil); close(coming) }()
		if c.Outgoing() {
			if _, err := e.DialNew(ctx, at.With(asideService, "")); err != nil {
				e.log.Debug("no link of its own for bulk", "peer", c.Peer().Short(), "error", err)
			}
			return
		}
		up := make(chan struct{}, 1)
		defer e.Watch(func(ev LinkEvent) {
			if ev.Up && ev.Link.Peer() == c.Peer() && isAside(ev.Link) {
				select {
				case up <- struct{}{}:
				default:
				}
			}
		})()
		if e.Scope(e.cfg.Net).SendOn(ctx, c.Link, asideService, "", message.New(message.Text("juxta", "aside", ""))) == nil {
			select {
			case <-up:
			case <-ctx.Done():
			}
		}
	})
	return coming
}

// askedAside opens the link for bulk that the peer at the other end of a slow link asks for.
func (e *Endpoint) askedAside(_ context.Context, in Incoming) {
	if in.Link == nil || !in.Link.Outgoing() {
		return
	}
	if c := e.conn(in.Link); c != nil {
		e.want(c)
	}
}

// asideState is what a link remembers of it.
type asideState struct {
	aside bool         // it is for bulk, and used for nothing else while there is another one
	asked atomic.Int64 // when one was last opened or asked for, see Endpoint.now
	free  atomic.Int64 // octets of bulk that went over this one
	tried atomic.Bool  // to open one, or to ask

	coming atomic.Pointer[chan struct{}] // see want; nil if nothing is expected
}
