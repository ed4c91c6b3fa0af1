package relay

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/message"
)

// kept is a message that waits for a client.
type kept struct {
	hop   endpoint.Address // the service at the client
	body  []byte           // encoded, so that it costs what it says
	came  time.Time
	tries int
}

func (k *kept) size() int { return len(k.body) + keptOverhead }

// Keep takes a message for a peer to which no link leads, complete for its next
// hop, which is that peer; see routing.Router.SetKeep. It reports false if the peer
// holds no lease here, or if too much is kept for it or for all: the message is
// then lost, as with JXSE. msg is not changed and may be used afterwards. Keep does
// not wait.
//
// Messages are sent in the order they came when a link to the client comes up;
// those that come later take the link at once and may overtake them. Other clients
// do not wait for one whose link is slow.
func (s *Server) Keep(dest id.Peer, hop endpoint.Address, msg *message.Message) bool {
	s.mu.Lock()
	c := s.clients[dest]
	ok := c != nil && time.Now().Before(c.until)
	s.mu.Unlock()
	if !ok {
		return false
	}
	if msg.Size()+keptOverhead > min(s.cfg.QueueBytes, s.cfg.TotalBytes) {
		s.drop(dest, &s.stats.tooLarge)
		return false
	}
	body, err := msg.MarshalBinary()
	if err != nil {
		s.drop(dest, &s.stats.tooLarge)
		return false
	}
	k := &kept{hop: hop, body: body, came: time.Now()}
	s.mu.Lock()
	defer s.mu.Unlock()
	if c = s.clients[dest]; c == nil || s.closed {
		return false
	}
	s.age(c, k.came)
	switch {
	case len(c.queue) >= s.cfg.Queue || c.bytes+k.size() > s.cfg.QueueBytes:
		c.dropped++
		s.stats.full.Add(1)
		return false
	case !s.makeRoom(c, k.size()):
		c.dropped++
		s.stats.overall.Add(1)
		return false
	}
	c.queue = append(c.queue, k)
	s.count(c, 1, k.size())
	s.stats.kept.Add(1)
	s.kick(c)
	return true
}

// drop counts a message for a client that is lost.
func (s *Server) drop(p id.Peer, why interface{ Add(uint64) uint64 }) {
	why.Add(1)
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.clients[p]; c != nil {
		c.dropped++
	}
}

// makeRoom sees to it that so many octets more for a client fit into what is kept
// for all: the newest messages of those for whom more is kept go, as long as that
// stays more than what this one would have. s.mu is held.
func (s *Server) makeRoom(c *client, size int) bool {
	for s.bytes+size > s.cfg.TotalBytes {
		var most *client
		for _, o := range s.clients {
			if most == nil || o.bytes > most.bytes {
				most = o
			}
		}
		if most == nil || most == c || most.bytes <= c.bytes+size {
			return false
		}
		last := len(most.queue) - 1
		s.remove(most, last)
		most.dropped++
		s.stats.overall.Add(1)
	}
	return true
}

// count keeps the books of a queue. s.mu is held.
func (s *Server) count(c *client, messages, octets int) {
	c.bytes += octets
	s.bytes += octets
	s.messages += messages
}

// remove takes the i-th message out of a queue. s.mu is held.
func (s *Server) remove(c *client, i int) {
	s.count(c, -1, -c.queue[i].size())
	c.queue = slices.Delete(c.queue, i, i+1)
	if len(c.queue) == 0 {
		c.queue = nil
	}
}

// clear forgets what is kept for a client. s.mu is held.
func (s *Server) clear(c *client) {
	n := len(c.queue)
	c.dropped += uint64(n)
	s.stats.forgotten.Add(uint64(n))
	s.count(c, -n, -c.bytes)
	c.queue = nil
}

// age forgets messages that are too old. s.mu is held.
func (s *Server) age(c *client, now time.Time) {
	if s.cfg.MaxAge <= 0 {
		return
	}
	for len(c.queue) > 0 && now.Sub(c.queue[0].came) >= s.cfg.MaxAge {
		s.remove(c, 0)
		c.dropped++
		s.stats.aged.Add(1)
	}
}

// kick has what waits for a client sent, if there is a link. s.mu is held.
func (s *Server) kick(c *client) {
	if c.busy || c.gone || s.closed {
		return
	}
	if c.answer == nil && (len(c.queue) == 0 || s.linkOf(c) == nil) {
		return
	}
	c.busy = true
	s.wg.Go(func() { s.deliver(c) })
}

// deliver sends what waits for a client, one message after the other, until
// nothing is left or the link does not take it.
func (s *Server) deliver(c *client) {
	for {
		l, hop, msg, k := s.next(c)
		if l == nil {
			return
		}
		ctx, cancel := context.WithTimeout(s.ctx, sendTimeout)
		err := s.ep.SendOn(ctx, l, hop, msg)
		cancel()
		if !s.sentTo(c, l, k, err) {
			return
		}
	}
}

// next returns what to send to a client, and where; no link if there is nothing,
// and deliver must end. k is nil for an answer.
func (s *Server) next(c *client) (l endpoint.Link, hop endpoint.Address, msg *message.Message, k *kept) {
	now := time.Now()
	s.mu.Lock()
	s.age(c, now)
	a := c.answer
	c.answer = nil
	if a == nil && !s.closed && len(c.queue) > 0 {
		if l = s.linkOf(c); l != nil {
			k = c.queue[0]
		}
	}
	if a == nil && k == nil {
		c.busy = false
	}
	s.mu.Unlock()
	switch {
	case a != nil:
		s.wait(time.Until(a.after))
		s.mu.Lock()
		left := time.Until(c.until)
		s.mu.Unlock()
		msg = answer{lease: left, relay: a.relay}.message()
		hop = endpoint.Address{Service: "EndpointService:" + s.scope.Group().Unique(), Param: service + "/" + s.self.Unique()}
		return a.link, hop, msg, nil
	case k != nil:
		if msg, _ = message.Decode(k.body); msg == nil { // cannot be: it was encoded here
			msg = &message.Message{} // which is not sent
		}
		return l, k.hop, msg, k
	}
	return nil, hop, nil, nil
}

// wait waits for d, or until the server closes.
func (s *Server) wait(d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-s.ctx.Done():
	}
}

// sentTo notes how sending a message, or an answer if k is nil, went, and reports
// whether to go on.
func (s *Server) sentTo(c *client, l endpoint.Link, k *kept, err error) bool {
	if err != nil {
		s.log.Debug("sending to a client failed", "peer", l.Peer().Short(), "error", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil {
		c.sent = time.Now()
	}
	if k == nil {
		if err != nil {
			s.stats.unanswered.Add(1)
		}
		return true
	}
	i := slices.Index(c.queue, k) // it may have had to go meanwhile
	switch {
	case err == nil:
		c.delivered++
		s.stats.delivered.Add(1)
		if i >= 0 {
			s.remove(c, i)
		}
		return true
	case errors.Is(err, endpoint.ErrLinkClosed):
		if c.link == l {
			c.link = nil
		}
		if s.ep.LinkTo(c.peer) != l {
			return true // by another link, if there is one
		}
	default:
		if k.tries++; i >= 0 && k.tries >= maxTries {
			s.remove(c, i)
			c.dropped++
			s.stats.unsent.Add(1)
		}
	}
	c.busy = false // the sweep tries again, or the next link does
	return false
}
