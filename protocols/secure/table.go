package secure

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/message"
)

// receive takes a message of the carrier. It never waits.
func (s *Service) receive(_ context.Context, in endpoint.Incoming) {
	if in.Secured || in.From.IsZero() || in.From == s.self {
		s.stats.misaddressed.Add(1)
		return
	}
	p, err := parsePacket(in.Message)
	if err != nil {
		s.stats.malformed.Add(1)
		s.log.Debug("secure transport: message dropped", "from", in.From.Short(), "error", err)
		return
	}
	octets := 0
	for i := range p.blocks {
		octets += len(p.blocks[i].data)
	}
	if in.Message.Size() > 2*octets+maxOverhead { // do not keep the rest in memory
		for i := range p.blocks {
			p.blocks[i].data = slices.Clone(p.blocks[i].data)
		}
	}
	var c *connection
	switch {
	case !p.tagged:
		c = s.javaConnection(in.From, &p)
	case !in.From.Provable() || s.cfg.Identity == nil:
		s.stats.unprovable.Add(1)
	case p.tag.kind == kindGone:
		s.forgotten(key{peer: in.From, id: p.tag.id})
	default:
		c = s.connection(in.From, &p)
	}
	if c != nil {
		c.st.take(&p)
	}
}

// connection returns the connection that a message belongs to, a new one if it
// begins one.
func (s *Service) connection(p id.Peer, x *packet) *connection {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.all[key{peer: p, id: x.tag.id}]; c != nil {
		return c
	}
	switch {
	case s.closed:
		return nil
	case len(x.blocks) > 0 && x.blocks[0].number == 1:
		return s.accept(p, x.tag.id)
	case len(x.blocks) > 0, x.tag.kind == kindAsk:
		s.stats.stray.Add(1)
		s.tellGone(p, x.tag.id)
	}
	return nil
}

// accept begins a connection that the other side asks for. Anybody can have sent
// the first block, so nothing that exists is touched before the handshake is over.
// s.mu is held.
func (s *Service) accept(p id.Peer, n uint64) *connection {
	if c := s.current[p]; c != nil && c.client && c.state == shaking && s.self.String() < p.String() {
		return nil // both begin at once: the lower ID leads
	}
	if !s.makePlace(p) || !s.makeRoom() {
		s.stats.refused.Add(1)
		return nil
	}
	c := s.newConnection(p, n, false)
	s.begin(c)
	return c
}

// makePlace sees to it that one more handshake may be pending. s.mu is held.
func (s *Service) makePlace(p id.Peer) bool {
	var mine, all int
	var oldestMine, oldest *connection
	for _, c := range s.all {
		if c.client || c.state != shaking {
			continue
		}
		all++
		if oldest == nil || c.began.Before(oldest.began) {
			oldest = c
		}
		if c.peer != p {
			continue
		}
		mine++
		if oldestMine == nil || c.began.Before(oldestMine.began) {
			oldestMine = c
		}
	}
	switch {
	case mine >= maxPendingPerPeer:
		oldest = oldestMine
	case all < maxPending:
		return true
	}
	if time.Since(oldest.began) < pendingGrace || all >= 2*maxPending {
		return false
	}
	oldest.st.fail(ErrBusy)
	return true
}

// makeRoom sees to it that there may be one more connection. s.mu is held.
func (s *Service) makeRoom() bool {
	if len(s.all) < s.cfg.MaxConnections {
		return true
	}
	if len(s.all) >= 2*s.cfg.MaxConnections {
		return false
	}
	var idlest *connection
	for _, c := range s.all {
		if c.state == ready && c.idle() >= restartAfter && !c.busy() && (idlest == nil || c.idle() > idlest.idle()) {
			idlest = c
		}
	}
	if idlest == nil {
		return false
	}
	s.wg.Go(func() { idlest.leaveFor(errIdle) })
	return true
}

