package memory

import "time"

// chance draws numbers for one direction of one link, or for the datagrams from
// one host to another: the n-th number is always the same. It must be guarded by
// its owner.
type chance struct {
	key uint64
	n   uint64
}

// What chance is drawn for.
const (
	drawDial uint64 = iota + 1
	drawLink
	drawDatagram
)

// newChance returns the source of one purpose and two hosts; which tells several
// links of the same two apart.
func (n *Network) newChance(purpose uint64, from, to string, which uint64) chance {
	h := mix(n.cfg.Seed + purpose*golden)
	h = mix(h ^ hash(from))
	h = mix(h ^ hash(to))
	return chance{key: mix(h + which*golden)}
}

// next draws 64 bits.
func (c *chance) next() uint64 {
	c.n++
	return mix(c.key + c.n*golden)
}

// below draws a duration from 0 up to, but not including, d.
func (c *chance) below(d time.Duration) time.Duration {
	return time.Duration(c.next() % uint64(d))
}

// happens draws whether something happens that does so with probability p.
func (c *chance) happens(p float64) bool {
	const bits = 53 // of a float64
	return p > 0 && float64(c.next()>>(64-bits)) < p*(1<<bits)
}

// delay draws how long a message takes one way, without losses.
func (n *Network) delay(c *chance) time.Duration {
	spread := max(n.cfg.Jitter, 0) + max(n.cfg.Spread, 0)
	if spread == 0 {
		return n.cfg.Latency
	}
	return n.cfg.Latency + c.below(spread)
}

// linkDelay draws how long a message on a link takes, with retransmission.
func (n *Network) linkDelay(c *chance) time.Duration {
	d := n.delay(c)
	if c.happens(n.cfg.LinkLoss) {
		d += Retransmission + n.cfg.Latency
	}
	return d
}

// golden is 2^64 divided by the golden ratio, the step of SplitMix64.
const golden = 0x9e3779b97f4a7c15

// mix is the finalizer of SplitMix64: every bit in changes half of the bits out.
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// hash is FNV-1a, 64 bits.
func hash(s string) uint64 {
	h := uint64(0xcbf29ce484222325)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 0x100000001b3
	}
	return h
}
