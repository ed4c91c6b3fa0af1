package peergroup

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/juxta-p2p/juxta/advertisements/credential"
	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/identity"
	"github.com/juxta-p2p/juxta/core/xmldoc"
	"github.com/juxta-p2p/juxta/peergroup/governance"
)

// secrets are those of a closed group: what its members send is sealed with them, and
// travels in groups whose IDs follow from them.
type secrets struct {
	ring *governance.Keyring
	keys *governance.Exchange
	own  xmldoc.Node // the credential of this peer; zero for a moderator

	opened, unreadable atomic.Uint64

	mu     sync.Mutex
	closed bool
	outer  map[id.Group]func() // the groups listened to, and how to end that
}

// SecretsStats counts what became of sealed messages.
type SecretsStats struct {
	governance.ExchangeStats
	Opened            uint64
	DroppedUnreadable uint64 // sealed with no secret that this member has, or altered
}

// lobbyOf returns where the closed groups in a group get their secrets.
func (g *Group) lobbyOf() (*governance.Lobby, error) {
	b := &g.lobby
	b.once.Do(func() { b.l, b.err = governance.NewLobby(g.res) })
	return b.l, b.err
}

// startSecrets joins the exchange of the group's secrets, before there are services.
func (p *policy) startSecrets(own *credential.Credential, first bool) error {
	g := p.g
	ident := g.peer.proof()
	if ident == nil {
		return ErrNoKey
	}
	lobby, err := g.parent.lobbyOf()
	if err != nil {
		return err
	}
	s := &secrets{outer: map[id.Group]func(){}}
	if own != nil {
		if s.own, err = own.Node(); err != nil {
			return err
		}
	}
	if s.ring, err = governance.NewKeyring(governance.KeyringConfig{Group: g.adv.ID}); err != nil {
		return err
	}
	p.secrets = s
	stop := s.ring.Watch(func(*governance.Epoch) { p.listen() })
	g.undo = append(g.undo, p.silence, stop)
	s.keys, err = governance.NewExchange(governance.ExchangeConfig{
		Lobby: lobby, Keyring: s.ring, Identity: ident, Policy: p.service.Load, Moderators: p.charter.Moderators,
		Admit: p.member, Credential: func() xmldoc.Node { return s.own }, Members: g.knownMembers,
		Rendezvous: g.rendezvousKnown, Heard: g.heardOf, First: first, Rand: g.peer.chance(), Logger: g.log,
	})
	if err != nil {
		return err
	}
	g.undo = append(g.undo, s.keys.Close)
	p.listen()
	return nil
}

// listen takes sealed messages under all addresses that the group has at present.
func (p *policy) listen() {
	s := p.secrets
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	now := s.ring.Addresses()
	for a, stop := range s.outer {
		if !slices.Contains(now, a) {
			stop()
			delete(s.outer, a)
		}
	}
	for _, a := range now {
		if s.outer[a] != nil {
			continue
		}
		stop, err := p.g.peer.ep.Scope(a).Handle(endpoint.SealedService, "", p.open)
		if err != nil {
			p.g.log.Error("sealed messages cannot be taken", "error", err)
			continue
		}
		s.outer[a] = stop
	}
}

// silence ends that.
func (p *policy) silence() {
	s := p.secrets
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for _, stop := range s.outer {
		stop()
	}
	clear(s.outer)
}

// seal is what [endpoint.Rules] has for it.
func (p *policy) seal(plain []byte) (id.Group, []byte, error) {
	ring := p.secrets.ring
	to, ok := ring.Address()
	if !ok {
		return id.Group{}, nil, fmt.Errorf("peergroup: %w", governance.ErrNoKey)
	}
	sealed, err := ring.Seal(plain, nil)
	return to, sealed, err
}

// open hands what a sealed message holds to the services of the group.
func (p *policy) open(_ context.Context, in endpoint.Incoming) {
	s := p.secrets
	sealed, _ := endpoint.SealedBody(in)
	plain, err := s.ring.Open(sealed, nil)
	if err == nil {
		err = p.g.scope.Unseal(in, plain)
	}
	if err == nil {
		s.opened.Add(1)
		return
	}
	s.unreadable.Add(1)
	p.g.log.Debug("a sealed message is dropped", "from", in.From.Short(), "error", err)
	var later *governance.EpochError
	if errors.As(err, &later) {
		s.keys.Want()
	}
}

// member reports why a peer that is no moderator is no member: its credential must be
// a certificate that a moderator has signed.
func (p *policy) member(who id.Peer, _ []byte, shown xmldoc.Node) error {
	c, err := credential.Parse(shown)
	if err != nil {
		return err
	}
	return p.invited(c, who)
}

// invited reports why a credential does not make a peer a member.
func (p *policy) invited(c *credential.Credential, who id.Peer) error {
	standing, err := c.Verify(credential.Rules{Group: p.g.adv.ID, Peer: who})
	if err != nil {
		return err
	}
	if standing == credential.Claimed || !who.Proves(c.Chain[0].RawSubjectPublicKeyInfo) {
		return fmt.Errorf("peergroup: %w", credential.ErrOtherKey)
	}
	moderators := p.charter.Moderators
	if s := p.service.Load(); s != nil {
		moderators = s.State().Moderators
	}
	last := c.Chain[len(c.Chain)-1]
	for _, m := range moderators {
		if key, err := identity.ParseKey(m.Key); err == nil && identity.Verify(key, last.RawTBSCertificate, last.Signature) == nil {
			return nil
		}
	}
	return fmt.Errorf("peergroup: %w", credential.ErrIssuer)
}

// stats returns the counters.
func (s *secrets) stats() SecretsStats {
	return SecretsStats{ExchangeStats: s.keys.Stats(), Opened: s.opened.Load(), DroppedUnreadable: s.unreadable.Load()}
}

// rendezvousKnown returns the rendezvous of the group that this peer has to do with,
// itself included if it is one: what another member needs to find its way in.
func (g *Group) rendezvousKnown() []id.Peer {
	if !g.ready.Load() {
		return nil
	}
	var list []id.Peer
	if v := g.rdv.PeerView(); v != nil {
		list = append(v.Peers(), g.peer.id)
	}
	if l, ok := g.rdv.Lease(); ok {
		list = append(list, l.Peer)
	}
	return list
}

// heardOf takes what another member says are rendezvous.
func (g *Group) heardOf(list []id.Peer) {
	news := false
	for _, q := range list {
		if q != g.peer.id && g.policy.judge(q) == nil {
			news = g.remember(q) || news
		}
	}
	if news && g.ready.Load() {
		g.rdv.TrySeeds()
	}
}
