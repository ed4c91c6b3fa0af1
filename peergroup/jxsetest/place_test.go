package jxsetest_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/protocols/discovery"
	"github.com/juxta-p2p/juxta/protocols/resolver/srdi"
)

// askFor is how long an edge that asks by index waits: less than the two seconds
// after which a Juxta edge asks everybody.
const askFor = 1500 * time.Millisecond

// firstContact is how often it is asked at least until something must be found: a
// Java rendezvous waits 3 s until it looks for a way to a peer it does not know.
const firstContact = 6

// publish publishes a pipe.
func (e *edge) publish(t *testing.T, name string) {
	t.Helper()
	if e.java != nil {
		e.java.Do("publish", "type=pipe", "name="+name)
	} else {
		publish(t, e.juxt, advertisements.NewPipe(id.NetGroup, name, advertisements.Unicast))
	}
}

// finds asks the group once and reports whether a pipe was found.
func (e *edge) finds(t *testing.T, pattern string, limit time.Duration) bool {
	t.Helper()
	if e.java != nil {
		return e.java.Do("search", "kind=adv", "attr=Name", "value="+pattern, "want=1",
			fmt.Sprintf("timeout=%d", limit.Milliseconds())).Int("count") > 0
	}
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	_, err := e.juxt.Net().Discovery().FindOne(ctx, discovery.Query{
		Kind: advertisements.Advs, Attr: "Name", Value: pattern, RemoteOnly: true,
	})
	return err == nil
}

// lookup is somebody who looks for what another one has. The index entry is
// copied to a place in the row.
type lookup struct {
	holder, asker *edge
	place         int
	name          string
}

func (l lookup) String() string {
	return fmt.Sprintf("%s (at %d) asks for what %s (at %d) has, placed at %d",
		l.asker.name, l.asker.at, l.holder.name, l.holder.at, l.place)
}

// publishLookups has each edge publish for each other one a pipe that is placed
// at the first rendezvous, which is Java, and one that is placed at the second.
// The others are never the place in a row of four.
func (f *four) publishLookups(t *testing.T) []lookup {
	t.Helper()
	places := srdi.NewRow(f.ids...)
	n := 0
	nameAt := func(place int) string {
		for {
			n++
			name := fmt.Sprintf("placed-%d", n)
			if at, ok := places.Place(advertisements.Advs.String(), "Name", name); ok && at == f.ids[place] {
				return name
			}
		}
	}
	var list []lookup
	for _, holder := range f.edges {
		for _, asker := range f.edges {
			for place := range 2 {
				if asker != holder {
					l := lookup{holder, asker, place, nameAt(place)}
					list = append(list, l)
					holder.publish(t, l.name)
				}
			}
		}
	}
	return list
}

// steps counts what has walked or was propagated at the Juxta rendezvous: they
// stand so that no walk passes them by.
func (f *four) steps() uint64 {
	a, b := f.g1.Net().Rendezvous().Stats(), f.g3.Net().Rendezvous().Stats()
	return a.Sent + a.Received + b.Sent + b.Received
}

// testPlaces: whoever asks for a name finds it by the copy of its index entry,
// whoever keeps that, without a walk.
func (f *four) testPlaces(t *testing.T, list []lookup) {
	begin := time.Now()
	copies, byCopy := 0, 0 // lookups of what is placed at a Juxta rendezvous, and those that it answered
	for _, l := range list {
		tries := 0
		for quiet := 0; ; {
			tries++
			steps, forwarded := f.steps(), f.g1.Net().Discovery().Stats().Forwarded
			ok := l.asker.finds(t, l.name, askFor)
			steps, forwarded = f.steps()-steps, f.g1.Net().Discovery().Stats().Forwarded-forwarded
			if l.asker.at%2 == 1 {
				steps-- // the question on its way to a Juxta rendezvous
			}
			if !ok {
				if tries < firstContact || time.Since(begin) < push+soon {
					continue // a Java edge pushes every 30 s
				}
				t.Errorf("%v: not found", l)
				break
			}
			if steps == 0 {
				if l.place == 1 {
					copies++
					byCopy += int(min(forwarded, 1))
				}
				break
			}
			if quiet++; quiet == 3 { // other traffic passes
				t.Errorf("%v: found after %d steps of walks", l, steps)
				break
			}
		}
		if tries > 1 {
			t.Logf("after %v: %v: tried %d times", time.Since(begin).Round(time.Millisecond), l, tries)
		}
	}
	// Entries that came while the views still changed are at their old places, too.
	if byCopy < copies/2 {
		t.Errorf("of %d lookups whose place is the Juxta rendezvous %d went there", copies, byCopy)
	}
	t.Logf("%d lookups without a walk, of %d placed at Juxta %d went there; g1 %+v, copies %+v; g3 %+v", len(list), copies, byCopy,
		f.g1.Net().Discovery().Stats(), f.g1.Net().Discovery().Copies(), f.g3.Net().Discovery().Stats())
}
