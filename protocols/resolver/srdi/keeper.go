// Package srdi is the shared resource distributed index of a group: which peer
// holds something with which value in which field.
//
// Edges tell their rendezvous what they hold. A rendezvous keeps that, and puts a
// copy of each entry where all rendezvous look for it: at the one that [Row.Place]
// names. A question for an exact value so takes one step to the copy and one to
// the holder, however many rendezvous there are. When the view of a rendezvous
// changes, it puts the entries whose place is another one now to the new place.
// Old copies stay until their time is over, or as long as there is room.
//
// JXSE 2.5 does the same but for this: it does not copy a rendezvous' own
// entries, it never places anything anew, it believes everybody who speaks for a
// holder, and nobody waits for an entry that comes a moment after the question.
package srdi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/advertisements/store"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/xmldoc"
	"github.com/juxta-p2p/juxta/protocols/rendezvous"
	"github.com/juxta-p2p/juxta/protocols/resolver"
	"github.com/juxta-p2p/juxta/protocols/resolver/budget"
)

// Config configures a [Keeper]. It is copied.
type Config struct {
	// Resolver carries the index messages in the group. Required.
	Resolver *resolver.Service

	// Handler is the name in the resolver of the service whose index it is.
	// Required.
	Handler string

	// Knows tells whether a primary key is one of the service; nil takes all.
	Knows func(primary string) bool

	// Accept tells whether an entry of such a key makes sense, and may change its
	// text to the usual spelling; nil takes all.
	Accept func(primary string, e *Entry) bool

	// Spread tells whether what edges say of a key is copied to other rendezvous;
	// nil means always.
	Spread func(primary string) bool

	// Own returns what this peer itself holds, by primary key, with the life that
	// is left; nil means nothing. It is copied to other rendezvous while this peer
	// is a rendezvous.
	Own func() map[string][]Entry

	// Came is called when something that was asked for by [Keeper.Wait] comes: the
	// query should be given to the holder, which may be this peer. It is called
	// for one after the other and may wait; its ctx ends with the keeper. nil
	// ignores it.
	Came func(ctx context.Context, q *resolver.RawQuery, holder id.Peer)

	// Learn is called with how to reach a holder of which another rendezvous tells:
	// through that rendezvous. nil ignores it. It must not block.
	Learn func(*advertisements.Route)

	// Logger may be nil.
	Logger *slog.Logger

	view   func() []id.Peer
	inView func(id.Peer) bool
}

// Keeper is the part of the index of one service in one group that a peer keeps.
// Its methods are safe for concurrent use. It has no goroutine unless there is
// something to do. Close it when done, before the resolver.
type Keeper struct {
	cfg    Config
	res    *resolver.Service
	rdv    *rendezvous.Service
	self   id.Peer
	log    *slog.Logger
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup
	stop   func() // watching the rendezvous

	clients *store.Index // what those say who lease here
	copies  *store.Index // what other rendezvous say, and what was learned otherwise
	pushers budget.Budget
	outbox  outbox
	waiting waiting
	stats   counters

	mu      sync.Mutex
	closed  bool
	known   []id.Peer // the view of which row is made
	row     *Row
	placed  *Row      // by which everything was placed
	passed  time.Time // when
	passing bool
	timer   *time.Timer // until the next time; nil if none
	due     time.Time
}

type counters struct {
	indexed, copied, sent, replaced, unsent, outdated, malformed, foreign, overBudget, refused, waited, came, waitFull atomic.Uint64
}

// Stats counts what a [Keeper] did since it was made, and what it holds.
type Stats struct {
	Clients store.IndexStats // what those who lease here say
	Copies  store.IndexStats // what other rendezvous say, and what was learned otherwise
	Queued  int              // entries that wait to be sent to other rendezvous

	Indexed  uint64 // entries taken from others, copies included
	Copied   uint64 // of these, copies
	Sent     uint64 // index messages sent to other rendezvous
	Replaced uint64 // entries that were placed anew since the view had changed, or for a day
	Waited   uint64 // questions remembered until something comes
	Came     uint64 // times that something did

	DroppedMalformed  uint64 // index messages that cannot be read, or are of another service
	DroppedForeign    uint64 // index messages from somebody who may not speak for the holder
	DroppedOverBudget uint64 // index messages beyond what one peer may send
	DroppedRefused    uint64 // entries for which there is no room, or that make no sense
	DroppedWaiting    uint64 // questions that were not remembered, for want of room, and answers to them that could not be given
	Outdated          uint64 // entries not sent since this peer is no rendezvous any more
	Unsent            uint64 // entries that could not be sent to another rendezvous, or for which there was no room in the queue
}

