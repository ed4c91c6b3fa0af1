package peergroup

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/lan"
	"github.com/juxta-p2p/juxta/protocols/discovery"
	"github.com/juxta-p2p/juxta/protocols/rendezvous"
)

const (
	// maxNear bounds the neighbours to which links are kept: messages to the
	// neighbourhood go to each of them.
	maxNear = 64

	// yield is how long the peer with the greater ID lets the other one dial
	// first, so that not both do.
	yieldFor = 700 * time.Millisecond

	// redialEvery is the pause between attempts to reach a neighbour.
	redialEvery = 10 * time.Second

	// lookAgain is the least time between searches that links from peers not
	// known to be near cause. Such a peer may be a neighbour that was faster.
	lookAgain = 2 * time.Second

	// askFor is how long a neighbour has to answer who it is.
	askFor = 5 * time.Second
)

// neighbours are the peers found near by, and whether there is a link to them.
type neighbours struct {
	ep *endpoint.Endpoint

	mu    sync.Mutex
	hints map[id.Peer]*neighbour
}

type neighbour struct {
	hint lan.Hint
	next time.Time // when to dial next
	told bool      // this peer has introduced itself over the present link
}

// list returns the neighbours that have a link.
func (n *neighbours) list() []id.Peer {
	n.mu.Lock()
	defer n.mu.Unlock()
	var all []id.Peer
	for p := range n.hints {
		if n.ep.LinkTo(p) != nil {
			all = append(all, p)
		}
	}
	return all
}

// rendezvous returns the addresses of neighbours that say they are rendezvous.
func (n *neighbours) rendezvous() []endpoint.Address {
	n.mu.Lock()
	defer n.mu.Unlock()
	var all []endpoint.Address
	for _, x := range n.hints {
		if slices.Contains(strings.Split(x.hint.Roles, ","), "rdv") && len(x.hint.Addresses) > 0 {
			all = append(all, x.hint.Addresses[0])
		}
	}
	return all
}

// Neighbour is a peer near by.
type Neighbour struct {
	lan.Hint
	Linked bool // a link to it is open
}

// Neighbours returns the peers of the network that were found near by, by name.
func (p *Peer) Neighbours() []Neighbour {
	p.near.mu.Lock()
	defer p.near.mu.Unlock()
	var all []Neighbour
	for q, x := range p.near.hints {
		all = append(all, Neighbour{Hint: x.hint, Linked: p.ep.LinkTo(q) != nil})
	}
	slices.SortFunc(all, func(a, b Neighbour) int { return strings.Compare(a.Name+a.Peer.String(), b.Name+b.Peer.String()) })
	return all
}

// startLAN announces the peer near by, and keeps links to those it finds.
func (p *Peer) startLAN(context.Context) error {
	if p.cfg.NoLAN {
		return nil
	}
	s, err := lan.Start(lan.Config{
		Peer: p.id, Group: p.cfg.Net, Name: p.cfg.Name, Addresses: p.ep.Addresses, Roles: p.lanRoles,
		Dir: p.cfg.MeetingDir, Logger: p.log,
	})
	if err != nil {
		return err
	}
	p.lan = s
	p.undo = append(p.undo, s.Close)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	p.undo = append(p.undo, func() error { cancel(); wg.Wait(); return nil })
	wake := make(chan struct{}, 1)
	stop := p.ep.Watch(func(ev endpoint.LinkEvent) {
		if ev.Up {
			rouse(wake)
		}
	})
	p.undo = append(p.undo, func() error { stop(); return nil })
	wg.Go(func() { p.watchLAN(ctx, s, wake) })
	wg.Go(func() { p.dialLAN(ctx, s, wake) })
	return nil
}

// rouse makes the loop that reads wake look at how things stand.
func rouse(wake chan<- struct{}) {
	select {
	case wake <- struct{}{}:
	default:
	}
}

func (p *Peer) lanRoles() string {
	if p.net.rdv.Role() == rendezvous.Rendezvous {
		return "rdv"
	}
	return "edge"
}

