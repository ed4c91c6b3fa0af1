package main

import (
	"strings"
	"testing"
	"testing/synctest"

	"github.com/juxta-p2p/juxta/protocols/content"
)

// Searches succeed under each policy; when the index holder is gone, they fail
// where it was the only one.
func TestRun(t *testing.T) {
	var rows []row
	for _, policy := range []content.Policy{content.Central, content.Rendezvous, content.Flood} {
		synctest.Test(t, func(t *testing.T) {
			r, err := run(t.Context(), yard{policy: policy, rendezvous: 3, edges: 9, files: 3, searches: 9})
			if err != nil {
				t.Fatal(err)
			}
			rows = append(rows, r)
			after := r.after.asked
			if policy == content.Central {
				after = 0
			}
			if r.byWord.hits != 9 || r.byName.hits != 9 || r.after.hits != after {
				t.Errorf("%v: found %d and %d of 9, then %d, want %d", policy, r.byWord.hits, r.byName.hits, r.after.hits, after)
			}
		})
	}
	out := table(rows)
	t.Log("\n" + out)
	if !strings.Contains(out, "| | central | rendezvous | flood |") && !strings.HasPrefix(out, "|  | central | rendezvous | flood |") {
		t.Errorf("the table is\n%s", out)
	}
	if rows[0].byWord.messages >= rows[2].byWord.messages {
		t.Errorf("a flooded question takes %.1f messages, one to the index %.1f", rows[2].byWord.messages, rows[0].byWord.messages)
	}
}
