package peergrouptest

import (
	"time"

	"github.com/juxta-p2p/juxta/core/id"
)

// Sample is the state of the network at one moment.
type Sample struct {
	At       Seconds `json:"at_s"` // since the first peer was started
	Peers    int     `json:"peers"`
	Known    float64 `json:"views_known"` // mean share of the other rendezvous that a rendezvous knows
	Least    float64 `json:"views_least"` // the smallest such share, of those that run for 10 s or more
	Dead     float64 `json:"views_dead"`  // mean number of members of a view that do not run
	Leased   float64 `json:"leased"`      // share of edges with a lease
	Lookups  int     `json:"lookups"`     // that ended since the sample before, and count
	Hits     int     `json:"hits"`        // of these
	Messages uint64  `json:"messages"`    // since the sample before
}

// sample adds a point to the curves.
func (r *run) sample(at time.Duration) {
	s := r.views()
	s.At, s.Peers = seconds(at), len(r.up)
	edges := len(r.up) - r.rdvs
	if edges > 0 {
		s.Leased = float64(r.leases()) / float64(edges)
	}
	for r.sampled < len(r.lookups) { // in order of their beginning
		l := r.lookups[r.sampled]
		if l.state() == pending && time.Since(l.began) < lookFor+hangsAfter {
			break
		}
		r.sampled++
		if l.counts() == "" {
			s.Lookups++
			if l.state() == hit {
				s.Hits++
			}
		}
	}
	s.Messages = r.tap.sinceLast()
	if !r.settled {
		r.growth = append(r.growth, s)
	} else {
		r.curve = append(r.curve, s)
	}
	r.machine.peak()
}

// leases returns how many edges have a lease, and remembers since when the others
// have none.
func (r *run) leases() int {
	now, n := time.Now(), 0
	for _, m := range r.up {
		if m.rdv {
			continue
		}
		if m.changed.Swap(false) {
			switch connected := m.Net().Rendezvous().Connected(); {
			case connected:
				m.without(now)
				m.leased = true
			case m.bare.IsZero():
				m.bare = now
			}
		}
		if m.bare.IsZero() {
			n++
		}
	}
	return n
}

// without ends a time without a lease.
func (m *member) without(now time.Time) {
	if !m.bare.IsZero() {
		m.longest = max(m.longest, now.Sub(m.bare))
		m.bare = time.Time{}
	}
}

// grownUp is how long a rendezvous may take to get to know the others.
const grownUp = 10 * time.Second

// views looks at what rendezvous know of each other.
func (r *run) views() Sample {
	if r.rdvs < 2 {
		return Sample{Known: 1, Least: 1}
	}
	up := make(map[id.Peer]bool, r.rdvs)
	for _, m := range r.up {
		if m.rdv {
			up[m.ID()] = true
		}
	}
	s := Sample{Least: 1}
	known, dead := 0, 0 // whole numbers, whose sum does not depend on the order
	for _, m := range r.up {
		if !m.rdv {
			continue
		}
		n := 0
		for _, p := range m.Net().Rendezvous().View() {
			if up[p] {
				n++
			} else {
				dead++
			}
		}
		known += n
		if time.Since(m.began) >= grownUp {
			s.Least = min(s.Least, float64(n)/float64(r.rdvs-1))
		}
	}
	s.Known = float64(known) / float64(r.rdvs*(r.rdvs-1))
	s.Dead = float64(dead) / float64(r.rdvs)
	return s
}
