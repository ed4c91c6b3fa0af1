package peergroup

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/advertisements/credential"
	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/home"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/peergroup/governance"
	"github.com/juxta-p2p/juxta/peergroup/membership"
)

// policy is what governs a group that has a charter: it stands between the group's
// services and the endpoint.
type policy struct {
	g       *Group
	charter *governance.Charter
	service atomic.Pointer[governance.Service] // nil until it runs
	self    atomic.Pointer[error]              // why this peer is out; nil if it is not
	secrets *secrets                           // of a closed group; nil in an open one

	mu   sync.Mutex
	told map[id.Peer]time.Time // the excluded who were told
}

// newPolicy reads the charter of a group's advertisement; nil if there is none.
func newPolicy(g *Group) (*policy, error) {
	c, err := governance.CharterOf(g.adv)
	switch {
	case errors.Is(err, governance.ErrNoCharter):
		return nil, nil
	case err != nil:
		return nil, err
	}
	return &policy{g: g, charter: c}, nil
}

// entry is how a peer comes into a group.
type entry struct {
	JoinConfig
	founder    bool
	issuer     *membership.Issuer
	credential *credential.Credential // for a closed group; nil shows none
	contacts   []id.Peer

	plan  *plan                        // the modules by specification; nil: what the advertisement says
	impls []*advertisements.ModuleImpl // how the group is implemented; nil: what others say
}

// govern puts the group's policy between endpoint and services, which are yet to come.
func (g *Group) govern(how entry) (err error) {
	if g.policy, err = newPolicy(g); err != nil || g.policy == nil {
		return err
	}
	switch g.policy.charter.Unsigned {
	case governance.MarkUnsigned:
		g.SetUnsigned(advertisements.MarkUnsigned)
	case governance.RefuseUnsigned:
		g.SetUnsigned(advertisements.RefuseUnsigned)
	}
	g.scope = g.peer.ep.ScopeUnder(g.adv.ID, g.policy.rules())
	g.contacts = how.contacts
	if g.hidden() {
		return g.policy.startSecrets(how.credential, how.founder)
	}
	return nil
}

// charter completes and signs a charter, and puts it into the group's advertisement.
func (g *Group) charter(adv *advertisements.Group, c governance.Charter) error {
	ident := g.peer.proof()
	if ident == nil {
		return ErrNoKey
	}
	c.Group = adv.ID
	if len(c.Moderators) == 0 {
		c.Moderators = []governance.Moderator{governance.ModeratorOf(ident)}
	}
	signed, err := c.Sign(ident)
	if err != nil {
		return err
	}
	return signed.AddTo(adv)
}

// hidden reports whether outsiders are told nothing of the group.
func (g *Group) hidden() bool { return g.policy != nil && g.policy.charter.Mode == governance.Closed }

// rules are what the endpoint asks for each message.
func (p *policy) rules() endpoint.Rules {
	r := endpoint.Rules{Admit: p.admit, Allow: p.allow}
	if p.charter.Mode == governance.Closed {
		r.Seal = p.seal
	}
	return r
}

// errUnsealed is why a message is dropped that came into a closed group unsealed.
var errUnsealed = errors.New("the group is closed, and the message was not sealed")

// admit says whether the group takes a message, by who it is from and from where.
func (p *policy) admit(in endpoint.Incoming) error {
	if in.From == p.g.peer.id {
		return nil
	}
	if p.g.hidden() && !in.Sealed {
		return errUnsealed
	}
	s := p.service.Load()
	if s == nil {
		return nil
	}
	if in.Link == nil || in.Link.Peer() != in.From {
		return p.judgeFar(s, in.From, nil)
	}
	who := governance.Subject{Peer: in.From}
	if s.JudgesAddresses() {
		who.Addr, _ = netip.ParseAddr(in.Link.Origin())
	}
	err := s.Judge(who)
	if err != nil {
		p.object(in.Link, err)
	}
	return err
}

// admitAsker returns what the resolver asks of each question, whoever brings it; nil in
// a group without a charter.
func (g *Group) admitAsker() func(id.Peer, *advertisements.Route) error {
	if g.policy == nil {
		return nil
	}
	return func(source id.Peer, route *advertisements.Route) error {
		s := g.policy.service.Load()
		if s == nil || source == g.peer.id {
			return nil
		}
		return g.policy.judgeFar(s, source, route)
	}
}

// object tells one who is excluded so, now and then.
func (p *policy) object(l endpoint.Link, rule error) {
	now := time.Now()
	p.mu.Lock()
	again := now.Sub(p.told[l.Peer()]) < objectEvery
	if !again {
		if p.told == nil || len(p.told) >= maxObjected {
			p.told = map[id.Peer]time.Time{}
		}
		p.told[l.Peer()] = now
	}
	p.mu.Unlock()
	if !again {
		p.g.Go(func(context.Context) { p.g.peer.ep.Object(l, fmt.Errorf("group %q: %w", p.g.Name(), rule)) })
	}
}

