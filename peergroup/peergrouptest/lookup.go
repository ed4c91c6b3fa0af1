package peergrouptest

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/protocols/discovery"
)

// lookup is one search for the thing of one peer by another.
type lookup struct {
	asker, holder *member
	began         time.Time
	cost          *cost

	mu     sync.Mutex
	result outcome
	took   time.Duration
	from   id.Peer // who answered
	err    error
}

// outcome is how a lookup ended.
type outcome uint8

const (
	pending outcome = iota
	hit
	miss
)

func (l *lookup) state() outcome {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.result
}

// ended is when the lookup did; it has.
func (l *lookup) ended() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.began.Add(l.took)
}

// look begins to look for something.
func (r *run) look() {
	if len(r.up) < 2 {
		return
	}
	holder := r.up[r.rng.IntN(len(r.up))]
	asker := holder
	for range maxDraws {
		asker = r.up[r.rng.IntN(len(r.up))]
		if asker != holder && (!asker.rdv || r.rdvs == len(r.up)) {
			break
		}
		asker = holder
	}
	if asker == holder {
		return
	}
	l := &lookup{asker: asker, holder: holder, began: time.Now()}
	l.cost = r.tap.expect(asker.name, holder.adv.Name)
	r.lookups = append(r.lookups, l)
	r.ending.Go(l.run)
}

// maxDraws bounds the search for an edge that asks.
const maxDraws = 1000

// run looks, with the own cache left out.
func (l *lookup) run() {
	ctx, cancel := context.WithTimeout(context.Background(), lookFor)
	defer cancel()
	q := discovery.Query{Kind: advertisements.Advs, Attr: "Name", Value: l.holder.adv.Name, RemoteOnly: true}
	found, err := l.asker.Net().Discovery().FindOne(ctx, q)
	if p, ok := found.Adv.(*advertisements.Pipe); err == nil && ok && p.ID == l.holder.adv.ID {
		l.end(hit, found.From, nil)
		return
	}
	if errors.Is(err, discovery.ErrNotFound) {
		err = nil
	}
	l.end(miss, id.Peer{}, err)
}

func (l *lookup) end(result outcome, from id.Peer, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.result, l.took, l.from, l.err = result, time.Since(l.began), from, err
}

// Why a lookup does not count.
const (
	holderNew  = "the holder had come less than 10 s before"
	holderLeft = "the holder left before the end"
	askerLeft  = "the asker left before the end"
)

// counts returns why the lookup does not count, or "". The lookup has ended or
// hangs.
func (l *lookup) counts() string {
	end := time.Now()
	if l.state() != pending {
		end = l.ended()
	}
	left := func(m *member) bool { return !m.ended.IsZero() && !m.ended.After(end) }
	switch {
	case l.began.Sub(l.holder.began) < lookFor:
		return holderNew
	case left(l.holder):
		return holderLeft
	case left(l.asker):
		return askerLeft
	}
	return ""
}
