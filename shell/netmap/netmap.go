// Package netmap is the network as one peer can know it: the peers, what connects them,
// the groups, and the pipes that are open here. It asks nobody; what the peer has not heard
// of is not on the map.
package netmap

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/peergroup"
	"github.com/juxta-p2p/juxta/protocols/discovery"
	"github.com/juxta-p2p/juxta/protocols/rendezvous"
	"github.com/juxta-p2p/juxta/shell/interp"
)

// Map is what a peer knows at one moment. Its lists are in a stable order, so that two maps can
// be compared, see [Map.Still]. Its texts, some of which come from strangers, are one line each
// without control characters.
type Map struct {
	Time   time.Time `json:"time"` // when it was taken
	Self   string    `json:"self"` // ID of the peer whose map it is
	Peers  []Peer    `json:"peers"`
	Edges  []Edge    `json:"edges"`
	Groups []Group   `json:"groups"`
	Pipes  []Pipe    `json:"pipes"`
	More   int       `json:"more,omitempty"` // peers known that did not fit

	compared bool // with an earlier one: people are told the traffic
}

// Peer is a peer on the map.
type Peer struct {
	ID    string   `json:"id"`
	Name  string   `json:"name"`  // as it says; may be empty
	Short string   `json:"short"` // of the ID
	Roles []string `json:"roles"` // "rendezvous", "relay", as far as they are seen
	Way   string   `json:"way"`   // how it is reached now, such as "tls", "relayed"; empty: not known
	Known []string `json:"known"` // from where it is known: "link", "lease", "view", "route", "near", "advertisement"
}

// Kinds of edges.
const (
	KindLink   = "link"   // an open connection
	KindLease  = "lease"  // From leases from the rendezvous To
	KindRelay  = "relay"  // From is reached through the relay To
	KindView   = "view"   // both are rendezvous, and From knows To
	KindRoute  = "route"  // messages from From go to To, the first peer on a way
	KindSpread = "beyond" // and from there on to the next
)

// Edge is what connects two peers.
type Edge struct {
	From   string `json:"from"`
	To     string `json:"to"`
	Kind   string `json:"kind"`
	Group  string `json:"group,omitempty"`  // ID of the group, of leases and views
	Detail string `json:"detail,omitempty"` // for people
	Left   int    `json:"left,omitempty"`   // seconds until a lease ends; the other side may think otherwise by the way of a message

	Traffic *Traffic `json:"traffic,omitempty"` // of a link
}

// Group is a group that the peer is in.
type Group struct {
	ID      string   `json:"id"`
	Name    string   `json:"name"`
	Parent  string   `json:"parent,omitempty"`
	Role    string   `json:"role"`    // of this peer in it
	Members []string `json:"members"` // other peers that are known in it
}

// Pipe is the input end of a pipe, open at the peer itself.
type Pipe struct {
	ID       string `json:"id"`
	Name     string `json:"name"`
	Type     string `json:"type"`
	Group    string `json:"group"` // ID
	Received uint64 `json:"received"`
	Waiting  int    `json:"waiting"`
	Dropped  uint64 `json:"dropped"`

	Rate *float64 `json:"rate,omitempty"` // messages received in a second; nil as in [Traffic]
}

// maxPeers bounds the peers of a map: a cache may know of many thousands, and nobody sees more in a
// drawing. Those that are linked come first.
const maxPeers = 1000

// maxText bounds the characters of a name or an address: strangers choose them.
const maxText = 200

// plain makes what a stranger may have written fit for one line of the tree, of the drawing and
// of the page. It changes nothing in what has gone through it before.
func plain(s string) string {
	s = interp.Text(s)
	if len(s) <= maxText {
		return s
	}
	if r := []rune(s); len(r) > maxText {
		return string(r[:maxText-1]) + "…"
	}
	return s
}

// tidy makes all texts of a map plain. Every map goes through here on its way out: names get
// into it at many places.
func (m *Map) tidy() {
	for i := range m.Peers {
		m.Peers[i].Name = plain(m.Peers[i].Name)
	}
	for i := range m.Edges {
		m.Edges[i].Detail = plain(m.Edges[i].Detail)
	}
	for i := range m.Groups {
		m.Groups[i].Name = plain(m.Groups[i].Name)
	}
	for i := range m.Pipes {
		m.Pipes[i].Name, m.Pipes[i].Type = plain(m.Pipes[i].Name), plain(m.Pipes[i].Type)
	}
}

