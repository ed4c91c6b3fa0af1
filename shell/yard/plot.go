package yard

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/juxta-p2p/juxta/peergroup/peergrouptest"
)

// Measures of the picture, in its own units.
const (
	plotWidth, plotHeight = 900, 420
	plotLeft, plotRight   = 60, 20
	plotTop, plotBottom   = 70, 50
)

// plotStyle has colours that can be told apart on white and on black, also by
// those who do not see red and green apart.
const plotStyle = `
  svg { background: #fff; color: #222; font: 13px system-ui, sans-serif; }
  text { fill: currentColor; }
  .grid { stroke: currentColor; stroke-opacity: .18; fill: none; }
  .views { stroke: #0072b2; } .leases { stroke: #d55e00; } .hits { stroke: #009e73; }
  .curve { fill: none; stroke-width: 2; stroke-linejoin: round; }
  .hits.curve { stroke-dasharray: 7 3; }
  @media (prefers-color-scheme: dark) {
    svg { background: #16181d; color: #e6e6e6; }
    .views { stroke: #56b4e9; } .leases { stroke: #e69f00; } .hits { stroke: #2fd0a5; }
  }`

// curve is one line of the picture: a share for each sample, negative where there
// is none.
type curve struct {
	class, title string
	values       []float64
}

// Plot draws the report as SVG: what share of the other rendezvous a rendezvous
// knows, of edges that have a lease, and of lookups that were hits, over time. It
// can be read on a bright and on a dark page.
func Plot(w io.Writer, rep *peergrouptest.Report) error {
	b := bufio.NewWriter(w)
	fmt.Fprintf(b, "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" role=\"img\">\n<style>%s\n</style>\n", plotWidth, plotHeight, plotStyle)
	title := fmt.Sprintf("%d peers, %d rendezvous", rep.Sim.Peers, rep.Sim.Rendezvous)
	if rep.Sim.Churn > 0 {
		title += fmt.Sprintf(", %.3g %% come and go a minute", rep.Sim.Churn*100)
	}
	fmt.Fprintf(b, "<title>%s</title>\n<text x=\"%d\" y=\"24\" font-weight=\"600\">%s</text>\n", title, plotLeft, title)
	const steps = 5
	for i := range steps + 1 {
		share := float64(i) / steps
		fmt.Fprintf(b, "<path class=\"grid\" d=\"M%d %.1fH%d\"/>\n<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%.0f %%</text>\n",
			plotLeft, plotY(share), plotWidth-plotRight, plotLeft-8, plotY(share)+4, share*100)
	}
	whole := span(rep)
	for i := range steps + 1 {
		at := time.Duration(float64(whole) * float64(i) / steps)
		fmt.Fprintf(b, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%s</text>\n", plotX(at, whole), plotHeight-plotBottom+22, plotTime(at))
	}
	for i, c := range curves(rep) {
		x := plotLeft + i*260
		fmt.Fprintf(b, "<path class=\"%s curve\" d=\"M%d 46h28\"/>\n<text x=\"%d\" y=\"50\">%s</text>\n", c.class, x, x+36, c.title)
		fmt.Fprintf(b, "<path class=\"%s curve\" d=\"%s\"/>\n", c.class, plotPath(rep, c.values))
	}
	fmt.Fprintln(b, "</svg>")
	if err := b.Flush(); err != nil {
		return fmt.Errorf("yard: %w", err)
	}
	return nil
}

// curves returns what is drawn.
func curves(rep *peergrouptest.Report) []curve {
	all := []curve{{class: "views", title: "rendezvous known to rendezvous"}, {class: "leases", title: "edges with a lease"}, {class: "hits", title: "lookups that found"}}
	for _, s := range rep.Curve {
		hits := -1.0
		if s.Lookups > 0 {
			hits = float64(s.Hits) / float64(s.Lookups)
		}
		for i, v := range []float64{s.Known, s.Leased, hits} {
			all[i].values = append(all[i].values, v)
		}
	}
	return all
}

// plotPath joins the points of a curve, also across samples without a value.
func plotPath(rep *peergrouptest.Report, values []float64) string {
	var b strings.Builder
	for i, v := range values {
		if v < 0 {
			continue
		}
		command := 'L'
		if b.Len() == 0 {
			command = 'M'
		}
		fmt.Fprintf(&b, "%c%.1f %.1f", command, plotX(rep.Curve[i].At.Duration(), span(rep)), plotY(v))
	}
	return b.String()
}

// span is the time that is drawn.
func span(rep *peergrouptest.Report) time.Duration {
	if len(rep.Curve) == 0 {
		return rep.Sim.For
	}
	return max(rep.Curve[len(rep.Curve)-1].At.Duration(), time.Second)
}

func plotX(at, whole time.Duration) float64 {
	return plotLeft + float64(plotWidth-plotLeft-plotRight)*float64(at)/float64(max(whole, 1))
}

func plotY(share float64) float64 {
	return plotTop + float64(plotHeight-plotTop-plotBottom)*(1-share)
}

// plotTime writes a time as minutes or seconds.
func plotTime(d time.Duration) string {
	if d%time.Minute == 0 {
		return fmt.Sprintf("%d min", d/time.Minute)
	}
	return fmt.Sprintf("%.0f s", d.Seconds())
}
