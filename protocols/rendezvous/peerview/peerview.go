// Package peerview is the view that the rendezvous of one group keep of each
// other: who is there, in one order for all, so that messages can walk from one
// to the next and index entries have a place that everybody computes alike.
//
// Views are loosely consistent. Members probe each other, tell each other of
// further ones, and notice who is gone; nobody is in charge. JXTA v2
// specification, "Rendezvous Protocol", as JXSE 2.5 speaks it, with these
// differences:
//
//   - Only a peer itself makes itself a member, by a message over its own link.
//     What others tell of it, what comes over a propagate pipe or through routers
//     in between, at most causes a probe, within budgets. JXSE believes all of it.
//   - The group and the service that an advertisement names must be those of the
//     view. JXSE compares neither.
//   - A failure notice removes only its sender. About anybody else it is a hint.
//   - Probes tell what the prober knows and was told of, in elements that JXSE
//     ignores, and are answered with up to 16 members that it lacks instead of a
//     random one. A prober leaves them out while it was told of more than it can
//     probe at the moment. So a new rendezvous has met everybody after about one
//     exchange with each: 100 that start together in seconds, 500 in some ten.
//   - Whoever finds in a probe that the prober knows more asks it in turn.
//   - Members that were lost are remembered and looked for, so that the halves of
//     a network that was cut find together again.
//
// # Traffic
//
// An exchange, probe and response, refreshes both sides. Each pair has one in
// every refresh period, which begins anew with it, so that in a calm group of n
// rendezvous each sends (n-1)/2 probes and as many responses in some 4 minutes:
// 0.4 messages a second for n = 100. To these come one exchange in 30 s with
// the next member in either direction, and a probe and a referral in 48 s to
// members at random. A probe has 4 octets for each member beside the 1 or 2 KiB
// of the advertisement. All in all a group of n costs about n²/4 exchanges in
// 4 minutes; that, and a link for each pair, is what bounds the size of views.
package peerview

import (
	"context"
	"errors"
	"hash/maphash"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/event"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/message"
)

// Config configures a [View]. It is copied. The functions may be called from any
// goroutine, also from several at once.
type Config struct {
	// Scope is the endpoint in the group. Required.
	Scope endpoint.Scope

	// Self returns the own rendezvous advertisement, with the group, the service
	// [advertisements.RendezvousService] and a route; it must not be changed
	// afterwards. Required.
	Self func() *advertisements.Rendezvous

	// Seeds returns addresses at which rendezvous may be, of a transport or
	// jxta:// ones; the first 1024 count. Nil means none. It must not wait.
	Seeds func() []endpoint.Address

	// Connect returns a link to a peer of which an address is known, and asks
	// nobody else; see routing.Router. Nil means that the endpoint's router
	// carries all messages. A peer whose advertisement has no address that can be
	// dialled is left to the router in any case.
	Connect func(ctx context.Context, p id.Peer) (endpoint.Link, error)

	// Learn is called with the route of each member, which it told itself, and
	// Hear with those that others told, before they are tried. Nil ignores
	// them; without Hear they go to Learn. Neither must block.
	Learn, Hear func(*advertisements.Route)

	// Met is called with the advertisement of each new member before its event,
	// and of members that are heard again, if it has changed or else every few
	// minutes. It must not be changed. Nil ignores it. It must not block.
	Met func(adv *advertisements.Rendezvous)

	// Shout gives a message to the propagate pipe of the view, see [PipeID]. It
	// may take 5 s. Nil means that there is none.
	Shout func(ctx context.Context, msg *message.Message)

	// Accept tells whether a peer may be in the view; nil accepts all. It is
	// called with every advertisement that comes in and must not block.
	Accept func(adv *advertisements.Rendezvous) bool

	// Limit bounds the members. Zero means [DefaultLimit].
	Limit int

	// Rand makes jitter and choices repeatable; nil draws from the system.
	Rand *rand.Rand

	// Logger may be nil.
	Logger *slog.Logger
}

// Kind says what happened to a member.
type Kind uint8

// What can happen.
const (
	Joined Kind = iota + 1 // the peer is in the view now
	Left                   // and no longer
)

// String returns the name of the kind.
func (k Kind) String() string {
	switch k {
	case Joined:
		return "joined"
	case Left:
		return "left"
	}
	return "nothing"
}

