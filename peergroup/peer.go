// Package peergroup is where a program becomes a peer: [Start] makes one with
// its transports, identity and cache, in the World group and in a network; its
// groups hold the services that a program uses.
//
//	peer, err := peergroup.Start(ctx, peergroup.Config{Name: "ann"})
//	defer peer.Close()
//	net := peer.Net()
//	net.Discovery(), net.Pipes(), net.Rendezvous(), …
package peergroup

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/advertisements/store"
	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/identity"
	"github.com/juxta-p2p/juxta/core/lan"
	"github.com/juxta-p2p/juxta/core/transport/multicast"
	"github.com/juxta-p2p/juxta/protocols/diagnose"
	"github.com/juxta-p2p/juxta/protocols/rendezvous"
	"github.com/juxta-p2p/juxta/protocols/rendezvous/seeding"
	"github.com/juxta-p2p/juxta/protocols/routing"
	"github.com/juxta-p2p/juxta/protocols/secure"
)

// Peer is a running peer. It owns everything started with it. Its methods are
// safe for concurrent use.
type Peer struct {
	cfg     Config
	log     *slog.Logger
	id      id.Peer
	ident   *identity.Identity
	store   *store.Store
	ep      *endpoint.Endpoint
	router  *routing.Router
	seeds   []endpoint.Address
	lists   *seeding.List
	guard   *seeding.Guard
	near    neighbours
	lan     *lan.Service // nil if nobody near is looked for
	routes  sync.Mutex   // held while route is replaced
	route   atomic.Pointer[advertisements.Route]
	reach   reach
	secure  *secure.Service // nil if nothing proves the ID
	why     *diagnose.Service
	world   *Group
	net     *Group
	started atomic.Pointer[Group] // the network, when it is there

	succession *identity.Succession

	undo []func() error // in order of starting

	chances sync.Mutex // guards Config.Rand

	close    sync.Once
	closeErr error
	done     chan struct{}
}

// A client keeps one link to its rendezvous and one to another one in reserve, so
// a rendezvous has about twice as many as clients, and those of everything else.
const (
	linksPerClient = 3
	linksBeside    = 1024
)

// What rendezvous and relays pass on for one neighbour, in octets a second, and for
// how many that do all they may at once.
const (
	servingRate  = 32 << 20
	forwardLinks = 8
)

// Start starts a peer. ctx is its lifetime: when it ends, the peer closes as if
// by [Peer.Close]. Start returns when the peer listens and its services are
// ready; it does not wait for other peers. On an error nothing is left behind.
//
// Errors a user can mend are typed: a home that another peer uses, an address
// that cannot be listened on, files that cannot be read or written.
func Start(ctx context.Context, cfg Config) (*Peer, error) {
	if err := cfg.complete(); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("peergroup: %w", context.Cause(ctx))
	}
	p := &Peer{cfg: cfg, log: cfg.Logger, done: make(chan struct{})}
	if err := p.start(ctx); err != nil {
		_ = p.unwind()
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = p.Close() })
	p.undo = append(p.undo, func() error { stop(); return nil })
	return p, nil
}