// allow says whether something may be sent to a peer in the group.
func (p *policy) allow(to id.Peer) error {
	if out := p.self.Load(); out != nil {
		return fmt.Errorf("this peer: %w", *out)
	}
	if s := p.service.Load(); s != nil {
		return s.Judge(governance.Subject{Peer: to})
	}
	return nil
}

// judge says whether a peer is excluded, by its ID, the links to it and the
// addresses it is known to have.
func (p *policy) judge(who id.Peer) error {
	s := p.service.Load()
	if s == nil {
		return nil
	}
	for _, l := range p.g.peer.ep.Links() {
		if l.Peer() != who {
			continue
		}
		if a, err := netip.ParseAddr(l.Origin()); err == nil {
			if err := s.Judge(governance.Subject{Peer: who, Addr: a}); err != nil {
				return err
			}
		}
	}
	return p.judgeFar(s, who, nil)
}

// judgeFar judges a peer that something comes from through others, by where it is
// said to be reached: the route that came along, if there is one, and what is known.
func (p *policy) judgeFar(s *governance.Service, who id.Peer, route *advertisements.Route) error {
	if err := s.Judge(governance.Subject{Peer: who}); err != nil || !s.JudgesAddresses() {
		return err
	}
	claims := p.g.claims(who)
	if route != nil {
		claims = append(claims, addressesOf(route.Addresses)...)
	}
	for _, a := range claims {
		if err := s.Judge(governance.Subject{Addr: a}); err != nil {
			return err
		}
	}
	return nil
}

// claims returns the IP addresses that a peer is believed to have: not by what others
// have told, who could have it shut out so.
func (g *Group) claims(who id.Peer) []netip.Addr {
	r, ok := g.peer.router.Route(who)
	if !ok || !r.From.IsZero() && r.From != who {
		return nil
	}
	return addressesOf(r.Addresses)
}

// addressesOf returns the IP addresses among those of transports.
func addressesOf(all []endpoint.Address) (list []netip.Addr) {
	for _, a := range all {
		if at, err := netip.ParseAddrPort(a.Host); err == nil {
			list = append(list, at.Addr().Unmap())
		} else if ip, err := netip.ParseAddr(a.Host); err == nil {
			list = append(list, ip.Unmap())
		}
	}
	return list
}

// start begins to compare the group's acts with those of other members.
func (p *policy) start() error {
	s, err := governance.New(governance.Config{
		Charter: p.charter, Resolver: p.g.res, Identity: p.g.peer.ident, Store: p.g.actStore(), Members: p.g.knownMembers,
		Rand: p.g.peer.chance(), Logger: p.g.log,
	})
	if err != nil {
		return err
	}
	p.service.Store(s)
	stop := s.Watch(func(ev governance.Event) {
		switch ev.Kind {
		case governance.Excluded, governance.Readmitted, governance.Ended:
			p.g.Go(func(context.Context) { p.enforce() })
		}
	})
	p.g.undo = append(p.g.undo, s.Close, stop)
	p.enforce() // what the last run knew
	return nil
}

// enforce ends the relations with those who are excluded.
func (p *policy) enforce() {
	g, s := p.g, p.service.Load()
	out := s.Judge(governance.Subject{Peer: g.peer.id})
	if out != nil {
		if p.self.Swap(&out) == nil {
			g.log.Warn("this peer is excluded from the group", "reason", out)
		}
	} else {
		p.self.Store(nil)
	}
	for _, q := range g.rdv.Relations() {
		if err := p.judge(q); err != nil {
			g.log.Info("an excluded peer is let go", "peer", q.Short(), "reason", err)
			g.rdv.Expel(q)
			g.lostRendezvous(q)
			g.forget(q)
		}
	}
	for _, e := range s.List() {
		if q := e.Act.Peer; !q.IsZero() {
			g.forget(q)
		}
	}
}

// forget drops what this peer keeps of another one for the group.
func (g *Group) forget(q id.Peer) {
	g.mu.Lock()
	delete(g.found, q)
	g.mu.Unlock()
	adv := &advertisements.Peer{ID: q, Group: g.adv.ID}
	g.peer.store.Scope(g.adv.ID).Remove(advertisements.Peers, adv.Key())
}

// knownMembers returns members of the group that this peer has to do with, for its
// policy to compare acts with and to ask for secrets.
func (g *Group) knownMembers() []id.Peer {
	var list []id.Peer
	if g.ready.Load() {
		list = g.rdv.Relations()
	}
	g.mu.Lock()
	for q := range g.found {
		list = append(list, q)
	}
	list = append(list, g.contacts...)
	g.mu.Unlock()
	slices.SortFunc(list, func(a, b id.Peer) int { return strings.Compare(a.String(), b.String()) })
	return slices.DeleteFunc(slices.Compact(list), func(q id.Peer) bool { return q == g.peer.id })
}

