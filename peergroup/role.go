package peergroup

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/advertisements/store"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/protocols/discovery"
	"github.com/juxta-p2p/juxta/protocols/rendezvous"
)

const (
	// groupAuto is how long a member of a group below the network is without a
	// rendezvous before it becomes one: a group lives as long as it has members.
	groupAuto = 10 * time.Second

	// seekAfter is how long after it got a lease an edge asks for further
	// rendezvous, if the one that granted it did not name any: those of JXSE never
	// do, others not if they know none yet.
	seekAfter = 10 * time.Second
	seekFor   = 2 * time.Second

	// How long the advertisement of a member of the view is kept and given to
	// others who look for rendezvous, and how often at most it is kept anew.
	memberLocal  = 15 * time.Minute
	memberRemote = 150 * time.Second
	memberAgain  = 2 * time.Minute

	// maxMembers bounds the members whose advertisements are kept.
	maxMembers = 2048
)

// SetRole makes this peer a rendezvous of the group or an edge, see
// [rendezvous.Service.SetRole]; its advertisements change with it. The role of
// the network is the one in the peer's own advertisement and in [Peer.Roles].
func (g *Group) SetRole(r rendezvous.Role) error {
	if g.ctx.Err() != nil {
		return fmt.Errorf("peergroup: %w", ErrLeft)
	}
	return g.rdv.SetRole(r)
}

// follow adapts the group to its rendezvous service. It must not wait.
func (g *Group) follow(ev rendezvous.Event) {
	switch ev.Kind {
	case rendezvous.RoleChanged:
		if err := g.describe(g.rdv.Role()); err != nil {
			g.log.Error("the own advertisement could not be changed", "error", err)
		}
		g.Go(g.tellRole)
	case rendezvous.ViewLeft:
		g.lostRendezvous(ev.Peer)
	case rendezvous.Leased:
		if l, ok := g.rdv.Lease(); ok && l.Others == 0 {
			g.mu.Lock()
			again := g.seeking
			g.seeking = true
			g.mu.Unlock()
			if !again {
				time.AfterFunc(seekAfter, func() { g.Go(g.seekOthers) }) // which does nothing in a group that was left
			}
		}
	}
}

// tellRole publishes what this peer is now.
func (g *Group) tellRole(ctx context.Context) {
	g.roles.Lock()
	defer g.roles.Unlock()
	if ctx.Err() != nil {
		return
	}
	g.publishSelf(ctx)
	serves := g.rdv.Role() == rendezvous.Rendezvous && g.parent != nil
	switch {
	case serves && g.unannounce == nil:
		inner, stop := context.WithCancel(ctx)
		var serving sync.WaitGroup
		serving.Add(2) // before the group can be left
		g.unannounce = func() { stop(); serving.Wait() }
		g.Go(func(context.Context) { defer serving.Done(); g.announceAgain(inner) })
		g.Go(func(context.Context) { defer serving.Done(); g.hearView(inner) })
	case !serves && g.unannounce != nil:
		g.unannounce()
		g.unannounce = nil
		g.withdraw()
	}
}

// publishSelf publishes the own advertisement as it is now.
func (g *Group) publishSelf(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	err := g.disc.Publish(ctx, g.self.Load(), discovery.Lifetime{Local: discovery.Forever})
	if err != nil && g.ctx.Err() == nil {
		g.log.Warn("the own advertisement could not be published", "error", err)
	}
}

// announceAgain announces that this peer is a rendezvous of the group, now and
// again and again.
func (g *Group) announceAgain(ctx context.Context) {
	t := time.NewTicker(rendezvousAgain)
	defer t.Stop()
	for {
		if err := g.announceRendezvous(ctx); err != nil && ctx.Err() == nil {
			g.log.Warn("the rendezvous could not be announced", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}

// announceRendezvous publishes that this peer is a rendezvous of the group: in
// the group, and in the parent, where members that join look for one.
func (g *Group) announceRendezvous(ctx context.Context) error {
	adv, life := g.rendezvousAdv(), discovery.Lifetime{Local: rendezvousLocal, Remote: rendezvousRemote}
	if err := g.disc.Publish(ctx, adv, life); err != nil {
		return err
	}
	if g.parent.adv.ID == id.WorldGroup || g.hidden() {
		return nil
	}
	return g.parent.disc.Publish(ctx, adv, life)
}

func (g *Group) rendezvousAdv() *advertisements.Rendezvous {
	return &advertisements.Rendezvous{
		Group: g.adv.ID, Peer: g.peer.id, Service: advertisements.RendezvousService(g.adv.ID),
		Name: g.peer.cfg.Name, Route: g.peer.Route(),
	}
}

// withdraw takes back that this peer is a rendezvous of the group.
func (g *Group) withdraw() {
	ctx, cancel := context.WithTimeout(context.Background(), withdrawTimeout)
	defer cancel()
	told := []*discovery.Service{g.disc}
	if !g.hidden() {
		told = append(told, g.parent.disc)
	}
	for _, d := range told {
		if err := d.Remove(ctx, g.rendezvousAdv()); err != nil && !errors.Is(err, discovery.ErrNotFound) {
			g.log.Debug("the rendezvous could not be withdrawn", "error", err)
		}
	}
}

// metRendezvous keeps the advertisement of another rendezvous, for whoever looks
// for one.
func (g *Group) metRendezvous(adv *advertisements.Rendezvous) {
	now := time.Now()
	g.mu.Lock()
	recent := now.Sub(g.members[adv.Peer]) < memberAgain
	if !recent {
		if g.members == nil || len(g.members) >= maxMembers {
			g.members = map[id.Peer]time.Time{}
		}
		g.members[adv.Peer] = now
	}
	g.mu.Unlock()
	if recent {
		return
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
		Kind: advertisements.Advs, Key: adv.Key(), Fields: fields, Document: doc, Origin: adv.Peer, Quiet: true,
		Lifetime: now.Add(memberLocal), Expiration: memberRemote,
	})
	if err != nil {
		g.log.Debug("a rendezvous' advertisement was not kept", "of", adv.Peer.Short(), "error", err)
	}
}

// lostRendezvous drops what [Group.metRendezvous] has kept.
func (g *Group) lostRendezvous(p id.Peer) {
	g.mu.Lock()
	delete(g.members, p)
	g.mu.Unlock()
	adv := &advertisements.Rendezvous{Group: g.adv.ID, Peer: p, Service: advertisements.RendezvousService(g.adv.ID)}
	g.peer.store.Scope(g.adv.ID).Remove(advertisements.KindOf(adv), adv.Key())
}

// seekOthers asks the rendezvous of an edge for others, once.
func (g *Group) seekOthers(ctx context.Context) {
	defer func() { g.mu.Lock(); g.seeking = false; g.mu.Unlock() }()
	l, ok := g.rdv.Lease()
	if !ok || l.Others > 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, seekFor)
	defer cancel()
	q := discovery.Query{
		Kind: advertisements.Advs, Attr: "RdvServiceName", Value: advertisements.RendezvousService(g.adv.ID),
		Peer: l.Peer, RemoteOnly: true, Limit: 8,
	}
	for found, err := range g.disc.Find(ctx, q) {
		if err != nil {
			return
		}
		if adv, ok := found.Adv.(*advertisements.Rendezvous); ok && adv.Peer != l.Peer {
			g.rdv.Suggest(adv)
		}
	}
}
