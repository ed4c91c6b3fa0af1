package socket

import (
	"context"
	"time"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
)

// mind looks after the connections to a peer to which the way has changed, until all
// of them are heard of or given up. It is a goroutine that lives only so long.
type mind struct {
	again chan struct{} // holds a token if the way has changed anew
}

// linkChanged begins to mind the peer at the other end of a link, and those to which
// there is no link: their way may have led there.
func (s *Service) linkChanged(ev endpoint.LinkEvent) {
	p := ev.Link.Peer()
	s.mu.Lock()
	var peers []id.Peer
	for q := range s.byPeer {
		peers = append(peers, q)
	}
	s.mu.Unlock()
	for _, q := range peers {
		if q == p || q != s.scope.Peer() && s.ep.LinkTo(q) == nil {
			s.disturb(q)
		}
	}
}

// disturb has the connections to a peer minded.
func (s *Service) disturb(p id.Peer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if m := s.minded[p]; m != nil {
		select {
		case m.again <- struct{}{}:
		default:
		}
		return
	}
	if s.closed {
		return
	}
	m := &mind{again: make(chan struct{}, 1)}
	if s.minded == nil {
		s.minded = map[id.Peer]*mind{}
	}
	s.minded[p] = m
	s.wg.Go(func() { s.mind(p, m) })
}

// mind sends again what was under way to a peer, and asks whether it still knows the
// connections, until it says so, or for a minute.
func (s *Service) mind(p id.Peer, m *mind) {
	until, pause, changed := time.Now().Add(giveUp), probeFirst, true
	timer := time.NewTimer(pause)
	defer timer.Stop()
	for {
		conns := s.connsTo(p)
		err := s.probe(conns, changed)
		if err == nil {
			changed = false
		}
		left := conns[:0]
		for _, c := range conns {
			if err != nil || c.juxta && !c.heard.Load() {
				left = append(left, c)
			}
		}
		if len(left) == 0 && s.unmind(p, m) {
			return
		}
		if time.Now().After(until) {
			for _, c := range left {
				c.fail(c.gone("there is no way to it for "+giveUp.String(), err))
			}
			continue
		}
		timer.Reset(pause)
		select {
		case <-timer.C:
			pause = min(2*pause, probeMost)
		case <-m.again:
			changed, pause = true, probeFirst
			if len(left) == 0 {
				until = time.Now().Add(giveUp) // it was there meanwhile
			}
		case <-s.ctx.Done():
			return
		}
	}
}

// connsTo returns the connections to a peer that are not broken.
func (s *Service) connsTo(p id.Peer) (all []*Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.byPeer[p] {
		if c.over.Err() == nil {
			all = append(all, c)
		}
	}
	return all
}

// unmind ends minding unless the way has changed anew.
func (s *Service) unmind(p id.Peer, m *mind) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(m.again) > 0 {
		return false
	}
	delete(s.minded, p)
	return true
}

// probe asks the other sides whether they are there: all if the way has changed, in
// which case everything under way is sent again, else those that were not heard of.
func (s *Service) probe(conns []*Conn, changed bool) error {
	ctx, cancel := context.WithTimeout(s.ctx, probeWait)
	defer cancel()
	for _, c := range conns {
		if changed {
			c.heard.Store(false)
		}
		if c.cut.Load() || c.heard.Load() {
			continue
		}
		var err error
		if c.juxta {
			err = s.note(ctx, noteAsk, c.peer, c.remote, c.local, c.secure)
		} else {
			err = c.path.Send(ctx, control(elemProbe, version))
		}
		if err != nil {
			return err
		}
		if changed && c.rel != nil {
			s.stats.moved.Add(1)
			c.rel.Moved()
		}
	}
	return nil
}
