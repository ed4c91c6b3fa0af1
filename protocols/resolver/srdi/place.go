package srdi

import (
	"context"
	"time"

	"github.com/juxta-p2p/juxta/advertisements/store"
	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/protocols/rendezvous"
)

// Announce puts entries of this peer itself where others look for them, or takes
// them back, if it is a rendezvous. It does not wait.
func (k *Keeper) Announce(primary string, entries []Entry) {
	if k.rdv.Role() != rendezvous.Rendezvous {
		return
	}
	k.came(primary, entries, k.self)
	k.spread(k.self, primary, entries)
}

// spread sends each entry to the rendezvous where others will look for it. While
// the view has changed and not everything is placed anew, that is the old place
// as well: if the view changes back, the entries must be there.
func (k *Keeper) spread(holder id.Peer, primary string, entries []Entry) {
	row := k.Row()
	k.mu.Lock()
	placed := k.placed
	k.mu.Unlock()
	to := map[id.Peer][]Entry{}
	for _, e := range entries {
		at, ok := row.Place(primary, e.Name, e.Value)
		if ok && at != k.self {
			to[at] = append(to[at], e)
		}
		if placed == row {
			continue
		}
		before, ok := placed.Place(primary, e.Name, e.Value)
		if ok && before != at && before != k.self && k.cfg.inView(before) {
			to[before] = append(to[before], e)
		}
	}
	for at, part := range to {
		k.post(at, holder, primary, part)
	}
}

// Flush returns when everything announced so far was sent, or ctx ends.
func (k *Keeper) Flush(ctx context.Context) { k.outbox.wait(ctx, 1) }

// post queues entries for another rendezvous.
func (k *Keeper) post(to, holder id.Peer, primary string, entries []Entry) {
	if !k.outbox.put(to, holder, primary, entries) {
		k.stats.unsent.Add(uint64(len(entries)))
		k.log.Warn("too many index entries wait to be sent", "to", to.Short(), "entries", len(entries))
	}
}

// send sends one message, and returns how many octets of index it took.
func (k *Keeper) send(ctx context.Context, to id.Peer, p *parcel) (int, error) {
	x, err := (&Push{Holder: p.key.holder, Primary: p.key.primary, Entries: p.entries}).Message(k.cfg.Handler)
	if err != nil {
		k.log.Error("index entries cannot be printed", "error", err)
		return 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	if err := k.res.SendIndex(endpoint.KnownWays(ctx), to, x); err != nil {
		k.log.Debug("copying index entries failed", "to", to.Short(), "error", err)
		return 0, err
	}
	k.stats.sent.Add(1)
	return len(x.Payload), nil
}

// placeSoon has everything placed anew: a moment after the first change, but some
// time after the last time.
func (k *Keeper) placeSoon() {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := time.Now()
	at := now.Add(settleFor)
	if next := k.passed.Add(replaceEvery); next.After(at) {
		at = next
	}
	k.placeAt(at)
}

// placeAt has everything placed anew at a time, unless that happens sooner. k.mu
// is held.
func (k *Keeper) placeAt(at time.Time) {
	if k.closed || k.passing || k.timer != nil && !at.Before(k.due) {
		return
	}
	if k.timer != nil {
		k.timer.Stop()
	}
	k.due = at
	var mine *time.Timer
	mine = time.AfterFunc(time.Until(at), func() {
		k.mu.Lock()
		current := k.timer == mine && !k.closed
		if current {
			k.timer, k.passing = nil, true
			k.wg.Add(1)
		}
		k.mu.Unlock()
		if current {
			defer k.wg.Done()
			k.place()
		}
	})
	k.timer = mine
}

// place sends every entry whose place is another one than last time to it, or
// all of them if that was long ago.
func (k *Keeper) place() {
	row := k.Row()
	k.mu.Lock()
	old := k.placed
	if time.Since(k.passed) >= refreshEvery {
		old = nil
	}
	k.placed, k.passed = row, time.Now()
	k.mu.Unlock()

	if row.Size() >= Threshold && row != old {
		for primary, entries := range k.cfg.Own() {
			k.move(old, row, k.self, primary, entries)
		}
		for _, holder := range k.clients.Holders() {
			if !k.outbox.wait(k.ctx, roomy) {
				break
			}
			if !k.rdv.HasClient(holder) {
				continue
			}
			for primary, entries := range k.entriesOf(holder) {
				k.move(old, row, holder, primary, entries)
			}
		}
		k.makeRoom(row)
	}

	again := k.Row() != row
	k.mu.Lock()
	k.passing = false
	switch {
	case row == nil:
		if again {
			k.placeAt(k.passed.Add(settleFor))
		}
	case again:
		k.placeAt(k.passed.Add(replaceEvery))
	default:
		k.placeAt(k.passed.Add(refreshEvery))
	}
	k.mu.Unlock()
}

// entriesOf returns what a client has and is to be copied, by primary key.
func (k *Keeper) entriesOf(holder id.Peer) map[string][]Entry {
	now := time.Now()
	all := map[string][]Entry{}
	for _, e := range k.clients.All(holder) {
		if k.cfg.Spread(e.Primary) {
			all[e.Primary] = append(all[e.Primary], Entry{Name: e.Secondary, Value: e.Value, Millis: store.Remaining(now, e.End)})
		}
	}
	return all
}

// move queues those of a holder's entries that have another place in the new row.
func (k *Keeper) move(old, row *Row, holder id.Peer, primary string, entries []Entry) {
	to := map[id.Peer][]Entry{}
	n := 0
	for _, e := range entries {
		at, ok := row.Place(primary, e.Name, e.Value)
		if !ok || at == k.self {
			continue
		}
		if before, ok := old.Place(primary, e.Name, e.Value); ok && before == at {
			continue
		}
		to[at] = append(to[at], e)
		n++
	}
	k.stats.replaced.Add(uint64(n))
	for at, part := range to {
		k.post(at, holder, primary, part)
	}
}

// makeRoom removes copies that have their place elsewhere now, if there is not
// much room left: otherwise they stay, for rendezvous that do not know of the
// change yet.
func (k *Keeper) makeRoom(row *Row) {
	if k.copies.Stats().Entries < store.DefaultIndexEntries/2 {
		return
	}
	for _, holder := range k.copies.Holders() {
		k.copies.Keep(holder, func(primary, name, value string) bool {
			at, ok := row.Place(primary, name, value)
			return !ok || at == k.self
		})
	}
}