// Take draws the map of a peer.
func Take(p *peergroup.Peer) *Map {
	b := builder{self: p.ID(), peers: map[id.Peer]*Peer{}, edges: map[edgeKey]Edge{}}
	b.peer(p.ID(), p.Name(), "")
	if r := p.Roles(); r.Relay {
		b.role(p.ID(), "relay")
	}
	b.links(p)
	b.routes(p)
	for _, n := range p.Neighbours() {
		b.peer(n.Peer, n.Name, "near")
	}
	for _, l := range p.RelayLeases().Leases {
		b.peer(l.Relay, l.Name, "lease")
		b.role(l.Relay, "relay")
		b.edge(Edge{From: b.self.String(), To: l.Relay.String(), Kind: KindRelay, Left: seconds(l.Left)})
	}
	for _, c := range p.RelayClients() {
		b.peer(c.Peer, "", "lease")
		b.role(p.ID(), "relay")
		b.edge(Edge{From: c.Peer.String(), To: b.self.String(), Kind: KindRelay, Left: seconds(c.Left)})
	}
	b.group(p.Net(), "")
	return b.done()
}

type builder struct {
	self   id.Peer
	peers  map[id.Peer]*Peer
	edges  map[edgeKey]Edge
	groups []Group
	pipes  []Pipe
}

// peer notes a peer, and from where it is known.
func (b *builder) peer(p id.Peer, name, from string) {
	if p.IsZero() {
		return
	}
	x := b.peers[p]
	if x == nil {
		x = &Peer{ID: p.String(), Short: p.Short(), Roles: []string{}, Known: []string{}}
		b.peers[p] = x
	}
	if x.Name == "" {
		x.Name = name
	}
	if from != "" && !slices.Contains(x.Known, from) {
		x.Known = append(x.Known, from)
	}
}

func (b *builder) role(p id.Peer, role string) {
	if x := b.peers[p]; x != nil && !slices.Contains(x.Roles, role) {
		x.Roles = append(x.Roles, role)
	}
}

func (b *builder) edge(e Edge) { b.edges[e.key()] = e }

func (b *builder) links(p *peergroup.Peer) {
	for _, l := range p.Endpoint().Links() {
		b.peer(l.Peer(), "", "link")
		detail := l.Remote().Base().String()
		if !endpoint.Encrypted(l) {
			detail += ", not encrypted"
		}
		from, to := b.self.String(), l.Peer().String()
		if !l.Outgoing() {
			from, to = to, from
		}
		e := Edge{From: from, To: to, Kind: KindLink, Detail: detail}
		if t, ok := p.Endpoint().TrafficOf(l); ok {
			e.Traffic = b.edges[e.key()].Traffic.plus(t)
		}
		b.edge(e)
	}
}

// plus adds the traffic of a link to that of others between the same two places.
func (t *Traffic) plus(l endpoint.Traffic) *Traffic {
	sum := Traffic{Sent: l.Sent, SentOctets: l.SentOctets, Received: l.Received, ReceivedOctets: l.ReceivedOctets}
	if t != nil {
		sum.Sent, sum.SentOctets = sum.Sent+t.Sent, sum.SentOctets+t.SentOctets
		sum.Received, sum.ReceivedOctets = sum.Received+t.Received, sum.ReceivedOctets+t.ReceivedOctets
	}
	return &sum
}

// seconds rounds up, so that a lease which has not ended has some left.
func seconds(d time.Duration) int { return int((d + time.Second - 1) / time.Second) }

// routes notes by which ways peers are reached.
func (b *builder) routes(p *peergroup.Peer) {
	for _, r := range p.Router().Routes() {
		b.peer(r.Peer, "", "route")
		x := b.peers[r.Peer]
		if x == nil {
			continue
		}
		x.Way = string(r.Kind)
		if r.Linked {
			continue
		}
		at := b.self.String()
		for i, hop := range r.Hops {
			b.peer(hop, "", "route")
			kind := KindRoute
			if i > 0 {
				kind = KindSpread
			}
			b.edge(Edge{From: at, To: hop.String(), Kind: kind})
			at = hop.String()
		}
		if len(r.Hops) > 0 {
			b.edge(Edge{From: at, To: r.Peer.String(), Kind: KindSpread})
		}
	}
}

