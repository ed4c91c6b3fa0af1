package commands

import (
	"context"
	"path"

	"github.com/juxta-p2p/juxta/peergroup"
	"github.com/juxta-p2p/juxta/shell/interp"
)

func metricsCommand(h *Host) *interp.Command {
	return &interp.Command{
		Name: "metrics", Family: familyPeers, Summary: "counts what this peer did, and what was lost on the way",
		Args: "[PATTERN]", MaxArgs: 1,
		Options: []interp.Option{
			{Letter: "a", Name: "all", Help: "those that are zero, too"},
			{Letter: "l", Name: "losses", Help: "only what was dropped, refused, evicted or not sent"},
		},
		Complete: func(_ *interp.Session, n int) []interp.Suggestion { return h.completeMetrics() },
		Details: "Lists the counters and gauges of the peer and of its groups that are not zero. PATTERN is\n" +
			"a service, a name, or both with a dot between them; * stands for any text.\n" +
			"JSON: group (empty: the peer itself), group_id, service, name, value, loss, gauge.\n" +
			"Status 3: nothing fits PATTERN.",
		Examples: []interp.Example{
			{Line: "metrics", Text: "all that happened so far"},
			{Line: "metrics -l", Text: "what was lost, and why"},
			{Line: "metrics -a endpoint", Text: "what went through the links, and how many there are"},
			{Line: "metrics 'resolver.dropped*'", Text: "questions and answers that were dropped"},
		},
		Run: func(_ context.Context, c *interp.Call) error {
			pattern := "*"
			if len(c.Args) == 1 {
				pattern = c.Args[0].Text
			}
			if _, err := path.Match(pattern, ""); err != nil {
				return interp.Usagef("%q is no pattern", pattern).Try("* stands for any text")
			}
			fits, shown := false, false
			for _, m := range h.peer.Metrics() {
				if !metricFits(m, pattern) {
					continue
				}
				fits = true
				if m.Value == 0 && !c.Flag("a") || c.Flag("l") && !m.Loss {
					continue
				}
				shown = true
				c.Row(interp.Field{Name: "group", Value: m.Group}, interp.Field{Name: "group_id", Value: groupText(m), Long: true},
					interp.Field{Name: "service", Value: m.Service}, interp.Field{Name: "name", Value: m.Name},
					interp.Field{Name: "value", Value: m.Value}, interp.Field{Name: "loss", Value: m.Loss},
					interp.Field{Name: "gauge", Value: m.Gauge, Long: true})
			}
			switch {
			case !fits:
				return interp.NotFoundf("no metric is called %q", pattern).Try("metrics -a lists all")
			case !shown && c.Flag("l"):
				c.Notice("nothing was lost so far")
			case !shown:
				c.Notice("all are zero; -a shows them")
			}
			return nil
		},
	}
}

// metricFits reports whether a pattern means the metric.
func metricFits(m peergroup.Metric, pattern string) bool {
	for _, name := range []string{m.Service, m.Name, m.Service + "." + m.Name} {
		if ok, _ := path.Match(pattern, name); ok {
			return true
		}
	}
	return false
}

// groupText is the ID of the group of a metric, empty for the peer itself.
func groupText(m peergroup.Metric) string {
	if m.GroupID.IsZero() {
		return ""
	}
	return m.GroupID.String()
}

// completeMetrics lists the services that have metrics.
func (h *Host) completeMetrics() []interp.Suggestion {
	var all []interp.Suggestion
	seen := map[string]bool{}
	for _, m := range h.peer.Metrics() {
		if !seen[m.Service] {
			seen[m.Service] = true
			all = append(all, interp.Suggestion{Text: m.Service, Description: "service"})
		}
	}
	return all
}
