package discovery_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/advertisements/store"
	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/transport/memory"
	"github.com/juxta-p2p/juxta/protocols/discovery"
	"github.com/juxta-p2p/juxta/protocols/rendezvous"
	"github.com/juxta-p2p/juxta/protocols/resolver"
	"github.com/juxta-p2p/juxta/protocols/routing"
)

// peer is one peer of a test network, with everything up to discovery.
type peer struct {
	id    id.Peer
	adv   *advertisements.Peer
	route *advertisements.Route
	ep    *endpoint.Endpoint
	rdv   *rendezvous.Service
	res   *resolver.Service
	disc  *discovery.Service
	store *store.Scope
	heard atomic.Int64 // routes given to Learn
	undo  []func()
}

// setup says what is special about a peer.
type setup struct {
	role    rendezvous.Role
	seeds   []string // names of hosts
	segment string
	lease   time.Duration
	config  func(*discovery.Config)
}

func addr(host string) endpoint.Address {
	return endpoint.Address{Protocol: memory.Protocol, Host: host}
}

// start makes a peer; it is closed with the test at the latest.
func start(tb testing.TB, net *memory.Network, name string, set setup) *peer {
	tb.Helper()
	p, err := newPeer(net, name, set)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(p.stop)
	return p
}

func newPeer(net *memory.Network, name string, set setup) (*peer, error) {
	self := id.PeerFromSeed(id.NetGroup, []byte(name))
	p := &peer{id: self, store: store.Memory(store.Config{}).Scope(id.NetGroup)}
	p.route = &advertisements.Route{Dest: self, Addresses: []endpoint.Address{addr(name)}}
	p.adv = &advertisements.Peer{ID: self, Group: id.NetGroup, Name: name}
	p.adv.SetRendezvous(set.role == rendezvous.Rendezvous)
	if err := p.adv.SetRoute(p.route); err != nil {
		return nil, err
	}
	var err error
	if p.ep, err = endpoint.New(endpoint.Config{Peer: self}); err != nil {
		return nil, err
	}
	p.undo = append(p.undo, func() { _ = p.ep.Close() })
	if err = p.ep.Add(net.Transport(memory.TransportConfig{Name: name, Segment: set.segment})); err != nil {
		return nil, err
	}
	scope := p.ep.Scope(id.NetGroup)
	router, err := routing.New(routing.Config{Scope: scope, Self: func() *advertisements.Route { return p.route }})
	if err != nil {
		return nil, err
	}
	p.undo = append(p.undo, router.Close)
	p.rdv, err = rendezvous.New(rendezvous.Config{
		Connect: router.Connect, Learn: router.Learn, Hear: router.Hear,
		Scope: scope, Role: set.role, Lease: set.lease, Advertisement: func() *advertisements.Peer { return p.adv },
		Seeds: func() []endpoint.Address {
			var seeds []endpoint.Address
			for _, s := range set.seeds {
				seeds = append(seeds, addr(s))
			}
			return seeds
		},
	})
	if err != nil {
		return nil, err
	}
	p.undo = append(p.undo, p.rdv.Close)
	p.res, err = resolver.New(resolver.Config{
		Scope: scope, Rendezvous: p.rdv, Learn: router.Learn, Hear: router.Hear, Route: func() *advertisements.Route { return p.route },
	})
	if err != nil {
		return nil, err
	}
	p.undo = append(p.undo, p.res.Close)
	if err := router.Ask(context.Background(), p.res); err != nil {
		return nil, err
	}
	cfg := discovery.Config{
		Resolver: p.res, Store: p.store, Self: func() *advertisements.Peer { return p.adv },
		Learn: func(r *advertisements.Route) { p.heard.Add(1); router.Learn(r) },
	}
	if set.config != nil {
		set.config(&cfg)
	}
	if p.disc, err = discovery.New(cfg); err != nil {
		return nil, err
	}
	p.undo = append(p.undo, func() { _ = p.disc.Close() })
	return p, p.disc.Publish(context.Background(), p.adv, discovery.Lifetime{Local: discovery.Forever})
}

// routes returns how many routes were learned since the last call.
func (p *peer) routes() int64 { return p.heard.Swap(0) }

// stop closes everything, last first.
func (p *peer) stop() {
	slices.Reverse(p.undo)
	for _, f := range p.undo {
		f()
	}
	p.undo = nil
}