// Event tells a change of the view.
type Event struct {
	Kind Kind
	Peer id.Peer
	Why  string // that it left, in a few words
}

// View is the view of one rendezvous. Its methods are safe for concurrent use.
// Close it when done.
type View struct {
	cfg     Config
	scope   endpoint.Scope
	ep      *endpoint.Endpoint
	self    id.Peer
	group   id.Group
	param   string // unique value of the group
	service string // of the advertisements
	print   uint32 // own fingerprint
	log     *slog.Logger
	ctx     context.Context
	cancel  context.CancelFunc
	wg      sync.WaitGroup
	undo    []func()
	wake    chan struct{} // of the clock
	done    chan struct{} // closed when everything is over
	seed    maphash.Seed
	events  event.Hub[Event]
	stats   counters
	peers   atomic.Pointer[[]id.Peer] // in order; replaced, never changed

	mu      sync.Mutex
	closed  bool
	rng     *rand.Rand
	members map[id.Peer]*member
	order   []*member                             // by ID
	prints  []*member                             // by fingerprint
	agenda  agenda                                // by what is due when
	version uint64                                // counts changes of who is a member
	known   []byte                                // list of fingerprints as it is sent; nil if it must be made anew
	docs    map[uint64]*advertisements.Rendezvous // of members and targets, by the hash of the text as it came
	origins map[string]int                        // members by network origin
	called  []call                                // targets that were probed, latest last
	more    bool                                  // the last ones asked told of somebody
	lost    map[id.Peer]*lost
	targets map[id.Peer]*target // peers told of
	line    []id.Peer           // those of them that wait to be probed, in turn; some need not any more
	seeds   map[endpoint.Address]id.Peer
	budgets
	outbox
	queue
	clock
	own   printed
	ownAt time.Time
}

// budgets are what others may cause.
type budgets struct {
	near                          neighbours
	pipe, told, hints, down, says bucket
}

