package peergroup

import (
	"context"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/protocols/discovery"
	"github.com/juxta-p2p/juxta/protocols/rendezvous"
)

const (
	// lookEvery and lookFor are how often, and how long each time, a member
	// without a lease looks for rendezvous of its group in the parent group.
	lookEvery = 5 * time.Second
	lookFor   = 2 * time.Second

	// lookAlone is how often a rendezvous that knows no other one looks for some.
	lookAlone = 30 * time.Second

	// maxFound bounds the rendezvous remembered for a group, and foundLife for how
	// long they are.
	maxFound  = 32
	foundLife = 10 * time.Minute
)

// findRendezvous looks in the parent group for rendezvous of this one, as long
// as there is no lease, and for others as long as this peer is the only one.
func (g *Group) findRendezvous(ctx context.Context) {
	wake := make(chan struct{}, 1)
	defer g.rdv.Watch(func(ev rendezvous.Event) {
		switch ev.Kind {
		case rendezvous.Lost, rendezvous.RoleChanged, rendezvous.ViewLeft:
			rouse(wake)
		}
	})()
	for ctx.Err() == nil {
		_, fine := g.rdv.Lease()
		pause := lookEvery
		if g.rdv.Role() == rendezvous.Rendezvous {
			fine, pause = len(g.rdv.View()) > 0, lookAlone
		}
		if fine {
			select {
			case <-wake:
			case <-ctx.Done():
			}
			continue
		}
		g.look(ctx)
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-wake:
		case <-ctx.Done():
		}
		timer.Stop()
	}
}

func (g *Group) look(ctx context.Context) {
	if g.hidden() {
		g.policy.secrets.keys.Want() // whoever answers names some
		g.rdv.TrySeeds()
		return
	}
	ctx, cancel := context.WithTimeout(ctx, lookFor)
	defer cancel()
	q := discovery.Query{Kind: advertisements.Advs, Attr: "RdvServiceName", Value: advertisements.RendezvousService(g.adv.ID)}
	for found, err := range g.parent.disc.Find(ctx, q) {
		if err != nil {
			g.log.Debug("no rendezvous found", "error", err)
			return
		}
		adv, ok := found.Adv.(*advertisements.Rendezvous)
		if !ok || adv.Group != g.adv.ID || adv.Peer == g.peer.id {
			continue
		}
		g.peer.router.Learn(adv.Route)
		if g.policy != nil && g.policy.judge(adv.Peer) != nil {
			continue
		}
		g.remember(adv.Peer)
		g.rdv.TrySeeds()
		if _, ok := g.rdv.Lease(); ok {
			return
		}
	}
}

// remember takes a peer for a rendezvous of the group, and reports whether that is
// news.
func (g *Group) remember(q id.Peer) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.found == nil {
		g.found = map[id.Peer]time.Time{}
	}
	_, known := g.found[q]
	if !known && len(g.found) >= maxFound {
		return false
	}
	g.found[q] = time.Now()
	return !known
}
