package bench

import (
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
)

// title names a workload with its parameters.
func title(work string, size, window int) string {
	var b strings.Builder
	b.WriteString(work)
	if size > 0 {
		fmt.Fprintf(&b, " %s", octets(size))
	}
	if window > 0 {
		fmt.Fprintf(&b, ", window %d", window)
	}
	return b.String()
}

func octets(n int) string {
	if n >= 1024 && n%1024 == 0 {
		return fmt.Sprintf("%d KiB", n/1024)
	}
	return fmt.Sprintf("%d B", n)
}

// spread is the median, the least and the most of some figures.
type spread struct{ median, least, most float64 }

func spreadOf(rounds []Result, f func(Result) float64) spread {
	var list []float64
	for _, r := range rounds {
		if r.Error == "" {
			list = append(list, f(r))
		}
	}
	if len(list) == 0 {
		return spread{}
	}
	slices.Sort(list)
	return spread{list[len(list)/2], list[0], list[len(list)-1]}
}

// human shows a figure with three digits or so.
func human(x float64) string {
	switch {
	case x >= 1e6:
		return fmt.Sprintf("%.2fM", x/1e6)
	case x >= 1e4:
		return fmt.Sprintf("%.0fk", x/1e3)
	case x >= 1e3:
		return fmt.Sprintf("%.1fk", x/1e3)
	case x >= 100:
		return fmt.Sprintf("%.0f", x)
	case x >= 10:
		return fmt.Sprintf("%.1f", x)
	}
	return fmt.Sprintf("%.2f", x)
}

// column is one of a table.
type column struct {
	head string
	f    func(Result) float64
	rate bool // more is better
}

func columnsOf(work string) []column {
	rate := func(r Result) float64 { return r.Rate }
	send, receive := column{"sender µs", func(r Result) float64 { return r.SendCPU }, false}, column{"receiver µs", func(r Result) float64 { return r.ReceiveCP }, false}
	switch work {
	case OneWay:
		return []column{{"messages/s", rate, true}, send, receive}
	case Stream:
		return []column{{"MB/s", rate, true}, send, receive}
	case FanOut:
		return []column{{"published/s", rate, true}, send, receive}
	case Start:
		return []column{{"ready µs", func(r Result) float64 { return r.P50 }, false}, {"MiB", func(r Result) float64 { return r.Memory }, false}}
	}
	return []column{{"p50 µs", func(r Result) float64 { return r.P50 }, false}, {"p99 µs", func(r Result) float64 { return r.P99 }, false}}
}

// table shows what was measured in one workload.
func (r *run) table(work string, size, window int, list []*Measurement) {
	_, _ = fmt.Fprintf(r.out, "\n%s\n", title(work, size, window))
	w := tabwriter.NewWriter(r.out, 0, 0, 2, ' ', tabwriter.AlignRight)
	columns := columnsOf(work)
	_, _ = fmt.Fprint(w, "\t")
	for _, c := range columns {
		_, _ = fmt.Fprintf(w, "%s\t", c.head)
	}
	_, _ = fmt.Fprintln(w, "least..most\tratio\tlost\tout of order\t")
	base := spread{}
	if len(list) > 0 && list[0].floor {
		base = spreadOf(list[0].Rounds, columns[0].f)
	}
	for _, m := range list {
		_, _ = fmt.Fprintf(w, "%s\t", m.Contestant)
		var lost, disorder uint64
		failed := ""
		for _, x := range m.Rounds {
			lost, disorder = lost+x.Lost, disorder+x.Disorder
			if x.Error != "" {
				failed = x.Error
			}
		}
		first := spreadOf(m.Rounds, columns[0].f)
		for _, c := range columns {
			_, _ = fmt.Fprintf(w, "%s\t", human(spreadOf(m.Rounds, c.f).median))
		}
		ratio := ""
		if base.median > 0 && first.median > 0 {
			ratio = fmt.Sprintf("%.2f", first.median/base.median)
		}
		_, _ = fmt.Fprintf(w, "%s..%s\t%s\t%d\t%d\t", human(first.least), human(first.most), ratio, lost, disorder)
		if failed != "" {
			_, _ = fmt.Fprintf(w, " failed: %s", failed)
		}
		_, _ = fmt.Fprintln(w)
	}
	_ = w.Flush()
}