func (p *Peer) start(ctx context.Context) error {
	for _, s := range p.cfg.Seeds {
		a, err := parseURL(s)
		if err != nil {
			return fmt.Errorf("peergroup: seed %q: %w", s, err)
		}
		p.seeds = append(p.seeds, a)
	}
	transports, err := p.transports()
	if err != nil {
		return err
	}
	if err := p.openHome(); err != nil {
		return err
	}
	p.id = p.cfg.PeerID
	if p.id.IsZero() {
		p.id = p.ident.Peer()
	}
	p.log = p.log.With("peer", p.id.Short())
	if p.ep, err = endpoint.New(endpoint.Config{
		Peer: p.id, Net: p.cfg.Net, Identity: p.proof(), RequireSecure: p.cfg.RequireSecure, AllowClaimed: p.cfg.AllowClaimed,
		Admit: p.cfg.Admit, MaxLinks: linksBeside + linksPerClient*p.cfg.MaxClients, Logger: p.log,
	}); err != nil {
		return err
	}
	p.undo = append(p.undo, p.ep.Close)
	p.near.ep = p.ep
	for _, t := range transports {
		err := p.ep.Add(t)
		if _, optional := t.(*multicast.Transport); optional && err != nil {
			p.log.Info("no JXTA multicast here", "reason", err)
			continue
		}
		if err != nil {
			return err
		}
	}
	p.reach.p = p
	p.refreshRoute()
	p.router, err = routing.New(routing.Config{
		Scope: p.ep.Scope(p.cfg.Net), Self: p.Route, ForwardRate: p.cfg.ForwardRate, ForwardAll: p.cfg.ForwardRate * forwardLinks, Logger: p.log,
	})
	if err != nil {
		return err
	}
	p.undo = append(p.undo, func() error { p.router.Close(); return nil })
	if err := p.startSecure(); err != nil {
		return err
	}
	if err := p.startSeeding(); err != nil {
		return err
	}
	if err := p.startGroups(); err != nil {
		return err
	}
	if err := p.startReach(); err != nil {
		return err
	}
	for _, m := range p.cfg.Modules {
		if _, err := p.net.Load(m); err != nil {
			return err
		}
	}
	if len(p.cfg.Transports) == 0 {
		roaming, stop := context.WithCancel(context.Background())
		var done sync.WaitGroup
		done.Go(func() { p.roam(roaming) })
		p.undo = append(p.undo, func() error { stop(); done.Wait(); return nil })
	}
	return p.startLAN(ctx)
}

// startSecure lets messages go encrypted from end to end, if this peer can prove who
// it is.
func (p *Peer) startSecure() (err error) {
	ident := p.proof()
	if ident == nil {
		return nil
	}
	p.secure, err = secure.New(secure.Config{Scope: p.ep.Scope(p.cfg.Net), Identity: ident, Java: p.cfg.JavaTLS, Logger: p.log})
	if err != nil {
		return err
	}
	p.undo = append(p.undo, func() error { p.secure.Close(); return nil })
	return nil
}

// startSeeding begins to read the lists of seeds and of those who may serve.
func (p *Peer) startSeeding() (err error) {
	p.lists, err = seeding.New(seeding.Config{
		URIs: p.cfg.SeedLists, Rand: p.chance(), Logger: p.log, Changed: func() {
			if net := p.started.Load(); net != nil {
				net.rdv.TrySeeds()
			}
		},
	})
	if err != nil {
		return fmt.Errorf("peergroup: seed lists: %w", err)
	}
	p.undo = append(p.undo, func() error { p.lists.Close(); return nil })
	p.guard, err = seeding.NewGuard(seeding.GuardConfig{URI: p.cfg.AccessList, Rand: p.chance(), Logger: p.log})
	if err != nil {
		return fmt.Errorf("peergroup: access list: %w", err)
	}
	p.undo = append(p.undo, func() error { p.guard.Close(); return nil })
	return nil
}

// SeedLists tells how things stand with the lists of [Config.SeedLists].
func (p *Peer) SeedLists() []seeding.Status { return p.lists.Status() }

// refreshRoute takes the present addresses into the own route, and reports whether
// it has changed.
func (p *Peer) refreshRoute() bool {
	own := &advertisements.Route{Dest: p.id, Addresses: p.ep.Addresses()}
	p.reach.extend(own)
	p.routes.Lock()
	defer p.routes.Unlock()
	if old := p.route.Load(); old != nil && old.Equal(own) {
		return false
	}
	p.route.Store(own)
	return true
}

// startGroups starts the World group and the network.
func (p *Peer) startGroups() error {
	var err error
	p.world, err = p.newGroup(nil, &advertisements.Group{
		ID: id.WorldGroup, Spec: id.SpecWorldGroup, Name: "World PeerGroup", Desc: "Standard World PeerGroup",
	}, rendezvous.AdHoc, entry{})
	if err != nil {
		return err
	}
	p.undo = append(p.undo, func() error { p.world.leave(); return nil })
	role := rendezvous.Edge
	switch {
	case p.cfg.Roles.Rendezvous:
		role = rendezvous.Rendezvous
	case p.cfg.Roles.AdHoc:
		role = rendezvous.AdHoc
	}
	p.net, err = p.newGroup(p.world, &advertisements.Group{
		ID: p.cfg.Net, Spec: id.SpecNetGroup, Name: "NetPeerGroup", Desc: "default Net Peer Group",
	}, role, entry{})
	if err != nil {
		return err
	}
	p.undo = append(p.undo, func() error { p.net.leave(); return nil })
	p.started.Store(p.net)
	if err := p.publishHandovers(); err != nil {
		return err
	}
	if err := p.router.Ask(p.net.ctx, p.net.Resolver()); err != nil {
		return err
	}
	p.why, err = diagnose.New(diagnose.Config{Resolver: p.net.Resolver(), Facts: p.facts, Clock: p.cfg.Clock, Logger: p.log})
	if err != nil {
		return err
	}
	p.undo = append(p.undo, func() error { p.why.Close(); return nil })
	return nil
}