// adopt makes a connection whose handshake is over the one to send on. An older
// one leaves: what was sent over it still arrives, unless the peer has forgotten it.
func (s *Service) adopt(c *connection) error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return ErrClosed
	}
	if forgotten := s.javaAdopt(c); forgotten != nil {
		defer forgotten.st.fail(ErrReplaced)
	}
	old := s.current[c.peer]
	s.current[c.peer] = c
	c.state = ready
	c.adopted.Store(true)
	c.touch()
	replaces := old != nil && old != c
	if replaces && old.state == ready {
		c.predecessor = old
		old.state = leaving
		if old.err == nil {
			old.err = ErrReplaced
		}
		s.wg.Go(func() {
			timer := time.NewTimer(closeWait)
			defer timer.Stop()
			select {
			case <-old.ended:
			case <-timer.C:
				old.st.fail(ErrReplaced)
			}
		})
		old.out.close()
		replaces = false
	}
	s.mu.Unlock()
	if replaces {
		old.st.fail(errSuperseded)
	}
	s.log.Info("secure connection", "peer", c.peer.Short(), "begun_here", c.client)
	return nil
}

// remove forgets a connection that is over, and reports what may be lost.
func (s *Service) remove(c *connection, cause error) {
	lost := c.out.unacknowledged(c.st.ackedSoFar())
	s.mu.Lock()
	if c.err == nil || lost > 0 {
		c.err = cause
	}
	c.state = finished
	if s.all[c.key] == c {
		delete(s.all, c.key)
	}
	if s.current[c.peer] == c {
		delete(s.current, c.peer)
	}
	if len(s.all) == 0 && s.sweeper != nil {
		s.sweeper.Stop()
		s.sweeper = nil
	}
	s.mu.Unlock()
	if c.adopted.Load() {
		s.log.Info("secure connection is over", "peer", c.peer.Short(), "lost", lost, "error", cause)
	} else {
		s.log.Debug("no secure connection", "peer", c.peer.Short(), "error", cause)
	}
	if lost == 0 {
		return
	}
	s.stats.lost.Add(lost)
	if s.cfg.Lost != nil {
		s.cfg.Lost(Loss{c.peer, lost, cause})
	}
}

// sweep closes connections that nobody uses.
func (s *Service) sweep() {
	s.mu.Lock()
	if s.sweeper == nil || s.closed {
		s.mu.Unlock()
		return
	}
	s.sweeper.Reset(sweepEvery)
	var idle []*connection
	for _, c := range s.all {
		most := s.cfg.Idle
		if c.id == 0 {
			most += javaExtra
		}
		if c.state == ready && c.idle() >= most && !c.busy() {
			idle = append(idle, c)
		}
	}
	s.mu.Unlock()
	for _, c := range idle {
		c.leaveFor(errIdle)
	}
}

// forgotten takes the news that a peer does not know a connection. It may be
// forged, so a connection that works only gives way to another one that does.
func (s *Service) forgotten(k key) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.all[k]
	if c == nil || s.closed {
		return
	}
	switch c.state {
	case shaking:
		if !c.client {
			c.st.fail(errSuperseded) // the peer has begun another one, or given up
		}
	case leaving:
		cause := c.err
		if cause == nil {
			cause = errEnded
		}
		c.st.fail(cause)
	case ready:
		if c.successor == nil && s.current[k.peer] == c && s.makeRoom() {
			c.successor = s.newConnection(k.peer, newNumber(), true)
			s.begin(c.successor)
		}
	}
}

// settled goes on with a connection that its successor did not replace, or whose
// predecessor is over.
func (s *Service) settled(c, successor, predecessor *connection) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if successor != nil && c.successor == successor && s.current[c.peer] == c {
		c.successor = nil
	}
	if predecessor != nil && c.predecessor == predecessor && predecessor.state == finished {
		c.predecessor = nil
	}
}

// tellGone tells a peer that it uses a connection that is not known here. s.mu is held.
func (s *Service) tellGone(p id.Peer, n uint64) {
	if _, told := s.gone[p]; told || len(s.gone) >= maxGone {
		return
	}
	s.gone[p] = time.Now()
	s.wg.Go(func() {
		t := tag{kind: kindGone, id: n}
		ctx, cancel := context.WithTimeout(endpoint.KnownWays(s.ctx), sendWait)
		if err := s.cfg.Scope.Send(ctx, p, serviceName, "", message.New(t.element())); err != nil && !errors.Is(err, context.Canceled) {
			s.log.Debug("a forgotten connection could not be told", "peer", p.Short(), "error", err)
		}
		cancel()
		timer := time.NewTimer(goneEvery)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-s.ctx.Done():
		}
		s.mu.Lock()
		delete(s.gone, p)
		s.mu.Unlock()
	})
}
