package stream

import (
	"errors"
	"os"
	"sync"
	"time"

	"github.com/juxta-p2p/juxta/core/message"
)

// spread writes the copies of messages that go to many, one link after the other: a
// goroutine and a change of process for each link and each message would cost more than
// everything else about them. Its links are delayed: they have no other writer until
// it comes to them, or somebody takes one out because something urgent is to be sent.
// While it is busy more comes together, so that it writes large where much is sent.
type spread struct {
	mu      sync.Mutex
	links   []*link
	running bool

	last    *message.Message // of which a copy was last sent
	collect bool             // whether its copies wait
	at      time.Time        // when one was sent, or written
}

// collects reports whether a copy of a message waits for its turn in the spread, instead of
// being written at once: so it is if copies of another one were sent a moment ago. All
// copies of one message go alike.
func (s *spread) collects(now time.Time, msg *message.Message) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if msg != s.last || msg == nil {
		s.last, s.collect = msg, now.Sub(s.at) < manyGap
	}
	s.at = now
	return s.collect
}

// add notes a link that is to be written soon.
func (s *spread) add(l *link) {
	s.mu.Lock()
	s.links = append(s.links, l)
	start := !s.running
	s.running = true
	s.mu.Unlock()
	if start {
		go s.run() // its links wait for it, since they count it among their flushers
	}
}

// run writes until no link is left. Where they are many, others share the work.
func (s *spread) run() {
	for {
		s.mu.Lock()
		links := s.links
		s.links, s.running = nil, len(links) > 0
		s.mu.Unlock()
		if len(links) == 0 {
			return
		}
		for len(links) > spreadShare {
			go writeDelayed(links[:spreadShare]) // as above
			links = links[spreadShare:]
		}
		writeDelayed(links)
		now := time.Now()
		s.mu.Lock()
		s.at = now
		s.mu.Unlock()
	}
}

// writeDelayed writes what links have.
func writeDelayed(links []*link) {
	for _, l := range links {
		l.mu.Lock()
		mine := l.delayed
		l.delayed = false
		l.mu.Unlock()
		if mine {
			l.flushOnce()
		}
	}
}

// flushOnce is flush as far as the connection takes octets at once; a flusher of the
// link's own does the rest. The caller is the writer.
func (l *link) flushOnce() {
	for {
		l.mu.Lock()
		if l.sealed != nil || l.paced != nil || l.once == nil {
			l.mu.Unlock()
			go l.flush(nil) // waited for by the reader before it reports the end
			return
		}
		f := l.queue.take()
		if f == nil || l.err != nil {
			l.rest()
			l.mu.Unlock()
			l.flushers.Done()
			return
		}
		l.mu.Unlock()
		if l.tls != nil {
			if f = l.seal(f); f == nil {
				continue // and end, since the link is closed
			}
		}
		n, begun := len(f.b), time.Now()
		done, err := l.once.write(f.b)
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			l.s.stats.lost.Add(uint64(f.n))
			l.fail(reason(err))
			continue
		}
		if done < n {
			f.wrote(done)
			go l.flush(f) // as above
			return
		}
		f.free()
		took := time.Since(begun)
		l.mu.Lock()
		l.queue.wrote(n, took) // a slow one does not take all the next time, and is looked after by its own flusher
		l.mu.Unlock()
	}
}
