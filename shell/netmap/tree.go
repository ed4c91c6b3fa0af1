package netmap

import (
	"fmt"
	"slices"
	"strings"
)

// Tree returns the map as text: each group with its rendezvous and who leases from them,
// then the peers beside them, and the pipes. A map that was compared with an earlier one tells
// the traffic, too; see [Map.Since].
func (m *Map) Tree() string {
	var b strings.Builder
	self := m.Peer(m.Self)
	if self == nil {
		return ""
	}
	fmt.Fprintf(&b, "%s\n", m.line(self, ""))
	groups := map[string]string{}
	for _, g := range m.Groups[min(1, len(m.Groups)):] {
		groups[g.ID] = ", in " + g.Name
	}
	inGroup := map[string]bool{m.Self: true}
	var items []node
	for _, g := range m.Groups {
		items = append(items, m.groupNode(&g, inGroup))
	}
	var others node
	for i := range m.Peers {
		if p := &m.Peers[i]; !inGroup[p.ID] {
			others.below = append(others.below, node{text: m.line(p, "")})
		}
	}
	if len(others.below) > 0 {
		others.text = "other peers"
		items = append(items, others)
	}
	if len(m.Pipes) > 0 {
		pipes := node{text: "pipes open here"}
		for _, p := range m.Pipes {
			text := fmt.Sprintf("%s%s, %s, %d received", p.Name, groups[p.Group], p.Type, p.Received)
			if p.Rate != nil {
				text += fmt.Sprintf(", now %.1f/s", *p.Rate)
			}
			if p.Waiting > 0 {
				text += fmt.Sprintf(", %d waiting", p.Waiting)
			}
			if p.Dropped > 0 {
				text += fmt.Sprintf(", %d dropped", p.Dropped)
			}
			pipes.below = append(pipes.below, node{text: text})
		}
		items = append(items, pipes)
	}
	draw(&b, items, "")
	if m.More > 0 {
		fmt.Fprintf(&b, "and %d more peers\n", m.More)
	}
	return b.String()
}

// node is one line of the tree and what hangs below it.
type node struct {
	text  string
	below []node
}

func draw(b *strings.Builder, all []node, indent string) {
	for i, n := range all {
		branch, next := "├─ ", "│  "
		if i == len(all)-1 {
			branch, next = "└─ ", "   "
		}
		b.WriteString(indent + branch + n.text + "\n")
		draw(b, n.below, indent+next)
	}
}

// groupNode hangs edges below the rendezvous that they lease from.
func (m *Map) groupNode(g *Group, seen map[string]bool) node {
	n := node{text: fmt.Sprintf("group %s, here as %s", g.Name, g.Role)}
	clients := map[string][]string{} // of each rendezvous
	leases := map[string]bool{}      // who has one
	var rendezvous []string
	if g.Role == rendezvousRole {
		rendezvous = append(rendezvous, m.Self)
	}
	for _, e := range m.Edges {
		switch {
		case e.Group != g.ID:
		case e.Kind == KindLease:
			clients[e.To] = append(clients[e.To], e.From)
			leases[e.From] = true
			rendezvous = append(rendezvous, e.To)
		case e.Kind == KindView:
			rendezvous = append(rendezvous, e.From, e.To)
		}
	}
	slices.SortFunc(rendezvous, func(x, y string) int { return m.place(x) - m.place(y) })
	for _, r := range slices.Compact(rendezvous) {
		seen[r] = true
		x := node{text: m.line(m.Peer(r), rendezvousRole)}
		slices.SortFunc(clients[r], func(x, y string) int { return m.place(x) - m.place(y) })
		for _, c := range clients[r] {
			seen[c] = true
			x.below = append(x.below, node{text: m.line(m.Peer(c), "") + m.leased(c, r, g.ID)})
		}
		n.below = append(n.below, x)
	}
	for _, p := range g.Members {
		if x := m.Peer(p); x != nil && !leases[p] && !slices.Contains(rendezvous, p) {
			seen[p] = true
			n.below = append(n.below, node{text: m.line(x, "")})
		}
	}
	return n
}

// place is where a peer stands on the map.
func (m *Map) place(peer string) int {
	return slices.IndexFunc(m.Peers, func(p Peer) bool { return p.ID == peer })
}

// rendezvousRole is the role that a peer has in a group, and not everywhere.
const rendezvousRole = "rendezvous"

// line tells about a peer. role is what it is in a group.
func (m *Map) line(p *Peer, role string) string {
	text := p.Label()
	if p.Name != "" {
		text += " " + p.Short
	}
	if p.ID == m.Self {
		text += " (this peer)"
	}
	words := slices.DeleteFunc(slices.Clone(p.Roles), func(r string) bool { return r == rendezvousRole })
	if role != "" {
		words = append(words, role)
	}
	if p.Way != "" {
		words = append(words, p.Way)
	} else if p.ID != m.Self {
		words = append(words, "no way known")
	}
	if len(words) > 0 {
		text += ", " + strings.Join(words, ", ")
	}
	return text + m.linked(p.ID)
}
