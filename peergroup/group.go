package peergroup

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/advertisements/store"
	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/peergroup/access"
	"github.com/juxta-p2p/juxta/peergroup/membership"
	"github.com/juxta-p2p/juxta/protocols/discovery"
	"github.com/juxta-p2p/juxta/protocols/peerinfo"
	"github.com/juxta-p2p/juxta/protocols/pipe"
	"github.com/juxta-p2p/juxta/protocols/rendezvous"
	"github.com/juxta-p2p/juxta/protocols/resolver"
	"github.com/juxta-p2p/juxta/protocols/socket"
)

// Group is a peer's place in a group: a scope with its own discovery,
// rendezvous, resolver and pipes. The same names in two groups never meet. Its
// methods are safe for concurrent use.
type Group struct {
	peer   *Peer
	parent *Group
	adv    *advertisements.Group
	scope  endpoint.Scope
	log    *slog.Logger
	self   atomic.Pointer[advertisements.Peer]
	policy *policy // nil if the group has no charter
	lobby  lobby   // of the closed groups in this one
	since  time.Time
	plan   *plan // the modules by specification; nil for the standard ones
	mods   modules
	desk   *desk // of calls

	rdv     *rendezvous.Service
	res     *resolver.Service
	disc    *discovery.Service
	pipes   *pipe.Service
	sockets *socket.Service
	info    *peerinfo.Service
	rules   rules

	ctx    context.Context
	cancel context.CancelCauseFunc
	wg     sync.WaitGroup
	undo   []func()
	once   sync.Once

	describing sync.Mutex // held while self is replaced

	mu       sync.Mutex
	children []*Group
	found    map[id.Peer]time.Time // rendezvous found through the parent group, and when
	contacts []id.Peer             // members named by who invited this peer
	far      int                   // how often the parent group was asked for rendezvous
	farAgain time.Time             // when it may be asked again
	members  map[id.Peer]time.Time // of the view, and when their advertisements were kept
	seeking  bool                  // for further rendezvous

	unsigned   atomic.Uint32 // an advertisements.Policy
	ready      atomic.Bool   // all services are there
	roles      sync.Mutex    // held while a change of role is told
	unannounce func()        // ends the announcements of a rendezvous; guarded by roles
}

// ErrJoined is the cause when a group is joined that this peer is in already.
var ErrJoined = errors.New("this peer is in the group already")

const (
	// publishTimeout bounds announcing what starting a group announces.
	publishTimeout = 5 * time.Second

	// withdrawTimeout bounds taking it back when the group is left.
	withdrawTimeout = time.Second
)

// newGroup starts the services of a group.
func (p *Peer) newGroup(parent *Group, adv *advertisements.Group, role rendezvous.Role, how entry) (g *Group, err error) {
	g = &Group{
		peer: p, parent: parent, adv: adv, scope: p.ep.Scope(adv.ID), log: p.log.With("group", adv.ID.Short()),
		since: time.Now(), plan: how.plan,
	}
	g.ctx, g.cancel = context.WithCancelCause(context.Background())
	made := g // what is returned with an error is nil
	defer func() {
		if err != nil {
			made.leave()
		}
	}()
	if err := g.describe(role); err != nil {
		return nil, err
	}
	if err := g.startRules(how); err != nil {
		return nil, err
	}
	if err := g.govern(how); err != nil {
		return nil, err
	}
	g.rdv, err = rendezvous.New(rendezvous.Config{
		Scope: g.scope, Role: role, Advertisement: g.self.Load, Seeds: g.seeds, Near: p.near.list, Met: g.met,
		MetRendezvous: g.metRendezvous, Connect: p.router.Connect, Learn: p.router.Learn, Hear: p.router.Hear,
		Shout: g.shout, Accept: g.mayServe, Auto: g.auto(), Lease: p.cfg.Lease, MaxClients: p.cfg.MaxClients, Rand: p.chance(), Logger: g.log,
	})
	if err != nil {
		return nil, err
	}
	g.undo = append(g.undo, g.rdv.Close, g.rdv.Watch(g.follow))
	g.res, err = resolver.New(resolver.Config{
		Scope: g.scope, Rendezvous: g.rdv, Route: p.Route, Learn: p.router.Learn, Hear: p.router.Hear,
		Credential: g.rules.credential, Permit: g.rules.permit, Admit: g.rules.admit, Hears: g.admitAsker(), Logger: g.log,
	})
	if err != nil {
		return nil, err
	}
	g.undo = append(g.undo, g.res.Close)
	g.disc, err = discovery.New(discovery.Config{
		Resolver: g.res, Store: p.store.Scope(adv.ID), Registry: p.cfg.Advertisements, Self: g.self.Load,
		Judge: g.judge, Learn: p.router.Learn, Permit: g.rules.publish, Rand: p.chance(), Logger: g.log,
	})
	if err != nil {
		return nil, err
	}
	g.undo = append(g.undo, func() { _ = g.disc.Close() })
	g.pipes, err = pipe.New(pipe.Config{
		Scope: g.scope, Resolver: g.res, Self: g.self.Load, Learn: p.router.Learn, Secure: p.secure != nil,
		Guard: g.rules.pipes, Logger: g.log,
	})
	if err != nil {
		return nil, err
	}
	g.undo = append(g.undo, g.pipes.Close)
	g.sockets, err = socket.New(socket.Config{
		Scope: g.scope, Pipes: g.pipes, Self: g.self.Load, Learn: p.router.Learn, Secure: p.secure != nil, Logger: g.log,
	})
	if err != nil {
		return nil, err
	}
	g.undo = append(g.undo, g.sockets.Close)
	g.info, err = peerinfo.New(peerinfo.Config{Resolver: g.res, Logger: g.log})
	if err != nil {
		return nil, err
	}
	g.undo = append(g.undo, g.info.Close)
	if err := g.startRevocation(); err != nil {
		return nil, err
	}
	if g.desk, err = newDesk(g); err != nil {
		return nil, err
	}
	g.undo = append(g.undo, g.desk.close, g.withdrawOffers)
	g.ready.Store(true)
	if g.policy != nil {
		if err := g.policy.start(); err != nil {
			return nil, err
		}
	}
	return g, g.announce()
}

