package srdi

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/protocols/rendezvous"
	"github.com/juxta-p2p/juxta/protocols/resolver"
)

// waiting holds the questions that found nothing a moment ago, and what has come
// for them. The zero value is ready for use.
type waiting struct {
	mu      sync.Mutex
	by      map[entryKey][]*question
	of      map[id.Peer]int // questions of one asker
	order   []*question     // oldest first
	coming  []arrival
	running bool
}

type entryKey struct{ primary, name, value string }

type question struct {
	key   entryKey
	q     *resolver.RawQuery
	until time.Time
}

// arrival is a holder that has what was asked for.
type arrival struct {
	q      *resolver.RawQuery
	holder id.Peer
}

// Wait remembers for a few seconds that nothing was found for a query for an
// exact value; what comes meanwhile is given to Config.Came. So whoever asks a
// moment before something is announced need not ask again. Call it before
// looking into the index for the last time. Only rendezvous are told what comes;
// elsewhere it does nothing.
func (k *Keeper) Wait(q *resolver.RawQuery, primary, name, value string) {
	if k.rdv.Role() != rendezvous.Rendezvous {
		return // nobody tells anything
	}
	now := time.Now()
	w := &k.waiting
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sweep(now)
	if len(w.order) >= maxWaiting || w.of[q.Source] >= maxWaitingOf {
		k.stats.waitFull.Add(1)
		return
	}
	if w.by == nil {
		w.by, w.of = map[entryKey][]*question{}, map[id.Peer]int{}
	}
	x := &question{entryKey{primary, name, value}, q, now.Add(waitFor)}
	if slices.ContainsFunc(w.by[x.key], func(y *question) bool { return y.q.Source == q.Source && y.q.ID == q.ID }) {
		return
	}
	w.by[x.key] = append(w.by[x.key], x)
	w.of[q.Source]++
	w.order = append(w.order, x)
	k.stats.waited.Add(1)
}

// sweep forgets the questions whose time is over. w.mu is held.
func (w *waiting) sweep(now time.Time) {
	for len(w.order) > 0 && !now.Before(w.order[0].until) {
		x := w.order[0]
		w.order[0] = nil // not to be kept alive by the array
		w.order = w.order[1:]
		if rest := w.by[x.key][1:]; len(rest) > 0 { // in the same order
			w.by[x.key] = rest
		} else {
			delete(w.by, x.key)
		}
		if w.of[x.q.Source]--; w.of[x.q.Source] == 0 {
			delete(w.of, x.q.Source)
		}
	}
}

func (w *waiting) clear() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.by, w.of, w.order = nil, nil, nil
}

// came gives entries to those who wait for them.
func (k *Keeper) came(primary string, entries []Entry, holder id.Peer) {
	w := &k.waiting
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.order) == 0 {
		return
	}
	w.sweep(time.Now())
	for _, e := range entries {
		if e.Millis <= 0 {
			continue
		}
		for _, x := range w.by[entryKey{primary, e.Name, e.Value}] {
			if x.q.Source == holder {
				continue
			}
			if len(w.coming) >= maxComing {
				k.stats.waitFull.Add(1)
				continue
			}
			w.coming = append(w.coming, arrival{x.q, holder})
			k.stats.came.Add(1)
		}
	}
	if len(w.coming) > 0 && !w.running {
		w.running = k.goTask(k.deliver)
	}
}

// deliver gives away what has come.
func (k *Keeper) deliver(ctx context.Context) {
	w := &k.waiting
	for {
		w.mu.Lock()
		if len(w.coming) == 0 || ctx.Err() != nil {
			w.coming, w.running = nil, false
			w.mu.Unlock()
			return
		}
		a := w.coming[0]
		w.coming[0] = arrival{} // not to be kept alive by the array
		w.coming = w.coming[1:]
		w.mu.Unlock()
		k.cfg.Came(ctx, a.q, a.holder)
	}
}
