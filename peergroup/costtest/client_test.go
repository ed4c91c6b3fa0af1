package costtest

import (
	"fmt"
	"testing"
	"time"
)

// TestClients bounds what an edge with a lease costs its rendezvous: the link, the
// lease, the index of what it has, and its advertisement.
func TestClients(t *testing.T) {
	if racing {
		t.Skip("the race detector takes memory of its own")
	}
	const edges, mostMemory, mostGoroutines = 60, 100 << 10, 3
	h := startHub(t)
	memory, goroutines := used()
	start(t, child(t, "edges", fmt.Sprint(edges), h.seed))
	await(t, h.joined, edges)
	for end := time.Now().Add(patience); h.Net().Discovery().Index().Entries < edges && time.Now().Before(end); {
		time.Sleep(10 * time.Millisecond) // until each has told what it has
	}
	now, all := used()
	each, n := (now-memory)/edges, float64(all-goroutines)/edges
	t.Logf("a client takes %d octets of heap and stacks and %.1f goroutines", each, n)
	if each > mostMemory || n > mostGoroutines {
		t.Errorf("want %d octets and %d goroutines at most", mostMemory, mostGoroutines)
	}
}
