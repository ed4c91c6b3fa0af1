// Package limits lists what bounds strangers: the named limits of all packages with their values,
// and the counters that tell how often they were met.
//
// The list is made of the limits.go of each package. A test holds it to them and, with -update,
// makes it anew; only the counters are written by hand.
package limits

import (
	_ "embed"
	"strings"
)

// Limit is one of them.
type Limit struct {
	Package  string   // such as "core/endpoint"
	Name     string   // of the constant
	Value    string   // for people: "1024", "8 MiB", "15m"
	Counters []string // of peergroup.Metric, as SERVICE.NAME; gauges tell how much is in use
	Reason   string   // what it is for, as it says itself
}

//go:embed table.tsv
var table string

// All returns the limits by package, in the order in which the packages have them.
func All() []Limit {
	var all []Limit
	for line := range strings.Lines(table) {
		if l, ok := parse(line); ok {
			all = append(all, l)
		}
	}
	return all
}

// columns are package, name, value, counters, reason.
const columns = 5

func parse(line string) (Limit, bool) {
	f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
	if len(f) != columns {
		return Limit{}, false
	}
	return Limit{Package: f[0], Name: f[1], Value: f[2], Counters: strings.Fields(f[3]), Reason: f[4]}, true
}

func (l *Limit) line() string {
	return strings.Join([]string{l.Package, l.Name, l.Value, strings.Join(l.Counters, " "), l.Reason}, "\t") + "\n"
}
