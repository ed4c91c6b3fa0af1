package relay

import (
	"context"
	"errors"
	"time"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
)

// errHeld: the relay is leased from, or asked, already.
var errHeld = errors.New("there is a lease at this relay")

// fill sees to it that there is a lease in a slot. Only the first one looks for a
// relay while there is no lease at all.
func (c *Client) fill(t *term, s *slot, first bool) {
	failed := 0
	var avoid id.Peer
	for t.ctx.Err() == nil {
		if !first && !c.leased(t) {
			c.pause(t, s, 0)
			continue
		}
		h, err := c.find(t, s, avoid)
		if err == nil {
			failed, avoid = 0, h.peer
			err = c.hold(t, h)
			c.leave(t, s, h, err)
			if err != nil && time.Since(h.since) < shortLived {
				c.pause(t, s, retryFirst)
			}
			continue
		}
		if t.ctx.Err() != nil {
			return
		}
		c.mu.Lock()
		s.err = err
		c.mu.Unlock()
		c.log.Debug("no lease", "error", err)
		failed++
		most := retryMost
		if c.leased(t) {
			most = spareMost
		}
		c.pause(t, s, min(retryFirst<<min(failed-1, 16), most))
	}
}

// leased reports whether there is any lease.
func (c *Client) leased(t *term) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(t.holdings()) > 0
}

// pause waits for about d, for ever if it is zero, or until something happens.
func (c *Client) pause(t *term, s *slot, d time.Duration) {
	var tick <-chan time.Time
	c.mu.Lock()
	if d > 0 {
		d = d*3/4 + time.Duration(c.rng.Int64N(int64(d)/2+1))
		timer := time.NewTimer(d)
		defer timer.Stop()
		tick = timer.C
		s.next = time.Now().Add(d)
	}
	c.mu.Unlock()
	select {
	case <-t.ctx.Done():
	case <-s.kick:
	case <-tick:
	}
	c.mu.Lock()
	s.next = time.Time{}
	c.mu.Unlock()
}

// find asks one relay after the other for a lease.
func (c *Client) find(t *term, s *slot, avoid id.Peer) (*holding, error) {
	last := error(&LeaseError{Err: ErrNoRelay})
	for _, x := range c.candidates(t, s, avoid) {
		h, err := c.try(t, s, x)
		switch {
		case err == nil:
			return h, nil
		case t.ctx.Err() != nil:
			return nil, t.ctx.Err()
		case !errors.Is(err, errHeld):
			last = err
		}
	}
	return nil, last
}

// try asks one relay.
func (c *Client) try(t *term, s *slot, x candidate) (_ *holding, err error) {
	l, at, err := c.reach(t.ctx, x)
	if err != nil {
		c.stats.failed.Add(1)
		return nil, err
	}
	p := l.Peer()
	if !c.claim(t, s, p) {
		return nil, errHeld
	}
	h := &holding{
		peer: p, addr: at, juxta: endpoint.IsJuxta(l), since: time.Now(),
		answers: make(chan answer, maxAnswers), down: make(chan struct{}, 1), woken: make(chan struct{}, 1),
	}
	h.remove, err = c.scope.Handle(service, p.Unique(), func(_ context.Context, in endpoint.Incoming) { c.receive(h, in) })
	if err != nil {
		c.claim(t, s, id.Peer{})
		return nil, &LeaseError{p, at, err}
	}
	c.mu.Lock()
	s.trying, h.link = h, l
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		s.trying = nil
		c.mu.Unlock()
		if err != nil {
			h.remove()
			c.claim(t, s, id.Peer{})
			err = &LeaseError{p, at, err}
		}
	}()
	a, err := c.first(t, h)
	if err == nil && a.lease <= 0 {
		err = a.reason
		c.stats.refused.Add(1)
	}
	if err == nil && h.hop.Peer.IsZero() {
		err = ErrNotAdvertised
	}
	if err != nil {
		c.drop(h, !errors.Is(err, ErrRefused))
		c.mu.Lock()
		c.mute(p, errors.Is(err, ErrNoAnswer))
		c.mu.Unlock()
		return nil, err
	}
	c.mu.Lock()
	c.mute(p, false)
	s.holding, s.err = h, nil
	c.mu.Unlock()
	c.stats.granted.Add(1)
	c.log.Info("a relay has granted a lease", "relay", p.Short(), "address", at.String(), "lease", a.lease)
	c.events.Publish(ClientEvent{Kind: Leased, Relay: p})
	c.news(t)
	return h, nil
}