// New makes a view, which begins to look around at once, and registers the
// handler of the service [Service].
func New(cfg Config) (*View, error) {
	if cfg.Scope.Endpoint() == nil {
		return nil, errors.New("peerview: Config.Scope is not set")
	}
	if cfg.Self == nil {
		return nil, errors.New("peerview: Config.Self is not set")
	}
	if cfg.Limit <= 0 {
		cfg.Limit = DefaultLimit
	}
	if cfg.Rand == nil {
		cfg.Rand = rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Hear == nil {
		cfg.Hear = cfg.Learn
	}
	v := &View{
		cfg: cfg, scope: cfg.Scope, ep: cfg.Scope.Endpoint(), self: cfg.Scope.Peer(), group: cfg.Scope.Group(),
		param: cfg.Scope.Group().Unique(), service: advertisements.RendezvousService(cfg.Scope.Group()),
		print: fingerprint(cfg.Scope.Peer()), log: cfg.Logger, rng: cfg.Rand, seed: maphash.MakeSeed(),
		wake: make(chan struct{}, 1), done: make(chan struct{}), members: map[id.Peer]*member{}, docs: map[uint64]*advertisements.Rendezvous{}, origins: map[string]int{},
	}
	v.ctx, v.cancel = context.WithCancel(context.Background())
	now := time.Now()
	v.pause, v.kickAt, v.watchAt = kickFirst, now, now.Add(v.jitter(neighbourEvery))
	remove, err := v.scope.Handle(Service, v.param, v.receive)
	if err != nil {
		v.cancel()
		return nil, err
	}
	v.undo = append(v.undo, remove, v.ep.Watch(v.linkChanged))
	v.wg.Go(v.run)
	return v, nil
}

// Close tells every member that this peer is no longer there, which takes a
// second at most, and returns when no goroutine of the view is left. It
// publishes no events; the members remain to be seen. It is idempotent.
func (v *View) Close() {
	v.mu.Lock()
	first := !v.closed
	v.closed = true
	v.queue.clear()
	v.mu.Unlock()
	for _, f := range v.undo {
		f()
	}
	v.cancel()
	v.wg.Wait() // so that nothing is sent after the farewell
	if first {
		v.farewell()
		close(v.done)
	}
	<-v.done
}

// Peers returns the members, the other rendezvous that is, in order of their
// IDs. It costs nothing and must not be changed.
func (v *View) Peers() []id.Peer {
	if p := v.peers.Load(); p != nil {
		return *p
	}
	return nil
}

// Size returns the number of members.
func (v *View) Size() int { return len(v.Peers()) }

// Has reports whether a peer is a member.
func (v *View) Has(p id.Peer) bool {
	_, ok := slices.BinarySearchFunc(v.Peers(), p, compare)
	return ok
}

// compare orders peers by the unique values of their IDs.
func compare(a, b id.Peer) int { return strings.Compare(a.Unique(), b.Unique()) }

// Up returns the member whose ID is the next greater one after the given ID,
// which need not be a member's. It reports false at the end of the row. Whoever
// cannot reach a member calls again with its ID to step over it.
func (v *View) Up(after id.Peer) (id.Peer, bool) {
	peers := v.Peers()
	i, found := slices.BinarySearchFunc(peers, after, compare)
	if found {
		i++
	}
	if i >= len(peers) {
		return id.Peer{}, false
	}
	return peers[i], true
}

// Down is [View.Up] in the other direction.
func (v *View) Down(before id.Peer) (id.Peer, bool) {
	peers := v.Peers()
	i, _ := slices.BinarySearchFunc(peers, before, compare)
	if i == 0 {
		return id.Peer{}, false
	}
	return peers[i-1], true
}

// Member describes one member of a view.
type Member struct {
	Peer   id.Peer
	Name   string
	Adv    *advertisements.Rendezvous // must not be changed
	Heard  time.Duration              // since it was last heard
	Silent int                        // probes that it has not answered
	Linked bool                       // a link to it is open
	Juxta  bool                       // it tells what it knows, as JXSE does not
}

// Members returns the members with what is known about them, in order of their
// IDs.
func (v *View) Members() []Member {
	now := time.Now()
	v.mu.Lock()
	all := make([]Member, len(v.order))
	for i, m := range v.order {
		all[i] = Member{Peer: m.peer, Name: m.adv.Name, Adv: m.adv, Heard: now.Sub(m.heard), Silent: int(m.silent), Juxta: m.juxta}
	}
	v.mu.Unlock()
	for i := range all {
		all[i].Linked = v.ep.LinkTo(all[i].Peer) != nil
	}
	return all
}

// Watch has f called with each change from now on, until stop is called: in
// order, and such that [View.Has] agrees unless there was another change since.
// f must not wait.
func (v *View) Watch(f func(Event)) (stop func()) { return v.events.Watch(f) }

// Suspect says that a message to a member could not be sent. It is probed at
// once, and leaves if that fails, too.
func (v *View) Suspect(p id.Peer) {
	now := time.Now()
	v.mu.Lock()
	if m := v.members[p]; m != nil && now.Sub(m.asked) >= suspectPause {
		v.probe(m, now)
	}
	v.mu.Unlock()
}

// Expel takes a peer out of the view at once, and forgets it, as when it is not
// accepted any more; see [Config.Accept]. It is not told.
func (v *View) Expel(p id.Peer) {
	now := time.Now()
	v.mu.Lock()
	if m := v.members[p]; m != nil {
		v.remove(m, "it is expelled", false, now)
	}
	v.dropTarget(p)
	v.mu.Unlock()
	v.tell()
}

// Kick makes the view look around now: there are new seeds or own addresses, or
// the network was away.
func (v *View) Kick() {
	v.mu.Lock()
	v.kickAt, v.pause, v.eager, v.ownAt = time.Now(), kickFirst, 0, time.Time{}
	v.stir(v.kickAt)
	v.mu.Unlock()
}

// linkChanged suspects a member when the last link to it goes down.
func (v *View) linkChanged(ev endpoint.LinkEvent) {
	if ev.Up || !ev.Last {
		return
	}
	now := time.Now()
	v.mu.Lock()
	defer v.mu.Unlock()
	m := v.members[ev.Link.Peer()]
	switch {
	case m == nil, v.closed:
	case v.down.take(now, suspectRate, suspectBurst):
		v.probe(m, now)
	default:
		v.schedule(m, now.Add(time.Duration(v.rng.Int64N(int64(refresh/4)))))
	}
}

// jitter returns d, give or take a quarter. v.mu is held, or nobody else knows v.
func (v *View) jitter(d time.Duration) time.Duration {
	return d*3/4 + time.Duration(v.rng.Int64N(int64(d/2)))
}
