package events

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/peergroup"
	"github.com/juxta-p2p/juxta/protocols/discovery"
	"github.com/juxta-p2p/juxta/protocols/rendezvous"
)

const (
	// every is how often the watcher looks for what nobody tells it.
	every = time.Second

	// knownEvery is how many looks pass from one into the caches of peers to the next,
	// which costs more.
	knownEvery = 5

	// maxKnown bounds the peers of a group that are compared: a cache may hold many
	// thousands, and nobody reads so many lines.
	maxKnown = 1000
)

// Watch calls emit for everything that happens from now on, until stop is called. Links and what
// happens at the rendezvous are told at once, in every group as soon as it is seen; groups, pipes,
// relays, peers near by and reachability within a second, known peers within five. emit must not
// wait; it may be called from several goroutines. stop returns when no call from the looks is under way;
// one of a link or a rendezvous may still be.
func Watch(peer *peergroup.Peer, emit func(Event)) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	w := &watcher{peer: peer, emit: emit, groups: map[id.Group]*groupWatch{}}
	unlink := peer.Endpoint().Watch(w.link)
	w.look(true, true)
	var wg sync.WaitGroup
	wg.Go(func() { w.run(ctx) })
	return func() {
		cancel()
		wg.Wait()
		unlink()
		for _, g := range w.groups {
			g.stop()
		}
	}
}

// watcher compares how things are with how they were. All but link belongs to one
// goroutine after the other.
type watcher struct {
	peer *peergroup.Peer
	emit func(Event)

	groups  map[id.Group]*groupWatch
	near    map[id.Peer]string
	relays  map[id.Peer]string
	clients map[id.Peer]string
	reach   peergroup.Reachability
}

// groupWatch is what was seen of a group.
type groupWatch struct {
	name  string
	stop  func()
	pipes map[id.Pipe]Event
	known map[id.Peer]string
}

func (w *watcher) run(ctx context.Context) {
	t := time.NewTicker(every)
	defer t.Stop()
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-w.peer.Done():
			return
		case <-t.C:
			w.look(false, n%knownEvery == 0)
		}
	}
}

func (w *watcher) link(e endpoint.LinkEvent) {
	w.emit(Event{Kind: KindLink, What: either(e.Up, "up", "down"), Peer: e.Link.Peer(), Address: e.Link.Remote().String(),
		Encrypted: endpoint.Encrypted(e.Link), Proven: e.Link.Proven(), Last: e.Last})
}

// look tells what is different, or only remembers how things are at first.
func (w *watcher) look(first, known bool) {
	emit := w.emit
	if first {
		emit = func(Event) {}
	}
	near, relays, clients := map[id.Peer]string{}, map[id.Peer]string{}, map[id.Peer]string{}
	for _, n := range w.peer.Neighbours() {
		near[n.Peer] = n.Name
	}
	for _, l := range w.peer.RelayLeases().Leases {
		relays[l.Relay] = l.Name
	}
	for _, c := range w.peer.RelayClients() {
		clients[c.Peer] = ""
	}
	compare(w.near, near, Event{Kind: KindPeer}, "near", "not near", emit)
	compare(w.relays, relays, Event{Kind: KindRelay}, "leased", "lost", emit)
	compare(w.clients, clients, Event{Kind: KindRelay}, "client joined", "client left", emit)
	w.near, w.relays, w.clients = near, relays, clients
	if r := w.peer.Reachability(); r != w.reach {
		w.reach = r
		what := map[peergroup.Reachability]string{peergroup.ReachPublic: "public", peergroup.ReachPrivate: "private"}[r]
		emit(Event{Kind: KindReach, What: either(what == "", "unknown", what)})
	}
	w.lookAtGroups(emit, known)
}

func (w *watcher) lookAtGroups(emit func(Event), known bool) {
	present := map[id.Group]bool{}
	var walk func(g *peergroup.Group)
	walk = func(g *peergroup.Group) {
		present[g.ID()] = true
		x := w.groups[g.ID()]
		if x == nil {
			x = &groupWatch{name: g.Name(), stop: w.watchGroup(g), known: peersOf(g)}
			w.groups[g.ID()] = x
			emit(Event{Kind: KindGroup, What: "joined", Group: g.Name(), GroupID: g.ID()})
		}
		x.pipes = lookAtPipes(g, x.pipes, emit)
		if known {
			now := peersOf(g)
			compare(x.known, now, Event{Kind: KindPeer, Group: g.Name(), GroupID: g.ID()}, "known", "forgotten", emit)
			x.known = now
		}
		for _, c := range g.Groups() {
			walk(c)
		}
	}
	walk(w.peer.Net())
	for _, gid := range inOrder(w.groups) {
		if x := w.groups[gid]; !present[gid] {
			x.stop()
			delete(w.groups, gid)
			emit(Event{Kind: KindGroup, What: "left", Group: x.name, GroupID: gid})
		}
	}
}

// watchGroup tells what happens at the rendezvous of a group.
func (w *watcher) watchGroup(g *peergroup.Group) (stop func()) {
	rdv, self := g.Rendezvous(), g.PeerID()
	return rdv.Watch(func(e rendezvous.Event) {
		x := Event{Kind: KindRendezvous, What: e.Kind.String(), Peer: e.Peer, Group: g.Name(), GroupID: g.ID()}
		if e.Kind == rendezvous.RoleChanged {
			x.Peer, x.Role = self, rdv.Role().String()
		}
		w.emit(x)
	})
}

// lookAtPipes returns the pipes that are open here, and tells which were not before.
func lookAtPipes(g *peergroup.Group, before map[id.Pipe]Event, emit func(Event)) map[id.Pipe]Event {
	now := map[id.Pipe]Event{}
	for _, in := range g.Pipes().Inputs() {
		adv := in.Pipe()
		e := Event{Kind: KindPipe, What: "opened", Pipe: adv.ID, PipeName: adv.Name, PipeType: string(adv.Type), Group: g.Name(), GroupID: g.ID()}
		if _, ok := before[adv.ID]; !ok {
			emit(e)
		}
		now[adv.ID] = e
	}
	for _, p := range inOrder(before) {
		if _, ok := now[p]; !ok {
			e := before[p]
			e.What = "closed"
			emit(e)
		}
	}
	return now
}

// peersOf returns the other peers that are known in a group, with their names.
func peersOf(g *peergroup.Group) map[id.Peer]string {
	all := map[id.Peer]string{}
	for _, r := range g.Discovery().Local(discovery.Query{Kind: advertisements.Peers, Limit: maxKnown}) {
		if adv, ok := r.Adv.(*advertisements.Peer); ok && adv.ID != g.PeerID() {
			all[adv.ID] = adv.Name
		}
	}
	return all
}

// compare tells who has come and who has gone, in the order of their IDs.
func compare(before, now map[id.Peer]string, e Event, came, gone string, emit func(Event)) {
	tell := func(what string, all, others map[id.Peer]string) {
		for _, p := range inOrder(all) {
			if _, ok := others[p]; !ok {
				e.What, e.Peer, e.Name = what, p, all[p]
				emit(e)
			}
		}
	}
	tell(came, now, before)
	tell(gone, before, now)
}

// inOrder returns the keys of a map, which are IDs, in a stable order.
func inOrder[K interface {
	comparable
	String() string
}, V any](m map[K]V) []K {
	return slices.SortedFunc(maps.Keys(m), func(a, b K) int { return strings.Compare(a.String(), b.String()) })
}
