package netmap

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/juxta-p2p/juxta/shell/interp"
)

// Size and forces of the drawing, in its own units.
const (
	svgWidth, svgHeight = 960.0, 640.0
	margin              = 70.0
	rounds              = 300 // of moving apart and together
	labelLength         = 18
)

type point struct{ x, y float64 }

// layout places the peers: those that are connected pull at each other, all push each other away.
// The same map is always laid out in the same way.
func (m *Map) layout() []point {
	n := len(m.Peers)
	at := make([]point, n)
	for i := range at { // a spiral, the peer itself in the middle
		a, r := float64(i)*2.39996, 30*math.Sqrt(float64(i))
		at[i] = point{r * math.Cos(a), r * math.Sin(a)}
	}
	place := map[string]int{}
	for i, p := range m.Peers {
		place[p.ID] = i
	}
	ideal := math.Sqrt(svgWidth * svgHeight / float64(max(n, 1)) / 2)
	for round := range rounds {
		move := make([]point, n)
		for i := range n {
			for j := range i {
				dx, dy := at[i].x-at[j].x, at[i].y-at[j].y
				d2 := max(dx*dx+dy*dy, 1)
				f := ideal * ideal / d2
				move[i].x, move[i].y = move[i].x+dx*f, move[i].y+dy*f
				move[j].x, move[j].y = move[j].x-dx*f, move[j].y-dy*f
			}
		}
		for _, e := range m.Edges {
			i, j := place[e.From], place[e.To]
			dx, dy := at[i].x-at[j].x, at[i].y-at[j].y
			f := math.Hypot(dx, dy) / ideal
			move[i].x, move[i].y = move[i].x-dx*f, move[i].y-dy*f
			move[j].x, move[j].y = move[j].x+dx*f, move[j].y+dy*f
		}
		hot := ideal * (1 - float64(round)/rounds) / 4
		for i := range at {
			move[i].x, move[i].y = move[i].x-at[i].x*0.05, move[i].y-at[i].y*0.05
			d := max(math.Hypot(move[i].x, move[i].y), 1e-9)
			step := min(d, hot)
			at[i].x, at[i].y = at[i].x+move[i].x/d*step, at[i].y+move[i].y/d*step
		}
	}
	return fit(at)
}

// fit scales the places into the drawing.
func fit(at []point) []point {
	if len(at) == 0 {
		return at
	}
	lo, hi := at[0], at[0]
	for _, p := range at {
		lo, hi = point{min(lo.x, p.x), min(lo.y, p.y)}, point{max(hi.x, p.x), max(hi.y, p.y)}
	}
	scale := func(v, lo, hi, size float64) float64 {
		if hi-lo < 1 {
			return size / 2
		}
		return margin + (v-lo)/(hi-lo)*(size-2*margin)
	}
	for i, p := range at {
		at[i] = point{scale(p.x, lo.x, hi.x, svgWidth), scale(p.y, lo.y, hi.y, svgHeight)}
	}
	return at
}

// SVG returns the map as a drawing that suits light and dark surroundings.
func (m *Map) SVG() string {
	at := m.layout()
	place := map[string]point{}
	for i, p := range m.Peers {
		place[p.ID] = at[i]
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %.0f %.0f" font-family="system-ui, sans-serif" font-size="13">
<title>The network as %s knows it</title>
<style>
svg { background: #fff; color: #222 } text { fill: currentColor } .id { opacity: .6; font-size: 10px }
.link { stroke: #4a78b5; stroke-width: 2 } .lease { stroke: #3c9a5f; stroke-width: 1.5; stroke-dasharray: 6 3 }
.relay { stroke: #b5793a; stroke-width: 1.5; stroke-dasharray: 2 3 } .view { stroke: #8a63b8; stroke-width: 1.5 }
.route, .beyond { stroke: #999; stroke-width: 1; stroke-dasharray: 1 3 }
circle { fill: #e8eef6; stroke: #4a78b5; stroke-width: 2 } .rdv circle { fill: #d9f0e1; stroke: #3c9a5f }
.self circle { stroke-width: 4 } .far circle { fill: none; stroke: #aaa }
@media (prefers-color-scheme: dark) { svg { background: #16191d; color: #dde3ea } circle { fill: #24374f } .rdv circle { fill: #1f3d2b } }
</style>
`, svgWidth, svgHeight, escape(m.Peer(m.Self).Label()))
	for _, e := range m.Edges {
		p, q := place[e.From], place[e.To]
		fmt.Fprintf(&b, `<line class="%s" x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f"><title>%s</title></line>`+"\n", e.Kind, p.x, p.y, q.x, q.y, escape(e.text()))
	}
	for i := range m.Peers {
		p := &m.Peers[i]
		class, r := "peer", 12
		if slices.Contains(p.Roles, "rendezvous") {
			class, r = "rdv", 16
		}
		switch {
		case p.ID == m.Self:
			class += " self"
		case p.Way == "":
			class += " far"
		}
		fmt.Fprintf(&b, `<g class="%s"><title>%s</title><circle cx="%.1f" cy="%.1f" r="%d"/><text x="%.1f" y="%.1f" text-anchor="middle">%s</text>`,
			class, escape(m.line(p, strings.Join(p.Roles, ", "))), at[i].x, at[i].y, r, at[i].x, at[i].y+float64(r)+15, escape(shorten(p.Label())))
		if p.Name != "" {
			fmt.Fprintf(&b, `<text class="id" x="%.1f" y="%.1f" text-anchor="middle">%s</text>`, at[i].x, at[i].y+float64(r)+27, escape(p.Short))
		}
		b.WriteString("</g>\n")
	}
	for i, kind := range []string{KindLink, KindLease, KindView, KindRelay, KindRoute} {
		y := 20 + 18*i
		fmt.Fprintf(&b, `<line class="%s" x1="16" y1="%d" x2="46" y2="%d"/><text x="54" y="%d">%s</text>`+"\n", kind, y, y, y+4, kind)
	}
	b.WriteString("</svg>\n")
	return b.String()
}

func shorten(s string) string {
	if r := []rune(s); len(r) > labelLength {
		return string(r[:labelLength-1]) + "…"
	}
	return s
}

// escape makes text harmless in a document: in a map that did not come from Take, names are as
// strangers wrote them. XML has no place at all for two characters that are no control characters.
func escape(s string) string {
	s = strings.NewReplacer("\ufffe", "\ufffd", "\uffff", "\ufffd").Replace(interp.Text(s))
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "'", "&#39;").Replace(s)
}
