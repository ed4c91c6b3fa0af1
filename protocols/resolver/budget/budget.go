// Package budget bounds per peer what others cost us: octets sent for them, index
// messages read, advertisements kept.
package budget

import (
	"sync"
	"time"

	"github.com/juxta-p2p/juxta/core/id"
)

// MaxPeers bounds the peers of which a budget remembers something; beyond them
// strangers share one.
const MaxPeers = 4096

// Budget gives each peer a token bucket, of which the level may fall below zero.
// The zero peer's stands for all that there is no room for. It is made
// as a literal, safe for concurrent use, and must not be copied.
type Budget struct {
	Rate  float64 // per second
	Burst float64 // at once

	mu      sync.Mutex
	buckets map[id.Peer]*bucket
}

type bucket struct {
	level float64
	last  time.Time
}

// Spend takes the cost off the peer's budget. It reports false, and takes
// nothing, if there is none left.
func (b *Budget) Spend(p id.Peer, cost int) bool {
	now := time.Now()
	b.mu.Lock()
	defer b.mu.Unlock()
	k := b.of(p, now)
	k.level = min(b.Burst, k.level+now.Sub(k.last).Seconds()*b.Rate)
	k.last = now
	if k.level <= 0 {
		return false
	}
	k.level -= float64(cost)
	return true
}

// of finds or makes the bucket of a peer. b.mu is held.
func (b *Budget) of(p id.Peer, now time.Time) *bucket {
	if b.buckets == nil {
		b.buckets = map[id.Peer]*bucket{}
	}
	if k := b.buckets[p]; k != nil {
		return k
	}
	if len(b.buckets) >= MaxPeers {
		for q, k := range b.buckets {
			if k.level+now.Sub(k.last).Seconds()*b.Rate >= b.Burst {
				delete(b.buckets, q)
			}
		}
	}
	if len(b.buckets) >= MaxPeers {
		p = id.Peer{}
		if k := b.buckets[p]; k != nil {
			return k
		}
	}
	k := &bucket{level: b.Burst, last: now}
	b.buckets[p] = k
	return k
}
