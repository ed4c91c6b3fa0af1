package main_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"time"
)

// crowdVariable asks for the tests that start dozens of processes.
const crowdVariable = "JUXTA_CROWD"

// TestSixtyProcesses: six rendezvous and 54 edges, each a process of its own,
// find what each other has published, wherever it leases.
func TestSixtyProcesses(t *testing.T) {
	if os.Getenv(crowdVariable) == "" {
		t.Skipf("60 processes take a while on a small machine: SKIPPED, set %s=1 to run them", crowdVariable)
	}
	const rendezvous, edges, lookups = 6, 54, 100
	var urls []string
	var rdvs, all []*shell
	for i := range rendezvous {
		var args []string
		for _, u := range urls[:min(1, i)] {
			args = append(args, "--seed", u)
		}
		s, url := openRendezvous(t, fmt.Sprintf("r%d", i), args...)
		urls, rdvs = append(urls, url), append(rdvs, s)
	}
	began := time.Now()
	for _, s := range rdvs {
		s.until(time.Now().Add(patience), "rdvstatus -v", func(object) bool {
			rows, _ := s.do("rdvstatus -v")
			n := 0
			for _, o := range rows {
				if o.text("kind") == "member" {
					n++
				}
			}
			return n == rendezvous-1
		})
	}
	t.Logf("all views complete %v after the last rendezvous", time.Since(began).Round(time.Millisecond))
	for i := range edges {
		s, _ := openEdge(t, fmt.Sprintf("e%02d", i), urls[i%rendezvous])
		s.must(fmt.Sprintf("newpipe -b thing-%02d", i))
		all = append(all, s)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	var took []time.Duration
	asked := map[[2]int]bool{}
	for len(took) < lookups {
		from, of := rng.IntN(edges), rng.IntN(edges)
		if from == of || asked[[2]int{from, of}] {
			continue
		}
		asked[[2]int{from, of}] = true
		name := fmt.Sprintf("thing-%02d", of)
		began := time.Now()
		all[from].until(time.Now().Add(patience), "search -r -w 100ms -v "+name, named(name))
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	t.Logf("%d lookups, all found; the command, which waits 100 ms for answers, took %v at the median, %v at most", len(took),
		took[len(took)/2].Round(time.Millisecond), took[len(took)-1].Round(time.Millisecond))
}
