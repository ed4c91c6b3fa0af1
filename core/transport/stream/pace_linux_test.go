package stream

import (
	"testing"
	"time"
)

// TestPace: the bound grows on a way that bears it, and shrinks on one that does not.
func TestPace(t *testing.T) {
	const best = 200 * time.Millisecond
	now := time.Now()
	step := func(p *pace, late time.Duration) {
		now = now.Add(time.Second)
		p.full = true
		p.adjust(now, held{packet: 1400, rtt: best + late, best: best})
	}
	p := &pace{bound: firstPace}
	for range 20 {
		if fast, _ := p.over(); fast {
			break
		}
		step(p, 0)
	}
	if fast, vain := p.over(); !fast || vain || p.slow() {
		t.Errorf("a way without queues: bound %d, fast %v, vain %v, slow %v", p.bound, fast, vain, p.slow())
	}
	p = &pace{bound: firstPace}
	step(p, time.Second)
	if p.bound >= firstPace || !p.slow() {
		t.Errorf("octets are a second late, and the bound is %d, slow %v", p.bound, p.slow())
	}
	for range 20 {
		step(p, time.Second)
	}
	if p.bound != leastPace {
		t.Errorf("the bound went down to %d, want %d", p.bound, leastPace)
	}
	was := p.bound
	step(p, paceLate) // as wanted
	if p.bound != was {
		t.Errorf("the bound changes without a reason to %d", p.bound)
	}
	p.full = false
	p.adjust(now, held{packet: 1400, rtt: best, best: best})
	if p.bound != was {
		t.Error("the bound grows though nobody has used it")
	}
	step(p, 0)
	if p.bound <= was {
		t.Error("the bound does not grow when the way is free")
	}
}

// TestPaceInVain: somebody else fills the queue, and stepping back does not help.
func TestPaceInVain(t *testing.T) {
	p := &pace{bound: leastPace}
	h := held{packet: 1400, rtt: 2 * time.Second, best: 100 * time.Millisecond}
	p.adjust(time.Now().Add(-paceVain-time.Second), h)
	if _, vain := p.over(); !vain {
		t.Error("pacing goes on for ever")
	}
	h.rtt = h.best + paceHeld/2
	p.adjust(time.Now(), h)
	if _, vain := p.over(); vain {
		t.Error("pacing is given up though octets are in time")
	}
}
