package multicast

import (
	"net/netip"
	"time"
)

// limiter bounds the datagrams a second of each source and of all together. It
// serves one goroutine.
type limiter struct {
	perSource, total float64 // a second, and at once after a pause
	all              bucket
	sources          map[netip.Addr]*bucket
	swept            time.Time
}

// bucket holds what may come at once.
type bucket struct {
	tokens float64
	at     time.Time // when tokens was right
}

func newLimiter(perSource, total int) limiter {
	return limiter{perSource: float64(perSource), total: float64(total), sources: map[netip.Addr]*bucket{}}
}

// verdict says whether a datagram may be looked at.
type verdict uint8

const (
	allowed  verdict = iota
	overRate         // its source, or all together, send too much
	tooMany          // there are too many sources to know the rate of this one
)

// allow reports whether a datagram from ip may be looked at. One source above
// its rate does not use up that of all.
func (l *limiter) allow(ip netip.Addr, now time.Time) verdict {
	b := l.sources[ip]
	if b == nil {
		if len(l.sources) >= maxSources && !l.sweep(now) {
			return tooMany
		}
		b = &bucket{}
		l.sources[ip] = b
	}
	if b.take(now, l.perSource) && l.all.take(now, l.total) {
		return allowed
	}
	return overRate
}

// sweep forgets the sources that were silent for a second, whose buckets are
// full again, and reports whether that made room. It looks once a second.
func (l *limiter) sweep(now time.Time) bool {
	if now.Sub(l.swept) < time.Second {
		return false
	}
	l.swept = now
	for ip, b := range l.sources {
		if now.Sub(b.at) >= time.Second {
			delete(l.sources, ip)
		}
	}
	return len(l.sources) < maxSources
}

// take takes one token if there is one. A new bucket is full.
func (b *bucket) take(now time.Time, rate float64) bool {
	if b.at.IsZero() {
		b.tokens = rate
	} else {
		b.tokens = min(rate, b.tokens+rate*now.Sub(b.at).Seconds())
	}
	b.at = now
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}
