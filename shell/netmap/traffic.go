package netmap

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/shell/interp"
)

// Traffic is what an edge or a pipe has carried since it was opened, as the peer itself has
// counted it, and how much that is at present. Received is what came to the peer.
type Traffic struct {
	Sent           uint64 `json:"sent"`            // messages
	SentOctets     uint64 `json:"sent_octets"`     // encoded, without what the transport adds
	Received       uint64 `json:"received"`        // messages
	ReceivedOctets uint64 `json:"received_octets"` // likewise

	// Rate is nil on a map that was not compared with an earlier one, see [Map.Since].
	Rate *Rate `json:"rate,omitempty"`
}

// Rate is how much passes in a second.
type Rate struct {
	Sent           float64 `json:"sent"`
	SentOctets     float64 `json:"sent_octets"`
	Received       float64 `json:"received"`
	ReceivedOctets float64 `json:"received_octets"`
}

// edgeKey is what makes an edge the same on two maps.
type edgeKey struct{ from, to, kind, group, detail string }

func (e *Edge) key() edgeKey { return edgeKey{e.From, e.To, e.Kind, e.Group, e.Detail} }

// Since fills in the rates of what was on an earlier map already; the tree then tells the traffic
// and the time left on leases, too. It does nothing if before is nil or not earlier.
func (m *Map) Since(before *Map) {
	if before == nil {
		return
	}
	seconds := m.Time.Sub(before.Time).Seconds()
	if seconds <= 0 {
		return
	}
	m.compared = true
	was := map[edgeKey]*Traffic{}
	for i := range before.Edges {
		if e := &before.Edges[i]; e.Traffic != nil {
			was[e.key()] = e.Traffic
		}
	}
	for i := range m.Edges {
		e := &m.Edges[i]
		if old := was[e.key()]; e.Traffic != nil && old != nil {
			t := *e.Traffic
			t.Rate = &Rate{
				Sent: perSecond(t.Sent, old.Sent, seconds), SentOctets: perSecond(t.SentOctets, old.SentOctets, seconds),
				Received: perSecond(t.Received, old.Received, seconds), ReceivedOctets: perSecond(t.ReceivedOctets, old.ReceivedOctets, seconds),
			}
			e.Traffic = &t
		}
	}
	pipes := map[[2]string]uint64{}
	for _, p := range before.Pipes {
		pipes[[2]string{p.Group, p.ID}] = p.Received
	}
	for i := range m.Pipes {
		p := &m.Pipes[i]
		if old, ok := pipes[[2]string{p.Group, p.ID}]; ok {
			rate := perSecond(p.Received, old, seconds)
			p.Rate = &rate
		}
	}
}

// perSecond is in tenths. A count that went back is that of another link in the same place.
func perSecond(now, before uint64, seconds float64) float64 {
	if now < before {
		return 0
	}
	const tenths = 10
	return math.Round(float64(now-before)/seconds*tenths) / tenths
}

// Still returns the map without what changes while the network stays as it is: traffic, what
// waits in pipes, the time left on leases, and when the map was taken. Two maps that are the
// same so tell of the same network.
func (m *Map) Still() *Map {
	still := *m
	still.Time = time.Time{}
	still.Edges = make([]Edge, len(m.Edges))
	for i, e := range m.Edges {
		e.Traffic, e.Left = nil, 0
		still.Edges[i] = e
	}
	still.Pipes = make([]Pipe, len(m.Pipes))
	for i, p := range m.Pipes {
		still.Pipes[i] = Pipe{ID: p.ID, Name: p.Name, Type: p.Type, Group: p.Group}
	}
	return &still
}

// Text tells the traffic in words: what came in and what went out.
func (t *Traffic) Text() string {
	if t == nil {
		return ""
	}
	in := fmt.Sprintf("in %s, %s", count(t.Received), size(float64(t.ReceivedOctets)))
	out := fmt.Sprintf("out %s, %s", count(t.Sent), size(float64(t.SentOctets)))
	if t.Rate != nil {
		in += fmt.Sprintf(", now %s/s", size(t.Rate.ReceivedOctets))
		out += fmt.Sprintf(", now %s/s", size(t.Rate.SentOctets))
	}
	return in + "; " + out
}

func count(n uint64) string {
	if n == 1 {
		return "1 message"
	}
	return fmt.Sprintf("%d messages", n)
}

// size writes octets for people.
func size(octets float64) string {
	const step = 1024
	units := []string{"B", "KiB", "MiB", "GiB", "TiB"}
	i := 0
	for ; octets >= step && i < len(units)-1; i++ {
		octets /= step
	}
	if i == 0 {
		return fmt.Sprintf("%.0f B", octets)
	}
	return fmt.Sprintf("%.1f %s", octets, units[i])
}

// linked tells the traffic of all links between the peer itself and another, empty if the map
// was not compared or there is none.
func (m *Map) linked(peer string) string {
	if !m.compared {
		return ""
	}
	var sum *Traffic
	for i := range m.Edges {
		e := &m.Edges[i]
		if e.Traffic == nil || e.From != peer && e.To != peer || peer == m.Self {
			continue
		}
		t := e.Traffic
		all := sum.plus(endpoint.Traffic{Sent: t.Sent, SentOctets: t.SentOctets, Received: t.Received, ReceivedOctets: t.ReceivedOctets})
		all.Rate = sum.rate().plus(t.rate())
		sum = all
	}
	if sum == nil {
		return ""
	}
	return "; " + sum.Text()
}

func (t *Traffic) rate() *Rate {
	if t == nil {
		return nil
	}
	return t.Rate
}

// plus adds two rates, of which either may not be known.
func (r *Rate) plus(o *Rate) *Rate {
	switch {
	case r == nil:
		return o
	case o == nil:
		return r
	}
	return &Rate{Sent: r.Sent + o.Sent, SentOctets: r.SentOctets + o.SentOctets, Received: r.Received + o.Received, ReceivedOctets: r.ReceivedOctets + o.ReceivedOctets}
}

// leased tells how long the lease of a peer from a rendezvous has left in a group, likewise.
func (m *Map) leased(peer, rdv, group string) string {
	i := slices.IndexFunc(m.Edges, func(e Edge) bool {
		return e.Kind == KindLease && e.From == peer && e.To == rdv && e.Group == group
	})
	if !m.compared || i < 0 || m.Edges[i].Left <= 0 {
		return ""
	}
	return "; lease ends in " + left(m.Edges[i].Left)
}

// text tells about an edge in one line.
func (e *Edge) text() string {
	parts := []string{strings.TrimSpace(e.Kind + " " + e.Detail)}
	if e.Left > 0 {
		parts = append(parts, "ends in "+left(e.Left))
	}
	if e.Traffic != nil {
		parts = append(parts, e.Traffic.Text())
	}
	return strings.Join(parts, "; ")
}

// left writes seconds for people.
func left(seconds int) string { return interp.Span(time.Duration(seconds) * time.Second) }
