package socket

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/message"
)

// bidis are the bidirectional pipes of a service. Its zero value is empty and
// ready for use.
type bidis struct {
	mu      sync.Mutex
	closed  bool
	pipes   map[*BidiPipe]struct{}
	servers map[*ServerPipe]struct{}
	byPeer  map[id.Peer]map[*BidiPipe]struct{} // reliable pipes
	doubted map[id.Peer]chan struct{}          // peers to which the way has changed; a token says that it has anew
	unwatch func()                             // nil while there is nothing to watch for
}

func (b *bidis) add(p *BidiPipe) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return net.ErrClosed
	}
	if b.pipes == nil {
		b.pipes = map[*BidiPipe]struct{}{}
	}
	b.pipes[p] = struct{}{}
	return nil
}

func (b *bidis) remove(p *BidiPipe) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.pipes, p)
	if delete(b.byPeer[p.peer], p); len(b.byPeer[p.peer]) == 0 {
		delete(b.byPeer, p.peer)
	}
}

func (b *bidis) addServer(l *ServerPipe) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return net.ErrClosed
	}
	if b.servers == nil {
		b.servers = map[*ServerPipe]struct{}{}
	}
	b.servers[l] = struct{}{}
	return nil
}

func (b *bidis) removeServer(l *ServerPipe) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.servers, l)
}

// close closes all of them, with little patience for those that do not answer.
func (b *bidis) close() {
	b.mu.Lock()
	b.closed = true
	var wg sync.WaitGroup
	for l := range b.servers {
		wg.Go(func() { _ = l.Close() })
	}
	for p := range b.pipes {
		wg.Go(func() { _ = p.close(bidiServiceLinger) })
	}
	unwatch := b.unwatch
	b.mu.Unlock()
	wg.Wait()
	if unwatch != nil {
		unwatch()
	}
}

// bound takes note of who is at the other end of a reliable pipe.
func (b *bidis) bound(p *BidiPipe) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, ok := b.pipes[p]; !ok || b.closed {
		return net.ErrClosed
	}
	if b.byPeer == nil {
		b.byPeer, b.doubted = map[id.Peer]map[*BidiPipe]struct{}{}, map[id.Peer]chan struct{}{}
	}
	if b.byPeer[p.peer] == nil {
		b.byPeer[p.peer] = map[*BidiPipe]struct{}{}
	}
	b.byPeer[p.peer][p] = struct{}{}
	if b.unwatch == nil {
		s := p.s
		b.unwatch = s.ep.Watch(func(ev endpoint.LinkEvent) { b.linkChanged(s, ev) })
	}
	return nil
}

// at returns the reliable pipes to a peer.
func (b *bidis) at(peer id.Peer) (all []*BidiPipe) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for p := range b.byPeer[peer] {
		all = append(all, p)
	}
	return all
}

// linkChanged begins to doubt the peer at the other end of a link, and those to which
// there is no link: their way may have led there.
func (b *bidis) linkChanged(s *Service, ev endpoint.LinkEvent) {
	p := ev.Link.Peer()
	b.mu.Lock()
	var peers []id.Peer
	for q := range b.byPeer {
		peers = append(peers, q)
	}
	b.mu.Unlock()
	for _, q := range peers {
		if q == p || q != s.scope.Peer() && s.ep.LinkTo(q) == nil {
			b.disturb(s, q)
		}
	}
}

// disturb has a peer doubted.
func (b *bidis) disturb(s *Service, peer id.Peer) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if again := b.doubted[peer]; again != nil {
		select {
		case again <- struct{}{}:
		default:
		}
		return
	}
	again := make(chan struct{}, 1)
	if !b.closed && s.goTask(func() { b.doubt(s, peer, again) }) {
		b.doubted[peer] = again
	}
}

// doubt has the pipes to a peer send again what may have been lost with the way
// there, and looks whether there is another one. A Java peer is there if a message can
// be sent to it at all; a Juxta peer is asked by each of its pipes. What is not heard
// of for as long as messages are repeated is broken.
func (b *bidis) doubt(s *Service, peer id.Peer, again <-chan struct{}) {
	begin, pause := time.Now(), probeFirst
	moved := map[*BidiPipe]bool{}
	for _, p := range b.at(peer) {
		p.heard.Store(false)
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	for {
		left := false
		for _, p := range b.at(peer) {
			if p.heard.Load() && moved[p] || p.rel.Load().Err() != nil {
				continue
			}
			err := p.probe(s.ctx)
			if err == nil && !moved[p] {
				moved[p] = true
				p.rel.Load().Moved()
			}
			switch {
			case err == nil && !p.juxta:
				p.heard.Store(true)
			case time.Since(begin) < p.patience():
				left = true
			default:
				p.broken(err)
			}
		}
		if !left && b.trust(peer, again) {
			return
		}
		timer.Reset(pause)
		select {
		case <-timer.C:
			pause = min(2*pause, probeMost)
		case <-again:
			if !left {
				begin = time.Now() // it was there meanwhile
			}
			pause = probeFirst
			clear(moved)
			for _, p := range b.at(peer) {
				p.heard.Store(false)
			}
		case <-s.ctx.Done():
			return
		}
	}
}

// trust ends doubting unless the way has changed anew.
func (b *bidis) trust(peer id.Peer, again <-chan struct{}) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(again) > 0 {
		return false
	}
	delete(b.doubted, peer)
	return true
}

// probe sends what means nothing, or asks a Juxta peer to say something.
func (p *BidiPipe) probe(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, probeWait)
	defer cancel()
	return p.path.Send(ctx, message.New(message.Text(bidiNamespace, bidiProbe, probeAsk)))
}

// broken ends a pipe whose peer is gone, and says why.
func (p *BidiPipe) broken(err error) {
	cause := fmt.Errorf("%w: peer %s", ErrGone, p.peer.Short())
	if err != nil {
		cause = fmt.Errorf("%w: %w", cause, err)
	}
	p.rel.Load().Abort(cause)
}
