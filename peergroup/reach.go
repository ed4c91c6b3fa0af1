package peergroup

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/nat"
	"github.com/juxta-p2p/juxta/protocols/direct"
	"github.com/juxta-p2p/juxta/protocols/relay"
)

const (
	// probeAgain is how often a peer asks whether it can still be reached.
	probeAgain = 10 * time.Minute

	// settle is how long it waits after news before it asks: links come up one
	// after the other.
	settleFor = 300 * time.Millisecond
)

// reach is how this peer can be reached by others: it watches how they see it,
// asks them to dial it, and where they cannot, sees to it that there is a relay.
type reach struct {
	p        *Peer
	observer *direct.Observer // nil if no transport could tell
	direct   *direct.Service  // likewise
	wake     chan struct{}
	server   *relay.Server // nil unless this peer is a relay
	client   *relay.Client // nil if it looks for none

	mu     sync.Mutex
	state  Reachability
	public []endpoint.Address // beyond those listened on, and found to work
	hops   []advertisements.AccessPoint

	mapper   *nat.Mapper        // nil until the router was asked
	openings []endpoint.Address // that it gives
	closed   bool
}

// Reachability tells whether others can dial a peer.
type Reachability uint8

const (
	// ReachUnknown: nobody was asked yet.
	ReachUnknown Reachability = iota
	// ReachPublic: another peer has dialled this one for a test.
	ReachPublic
	// ReachPrivate: another peer has tried in vain, or this one does not listen.
	ReachPrivate
)

// String returns the state in words.
func (r Reachability) String() string {
	switch r {
	case ReachPublic:
		return "can be dialled by others"
	case ReachPrivate:
		return "cannot be dialled by others"
	}
	return "not known yet"
}

// startReach begins to find out. It comes after the groups.
func (p *Peer) startReach() error {
	r := &p.reach
	r.wake = make(chan struct{}, 1)
	if err := p.startRelay(); err != nil {
		return err
	}
	if !slices.ContainsFunc(p.ep.Transports(), func(t endpoint.Transport) bool { _, ok := t.(endpoint.Puncher); return ok }) {
		return nil
	}
	var err error
	r.direct, err = direct.New(direct.Config{Scope: p.ep.Scope(p.cfg.Net), Addresses: r.candidates, Logger: p.log})
	if err != nil {
		return err
	}
	p.undo = append(p.undo, func() error { r.direct.Close(); return nil })
	p.router.SetUpgrade(func(ctx context.Context, q id.Peer, _ []id.Peer) error { return r.direct.Upgrade(ctx, q) })
	r.observer = direct.NewObserver(p.ep, r.rouse)
	p.undo = append(p.undo, func() error { r.observer.Close(); return nil })
	ctx, stop := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() { r.run(ctx) })
	p.undo = append(p.undo, r.closeMapper, func() error { stop(); done.Wait(); return nil })
	return nil
}

func (r *reach) rouse() { rouse(r.wake) }

// run asks others whether they can dial this peer: when they see it otherwise than
// before, and again and again.
func (r *reach) run(ctx context.Context) {
	tick := time.NewTicker(probeAgain)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-r.wake:
			timer := time.NewTimer(settleFor)
			select {
			case <-timer.C:
			case <-ctx.Done():
				timer.Stop()
				return
			}
		}
		r.assess(ctx)
	}
}

// assess finds out whether others can dial this peer.
func (r *reach) assess(ctx context.Context) {
	witness, seen, ok := r.witness()
	if !ok {
		return
	}
	r.relayFirst()
	r.mapPorts()
	own := r.p.ep.Addresses()
	var ask []endpoint.Address
	for _, a := range r.candidates() {
		if host, _, err := a.HostPort(); err == nil && host == hostOf(seen) && (a.Protocol == "tls" || a.Protocol == "quic") {
			ask = append(ask, a)
		}
	}
	if len(ask) == 0 {
		r.conclude(ReachPrivate, nil)
		return
	}
	results, err := r.direct.Probe(ctx, witness, ask)
	if err != nil {
		r.p.log.Debug("nobody could be asked whether this peer can be dialled", "error", err)
		return
	}
	var public []endpoint.Address
	state := ReachPrivate
	for _, x := range results {
		if x.OK {
			state = ReachPublic
			if slices.Contains(own, x.Address) {
				continue
			}
			public = append(public, x.Address)
			if x.Address.Protocol == "tls" { // the same port serves both
				public = append(public, endpoint.Address{Protocol: "tcp", Host: x.Address.Host})
			}
		}
	}
	r.conclude(state, public)
}

func hostOf(a endpoint.Address) string { host, _, _ := a.HostPort(); return host }

// witness is a neighbour that sees this peer from outside.
func (r *reach) witness() (id.Peer, endpoint.Address, bool) {
	for _, l := range r.p.ep.Links() {
		if at, ok := r.observer.SeenBy(l.Peer()); ok && endpoint.IsJuxta(l) {
			return l.Peer(), at, true
		}
	}
	return id.Peer{}, endpoint.Address{}, false
}

func (r *reach) conclude(state Reachability, public []endpoint.Address) {
	r.mu.Lock()
	news := r.state != state
	r.state, r.public = state, public
	r.mu.Unlock()
	if news {
		r.p.log.Info("reachability", "state", state.String(), "public", public, "nat", r.kinds())
	}
	r.want()
	r.p.Refresh()
}

// candidates are all addresses at which this peer may be seen.
func (r *reach) candidates() []endpoint.Address {
	all := r.p.ep.Addresses()
	add := func(a endpoint.Address) {
		if !slices.Contains(all, a) {
			all = append(all, a)
		}
	}
	r.mu.Lock()
	openings := r.openings
	r.mu.Unlock()
	for _, a := range openings {
		add(a)
	}
	if r.observer != nil {
		for _, a := range r.observer.Candidates() {
			if a.Protocol == "tcp" && r.p.ep.Serves("tls") {
				add(endpoint.Address{Protocol: "tls", Host: a.Host})
			}
			add(a)
		}
	}
	return all
}

// Reachability tells whether others can dial this peer, as far as it was found out.
func (p *Peer) Reachability() Reachability {
	p.reach.mu.Lock()
	defer p.reach.mu.Unlock()
	return p.reach.state
}

// extend adds what is known to the own route.
func (r *reach) extend(own *advertisements.Route) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, a := range r.public {
		if !slices.Contains(own.Addresses, a) {
			own.Addresses = append(own.Addresses, a)
		}
	}
	if len(r.hops) > 0 { // hops stand for one way; the other relays are in reserve
		own.Hops = r.hops[:1:1]
	}
}

// moved is told that the network is another one.
func (r *reach) moved() {
	if r.client != nil {
		r.client.Wake()
	}
	if r.observer == nil {
		return
	}
	r.observer.Reset()
	r.direct.Reconsider()
	r.mu.Lock()
	r.state, r.public = ReachUnknown, nil
	m := r.mapper
	r.mu.Unlock()
	if m != nil {
		m.Refresh()
	}
	r.rouse()
}

// kinds tells of each protocol how this peer is connected to the world.
func (r *reach) kinds() string {
	if r.observer == nil {
		return ""
	}
	var all []string
	for protocol, k := range r.observer.Kinds() {
		all = append(all, protocol+" "+k.String())
	}
	slices.Sort(all)
	return strings.Join(all, "; ")
}

// words tells how this peer is connected to the world.
func (r *reach) words() string {
	s := r.p.Reachability().String()
	if k := r.kinds(); k != "" {
		s += "; " + k
	}
	return s
}