// Stats returns the counters.
func (k *Keeper) Stats() Stats {
	c := &k.stats
	k.outbox.mu.Lock()
	queued := k.outbox.queued
	k.outbox.mu.Unlock()
	return Stats{
		Clients: k.clients.Stats(), Copies: k.copies.Stats(), Queued: queued,
		Indexed: c.indexed.Load(), Copied: c.copied.Load(), Sent: c.sent.Load(), Replaced: c.replaced.Load(),
		Waited: c.waited.Load(), Came: c.came.Load(), DroppedMalformed: c.malformed.Load(),
		DroppedForeign: c.foreign.Load(), DroppedOverBudget: c.overBudget.Load(), DroppedRefused: c.refused.Load(),
		DroppedWaiting: c.waitFull.Load(), Outdated: c.outdated.Load(), Unsent: c.unsent.Load(),
	}
}

// New makes a keeper. Whoever registers the handler gives its index messages to
// [Keeper.Receive].
func New(cfg Config) (*Keeper, error) {
	if cfg.Resolver == nil || cfg.Handler == "" {
		return nil, errors.New("srdi: Config.Resolver or Config.Handler is not set")
	}
	rdv := cfg.Resolver.Rendezvous()
	if cfg.Knows == nil {
		cfg.Knows = func(string) bool { return true }
	}
	if cfg.Accept == nil {
		cfg.Accept = func(string, *Entry) bool { return true }
	}
	if cfg.Spread == nil {
		cfg.Spread = func(string) bool { return true }
	}
	if cfg.Own == nil {
		cfg.Own = func() map[string][]Entry { return nil }
	}
	if cfg.Came == nil {
		cfg.Came = func(context.Context, *resolver.RawQuery, id.Peer) {}
	}
	if cfg.Learn == nil {
		cfg.Learn = func(*advertisements.Route) {}
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.view == nil {
		cfg.view, cfg.inView = rdv.View, rdv.InView
	}
	k := &Keeper{
		cfg: cfg, res: cfg.Resolver, rdv: rdv, self: cfg.Resolver.Peer(), log: cfg.Logger,
		clients: store.NewIndex(store.IndexConfig{}), copies: store.NewIndex(store.IndexConfig{}),
		pushers: budget.Budget{Rate: pushRate, Burst: pushBurst},
	}
	k.outbox.k = k
	k.ctx, k.cancel = context.WithCancel(context.Background())
	k.stop = rdv.Watch(k.changed)
	if rdv.Role() == rendezvous.Rendezvous {
		k.placeSoon()
	}
	return k, nil
}

// Close ends what is under way and returns when no goroutine is left. It is
// idempotent.
func (k *Keeper) Close() {
	k.mu.Lock()
	k.closed = true
	if k.timer != nil {
		k.timer.Stop()
	}
	k.mu.Unlock()
	k.stop()
	k.cancel()
	k.outbox.clear()
	k.wg.Wait()
}

// goTask runs f on a goroutine that Close waits for. It reports false when the
// keeper is closed.
func (k *Keeper) goTask(f func(ctx context.Context)) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed {
		return false
	}
	k.wg.Go(func() { f(k.ctx) })
	return true
}

// changed follows the leases, the view and the role. It is called by whoever
// changes them and does not wait.
func (k *Keeper) changed(ev rendezvous.Event) {
	switch ev.Kind {
	case rendezvous.ClientStayed:
		k.clients.Renew(ev.Peer)
	case rendezvous.ClientLeft:
		if !k.rdv.HasClient(ev.Peer) { // it may be back already, with new entries
			k.clients.RemoveHolder(ev.Peer)
		}
	case rendezvous.ViewJoined, rendezvous.ViewLeft:
		k.placeSoon()
	case rendezvous.RoleChanged:
		if k.rdv.Role() == rendezvous.Rendezvous {
			k.placeSoon()
			return
		}
		k.mu.Lock()
		k.placed, k.row, k.known = nil, nil, nil
		if k.timer != nil {
			k.timer.Stop()
			k.timer = nil
		}
		k.mu.Unlock()
		k.clients.Clear()
		k.copies.Clear()
		k.stats.outdated.Add(uint64(k.outbox.clear()))
		k.waiting.clear()
	}
}

// Row returns the rendezvous that this one knows, itself among them; nil unless
// this peer is one.
func (k *Keeper) Row() *Row {
	if k.rdv.Role() != rendezvous.Rendezvous {
		return nil
	}
	view := k.cfg.view()
	k.mu.Lock()
	defer k.mu.Unlock()
	same := k.row != nil && len(view) == len(k.known) && (len(view) == 0 || &view[0] == &k.known[0])
	if !same {
		at, _ := slices.BinarySearchFunc(view, k.self, order)
		k.known, k.row = view, NewRow(slices.Insert(slices.Clone(view), at, k.self)...)
	}
	return k.row
}

// Place returns the rendezvous at which a question for an exact value finds what
// all rendezvous know. It reports false if there are no copies, or this peer is
// no rendezvous.
func (k *Keeper) Place(primary, name, value string) (id.Peer, bool) {
	return k.Row().Place(primary, name, value)
}