// openHome locks the home folder and reads what is kept there.
func (p *Peer) openHome() (err error) {
	p.ident = p.cfg.Identity
	if p.cfg.Home == "" {
		if p.ident == nil && p.cfg.PeerID.IsZero() {
			if p.ident, err = identity.New(identity.Ed25519); err != nil {
				return err
			}
		}
		p.store = store.Memory(store.Config{})
		p.undo = append(p.undo, p.store.Close)
		return p.openSuccession()
	}
	if err := p.lockHome(); err != nil {
		return err
	}
	if err := p.openSuccession(); err != nil {
		return err
	}
	if p.ident == nil {
		if err := p.loadIdentity(); err != nil {
			return err
		}
	}
	p.store, err = store.Open(filepath.Join(p.cfg.Home, "cache.db"), store.Config{Logger: p.log})
	if err != nil {
		return err
	}
	p.undo = append(p.undo, p.store.Close)
	return nil
}

// proof returns the identity if it is the one the ID is made of.
func (p *Peer) proof() *identity.Identity {
	if p.ident != nil && p.ident.Peer() == p.id {
		return p.ident
	}
	return nil
}

// ID returns the peer's ID.
func (p *Peer) ID() id.Peer { return p.id }

// Name returns the peer's name.
func (p *Peer) Name() string { return p.cfg.Name }

// Roles returns what the peer does for others in the network at the moment.
func (p *Peer) Roles() Roles {
	r := p.cfg.Roles
	r.Rendezvous = p.net.rdv.Role() == rendezvous.Rendezvous
	return r
}

// chance returns a source of chance for one service, repeatable if that of the
// configuration is; nil if there is none.
func (p *Peer) chance() *rand.Rand {
	if p.cfg.Rand == nil {
		return nil
	}
	p.chances.Lock()
	defer p.chances.Unlock()
	return rand.New(rand.NewPCG(p.cfg.Rand.Uint64(), p.cfg.Rand.Uint64()))
}

// Identity returns the peer's key, or nil if its ID was given.
func (p *Peer) Identity() *identity.Identity { return p.ident }

// Logger returns Config.Logger, one that drops everything if that is nil.
func (p *Peer) Logger() *slog.Logger { return p.cfg.Logger }

// Home returns the folder with what the peer keeps, or "".
func (p *Peer) Home() string { return p.cfg.Home }

// Net returns the network the peer is in.
func (p *Peer) Net() *Group { return p.net }

// World returns the group of all peers, in which only the neighbourhood can be
// reached.
func (p *Peer) World() *Group { return p.world }

// Endpoint returns where the peer's messages enter and leave.
func (p *Peer) Endpoint() *endpoint.Endpoint { return p.ep }

// Router returns what finds ways to other peers.
func (p *Peer) Router() *routing.Router { return p.router }

// Addresses returns where others may dial this peer, best first.
func (p *Peer) Addresses() []endpoint.Address { return p.ep.Addresses() }

// Route returns the own route as others should know it; it must not be changed.
func (p *Peer) Route() *advertisements.Route { return p.route.Load() }

// Done is closed when the peer has closed.
func (p *Peer) Done() <-chan struct{} { return p.done }

// Close leaves the groups, the youngest first, says goodbye to rendezvous and
// clients, closes links and listeners, and writes the cache. It returns when no
// goroutine, port or file of the peer is left, within a few seconds. It is
// idempotent; every call waits and returns the same error.
func (p *Peer) Close() error {
	p.close.Do(func() {
		p.closeErr = p.unwind()
		close(p.done)
	})
	<-p.done
	return p.closeErr
}

// unwind undoes what was started, in reverse order.
func (p *Peer) unwind() error {
	var errs []error
	for _, f := range slices.Backward(p.undo) {
		errs = append(errs, f())
	}
	return errors.Join(errs...)
}