// describe makes the peer's advertisement in the group.
func (g *Group) describe(role rendezvous.Role) error {
	g.describing.Lock()
	defer g.describing.Unlock()
	self := &advertisements.Peer{ID: g.peer.id, Group: g.adv.ID, Name: g.peer.cfg.Name, Desc: g.peer.cfg.Description}
	self.SetRendezvous(role == rendezvous.Rendezvous)
	self.SetRelay(g.peer.cfg.Roles.Relay)
	if err := self.SetRoute(g.peer.Route()); err != nil {
		return err
	}
	g.showOffers(self)
	g.self.Store(self)
	return nil
}

// announce publishes the peer's and the group's advertisements.
func (g *Group) announce() error {
	ctx, cancel := context.WithTimeout(g.ctx, publishTimeout)
	defer cancel()
	if err := g.disc.Publish(ctx, g.self.Load(), discovery.Lifetime{Local: discovery.Forever}); err != nil {
		return err
	}
	if g.parent == nil {
		return nil
	}
	if g.hidden() {
		if g.rdv.Role() == rendezvous.Rendezvous {
			g.Go(g.tellRole)
		}
		return nil
	}
	if err := g.parent.disc.Publish(ctx, g.adv, discovery.Lifetime{Remote: groupRemote}); err != nil {
		return err
	}
	if g.rdv.Role() == rendezvous.Rendezvous {
		g.Go(g.tellRole)
	}
	return nil
}

// How long advertisements of groups and rendezvous live, as with JXSE: others
// keep a group's for two weeks; a rendezvous announces itself again and again,
// so that one that vanished is soon forgotten.
const (
	groupRemote      = 14 * 24 * time.Hour
	rendezvousLocal  = 300 * time.Second
	rendezvousRemote = 150 * time.Second
	rendezvousAgain  = 150 * time.Second
)

// met keeps the advertisement of a peer that leases here or is leased from, for
// this peer alone: others ask its owner.
func (g *Group) met(adv *advertisements.Peer, life time.Duration) {
	if r, ok := adv.Route(); ok {
		g.peer.router.Learn(r)
	}
	doc, err := advertisements.Marshal(adv)
	if err != nil {
		return
	}
	fields, err := advertisements.Fields(adv)
	if err != nil {
		return
	}
	_, err = g.peer.store.Scope(g.adv.ID).Put(store.Record{
		Kind: advertisements.Peers, Key: adv.Key(), Fields: fields, Document: doc, Origin: adv.ID,
		Lifetime: time.Now().Add(life),
	})
	if err != nil {
		g.log.Debug("a peer's advertisement was not kept", "of", adv.ID.Short(), "error", err)
	}
}