// group notes what is known in a group, and in those within it.
func (b *builder) group(g *peergroup.Group, parent string) {
	rdv, gid := g.Rendezvous(), g.ID().String()
	x := Group{ID: gid, Name: g.Name(), Parent: parent, Role: rdv.Role().String(), Members: []string{}}
	if rdv.Role() == rendezvous.Rendezvous {
		b.role(b.self, "rendezvous")
	}
	seen := map[id.Peer]bool{b.self: true}
	member := func(p id.Peer) {
		if !seen[p] && len(x.Members) < maxPeers {
			seen[p] = true
			x.Members = append(x.Members, p.String())
		}
	}
	if l, ok := rdv.Lease(); ok {
		b.peer(l.Peer, l.Name, "lease")
		b.role(l.Peer, "rendezvous")
		b.edge(Edge{From: b.self.String(), To: l.Peer.String(), Kind: KindLease, Group: gid, Left: seconds(l.Left)})
		member(l.Peer)
	}
	for _, c := range rdv.Clients() {
		b.peer(c.Peer, c.Name, "lease")
		if c.Connected { // a lease outlives its peer, which may be gone
			b.edge(Edge{From: c.Peer.String(), To: b.self.String(), Kind: KindLease, Group: gid, Left: seconds(c.Left)})
		}
		member(c.Peer)
	}
	if view := rdv.PeerView(); view != nil {
		for _, m := range view.Members() {
			b.peer(m.Peer, m.Name, "view")
			b.role(m.Peer, "rendezvous")
			b.edge(Edge{From: b.self.String(), To: m.Peer.String(), Kind: KindView, Group: gid})
			member(m.Peer)
		}
	}
	for _, r := range g.Discovery().Local(discovery.Query{Kind: advertisements.Peers, Limit: maxPeers}) {
		if adv, ok := r.Adv.(*advertisements.Peer); ok {
			b.peer(adv.ID, adv.Name, "advertisement")
			member(adv.ID)
		}
	}
	slices.Sort(x.Members)
	b.groups = append(b.groups, x)
	for _, in := range g.Pipes().Inputs() {
		adv, s := in.Pipe(), in.Stats()
		b.pipes = append(b.pipes, Pipe{ID: adv.ID.String(), Name: adv.Name, Type: string(adv.Type), Group: gid, Received: s.Received, Waiting: s.Waiting,
			Dropped: s.DroppedFull + s.DroppedRefused + s.DroppedPlain})
	}
	for _, child := range g.Groups() {
		b.group(child, gid)
	}
}

// done puts everything into its order.
func (b *builder) done() *Map {
	m := &Map{Time: time.Now().Round(0).UTC(), Self: b.self.String(), Peers: []Peer{}, Edges: []Edge{}, Groups: b.groups, Pipes: b.pipes}
	if m.Pipes == nil {
		m.Pipes = []Pipe{}
	}
	for _, p := range b.peers {
		slices.Sort(p.Roles)
		slices.Sort(p.Known)
		m.Peers = append(m.Peers, *p)
	}
	rank := func(p *Peer) int {
		switch {
		case p.ID == m.Self:
			return 0
		case slices.Contains(p.Known, "link"):
			return 1
		case slices.Contains(p.Roles, "rendezvous"):
			return 2
		}
		return 3
	}
	slices.SortFunc(m.Peers, func(x, y Peer) int {
		return cmp.Or(rank(&x)-rank(&y), strings.Compare(x.Name, y.Name), strings.Compare(x.ID, y.ID))
	})
	if len(m.Peers) > maxPeers {
		m.More = len(m.Peers) - maxPeers
		m.Peers = m.Peers[:maxPeers]
	}
	on := map[string]bool{}
	for i := range m.Peers {
		on[m.Peers[i].ID] = true
	}
	for _, e := range b.edges {
		if on[e.From] && on[e.To] && e.From != e.To {
			m.Edges = append(m.Edges, e)
		}
	}
	slices.SortFunc(m.Edges, func(x, y Edge) int {
		return cmp.Or(strings.Compare(x.Kind, y.Kind), strings.Compare(x.From, y.From), strings.Compare(x.To, y.To), strings.Compare(x.Group, y.Group), strings.Compare(x.Detail, y.Detail))
	})
	place := map[string]int{}
	for i, g := range m.Groups {
		place[g.ID] = i
	}
	slices.SortFunc(m.Pipes, func(x, y Pipe) int {
		return cmp.Or(place[x.Group]-place[y.Group], strings.Compare(x.Name, y.Name), strings.Compare(x.ID, y.ID))
	})
	m.tidy()
	return m
}

// Peer returns the peer of an ID, nil if it is not on the map.
func (m *Map) Peer(peer string) *Peer {
	i := slices.IndexFunc(m.Peers, func(p Peer) bool { return p.ID == peer })
	if i < 0 {
		return nil
	}
	return &m.Peers[i]
}

// Label is a name for people: that of the peer, or the end of its ID.
func (p *Peer) Label() string { return cmp.Or(p.Name, p.Short) }
