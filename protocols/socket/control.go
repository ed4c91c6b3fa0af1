package socket

import (
	"context"
	"errors"
	"hash/maphash"
	"sync"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/message"
)

// lane sends control messages one after the other, on a goroutine that lives only
// while there are any: the goroutines that read links must not wait for others.
type lane struct {
	mu      sync.Mutex
	queue   []func()
	running bool
}

// put adds something to do. It reports false if too much is waiting or the service
// is closed.
func (l *lane) put(s *Service, f func()) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.queue) >= maxLane || !l.running && !s.goTask(func() { l.run(s) }) {
		return false
	}
	l.running = true
	l.queue = append(l.queue, f)
	return true
}

func (l *lane) run(s *Service) {
	for {
		l.mu.Lock()
		if len(l.queue) == 0 || s.ctx.Err() != nil {
			l.running, l.queue = false, nil
			l.mu.Unlock()
			return
		}
		f := l.queue[0]
		l.queue[0] = nil // not to be kept alive by the array
		l.queue = l.queue[1:]
		l.mu.Unlock()
		f()
	}
}

// later does something for a peer soon, in order.
func (s *Service) later(p id.Peer, f func()) {
	if !s.control[maphash.Comparable(s.seed, p)%lanes].put(s, f) {
		s.stats.unsentControl.Add(1)
	}
}

// tell sends a control message by ways that are known.
func (s *Service) tell(path *endpoint.Path, m *message.Message) error {
	ctx, cancel := context.WithTimeout(endpoint.KnownWays(s.ctx), controlWait)
	defer cancel()
	return s.told(path.Peer(), path.Send(ctx, m))
}

// told counts control messages that could not be sent.
func (s *Service) told(p id.Peer, err error) error {
	if err != nil {
		s.stats.unsentControl.Add(1)
		s.log.Debug("control message not sent", "peer", p.Short(), "error", err)
	}
	return err
}

// send sends a single message to a service at a peer: straight over a link if there
// is one to a Juxta peer that serves, which spares both sides the document of the
// router, else as [endpoint.Scope.Send] or [endpoint.Scope.SendSecure] do.
func (s *Service) send(ctx context.Context, p id.Peer, service, param string, secure bool, m *message.Message) error {
	if l := s.ep.LinkTo(p); l != nil && endpoint.IsJuxta(l) && (!secure || endpoint.Private(l)) {
		if err := s.scope.SendOn(ctx, l, service, param, m); !errors.Is(err, endpoint.ErrLinkClosed) {
			return err
		}
	}
	if secure {
		return s.scope.SendSecure(ctx, p, service, param, m)
	}
	return s.scope.Send(ctx, p, service, param, m)
}

// say sends a control message on the connection, soon.
func (c *Conn) say(name, text string) {
	path := c.path
	c.s.later(c.peer, func() { _ = c.s.tell(path, control(name, text)) })
}

// sendSoon sends a message to the pipe that a handshake names, by ways that are known.
func (s *Service) sendSoon(h *hello, secure bool, m *message.Message) {
	p, pipe := h.Peer.ID, h.Pipe.ID.String()
	s.later(p, func() {
		ctx, cancel := context.WithTimeout(endpoint.KnownWays(s.ctx), controlWait)
		defer cancel()
		_ = s.told(p, s.send(ctx, p, pipeService, pipe, secure, m))
	})
}