// claim makes a relay that of a slot, zero for none, unless it is that of another.
func (c *Client) claim(t *term, s *slot, p id.Peer) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, o := range t.slots {
		if o != s && !p.IsZero() && o.asking == p {
			return false
		}
	}
	s.asking = p
	return true
}

// news tells that the leases are others than before.
func (c *Client) news(t *term) {
	wake(t.changed)
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range t.slots {
		if s.holding == nil {
			wake(s.kick)
		}
	}
}

// first asks a relay that has not granted a lease yet, and returns what it says.
func (c *Client) first(t *term, h *holding) (answer, error) {
	r := request{verb: connect, lease: c.cfg.Lease, about: aboutRelay}
	if h.juxta {
		if err := c.send(t.ctx, h, r); err != nil {
			return answer{}, err
		}
	} else if err := c.openOwn(t.ctx, h, r); err != nil {
		return answer{}, err
	}
	a, err := c.await(t, h, firstAnswer)
	if !errors.Is(err, ErrNoAnswer) {
		return a, err
	}
	// A JXSE relay that still knows this peer does not answer to a link.
	if err := c.send(t.ctx, h, r); err != nil {
		return answer{}, err
	}
	if h.juxta {
		return c.await(t, h, firstAnswer)
	}
	return c.await(t, h, nextAnswer)
}

// openOwn opens a link for the lease, by an address that asks for it.
func (c *Client) openOwn(ctx context.Context, h *holding, r request) error {
	c.stats.asked.Add(1)
	l, err := c.dialNew(ctx, r.at(h.addr, c.scope.Group()))
	if err != nil {
		return err
	}
	return c.use(h, l)
}

func (c *Client) dialNew(ctx context.Context, a endpoint.Address) (endpoint.Link, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	return c.ep.DialNew(ctx, a)
}

// use makes a link that of the lease.
func (c *Client) use(h *holding, l endpoint.Link) error {
	if l.Peer() != h.peer {
		_ = l.Close()
		return ErrAnotherPeer
	}
	c.mu.Lock()
	old := h.own
	h.link, h.own = l, nil
	if !h.juxta {
		h.own = l
	}
	c.mu.Unlock()
	if old != nil {
		_ = old.Close()
	}
	return nil
}

// send sends a request over the link of the lease.
func (c *Client) send(ctx context.Context, h *holding, r request) error {
	c.mu.Lock()
	l := h.link
	c.mu.Unlock()
	c.stats.asked.Add(1)
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	return c.scope.SendOn(ctx, l, service, c.self.Unique(), r.message())
}

// await waits for the first answer of a relay.
func (c *Client) await(t *term, h *holding, d time.Duration) (answer, error) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case a := <-h.answers:
		c.note(h, a)
		return a, nil
	case <-h.down:
		return answer{}, ErrLinkLost
	case <-timer.C:
		c.stats.unanswered.Add(1)
		return answer{}, ErrNoAnswer
	case <-t.ctx.Done():
		return answer{}, context.Cause(t.ctx)
	}
}

// receive takes what a relay says.
func (c *Client) receive(h *holding, in endpoint.Incoming) {
	if in.Link == nil || in.From != h.peer || in.Link.Peer() != h.peer {
		c.stats.forged.Add(1)
		return
	}
	a, ok := readAnswer(in.Message)
	if ok {
		select {
		case h.answers <- a:
		default:
			ok = false
		}
	}
	if !ok {
		c.stats.other.Add(1)
	}
}