func (p *Peer) watchLAN(ctx context.Context, s *lan.Service, wake chan<- struct{}) {
	for ev := range s.Events(ctx) {
		q := ev.Hint.Peer
		p.router.Hear(&advertisements.Route{Dest: q, Addresses: ev.Hint.Addresses}) // before anybody dials it
		p.near.mu.Lock()
		switch x := p.near.hints[q]; {
		case ev.Kind == lan.Lost:
			delete(p.near.hints, q)
		case x != nil:
			x.hint = ev.Hint
			x.next = time.Time{}
		case len(p.near.hints) < maxNear:
			if p.near.hints == nil {
				p.near.hints = map[id.Peer]*neighbour{}
			}
			x = &neighbour{hint: ev.Hint}
			if q.String() < p.id.String() {
				x.next = time.Now().Add(yieldFor)
			}
			p.near.hints[q] = x
		}
		p.near.mu.Unlock()
		rouse(wake)
	}
}

// dialLAN keeps links to the neighbours. They are dialled one after the other:
// who is near answers soon or not at all.
func (p *Peer) dialLAN(ctx context.Context, s *lan.Service, wake <-chan struct{}) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	var strangers map[id.Peer]bool // who had a link and was not known to be near
	var looked time.Time
	var asking sync.WaitGroup
	defer asking.Wait()
	for {
		now := time.Now()
		next := redialEvery
		var due, strange []id.Peer
		p.near.mu.Lock()
		for q, x := range p.near.hints {
			linked := p.ep.LinkTo(q) != nil
			if linked && !x.told {
				strange = append(strange, q)
			}
			x.told = linked
			switch {
			case linked:
			case now.Before(x.next):
				next = min(next, x.next.Sub(now))
			default:
				x.next = now.Add(redialEvery)
				due = append(due, q)
			}
		}
		p.near.mu.Unlock()
		p.introduce(ctx, strange)
		if wait := time.Until(looked.Add(lookAgain)); wait > 0 {
			next = min(next, wait)
		} else {
			var more bool
			if strangers, more = p.strangers(strangers); more {
				looked = time.Now()
				s.Refresh()
			}
		}
		for _, q := range due {
			if _, err := p.router.Connect(ctx, q); err == nil {
				next = 0 // to introduce itself
				asking.Go(func() { p.askWho(ctx, q) })
			} else if ctx.Err() == nil && !errors.Is(err, endpoint.ErrSelf) {
				p.log.Debug("a neighbour cannot be reached", "neighbour", q.Short(), "error", err)
			}
		}
		if len(due) > 0 {
			p.net.rdv.TrySeeds()
		}
		timer.Reset(next)
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-wake:
		}
	}
}

// askWho gets the advertisement of a neighbour that was dialled, which may not
// know yet that this peer is near.
func (p *Peer) askWho(ctx context.Context, q id.Peer) {
	ctx, cancel := context.WithTimeout(ctx, askFor)
	defer cancel()
	query := discovery.Query{Kind: advertisements.Peers, Attr: "PID", Value: q.String(), Peer: q, RemoteOnly: true, Limit: 1}
	if _, err := p.net.disc.FindOne(ctx, query); err != nil && ctx.Err() == nil {
		p.log.Debug("a neighbour was not asked who it is", "neighbour", q.Short(), "error", err)
	}
}

// introduce gives the own advertisement to new neighbours, so that they know who
// this is without asking, and has the groups ask them what they are looking for.
func (p *Peer) introduce(ctx context.Context, neighbours []id.Peer) {
	for _, q := range neighbours {
		if err := p.net.disc.PublishTo(ctx, q, p.net.PeerAdvertisement(), discovery.Lifetime{}); err != nil && ctx.Err() == nil {
			p.log.Debug("a neighbour was not told who this is", "neighbour", q.Short(), "error", err)
		}
		p.net.neighbour(q)
	}
}

// neighbour tells the group and those joined in it of a new neighbour, which may
// be in any of them.
func (g *Group) neighbour(q id.Peer) {
	g.rdv.Neighbour(q)
	for _, c := range g.Groups() {
		c.neighbour(q)
	}
}

// strangers returns the peers that have dialled this one and are not known to be
// near, and whether there are others among them than before.
func (p *Peer) strangers(before map[id.Peer]bool) (all map[id.Peer]bool, more bool) {
	all = map[id.Peer]bool{}
	p.near.mu.Lock()
	defer p.near.mu.Unlock()
	for _, l := range p.ep.Links() {
		if l.Outgoing() || p.near.hints[l.Peer()] != nil {
			continue
		}
		all[l.Peer()] = true
		more = more || !before[l.Peer()]
	}
	return all, more
}
