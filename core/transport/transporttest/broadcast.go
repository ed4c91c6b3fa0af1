package transporttest

import (
	"bytes"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
)

// BroadcastConfig tells [RunBroadcast] how to get transports of the kind under
// test.
type BroadcastConfig struct {
	// New makes a transport that has not been started, and the ID of the peer
	// that is to use it. All those made for one test are neighbours. Required.
	New func(t *testing.T) (endpoint.Broadcaster, id.Peer)

	// MaxBody is the largest body that must arrive. Zero means 8 KiB.
	MaxBody int
}

// resend is the pause before a datagram that did not arrive is sent again.
const resend = 50 * time.Millisecond

// RunBroadcast runs the list for datagrams against a transport. Since datagrams
// may get lost, what did not arrive is sent again.
func RunBroadcast(t *testing.T, cfg BroadcastConfig) {
	if cfg.MaxBody <= 0 {
		cfg.MaxBody = 8 << 10
	}
	for _, test := range []struct {
		name string
		run  func(*testing.T, BroadcastConfig)
	}{
		{"ReachesAll", testReachesAll},
		{"DatagramSizes", testDatagramSizes},
		{"MalformedDatagram", testMalformedDatagram},
		{"ConcurrentBroadcasts", testConcurrentBroadcasts},
		{"BroadcastAfterClose", testBroadcastAfterClose},
	} {
		t.Run(test.name, func(t *testing.T) {
			noLeaks(t)
			test.run(t, cfg)
		})
	}
}

func (cfg BroadcastConfig) start(t *testing.T, set ...func(*station)) (*station, endpoint.Broadcaster) {
	t.Helper()
	tr, peer := cfg.New(t)
	s := newStation(t, tr, peer)
	for _, f := range set {
		f(s)
	}
	s.start()
	return s, tr
}

// has reports whether the body came as a datagram. s.mu is held.
func (s *station) has(body []byte) bool {
	for _, m := range s.all {
		if m.link == nil && bytes.Equal(m.body, body) {
			return true
		}
	}
	return false
}

// spread broadcasts until the datagram has reached all.
func spread(t *testing.T, from endpoint.Broadcaster, body []byte, to ...*station) {
	t.Helper()
	end := time.Now().Add(patience)
	for time.Now().Before(end) {
		if err := from.Broadcast(t.Context(), body); err != nil {
			t.Fatalf("Broadcast: %v", err)
		}
		again := time.NewTimer(resend)
		missing := false
		for _, s := range to {
			for {
				s.mu.Lock()
				ok, changed := s.has(body), s.changed
				s.mu.Unlock()
				if missing = !ok; ok {
					break
				}
				select {
				case <-changed:
					continue
				case <-again.C:
				}
				break
			}
			if missing {
				break
			}
		}
		again.Stop()
		if !missing {
			return
		}
	}
	t.Fatalf("a datagram of %d octets does not reach everybody", len(body))
}

// testReachesAll: every neighbour gets it, without a link.
func testReachesAll(t *testing.T, cfg BroadcastConfig) {
	a, ta := cfg.start(t)
	b, tb := cfg.start(t)
	c, _ := cfg.start(t)
	spread(t, ta, encode(t, "a", 1, 10), b, c)
	spread(t, tb, encode(t, "b", 2, 20), a, c)
	for _, s := range []*station{a, b, c} {
		s.mu.Lock()
		for _, m := range s.all {
			if m.link != nil {
				t.Error("a datagram came with a link")
			}
		}
		s.mu.Unlock()
	}
	if g := ta.Group(); g.IsZero() || g != g.Base() || g != tb.Group() {
		t.Errorf("Group is %s and %s", g, tb.Group())
	}
}

// testDatagramSizes: up to the limit nothing is damaged.
func testDatagramSizes(t *testing.T, cfg BroadcastConfig) {
	_, ta := cfg.start(t)
	b, _ := cfg.start(t)
	room := cfg.MaxBody - len(encode(t, "a", 1, 0))
	for _, size := range []int{0, 1, 500, 1400, 1500, 4000, room} {
		if size <= room {
			spread(t, ta, encode(t, "a", 1, size), b)
		}
	}
}

// testMalformedDatagram: one that is no message does not stop those after it.
func testMalformedDatagram(t *testing.T, cfg BroadcastConfig) {
	_, ta := cfg.start(t)
	b, _ := cfg.start(t, func(s *station) {
		s.onReceive = func(_ endpoint.Link, body []byte) error {
			if bytes.HasPrefix(body, []byte("jxmg")) {
				return nil
			}
			return errRefused
		}
	})
	spread(t, ta, []byte("no message"), b)
	spread(t, ta, encode(t, "a", 1, 10), b)
}

// testConcurrentBroadcasts: they do not get mixed up.
func testConcurrentBroadcasts(t *testing.T, cfg BroadcastConfig) {
	_, ta := cfg.start(t)
	b, _ := cfg.start(t)
	var wg sync.WaitGroup
	sent := map[string]bool{}
	for i := range 8 {
		body := encode(t, "a", i, 100*i)
		sent[string(body)] = true
		wg.Go(func() {
			for range 20 {
				if err := ta.Broadcast(t.Context(), body); err != nil {
					t.Errorf("Broadcast: %v", err)
				}
			}
		})
	}
	wg.Wait()
	spread(t, ta, encode(t, "a", 99, 10), b)
	sent[string(encode(t, "a", 99, 10))] = true
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, m := range b.all {
		if !sent[string(m.body)] {
			t.Errorf("a datagram that nobody sent: % x", m.body)
		}
	}
}

// testBroadcastAfterClose: it fails, and Close is idempotent.
func testBroadcastAfterClose(t *testing.T, cfg BroadcastConfig) {
	a, ta := cfg.start(t)
	a.close()
	a.close()
	if err := ta.Broadcast(t.Context(), encode(t, "a", 1, 1)); !errors.Is(err, endpoint.ErrClosed) {
		t.Errorf("Broadcast after Close returned %v", err)
	}
}
