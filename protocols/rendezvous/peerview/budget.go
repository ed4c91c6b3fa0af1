package peerview

import (
	"time"

	"github.com/juxta-p2p/juxta/core/id"
)

// bucket is a budget that refills with time. The zero value is full.
type bucket struct {
	spent float64
	at    time.Time
}

// take spends one and reports whether it was there.
func (b *bucket) take(now time.Time, rate, burst float64) bool {
	b.spent = max(b.spent-now.Sub(b.at).Seconds()*rate, 0)
	b.at = now
	if b.spent+1 > burst {
		return false
	}
	b.spent++
	return true
}

// wait returns how long until take will find one.
func (b *bucket) wait(now time.Time, rate, burst float64) time.Duration {
	spent := max(b.spent-now.Sub(b.at).Seconds()*rate, 0)
	if spent+1 <= burst {
		return 0
	}
	return time.Duration((spent+1-burst)/rate*float64(time.Second)) + time.Microsecond
}

// neighbour is what one peer may cause.
type neighbour struct {
	messages, told bucket
}

// neighbours remembers the budgets of those who sent last. The zero value is
// ready for use.
type neighbours map[id.Peer]*neighbour

// of returns the budgets of a peer.
func (n *neighbours) of(p id.Peer, now time.Time) *neighbour {
	b := (*n)[p]
	if b != nil {
		return b
	}
	if *n == nil {
		*n = neighbours{}
	}
	if len(*n) >= maxNeighbours {
		n.forget(now)
	}
	b = &neighbour{}
	(*n)[p] = b
	return b
}

// forget makes room: those whose budgets are full again go, or else any.
func (n *neighbours) forget(now time.Time) {
	var any id.Peer
	for p, b := range *n {
		any = p
		if now.Sub(b.messages.at) > max(neighbourBurst/neighbourRate, tellerBurst/tellerRate)*time.Second {
			delete(*n, p)
		}
	}
	if len(*n) >= maxNeighbours {
		delete(*n, any)
	}
}