// Find returns peers that have said that they hold something that fits, at most
// limit, first those that lease here; see [store.Index.Find].
func (k *Keeper) Find(primary, name, value string, limit int) []id.Peer {
	found := k.Leased(primary, name, value, limit)
	for _, p := range k.copies.Find(primary, name, value, limit) {
		if !slices.Contains(found, p) {
			found = append(found, p)
		}
	}
	return found
}

// Leased is [Keeper.Find] among the peers that lease here.
func (k *Keeper) Leased(primary, name, value string, limit int) []id.Peer {
	return k.rdv.OnlyClients(k.clients.Find(primary, name, value, limit)) // an entry may outlive the lease for a moment
}

// Held returns how many entries a peer that leases here has.
func (k *Keeper) Held(p id.Peer) int { return k.clients.Held(p) }

// Remember enters what was learned otherwise, until the end. An entry that lives
// longer already stays as it is.
func (k *Keeper) Remember(primary, name, value string, holder id.Peer, end time.Time) {
	if slices.Contains(k.Find(primary, name, value, 0), holder) && k.rdv.Role() == rendezvous.Rendezvous {
		return
	}
	if err := k.copies.Add(primary, name, value, holder, end); err != nil {
		k.stats.refused.Add(1)
		k.log.Debug("an index entry is not remembered", "holder", holder.Short(), "error", err)
	}
}

// Count returns how many entries there are whose time is not over.
func (k *Keeper) Count() int { return k.clients.Count() + k.copies.Count() }

// Forget removes one entry of a holder, which says so.
func (k *Keeper) Forget(primary, name, value string, holder id.Peer) {
	_ = k.clients.Add(primary, name, value, holder, time.Time{}) // withdrawing cannot fail
	_ = k.copies.Add(primary, name, value, holder, time.Time{})
}

// Drop removes all entries of a holder that cannot be reached.
func (k *Keeper) Drop(holder id.Peer) {
	k.clients.RemoveHolder(holder)
	k.copies.RemoveHolder(holder)
}

// Receive takes what a peer says it holds. A rendezvous takes it from the peer
// itself, if it leases here, and from other rendezvous of its view what they
// copy; nobody else may speak for a holder, whatever JXSE believes.
func (k *Keeper) Receive(_ context.Context, x *resolver.Index) {
	if k.rdv.Role() != rendezvous.Rendezvous {
		k.stats.foreign.Add(1)
		return
	}
	if !k.pushers.Spend(x.From, len(x.Payload)) {
		k.stats.overBudget.Add(1)
		return
	}
	p, err := Read(x.Payload)
	if err == nil && !k.cfg.Knows(p.Primary) {
		err = fmt.Errorf("srdi: primary key %q: %w", p.Primary, xmldoc.ErrRoot)
	}
	if err != nil {
		k.stats.malformed.Add(1)
		k.log.Debug("index message dropped", "from", x.From.Short(), "error", err)
		return
	}
	switch {
	case p.Holder == x.From && k.rdv.HasClient(x.From):
		k.enter(k.clients, p)
		if p.TTL >= 1 && k.cfg.Spread(p.Primary) {
			k.spread(p.Holder, p.Primary, p.Entries)
		}
	case p.Holder != k.self && p.TTL <= 0 && k.cfg.inView(x.From):
		k.stats.copied.Add(uint64(k.enter(k.copies, p)))
		if p.Holder != x.From && !k.rdv.HasClient(p.Holder) {
			// Not known better, a question goes to it through the one it leases from,
			// and the group is not asked for a way.
			k.cfg.Learn(&advertisements.Route{Dest: p.Holder, Hops: []advertisements.AccessPoint{{Peer: x.From}}})
		}
	default:
		k.stats.foreign.Add(1)
		k.log.Debug("index entries of somebody else dropped", "from", x.From.Short(), "holder", p.Holder.Short())
	}
}

// enter puts the entries into an index, leaves in the push those that were taken,
// and returns how many those are.
func (k *Keeper) enter(index *store.Index, p *Push) int {
	now := time.Now()
	taken := p.Entries[:0]
	for _, e := range p.Entries {
		var err error
		if !k.cfg.Accept(p.Primary, &e) {
			err = store.ErrInvalid
		} else {
			err = index.Add(p.Primary, e.Name, e.Value, p.Holder, store.Deadline(now, e.Millis))
		}
		if err != nil {
			k.stats.refused.Add(1)
			k.log.Debug("index entry refused", "holder", p.Holder.Short(), "error", err)
			continue
		}
		taken = append(taken, e)
	}
	p.Entries = taken
	k.stats.indexed.Add(uint64(len(taken)))
	k.came(p.Primary, p.Entries, p.Holder)
	return len(taken)
}