// actStore keeps the group's acts in the home.
func (g *Group) actStore() governance.Store {
	if g.peer.cfg.Home == "" {
		return governance.Store{}
	}
	dir, name := filepath.Join(g.peer.cfg.Home, "groups"), g.adv.ID.Unique()+".acts"
	return governance.Store{
		Load: func() (acts [][]byte, err error) {
			b, err := os.ReadFile(filepath.Join(dir, name))
			if errors.Is(err, fs.ErrNotExist) {
				return nil, nil
			}
			if err == nil {
				err = json.Unmarshal(b, &acts)
			}
			return acts, err
		},
		Save: func(acts [][]byte) error {
			b, err := json.Marshal(acts)
			if err != nil {
				return err
			}
			return home.WriteFile(dir, name, b)
		},
	}
}

// Governance returns the group's policy: who moderates it, who is excluded. It is
// nil if the group's advertisement has no charter, and every peer may then be a
// member for ever.
func (g *Group) Governance() *governance.Service {
	if g.policy == nil {
		return nil
	}
	return g.policy.service.Load()
}

// Exclusion is how [Group.Exclude] excludes a peer.
type Exclusion struct {
	Reason string        // for people; optional, at most [governance.MaxReason] octets
	Term   time.Duration // zero means for ever

	// KeepAddress leaves out the addresses from which the peer comes: others there
	// are not excluded, and neither is the peer itself when it comes back with
	// another key.
	KeepAddress bool
}

// ErrUngoverned is the cause when a group without a charter is to be governed.
var ErrUngoverned = errors.New("the group has no charter")

// Exclude proposes as a moderator that a peer be shut out of the group: under the
// key of which its ID is made, whatever ID it takes, and under the addresses from
// which it comes now, as far as this peer knows them and has another one itself. It
// returns the acts, one for the key and one for each address. They are in effect on
// return if the moderators' quorum is one; see [governance.Service.Propose], whose
// errors these are, or [ErrUngoverned].
func (g *Group) Exclude(ctx context.Context, who id.Peer, x Exclusion) ([]governance.ID, error) {
	s := g.Governance()
	if s == nil {
		return nil, fmt.Errorf("peergroup: %w", ErrUngoverned)
	}
	acts := []governance.Act{{Kind: governance.Exclude, Peer: who, Reason: x.Reason, Term: x.Term}}
	if !x.KeepAddress {
		for _, a := range g.comesFrom(ctx, who) {
			acts = append(acts, governance.Act{Kind: governance.Exclude, Range: netip.PrefixFrom(a, a.BitLen()), Reason: x.Reason, Term: x.Term})
		}
	}
	var done []governance.ID
	for _, a := range acts {
		i, err := s.Propose(ctx, a)
		if err != nil {
			return done, err
		}
		done = append(done, i)
	}
	return done, nil
}

// comesFrom returns the addresses of a peer by which it can be told from this one,
// at most maxExcludedAddresses: those of links, since anybody can say that he has the
// address of somebody else. If there is no link, one is tried for a moment.
func (g *Group) comesFrom(ctx context.Context, who id.Peer) (list []netip.Addr) {
	ctx, cancel := context.WithTimeout(ctx, comesFromTimeout)
	defer cancel()
	if _, err := g.peer.router.Connect(ctx, who); err != nil {
		g.log.Debug("where a peer comes from is not known", "peer", who.Short(), "error", err)
	}
	for _, l := range g.peer.ep.Links() {
		if l.Peer() != who {
			continue
		}
		if a, err := netip.ParseAddr(l.Origin()); err == nil {
			list = append(list, a.Unmap().WithZone(""))
		}
	}
	own := addressesOf(g.peer.ep.Addresses())
	slices.SortFunc(list, netip.Addr.Compare)
	list = slices.DeleteFunc(slices.Compact(list), func(a netip.Addr) bool {
		return a.IsLoopback() || a.IsUnspecified() || slices.Contains(own, a)
	})
	return list[:min(len(list), maxExcludedAddresses)]
}

const (
	// objectEvery is how often one who is excluded is told so, and maxObjected of how
	// many that is remembered.
	objectEvery = time.Minute
	maxObjected = 256

	// comesFromTimeout bounds finding out from where a peer comes.
	comesFromTimeout = 3 * time.Second

	// maxExcludedAddresses bounds the addresses that are excluded with one peer.
	maxExcludedAddresses = 4
)

// lobby is where the closed groups in a group get their secrets; made when the
// first one is joined.
type lobby struct {
	once sync.Once
	l    *governance.Lobby
	err  error
}