// seeds returns where to ask for a lease: in the network the configured seeds
// and rendezvous near by, in other groups the rendezvous found in the parent.
func (g *Group) seeds() []endpoint.Address {
	if g.parent != nil && g.parent.adv.ID == id.WorldGroup {
		return slices.Concat(g.peer.seeds, g.peer.lists.Seeds(), g.peer.near.rendezvous())
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	var all []endpoint.Address
	for p, when := range g.found {
		if time.Since(when) > foundLife {
			delete(g.found, p)
			continue
		}
		all = append(all, endpoint.PeerAddress(p, "", ""))
	}
	return all
}

// mayServe reports whether a peer may be a rendezvous of the group.
func (g *Group) mayServe(p id.Peer) bool {
	if g.policy != nil && g.policy.judge(p) != nil {
		return false
	}
	return g.adv.ID != g.peer.cfg.Net || g.peer.guard.Allows(p)
}

// auto returns when the role in the group changes by itself.
func (g *Group) auto() time.Duration {
	if g.parent == nil {
		return 0
	}
	if g.parent.adv.ID == id.WorldGroup {
		return g.peer.cfg.AutoRendezvous
	}
	return groupAuto
}

// ID returns the group's ID.
func (g *Group) ID() id.Group { return g.adv.ID }

// Name returns the group's name.
func (g *Group) Name() string { return g.adv.Name }

// Advertisement returns the group's advertisement; it must not be changed.
func (g *Group) Advertisement() *advertisements.Group { return g.adv }

// Parent returns the group this one was created or joined in; nil for World.
func (g *Group) Parent() *Group { return g.parent }

// Peer returns the peer whose place in the group this is.
func (g *Group) Peer() *Peer { return g.peer }

// PeerID returns the ID of the local peer.
func (g *Group) PeerID() id.Peer { return g.peer.id }

// PeerName returns the name of the local peer.
func (g *Group) PeerName() string { return g.peer.cfg.Name }

// PeerAdvertisement returns the local peer's advertisement in the group; it
// must not be changed.
func (g *Group) PeerAdvertisement() *advertisements.Peer { return g.self.Load() }

// Discovery publishes and finds advertisements in the group.
func (g *Group) Discovery() *discovery.Service { return g.disc }

// Pipes opens pipes in the group.
func (g *Group) Pipes() *pipe.Service { return g.pipes }

// Sockets opens streams, duplex message channels and datagram sockets over pipes of
// the group.
func (g *Group) Sockets() *socket.Service { return g.sockets }

// Rendezvous spreads messages in the group.
func (g *Group) Rendezvous() *rendezvous.Service { return g.rdv }

// Resolver asks and answers questions in the group.
func (g *Group) Resolver() *resolver.Service { return g.res }

// PeerInfo asks peers of the group how they are.
func (g *Group) PeerInfo() *peerinfo.Service { return g.info }

// Membership makes this peer a member of the group, and tells who is one.
func (g *Group) Membership() *membership.Service { return g.rules.members }

// Access tells who may do what in the group.
func (g *Group) Access() *access.Control { return g.rules.rights }

// Endpoint returns the endpoint as the group sees it.
func (g *Group) Endpoint() endpoint.Scope { return g.scope }

// Groups returns the groups created or joined in this one, in that order.
func (g *Group) Groups() []*Group {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.children)
}

// Done is closed when the group is left.
func (g *Group) Done() <-chan struct{} { return g.ctx.Done() }

// Leave leaves the group and those joined in it: modules end, pipes close, the
// rendezvous is told. It returns when all is quiet. World and the network are
// left by closing the peer; for them Leave does nothing.
func (g *Group) Leave() {
	if g.parent == nil || g.parent.adv.ID == id.WorldGroup {
		return
	}
	g.parent.mu.Lock()
	g.parent.children = slices.DeleteFunc(g.parent.children, func(c *Group) bool { return c == g })
	g.parent.mu.Unlock()
	g.leave()
}

func (g *Group) leave() {
	g.once.Do(func() {
		for _, c := range slices.Backward(g.Groups()) {
			c.leave()
		}
		wait := g.stopModules()
		g.mu.Lock()
		g.cancel(ErrLeft)
		g.mu.Unlock()
		g.wg.Wait()
		wait()
		if g.unannounce != nil {
			g.withdraw()
		}
		for _, f := range slices.Backward(g.undo) {
			f()
		}
		if l, err := g.lobby.l, g.lobby.err; l != nil && err == nil {
			l.Close()
		}
	})
}
