package commands

import (
	"context"
	"path"
	"slices"
	"strings"

	"github.com/juxta-p2p/juxta/shell/interp"
	"github.com/juxta-p2p/juxta/shell/limits"
)

func limitsCommand(h *Host) *interp.Command {
	return &interp.Command{
		Name: "limits", Family: familyPeers, Summary: "lists what bounds others at this peer, and how often they ran into it",
		Args: "[PATTERN]", MaxArgs: 1,
		Options: []interp.Option{
			{Letter: "a", Name: "all", Help: "those that nothing counts, too"},
			{Letter: "m", Name: "met", Help: "only those that were met"},
			{Letter: "l", Name: "long", Help: "with the counters, nothing cut"},
		},
		Complete: completeLimits,
		Details: "Each limit has its value, as the program has it unless the peer is configured otherwise, how much\n" +
			"is in use now, how often it was met since the start, and what it is for. Some share a counter,\n" +
			"which then stands at each. PATTERN is a package, a name, or both with a dot between them; * stands\n" +
			"for any text. peerinfo -limits tells who it was.\n" +
			"JSON: package, limit, value, used (null: nothing tells), met (null: nothing counts it), counters, reason.\n" +
			"Status 3: nothing fits PATTERN.",
		Examples: []interp.Example{
			{Line: "limits -m", Text: "which limits were met"},
			{Line: "limits 'core/*'", Text: "those of links and transports"},
			{Line: "limits -a -l maxDocument", Text: "all of that name"},
		},
		Run: func(_ context.Context, c *interp.Call) error {
			pattern := "*"
			if len(c.Args) == 1 {
				pattern = c.Args[0].Text
			}
			if _, err := path.Match(pattern, ""); err != nil {
				return interp.Usagef("%q is no pattern", pattern).Try("* stands for any text")
			}
			counted := h.counted()
			fits, shown := false, false
			for _, l := range limits.All() {
				if !limitFits(l, pattern) {
					continue
				}
				fits = true
				used, met := limitNow(l, counted)
				if met == nil && !c.Flag("a") || c.Flag("m") && (met == nil || met == uint64(0)) {
					continue
				}
				shown = true
				c.Emit(interp.Record{Wide: c.Flag("l"), Fields: []interp.Field{
					{Name: "package", Value: l.Package}, {Name: "limit", Value: l.Name}, {Name: "value", Value: l.Value},
					{Name: "used", Value: used}, {Name: "met", Value: met}, {Name: "counters", Value: l.Counters, Long: true},
					{Name: "reason", Value: l.Reason},
				}})
			}
			switch {
			case !fits:
				return interp.NotFoundf("no limit is called %q", pattern).Try("limits -a lists all")
			case !shown && c.Flag("m"):
				c.Notice("nobody ran into a limit so far")
			case !shown:
				c.Notice("nothing counts them; -a shows them")
			}
			return nil
		},
	}
}

// total is what a metric comes to in all groups.
type total struct {
	value uint64
	gauge bool
}

// counted adds up the metrics of all groups, as SERVICE.NAME.
func (h *Host) counted() map[string]total {
	all := map[string]total{}
	for _, m := range h.peer.Metrics() {
		t := all[m.Service+"."+m.Name]
		// A limit holds in each group, so the fullest one tells how near it is.
		if m.Gauge {
			all[m.Service+"."+m.Name] = total{max(t.value, m.Value), true}
		} else {
			all[m.Service+"."+m.Name] = total{t.value + m.Value, false}
		}
	}
	return all
}

// limitNow returns how much of a limit is in use and how often it was met, nil if nothing tells.
func limitNow(l limits.Limit, counted map[string]total) (used, met any) {
	times, counts := uint64(0), false
	for _, name := range l.Counters {
		switch t, ok := counted[name]; {
		case !ok: // the service does not run
		case t.gauge:
			used = t.value
		default:
			times, counts = times+t.value, true
		}
	}
	if counts {
		met = times
	}
	return used, met
}

// limitFits reports whether a pattern means the limit.
func limitFits(l limits.Limit, pattern string) bool {
	flat := strings.NewReplacer("/", ":") // for Match, * ends at a slash
	return slices.ContainsFunc([]string{l.Package, l.Name, l.Package + "." + l.Name, path.Base(l.Package)}, func(name string) bool {
		ok, _ := path.Match(flat.Replace(pattern), flat.Replace(name))
		return ok
	})
}

// completeLimits lists the packages that have limits.
func completeLimits(_ *interp.Session, n int) []interp.Suggestion {
	var all []interp.Suggestion
	if n > 0 {
		return nil
	}
	for _, l := range limits.All() {
		if s := (interp.Suggestion{Text: l.Package, Description: "package"}); !slices.Contains(all, s) {
			all = append(all, s)
		}
	}
	return all
}