// star starts a rendezvous and edges that lease from it, all on one network with
// a latency of 5 ms, and waits for the leases.
func star(tb testing.TB, edges ...string) (*memory.Network, *peer, []*peer) {
	tb.Helper()
	net := memory.New(memory.Config{Latency: 5 * time.Millisecond})
	rdv := start(tb, net, "rdv", setup{role: rendezvous.Rendezvous})
	var all []*peer
	for _, name := range edges {
		all = append(all, start(tb, net, name, setup{seeds: []string{"rdv"}}))
	}
	for _, p := range all {
		connected(tb, p)
	}
	time.Sleep(20 * time.Millisecond) // the first announcements
	synctest.Wait()
	return net, rdv, all
}

func connected(tb testing.TB, p *peer) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := p.rdv.WaitConnected(ctx); err != nil {
		tb.Fatal(err)
	}
}

// pipe is an advertisement to look for; its ID depends on the name alone.
func pipe(name string) *advertisements.Pipe {
	return &advertisements.Pipe{ID: id.PipeFromHash(id.NetGroup, []byte(name)), Type: advertisements.Unicast, Name: name}
}

func publish(tb testing.TB, p *peer, life discovery.Lifetime, names ...string) {
	tb.Helper()
	for _, name := range names {
		if err := p.disc.Publish(tb.Context(), pipe(name), life); err != nil {
			tb.Fatal(err)
		}
	}
}

func byName(value string) discovery.Query {
	return discovery.Query{Kind: advertisements.Advs, Attr: "Name", Value: value}
}

// look collects what Find yields within the time.
func look(p *peer, within time.Duration, q discovery.Query) (found []discovery.Result, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	for r, e := range p.disc.Find(ctx, q) {
		if e != nil {
			return found, e
		}
		found = append(found, r)
	}
	return found, nil
}

// names returns the sorted names of the results.
func names(found []discovery.Result) string {
	var all []string
	for _, r := range found {
		switch a := r.Adv.(type) {
		case *advertisements.Pipe:
			all = append(all, a.Name)
		case *advertisements.Peer:
			all = append(all, a.Name)
		case *advertisements.Group:
			all = append(all, a.Name)
		default:
			all = append(all, fmt.Sprintf("%T", a))
		}
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

// expect checks what a query finds.
func expect(tb testing.TB, p *peer, within time.Duration, q discovery.Query, want string) []discovery.Result {
	tb.Helper()
	found, err := look(p, within, q)
	if err != nil {
		tb.Errorf("%+v: %v", q, err)
	}
	if got := names(found); got != want {
		tb.Errorf("%+v finds %q, want %q", q, got, want)
	}
	return found
}

// many is a group with several rendezvous.
type many struct {
	net   *memory.Network
	rdvs  []*peer
	edges []*peer // the first ones of the first rendezvous, and so on
}

// group starts rendezvous that know each other, each with so many edges, and waits
// until everything is in its place. The first rendezvous is the seed of the others.
func group(tb testing.TB, rdvs, edges int) *many {
	tb.Helper()
	n := &many{net: memory.New(memory.Config{Latency: 5 * time.Millisecond})}
	for i := range rdvs {
		set := setup{role: rendezvous.Rendezvous}
		if i > 0 {
			set.seeds = []string{"r0"}
		}
		n.rdvs = append(n.rdvs, start(tb, n.net, fmt.Sprint("r", i), set))
	}
	for i := range rdvs * edges {
		n.edges = append(n.edges, start(tb, n.net, fmt.Sprint("e", i), setup{seeds: []string{fmt.Sprint("r", i/edges)}}))
	}
	for _, e := range n.edges {
		connected(tb, e)
	}
	n.meet(tb)
	return n
}

// meet waits until all rendezvous that run know each other and have placed what
// there is.
func (n *many) meet(tb testing.TB) {
	tb.Helper()
	for range 600 {
		complete := true
		for _, r := range n.rdvs {
			complete = complete && len(r.rdv.View()) == len(n.rdvs)-1
		}
		if complete {
			time.Sleep(20 * time.Second)
			synctest.Wait()
			return
		}
		time.Sleep(time.Second)
	}
	tb.Fatal("the rendezvous do not meet")
}
