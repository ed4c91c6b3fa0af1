package relay

import (
	"context"
	"errors"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
)

// holding is a lease at a relay. One goroutine works for it; Client.mu guards what
// others look at, which is all but the channels and what is written once.
type holding struct {
	peer    id.Peer          // written once
	addr    endpoint.Address // written once
	juxta   bool             // written once
	answers chan answer
	down    chan struct{} // the link is gone
	woken   chan struct{} // the lease is to be renewed now
	remove  func()        // ends listening to the relay

	link  endpoint.Link // over which the relay is asked
	own   endpoint.Link // the same if it was opened for the lease, or nil
	name  string
	hop   advertisements.AccessPoint
	since time.Time
	until time.Time
	due   time.Time // for renewal
	away  bool      // the link is gone, or the relay does not answer

	overdue    time.Time // when the answer to what was asked should be there; zero if nothing was
	unanswered int       // requests in a row
	renewed    bool      // at least once
}

// note takes what an answer tells.
func (c *Client) note(h *holding, a answer) {
	if a.relay != nil && a.relay.Peer != h.peer {
		c.refer(a.relay)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	h.overdue, h.unanswered = time.Time{}, 0
	if a.relay != nil && a.relay.Peer == h.peer {
		h.name, h.hop = a.relay.Name, hopOf(a.relay, h.addr)
	}
	if a.lease <= 0 {
		return
	}
	now := time.Now()
	h.until = now.Add(a.lease - a.lease/leaseMargin)
	due := min(a.lease/3, renewAtMost)
	due -= time.Duration(c.rng.Int64N(int64(due)/10 + 1)) // not all at once
	if !h.juxta && !h.renewed {
		due = min(due, firstRenewal)
	}
	h.due = now.Add(due)
	h.away = false
}

// leave ends a lease, which was lost if err is not nil.
func (c *Client) leave(t *term, s *slot, h *holding, err error) {
	c.mu.Lock()
	s.holding, s.asking, s.err = nil, id.Peer{}, err
	c.mu.Unlock()
	h.remove()
	c.drop(h, !errors.Is(err, ErrRefused))
	if err != nil {
		c.stats.lost.Add(1)
		c.log.Info("a lease at a relay is lost", "error", err)
	}
	c.events.Publish(ClientEvent{Lost, h.peer, err})
	c.news(t)
}

// drop gives a lease back, if there is something to give back, and closes the link
// that was opened for it.
func (c *Client) drop(h *holding, tell bool) {
	c.mu.Lock()
	l, own := h.link, h.own
	h.own = nil
	c.mu.Unlock()
	if tell {
		ctx, cancel := context.WithTimeout(context.Background(), goodbyeTimeout)
		defer cancel()
		if err := c.scope.SendOn(ctx, l, service, c.self.Unique(), request{verb: disconnect}.message()); err != nil {
			c.log.Debug("a lease was not given back", "relay", h.peer.Short(), "error", err)
		}
	}
	if own != nil {
		_ = own.Close()
	}
}

// hold keeps a lease until it is lost, of which the error tells, or the term ends.
func (c *Client) hold(t *term, h *holding) error {
	for {
		c.mu.Lock()
		next := h.due
		if !h.overdue.IsZero() {
			next = h.overdue
		}
		if h.until.Before(next) {
			next = h.until
		}
		c.mu.Unlock()
		timer := time.NewTimer(max(time.Until(next), 0))
		err := error(nil)
		select {
		case <-t.ctx.Done():
			timer.Stop()
			return nil
		case a := <-h.answers:
			err = c.answered(t, h, a)
		case <-h.down:
			err = c.reopen(t, h, false)
		case <-h.woken:
			err = c.renew(t, h, wakeAnswer)
		case <-timer.C:
			err = c.due(t, h)
		}
		timer.Stop()
		if t.ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return &LeaseError{h.peer, h.addr, err}
		}
	}
}

