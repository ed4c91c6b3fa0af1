package relay

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/event"
	"github.com/juxta-p2p/juxta/core/id"
)

// ClientConfig configures a [Client]. It is copied.
type ClientConfig struct {
	// Scope is the endpoint in the net group. Required.
	Scope endpoint.Scope

	// Seeds returns the addresses of relays to ask: of a transport, or jxta://
	// ones for which Connect is used. Their order does not count. It must not
	// wait. Required.
	Seeds func() []endpoint.Address

	// Connect opens a link to a peer of which an address is known; see
	// routing.Router. nil means that jxta:// seeds are passed over.
	Connect func(ctx context.Context, p id.Peer) (endpoint.Link, error)

	// Changed is called when the relays at which leases are held are others than
	// before, with all of them, the one that works best first; they belong into
	// the own route. Calls come one after the other. It is not called because of
	// [Client.Close]. nil ignores it.
	Changed func([]advertisements.AccessPoint)

	// Relays is at how many relays leases are held at the same time. Zero means
	// 2, the most is 4.
	Relays int

	// Lease is how long a lease is asked for. Zero means an hour, and relays do
	// not grant more.
	Lease time.Duration

	// Dormant starts without looking for a relay, until [Client.SetWanted].
	Dormant bool

	// Rand makes choices and jitter repeatable; nil draws from the system.
	Rand *rand.Rand

	// Logger may be nil.
	Logger *slog.Logger
}

// Client holds leases at relays for a peer that others cannot dial. It renews them,
// opens broken links anew at once, and goes to another relay when one is lost. It
// costs a goroutine for each relay while leases are wanted, and none otherwise. Its
// methods are safe for concurrent use. Close it when done.
//
// With a Juxta relay it shares the link that there is, and asks by message. With a
// JXSE relay it opens a link of its own, whose address holds the request, since
// that is how JXSE takes new clients.
//
// A peer that is a relay itself can be a client of others, but not of its own
// clients.
type Client struct {
	cfg    ClientConfig
	scope  endpoint.Scope
	ep     *endpoint.Endpoint
	self   id.Peer
	log    *slog.Logger
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup
	stop   func() // ends watching links
	events event.Hub[ClientEvent]
	stats  clientCounters

	mu       sync.Mutex
	rng      *rand.Rand
	term     *term                        // nil while no leases are wanted
	before   *term                        // the one that ended last
	referred []advertisements.AccessPoint // relays that others told of, the latest last
	where    map[endpoint.Address]id.Peer // who answered there
	silent   map[id.Peer]bool             // who did not answer to a request
	closed   bool
}

// ClientEvent tells a change of a client's leases.
type ClientEvent struct {
	Kind  ClientEventKind
	Relay id.Peer
	Err   error // for Lost: a *LeaseError, or nil if the lease was given back
}

// ClientEventKind says what happened.
type ClientEventKind uint8

// What can happen.
const (
	Leased  ClientEventKind = iota + 1 // a relay granted a lease
	Renewed                            // and prolonged it
	Broken                             // the link to it broke; it is opened anew
	Lost                               // the lease is over
)

// term is a time in which leases are wanted.
type term struct {
	ctx     context.Context
	cancel  context.CancelFunc
	done    chan struct{} // closed when all of it has ended
	changed chan struct{} // wakes who tells of changes
	slots   []*slot       // one for each lease; Client.mu guards them
}

// slot is the place of one lease.
type slot struct {
	kick    chan struct{} // ends a pause
	asking  id.Peer       // the relay that is asked, or leased from
	holding *holding      // nil without a lease
	trying  *holding      // what may become one
	err     error         // why there is none
	next    time.Time     // when it is tried again; zero while it is
}

// NewClient begins to look for relays, unless the configuration says otherwise.
func NewClient(cfg ClientConfig) (*Client, error) {
	if cfg.Seeds == nil {
		return nil, errors.New("relay: ClientConfig.Seeds is not set")
	}
	if cfg.Relays <= 0 {
		cfg.Relays = defaultRelays
	}
	cfg.Relays = min(cfg.Relays, maxRelays)
	if cfg.Lease <= 0 {
		cfg.Lease = DefaultMaxLease
	}
	if cfg.Changed == nil {
		cfg.Changed = func([]advertisements.AccessPoint) {}
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	c := &Client{
		cfg: cfg, scope: cfg.Scope, ep: cfg.Scope.Endpoint(), self: cfg.Scope.Peer(), log: cfg.Logger,
		rng: cfg.Rand, where: map[endpoint.Address]id.Peer{}, silent: map[id.Peer]bool{},
	}
	if c.rng == nil {
		c.rng = rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))
	}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.stop = c.ep.Watch(c.linkChanged)
	c.SetWanted(!cfg.Dormant)
	return c, nil
}

// Close gives the leases back and returns when no goroutine of the client is left.
// It is idempotent.
func (c *Client) Close() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.cancel()
	c.wg.Wait()
	c.stop()
}

