package discovery

import (
	"sync"
	"time"

	"github.com/juxta-p2p/juxta/core/id"
)

// budget bounds per peer what costs us something: a token bucket each, of which
// the level may fall below zero. The zero peer's stands for all that there is no
// room for.
type budget struct {
	rate, burst float64

	mu      sync.Mutex
	buckets map[id.Peer]*bucket
}

type bucket struct {
	level float64
	last  time.Time
}

// spend takes the cost off the peer's budget. It reports false, and takes
// nothing, if there is none left.
func (b *budget) spend(p id.Peer, cost int) bool {
	now := time.Now()
	b.mu.Lock()
	defer b.mu.Unlock()
	k := b.of(p, now)
	k.level = min(b.burst, k.level+now.Sub(k.last).Seconds()*b.rate)
	k.last = now
	if k.level <= 0 {
		return false
	}
	k.level -= float64(cost)
	return true
}

// of finds or makes the bucket of a peer. b.mu is held.
func (b *budget) of(p id.Peer, now time.Time) *bucket {
	if b.buckets == nil {
		b.buckets = map[id.Peer]*bucket{}
	}
	if k := b.buckets[p]; k != nil {
		return k
	}
	if len(b.buckets) >= maxSources {
		for q, k := range b.buckets {
			if k.level+now.Sub(k.last).Seconds()*b.rate >= b.burst {
				delete(b.buckets, q)
			}
		}
	}
	if len(b.buckets) >= maxSources {
		p = id.Peer{}
		if k := b.buckets[p]; k != nil {
			return k
		}
	}
	k := &bucket{level: b.burst, last: now}
	b.buckets[p] = k
	return k
}