// answered takes an answer of a relay at which there is a lease.
func (c *Client) answered(t *term, h *holding, a answer) error {
	c.mu.Lock()
	was, asked := h.away, !h.overdue.IsZero()
	h.renewed = true
	c.mu.Unlock()
	c.note(h, a)
	if a.lease <= 0 {
		c.stats.refused.Add(1)
		return a.reason
	}
	if asked {
		c.stats.renewed.Add(1)
		c.events.Publish(ClientEvent{Kind: Renewed, Relay: h.peer})
	}
	if was {
		c.news(t)
	} else {
		wake(t.changed)
	}
	return nil
}

// due does what the time has come for.
func (c *Client) due(t *term, h *holding) error {
	now := time.Now()
	c.mu.Lock()
	over, overdue := !now.Before(h.until), !h.overdue.IsZero()
	tooLate := now.After(h.due.Add(giveUpAfter))
	if overdue {
		h.unanswered++
	}
	unanswered := h.unanswered
	c.mu.Unlock()
	switch {
	case over:
		return ErrExpired
	case !overdue:
		return c.renew(t, h, nextAnswer)
	}
	c.stats.unanswered.Add(1)
	if tooLate || unanswered > reconnects {
		return ErrNoAnswer
	}
	return c.reopen(t, h, true) // the link may be dead without anybody knowing
}

// renew asks for more of a lease; the answer should be there in time.
func (c *Client) renew(t *term, h *holding, patience time.Duration) error {
	c.mu.Lock()
	h.overdue = time.Now().Add(patience)
	c.mu.Unlock()
	err := c.send(t.ctx, h, request{verb: connect, lease: c.cfg.Lease, about: aboutOther})
	switch {
	case err == nil, t.ctx.Err() != nil:
		return nil
	case errors.Is(err, endpoint.ErrLinkClosed):
		return c.reopen(t, h, false)
	}
	return c.reopen(t, h, true)
}

// reopen gets a new link for a lease of which the link broke, or is doubted, and
// asks for the lease again. Until it is there, other relays are better.
func (c *Client) reopen(t *term, h *holding, doubted bool) error {
	c.mu.Lock()
	h.away = true
	c.mu.Unlock()
	c.news(t)
	c.events.Publish(ClientEvent{Kind: Broken, Relay: h.peer})
	err := error(nil)
	for i := range reconnects {
		if i > 0 && !c.wait(t, reconnectPause<<(i-1)) {
			return nil
		}
		if err = c.again(t, h, doubted); err == nil {
			c.stats.reconnects.Add(1)
			c.news(t)
			return nil
		}
		if t.ctx.Err() != nil {
			return nil
		}
		c.log.Debug("a relay cannot be reached again", "relay", h.peer.Short(), "error", err)
	}
	return errors.Join(ErrLinkLost, err)
}

// wait waits for about d, and reports false if the term ends.
func (c *Client) wait(t *term, d time.Duration) bool {
	c.mu.Lock()
	d = d/2 + time.Duration(c.rng.Int64N(int64(d)))
	c.mu.Unlock()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-t.ctx.Done():
		return false
	}
}

// again opens a link for a lease that is believed to hold, and asks.
func (c *Client) again(t *term, h *holding, doubted bool) error {
	r := request{verb: connect, lease: c.cfg.Lease, about: aboutOther}
	if h.juxta {
		l, err := c.another(t.ctx, h, doubted)
		if err == nil {
			err = c.use(h, l)
		}
		if err == nil {
			err = c.send(t.ctx, h, r)
		}
		if err != nil {
			return err
		}
	} else if err := c.openOwn(t.ctx, h, r); err != nil {
		return err
	}
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if h.juxta {
		h.overdue = now.Add(firstAnswer)
		return nil
	}
	// JXSE answers only if it has forgotten this peer; else it is asked by message.
	h.away, h.overdue = false, time.Time{}
	if next := now.Add(firstAnswer); h.unanswered > 0 || next.Before(h.due) {
		h.due = next
	}
	return nil
}

// another returns a link to a Juxta relay: one that is open, if it is not doubted
// whether it works, or a new one.
func (c *Client) another(ctx context.Context, h *holding, doubted bool) (endpoint.Link, error) {
	if doubted {
		return c.dialNew(ctx, h.addr.Base())
	}
	if l := c.ep.LinkTo(h.peer); l != nil {
		return l, nil
	}
	return c.open(ctx, h.addr)
}