// SetWanted says whether leases are wanted. Those that are not are given back. It
// does not wait.
func (c *Client) SetWanted(on bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closed || on == (c.term != nil):
	case !on:
		c.term.cancel()
		c.before, c.term = c.term, nil
	default:
		t := &term{done: make(chan struct{}), changed: make(chan struct{}, 1)}
		t.ctx, t.cancel = context.WithCancel(c.ctx)
		for range c.cfg.Relays {
			t.slots = append(t.slots, &slot{kick: make(chan struct{}, 1)})
		}
		before := c.before
		c.term, c.before = t, nil
		c.wg.Go(func() { c.serve(t, before) })
	}
}

// serve holds leases for one term, when the one before it has ended.
func (c *Client) serve(t, before *term) {
	defer close(t.done)
	defer t.cancel()
	if before != nil {
		<-before.done
	}
	var slots sync.WaitGroup
	for i, s := range t.slots {
		slots.Go(func() { c.fill(t, s, i == 0) })
	}
	var last []advertisements.AccessPoint
	tell := func(now []advertisements.AccessPoint) {
		if !slices.EqualFunc(last, now, equalHop) {
			last = now
			c.cfg.Changed(slices.Clone(now))
		}
	}
	for t.ctx.Err() == nil {
		select {
		case <-t.ctx.Done():
		case <-t.changed:
			tell(c.hops(t))
		}
	}
	slots.Wait()
	if c.ctx.Err() == nil {
		tell(nil)
	}
}

func equalHop(a, b advertisements.AccessPoint) bool {
	return a.Peer == b.Peer && slices.Equal(a.Addresses, b.Addresses)
}

// Wake is to be called when the machine has slept, or its network or the seeds have
// changed: relays are asked at once whether the leases still hold, and looked for
// without a pause.
func (c *Client) Wake() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.term == nil {
		return
	}
	for _, s := range c.term.slots {
		wake(s.kick)
		if s.holding != nil {
			wake(s.holding.woken)
		}
	}
}

// wake puts a note into a channel that holds one.
func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Watch has f called with each event from now on, until stop is called. f must not
// wait, nor call the client.
func (c *Client) Watch(f func(ClientEvent)) (stop func()) { return c.events.Watch(f) }

// Status tells how things stand with the leases of a client.
type Status struct {
	Wanted bool
	Leases []Lease       // the one that works best first
	Err    error         // why there is no lease, or none at a further relay; nil if there is nothing to tell
	Next   time.Duration // until relays are looked for again; zero if they are, or need not be
}

// Lease describes a lease at a relay.
type Lease struct {
	Relay    id.Peer
	Name     string
	Address  endpoint.Address // at which it was dialled
	Hop      advertisements.AccessPoint
	Linked   bool // the link to it is open, and it answered when it was last asked
	Obtained time.Time
	Left     time.Duration // until it ends, with a margin
	Renewal  time.Duration // until it is renewed
}

// Status returns how things stand.
func (c *Client) Status() Status {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.term == nil {
		return Status{}
	}
	st := Status{Wanted: true}
	now := time.Now()
	for _, s := range c.term.slots {
		if s.holding == nil && s.err != nil && st.Err == nil {
			st.Err = s.err
			if s.next.After(now) {
				st.Next = s.next.Sub(now)
			}
		}
	}
	for _, h := range c.term.holdings() {
		st.Leases = append(st.Leases, Lease{
			Relay: h.peer, Name: h.name, Address: h.addr, Hop: h.hop, Linked: !h.away, Obtained: h.since,
			Left: max(h.until.Sub(now), 0), Renewal: max(h.due.Sub(now), 0),
		})
	}
	return st
}

// holdings returns the leases, the one that works best first. Client.mu is held.
func (t *term) holdings() []*holding {
	var all []*holding
	for _, s := range t.slots {
		if s.holding != nil {
			all = append(all, s.holding)
		}
	}
	slices.SortStableFunc(all, func(a, b *holding) int {
		switch {
		case a.away == b.away:
			return a.since.Compare(b.since)
		case a.away:
			return 1
		}
		return -1
	})
	return all
}

// hops returns the relays as they belong into the own route.
func (c *Client) hops(t *term) []advertisements.AccessPoint {
	c.mu.Lock()
	defer c.mu.Unlock()
	var hops []advertisements.AccessPoint
	for _, h := range t.holdings() {
		hops = append(hops, h.hop)
	}
	return hops
}

// linkChanged notices that the link of a lease is gone.
func (c *Client) linkChanged(ev endpoint.LinkEvent) {
	if ev.Up {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.term == nil {
		return
	}
	for _, s := range c.term.slots {
		for _, h := range []*holding{s.holding, s.trying} {
			if h != nil && h.link == ev.Link {
				wake(h.down)
			}
		}
	}
}
