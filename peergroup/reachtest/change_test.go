//go:build linux

package reachtest

import (
	"fmt"
	"os"
	"testing"
	"time"
)

// TestRouterGetsAnotherAddress: the provider gives a router another public address,
// and every connection through it is lost, of which nobody is told.
func TestRouterGetsAnotherAddress(t *testing.T) {
	t.Parallel()
	for _, s := range []struct{ name, rules string }{
		{"port-restricted", portRestricted}, {"symmetric", symmetric},
	} {
		t.Run(s.name, func(t *testing.T) {
			if s.rules == portRestricted && os.Getenv("JUXTA_SLOW") == "" {
				t.Skip("NOT TESTED: it takes half a minute until a direct link is given up; set JUXTA_SLOW")
			}
			p := newPair(t, s.rules)
			p.ann.must(order{Do: "talk", Peer: p.bob.id, Text: "hello", Wait: 30 * time.Second})
			if s.rules == portRestricted {
				p.ann.must(order{Do: "path", Peer: p.bob.id, Text: "direct", Wait: 10 * time.Second})
			}
			p.l.ip("ra", fmt.Sprint("addr del ", publicNet, 101, bits, " dev wan"))
			p.l.ip("ra", fmt.Sprint("addr add ", publicNet, 151, bits, " dev wan"))
			there := p.talkAgain(t, p.ann, p.bob)
			back := p.talkAgain(t, p.bob, p.ann)
			row := fmt.Sprintf("| a router gets another address, %s | %s | %s |", s.name, there, back)
			t.Log(row)
			addRow(t, row)
		})
	}
}

// talkAgain measures how long it takes until two can talk after a disturbance.
func (p *pair) talkAgain(t *testing.T, from, to *outside) string {
	t.Helper()
	began := time.Now()
	r, err := from.ask(order{Do: "talk", Peer: to.id, Text: "again from " + from.name, Wait: 60 * time.Second})
	if err != nil {
		t.Errorf("%s to %s: %v; why: %+v", from.name, to.name, err, from.must(order{Do: "why", Peer: to.id, Wait: 15 * time.Second}))
		return "never"
	}
	return round(time.Since(began)) + ", " + r.Path
}
